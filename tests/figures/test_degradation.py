"""Degradation as drawn: means over seeds, bands from the least to the largest, gradients on one colour scale."""

import numpy as np
import pytest

from resnet_viz.figures.degradation import errors_by_depth, errors_by_epoch, gradients_by_epoch
from resnet_viz.figures.palette import DARK, LIGHT

from .test_paths import titles, traces


def history(train: list[float], test: list[float], last_train: float, norms: list[list[float]] | None = None) -> dict:
    """Errors after each epoch; at the end, on all training images."""
    epochs = [
        {"train_error_pct": a, "test_error_pct": b, "stream_gradient_norms": c}
        for a, b, c in zip(train, test, norms or [[1.0]] * len(train), strict=True)
    ]
    return {"epochs": epochs, "train_error_pct": last_train, "test_error_pct": test[-1]}


SHALLOW = [history([30, 10], [32, 14], 10), history([20, 8], [28, 12], 7), history([25, 6], [27, 13], 7)]
DEEP = [history([50, 20], [52, 21], 19)]
RESIDUAL = [history([22, 5], [24, 11], 4)]
FAMILIES = {"plain": {20: SHALLOW, 56: DEEP}, "resnet": {20: RESIDUAL}}


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_are_the_means_and_bands_reach_from_the_least_to_the_largest(palette):
    figure = errors_by_epoch(FAMILIES, palette).figure()
    drawn = {trace.name: trace for trace in figure.data if trace.x[0] is not None}
    assert list(drawn["plain20, train"].y) == [25, 8]
    assert list(drawn["plain20, test"].y) == [29, 13]
    assert list(drawn["plain56, train"].y) == [50, 20]
    assert list(drawn["resnet20, test"].y) == [24, 11]
    band = drawn["plain20, train, range of seeds"]
    assert list(zip(band.x, band.y, strict=True)) == [(1, 30), (2, 10), (2, 6), (1, 20)]
    assert band.fill == "toself"
    assert sum("range of seeds" in name for name in drawn) == 2  # one seed has no spread
    assert {drawn[f"plain{depth}, train"].line.dash for depth in (20, 56)} == {"dash"}
    assert drawn["plain20, test"].line.color == drawn["resnet20, test"].line.color != drawn["plain56, test"].line.color
    assert [drawn[f"{name}20, test"].xaxis for name in ("plain", "resnet")] == [None, "x2"]


def test_the_axes_of_errors_by_epoch_say_what_they_are():
    figure = errors_by_epoch(FAMILIES, LIGHT).figure()
    assert titles(figure) == ["epoch", "epoch", "error, %, log scale"]
    assert {axis.type for axis in figure.select_yaxes()} == {"log"}
    assert [note.text for note in figure.layout.annotations] == ["plain", "residual"]
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert legend == ["20 layers", "56 layers", "training images", "test images"]


def test_errors_by_depth_draws_means_with_whiskers_to_the_extremes():
    figure = errors_by_depth(FAMILIES, LIGHT).figure()
    drawn = traces(figure)
    expected = {
        "plain, training images": [8, 19],
        "plain, test images": [13, 21],
        "plain, gap": [5, 2],
        "residual, training images": [4],
        "residual, test images": [11],
        "residual, gap": [7],
    }
    assert {name: list(trace.y) for name, trace in drawn.items()} == expected
    gap = drawn["plain, gap"]
    assert list(gap.y - gap.error_y.arrayminus) == [4, 2]
    assert list(gap.y + gap.error_y.array) == [6, 2]
    train = drawn["plain, training images"]
    assert list(train.y - train.error_y.arrayminus) == [7, 19]
    assert list(train.y + train.error_y.array) == [10, 19]
    assert list(train.text) == ["3 seeds", "1 seed"]
    assert all((trace.yaxis == "y2") == name.endswith("gap") for name, trace in drawn.items())
    assert all(
        trace.marker.symbol.endswith("-open") == name.endswith("training images") for name, trace in drawn.items()
    )
    assert titles(figure) == ["layers", "layers", "error, %", "points"]
    assert figure.layout.xaxis.ticktext == (20, 56)


def test_gradients_are_drawn_block_by_epoch_on_one_colour_scale():
    small = history([9, 9], [9, 9], 9, [[1.0, 10.0, 100.0], [1e-2, 1.0, 1.0]])
    large = history([9, 9], [9, 9], 9, [[1.0] * 6, [1e3] * 6])
    figure = gradients_by_epoch({"plain20": small, "plain56": large}, LIGHT).figure()
    first, second = figure.data
    np.testing.assert_allclose(first.customdata, [[1, 1e-2], [10, 1], [100, 1]])
    np.testing.assert_allclose(first.z, [[0, -2], [1, 0], [2, 0]])
    assert second.z.shape == (6, 2)
    assert (first.zmin, first.zmax) == (second.zmin, second.zmax) == pytest.approx((-2, 3))
    assert list(first.x) == [1, 2]
    assert [first.showscale, second.showscale] == [True, False]
    assert first.colorbar.title.text == "norm"
    assert list(first.colorbar.tickvals) == [-2, -1, 0, 1, 2, 3]
    assert titles(figure) == ["epoch", "epoch", "block, the first at the bottom"]
    assert list(figure.layout.yaxis.tickvals) == [0, 1, 2]
    assert list(figure.layout.yaxis2.tickvals) == [0, 2, 4]
    assert [note.text for note in figure.layout.annotations] == ["plain20", "plain56"]


def test_a_gradient_of_0_has_a_colour():
    (drawn,) = gradients_by_epoch({"plain20": history([9], [9], 9, [[0.0, 1.0, 1.0]])}, DARK).figure().data
    assert np.isfinite(np.array(drawn.z)).all()
