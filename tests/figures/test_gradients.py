"""Gradients along the blocks, as drawn and as told."""

import math

import numpy as np
import pytest

from resnet_viz.figures.gradients import Series, along_blocks, conclusion, growth_by_depth, growth_sentence
from resnet_viz.figures.palette import LIGHT

from .test_paths import titles, traces

BLOCKS = ("layer1.0", "layer1.1", "layer2.0")


def line(name: str, first: float, last: float = 1.0, **look: bool) -> Series:
    return Series(name, BLOCKS, np.array([first, 1.0, last]), **look)


@pytest.mark.parametrize(
    ("first", "told"),
    [
        (99.0, "In none does it fade or grow more than 100-fold."),
        (101.0, "It grows more than 100-fold in: one."),
        (1 / 99, "In none does it fade or grow more than 100-fold."),
        (1 / 101, "It fades more than 100-fold in: one."),
        (math.inf, "It grows more than 100-fold in: one."),
        (0.0, "It fades more than 100-fold in: one."),
    ],
)
def test_fading_and_growing_are_named_from_the_same_factor(first, told):
    assert conclusion([line("one", first), line("other", 1.0)]) == told
    assert conclusion([line("one", first)]) == told.replace("In none does it", "It does not")


def test_each_mark_means_one_thing():
    lines = [
        line("residual", 1.0),
        line("plain", 1.0, plain=True),
        line("beside", 1.0, hollow=True),
        line("residual without BN", 1.0, crosses=True),
        line("plain without BN", 1.0, plain=True, crosses=True),
    ]
    drawn = along_blocks(lines, "norm", LIGHT).figure().data
    assert all(trace.cliponaxis is False for trace in drawn), "marks at 0 lie on the axis"
    assert [trace.marker.symbol for trace in drawn] == ["circle", "square", "circle", "x", "x"]
    assert [trace.marker.color == LIGHT.background for trace in drawn] == [False, False, True, False, False]


def test_the_growth_is_drawn_and_told_by_depth():
    growth = {"residual": {20: 9.26, 110: 72.2}, "plain": {20: 20.9, 110: 1.0e7}}
    figure = growth_by_depth(growth, LIGHT).figure()
    drawn = traces(figure)
    assert list(drawn["plain"].x) == [20, 110] and list(drawn["plain"].y) == [20.9, 1.0e7]
    assert figure.layout.yaxis.type == "log" and titles(figure) == ["layers", "first block / last block"]
    assert growth_sentence(growth) == (
        "From the last block to the first: at 20 layers residual 9.26-fold, plain 20.9-fold; at 110 layers residual 72.2-fold, plain 1.0 × 10⁷-fold."
    )
