"""Predictions as drawn: every one is counted, and what is right is marked only when it may be seen."""

from itertools import pairwise

import numpy as np
import pytest

from resnet_viz.figures.palette import LIGHT
from resnet_viz.figures.predictions import choice_bars, number_dots, numbers_sentence, with_unit


@pytest.mark.parametrize(
    "values", [[7.0], [7.0, 7.0], [1.0, 2.0, 2.0, 90.0], [-1e15, 1e15], [0.0, 0.0], list(np.linspace(0, 1, 100))]
)
def test_every_number_is_a_dot_of_its_own_where_it_belongs(values: list[float]) -> None:
    (dots,) = number_dots(values, "%", None, LIGHT).figure().data
    assert list(dots.x) == sorted(values)
    assert len(set(zip(dots.x, dots.y, strict=True))) == len(values)
    columns: list[list[float]] = []
    for x, y in zip(dots.x, dots.y, strict=True):
        if y == 1:
            columns.append([])
        columns[-1].append(x)
        assert len(columns[-1]) == y
    room = (max(values) - min(values)) / 48
    assert all(column[-1] - column[0] <= room for column in columns)
    assert all(after[0] - before[0] > room for before, after in pairwise(columns))


def test_numbers_of_several_orders_of_magnitude_stand_on_a_log_axis() -> None:
    plots = [number_dots(values, "", 144.0, LIGHT).layout for values in ([2.0, 1e4], [50.0, 400.0], [-2.0, 1e4])]
    assert [plot["xaxis"].get("type") for plot in plots] == ["log", None, None]
    assert [plot["annotations"][0]["x"] for plot in plots] == [np.log10(144), 144, 144]  # plotly.js wants it so
    assert plots[0]["shapes"][0]["x0"] == 144


def test_what_is_right_is_marked_once_it_may_be_seen() -> None:
    before, after = (number_dots([5.0, 9.0], "%", right, LIGHT).figure() for right in (None, 11.3))
    assert not before.layout.shapes and not before.layout.annotations
    assert after.layout.shapes[0].x0 == 11.3 and after.layout.annotations[0].text == "right: 11.3 %"
    counts = [("weaker", 3), ("stronger", 0)]
    before, after = (choice_bars(counts, right, LIGHT).figure().data[0] for right in ("", "stronger"))
    assert list(before.y) == ["weaker", "stronger"] and list(after.y) == ["weaker", "✓ stronger"]
    assert list(after.x) == [3, 0] and len(set(before.marker.color)) == 1 and len(set(after.marker.color)) == 2


def test_the_sentence_gives_the_middle_and_the_ends() -> None:
    assert numbers_sentence([30, 10, 12.5], "%") == (
        "Half of the class predicts 12.5 % or less; the predictions reach from 10 % to 30 %."
    )


def test_a_unit_that_begins_with_a_hyphen_stands_close() -> None:
    assert [with_unit("144", unit) for unit in ("-fold", "%", "")] == ["144-fold", "144 %", "144"]
