"""Races as drawn: the numbers given, on axes that say what they are."""

import numpy as np
import pytest

from resnet_viz.experiments.race import Race, Record, Standing
from resnet_viz.figures.palette import DARK, LIGHT
from resnet_viz.figures.race import error_by_step, gradients_at, race_figures, rises_at

from .test_paths import titles, traces

NAMES = ("plain8", "resnet14")
BLOCKS = (
    ("layer1.0", "layer2.0", "layer3.0"),
    tuple(f"layer{stage}.{index}" for stage in (1, 2, 3) for index in (0, 1)),
)
LEFT = Standing((), 2.3, 90.0, 2.4, 91.0, (1.0, 0.1, 0.01), (1.0, 2.0, -3.0))
RIGHT = Standing((), 2.1, 80.0, 2.2, 81.0, (6.0, 5.0, 4.0, 3.0, 2.0, 1.0), (0.0, 1.0, 2.0, 3.0, 4.0, 5.0))
LATER = Standing((2.0, 1.9), 1.0, 40.0, 1.1, 45.0, (2.0, 0.2, 0.02), (5.0, 6.0, 7.0))
RECORDS = [Record(0, LEFT, RIGHT), Record(10, LATER, RIGHT)]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_errors_are_drawn_for_both_networks_and_samples(palette):
    figure = error_by_step(RECORDS, NAMES, palette).figure()
    drawn = {name: list(trace.y) for name, trace in traces(figure).items()}
    assert drawn == {
        "plain8, training images": [90, 40],
        "plain8, test images": [91, 45],
        "resnet14, training images": [80, 80],
        "resnet14, test images": [81, 81],
    }
    assert all(list(trace.x) == [0, 10] for trace in figure.data)
    assert titles(figure) == ["training steps", "error, %"]
    assert figure.layout.yaxis.range == (0, 100)
    looks = {name: (trace.line.dash, trace.marker.symbol) for name, trace in traces(figure).items()}
    assert len(set(looks.values())) == 4
    assert all((dash == "dash") == ("training" in name) for name, (dash, _) in looks.items())
    assert all(symbol.endswith("-open") == ("training" in name) for name, (_, symbol) in looks.items())
    assert figure.layout.showlegend is True


def test_the_step_looked_at_is_marked():
    (line,) = error_by_step(RECORDS, NAMES, LIGHT, step=10).figure().layout.shapes
    assert (line.x0, line.x1) == (10, 10)
    assert not error_by_step(RECORDS, NAMES, LIGHT).figure().layout.shapes


@pytest.mark.parametrize(
    ("draw", "what", "title", "axis"),
    [
        (gradients_at, "stream_gradient_norms", "gradient norm, log scale", "log"),
        (rises_at, "deletion_rises", "rise in error, points", None),
    ],
)
def test_each_block_has_its_value_the_longer_network_first(draw, what, title, axis):
    figure = draw(RECORDS[1], NAMES, BLOCKS, LIGHT).figure()
    assert [trace.name for trace in figure.data] == ["resnet14", "plain8"]
    long, short = figure.data
    assert list(long.y) == list(getattr(RIGHT, what))
    assert list(short.y) == list(getattr(LATER, what))
    assert list(long.text) == list(BLOCKS[1])
    assert list(short.x) == [0, 1, 2]
    assert titles(figure) == [title]
    assert figure.layout.yaxis.type == axis
    assert figure.layout.xaxis.ticktext == ("layer1.0", "layer2.0", "layer3.0")
    assert (long.marker.symbol, short.marker.symbol) == ("circle", "square")


def test_two_networks_of_a_kind_are_told_apart():
    figure = gradients_at(Record(0, LEFT, LATER), ("plain8", "plain8"), (BLOCKS[0], BLOCKS[0]), LIGHT).figure()
    left, right = figure.data
    assert list(left.y) == list(LEFT.stream_gradient_norms)
    assert list(right.y) == list(LATER.stream_gradient_norms)
    assert (left.line.dash, left.marker.color) != (right.line.dash, right.marker.color)


def test_values_that_are_no_numbers_are_gaps():
    broken = Standing((), np.nan, 90.0, np.nan, 90.0, (np.nan, np.inf, 1.0), (0.0, 0.0, 0.0))
    for palette in (LIGHT, DARK):
        error, gradients, rises = (
            plot.figure() for plot in race_figures(Race(*NAMES), [Record(0, broken, broken)], [BLOCKS[0]] * 2, palette)
        )
        np.testing.assert_array_equal(gradients.data[0].y, [np.nan, np.nan, 1.0])
        assert list(rises.layout.yaxis.range) == [0, 1]
        assert list(error.data[0].y) == [90]


def test_a_race_is_drawn_at_its_last_record():
    _, gradients, rises = (plot.figure() for plot in race_figures(Race(*NAMES), RECORDS, BLOCKS, LIGHT))
    assert list(traces(gradients)["plain8"].y) == list(LATER.stream_gradient_norms)
    assert list(traces(rises)["plain8"].y) == list(LATER.deletion_rises)
