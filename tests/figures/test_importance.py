"""Figures of importance: what is written on them can be read."""

import numpy as np
import pytest
from plotly.colors import convert_colors_to_same_type, hex_to_rgb, unlabel_rgb

from resnet_viz.experiments.attribution import Importance, shapley
from resnet_viz.figures.importance import agreement_title, correlation_matrix, importance_by_block, importance_sentences
from resnet_viz.figures.palette import DARK, LIGHT

READABLE = 4.5  # WCAG's contrast of normal text


def luminance(rgb: np.ndarray) -> float:
    """WCAG's relative luminance, 0 ... 1."""
    shares = rgb / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float([0.2126, 0.7152, 0.0722] @ linear)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_correlation_can_be_read_on_its_colour(palette):
    measures = [Importance(np.arange(4.0)[None], np.ones(4)), Importance(-np.arange(4.0)[None], np.ones(4))]
    (cells,) = correlation_matrix(["a", "b"], measures, palette).figure().data
    places, names = zip(*cells.colorscale, strict=True)
    colours = np.array([unlabel_rgb(name) for name in convert_colors_to_same_type(list(names))[0]])
    ink = luminance(np.array(hex_to_rgb(cells.textfont.color)))
    for correlation in np.linspace(-1, 1, 21):
        place = 1 - (correlation - cells.zmin) / (cells.zmax - cells.zmin)  # the scale is reversed
        under = luminance(np.array([np.interp(place, places, channel) for channel in colours.T]))
        assert (max(ink, under) + 0.05) / (min(ink, under) + 0.05) > READABLE, correlation


BLOCKS = ["layer1.0", "layer1.1", "layer1.2", "layer2.0", "layer2.1"]
MEASURES = {
    "deletion, nats": Importance(np.array([[5.0, 4, 3, 2, 1]]), np.ones(5)),
    "|F(x)| / |x|": Importance(np.array([[1.0, 2, 3, 4, 5]]), np.ones(5)),
    "Shapley value, nats": Importance(np.array([[4.0, 5, 3, 2, 1]]), np.ones(5)),
}


def test_what_matters_most_is_said_by_deletion_and_by_shapley_values() -> None:
    title, says = importance_sentences(BLOCKS, MEASURES)
    assert (
        title
        == "Most important by deletion: layer1.0, layer1.1, layer1.2; by Shapley value: layer1.1, layer1.0, layer1.2"
    )
    assert says == "Rank correlation with deletion: |F(x)| / |x| -1.00; Shapley value 0.90.", (
        "five blocks have no interval"
    )
    assert agreement_title(list(MEASURES.values())) == "Do they agree? Rank correlations of -1.00 to 0.90"


def test_measures_that_are_the_same_for_all_blocks_have_no_correlation() -> None:
    same = {"deletion, nats": Importance(np.zeros((1, 5)), np.zeros(5)), "|F(x)| / |x|": MEASURES["|F(x)| / |x|"]}
    assert importance_sentences(BLOCKS, same)[1] == "Rank correlation with deletion: |F(x)| / |x| undefined."
    assert "No rank correlation is defined" in agreement_title(list(same.values()))


def test_an_interval_says_what_it_is_over() -> None:
    blocks = [f"layer1.{index}" for index in range(12)]
    values = np.arange(12.0)[None]
    exact = {"deletion, nats": Importance(values, np.ones(12)), "first order, nats": Importance(values, np.ones(12))}
    says = importance_sentences(blocks, exact | {"Shapley value, nats": shapley([values, values])})[1]
    assert "first order 1.00 (95 % over blocks: 1.00 to 1.00); " in says
    assert "; Shapley value 1.00 (95 % over blocks and permutations: 1.00 to 1.00)." in says


def test_a_network_beside_stands_below_in_grey() -> None:
    figure = importance_by_block(BLOCKS, MEASURES, LIGHT, {"in plain, nats": MEASURES["deletion, nats"]}).figure()
    assert [trace.name for trace in figure.data] == [*MEASURES, "in plain, nats"]
    assert figure.data[3].marker.color == LIGHT.plain and figure.data[0].marker.color[0] == LIGHT.stages[0]
