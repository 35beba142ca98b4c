"""Attributions as pictures: one scale for before and after, and sentences that say what the numbers are."""

import numpy as np
import pytest

from resnet_viz.experiments.image_attribution import GradCam, Integrated
from resnet_viz.figures.diagram import feature_maps
from resnet_viz.figures.image_attribution import (
    completeness_sentence,
    grad_cam_by_block,
    grad_cam_sentence,
    integrated_pictures,
    integrated_sentence,
    sizes_sentence,
    strength_sentence,
)
from resnet_viz.figures.palette import DARK, LIGHT

PIXELS = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
CELLS = np.array([[0, 1], [2, 5]], np.float32)


def of_cells(cells: np.ndarray) -> GradCam:
    return GradCam(cells, np.kron(cells, np.ones((2, 2), np.float32)))


def integrated(picture: list[list[float]], rise: float) -> Integrated:
    return Integrated(np.array(picture), rise, 128)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_a_block_has_one_scale_before_and_after_and_another_block_another(palette) -> None:
    maps = {"layer1.0": [of_cells(CELLS), of_cells(2 * CELLS)], "layer2.0": [of_cells(CELLS), of_cells(CELLS / 10)]}
    figure = grad_cam_by_block(PIXELS, maps, "layer2.0", palette).figure()
    heats = [trace for trace in figure.data if trace.type == "heatmap"]
    assert [heat.name for heat in heats] == [
        f"{block}, {row}" for block in maps for row in ("intact", "with the lesion")
    ]
    assert [(heat.zmin, heat.zmax) for heat in heats] == [(0, 10), (0, 10), (0, 5), (0, 5)]
    assert np.array_equal(heats[1].z, maps["layer1.0"][1].picture)
    images = [trace for trace in figure.data if trace.type == "image"]
    assert len(images) == 2 and np.array_equal(np.array(images[0].z)[..., 2], PIXELS[0])
    assert "<b>layer2.0</b>" in [each.text for each in figure.layout.annotations]
    assert grad_cam_by_block(PIXELS, {"layer1.0": maps["layer1.0"][:1]}, "layer1.0", palette).figure().data[1].zmax == 5


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_signed_attributions_are_drawn_around_zero_on_one_scale(palette) -> None:
    pair = [integrated([[1, -3], [0, 0]], -2), integrated([[4, 0], [0, 0]], 4)]
    figure = integrated_pictures(np.zeros((3, 2, 2), np.uint8), pair, palette).figure()
    heats = [trace for trace in figure.data if trace.type == "heatmap"]
    assert [(heat.zmin, heat.zmax, heat.name) for heat in heats] == [(-4, 4, "intact"), (-4, 4, "with the lesion")]
    middle = heats[0].colorscale[len(heats[0].colorscale) // 2]
    assert middle[0] == 0.5  # the middle of a diverging map
    assert len([heat for heat in heats if heat.showscale]) == 1


@pytest.mark.parametrize(("size", "squares"), [((2, 8), True), ((2, 9), False), ((9, 2), False)])
def test_a_long_picture_has_no_square_pixels(size: tuple[int, int], squares: bool) -> None:
    pair = [integrated(np.ones(size).tolist(), 1.0)]
    figures = [integrated_pictures(np.zeros((1, *size), np.uint8), pair, LIGHT)]
    if size[0] < size[1]:
        figures.append(feature_maps("maps", np.ones(size, np.float32), LIGHT))
    for figure in figures:
        (anchor,) = {axis.scaleanchor for axis in figure.figure().select_yaxes()} - {"x2"}
        assert anchor == "x" if squares else not anchor


def test_the_title_of_a_map_says_where_the_evidence_lies_or_whether_it_stays() -> None:
    def title(*maps: np.ndarray) -> str:
        return grad_cam_sentence("layer3.8", "Coat", [of_cells(each) for each in maps])

    assert title(CELLS) == "At layer3.8 the evidence for Coat: half of it lies in 1 of 4 cells"
    assert title(CELLS, 3 * CELLS) == "At layer3.8 the evidence for Coat stays where it was: correlation 1.00"
    assert title(CELLS, CELLS[::-1].copy()).endswith("shifts: correlation -0.43")
    assert title(0 * CELLS) == "At layer3.8 nothing speaks for Coat"
    assert title(CELLS, 0 * CELLS) == "At layer3.8 nothing speaks for Coat with the lesion"
    assert "shows no place" in title(CELLS[:1, 1:], CELLS[:1, 1:])
    assert strength_sentence([of_cells(CELLS), of_cells(CELLS / 10)]) == "Its strongest cell: 5 → 0.5."
    assert strength_sentence([of_cells(CELLS)]) == ""
    assert sizes_sentence({"a": [of_cells(CELLS)], "b": [of_cells(CELLS[:1])]}) == "a: 2 × 2 cells, b: 1 × 2"


def test_integrated_gradients_say_how_complete_they_are_and_how_alike_where_the_image_is_not_black() -> None:
    before, after = integrated([[1, 2], [3, 0]], 6.3), integrated([[2, 4], [6, 0]], 0)
    assert integrated_sentence("Coat", [before]) == "From black to this image the logit of Coat changes by +6.30"
    assert integrated_sentence("Coat", [before, after]).endswith("stays: correlation 1.00")
    turned = integrated([[3, 2], [1, 0]], 6)
    said = integrated_sentence("Coat", [before, turned])
    assert said.endswith("changes: correlation -1.00")  # with the black one it would be 0.20
    assert "depends on no pixel" in integrated_sentence("Coat", [integrated([[0, 0]], 0)] * 2)
    assert completeness_sentence([before, after]) == (
        "Completeness, the sum of the attributions for the change of the logit: intact 6.00 for 6.30 (error 0.30, 4.8 %; 128 steps); "
        "with the lesion 12.00 for 0.00 (error 12.00; 128 steps)."
    )
