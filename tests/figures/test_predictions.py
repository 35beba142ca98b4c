"""Predictions as drawn: every one is counted, and what is right is marked only when it may be seen."""

import numpy as np
import pytest

from resnet_viz.figures.palette import LIGHT
from resnet_viz.figures.predictions import choice_bars, number_histogram, numbers_sentence


@pytest.mark.parametrize(
    "values", [[7.0], [7.0, 7.0], [1.0, 2.0, 2.0, 90.0], [-1e15, 1e15], list(np.linspace(0, 1, 40))]
)
def test_every_number_is_in_one_bar_whose_edges_hold_it(values: list[float]) -> None:
    (bars,) = number_histogram(values, "%", None, LIGHT).figure().data
    edges = [low for low, _ in bars.customdata] + [bars.customdata[-1][1]]
    assert list(bars.y) == list(np.histogram(values, edges)[0])
    assert sum(bars.y) == len(values) and len(bars.y) <= 12


def test_what_is_right_is_marked_once_it_may_be_seen() -> None:
    before, after = (number_histogram([5.0, 9.0], "%", right, LIGHT).figure() for right in (None, 11.3))
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
