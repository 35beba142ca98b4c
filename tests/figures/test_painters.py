"""Blocks reversed, repeated, side by side and reset: figures and sentences say what was measured."""

import numpy as np
import pytest

from resnet_viz.experiments.deletion import Lesion, Sweep
from resnet_viz.experiments.painters import Reset
from resnet_viz.figures.painters import (
    Line,
    errors_by_count,
    errors_by_stage,
    reset_errors,
    reset_sentence,
    rises_sentence,
)
from resnet_viz.figures.palette import LIGHT

LABELS = np.zeros(100, np.int64)
BLOCKS = ("layer1.0", "layer1.1", "layer2.0")


def wrong(*errors: int) -> np.ndarray:
    """Predictions that are wrong on so many of 100 images, a row for each."""
    return (np.arange(100) < np.array(errors)[:, None]).astype(np.int64)


def sweep(*errors: int, names: tuple[str, ...] = BLOCKS) -> Sweep:
    """One whose intact error is 10 %."""
    return Sweep(names, wrong(10)[0], wrong(*errors), LABELS)


def test_a_line_begins_with_the_intact_network() -> None:
    panels = {
        "layer1": [
            Line("residual", (2, 4, 8), sweep(20, 30, 40)),
            Line("plain", (2, 4, 8), sweep(90, 90, 90), plain=True),
        ],
        "layer2": [Line("residual", (2, 3), sweep(11, 12, names=("a", "b")), hollow=True)],
    }
    plot = errors_by_count(panels, "times in a row", 90, LIGHT)
    plain, residual, hollow = plot.data
    assert residual["x"] == [1, 2, 4, 8] and residual["y"].tolist() == [10, 20, 30, 40]
    assert plain["marker"]["color"] == LIGHT.plain and plain["marker"]["symbol"] == "square"
    assert residual["marker"]["color"] == LIGHT.stages[0] and hollow["line"]["color"] == LIGHT.stages[1]
    assert hollow["marker"]["color"] == LIGHT.background and hollow["yaxis"] == "y2"
    assert [note["text"] for note in plot.layout["annotations"]] == ["layer1", "layer2", "intact", "chance"]
    assert len(plot.layout["shapes"]) == 4, "intact and chance across each panel"


def test_stages_keep_their_colours_and_all_together_are_ink() -> None:
    named = ("layer1", "layer2", "every stage")
    plot = errors_by_stage([("residual", sweep(80, 15, 90, names=named), False)], 90, LIGHT)
    (trace,) = plot.data
    assert trace["marker"]["color"] == [LIGHT.stages[0], LIGHT.stages[1], LIGHT.ink]
    assert trace["y"].tolist() == [80, 15, 90]


def test_whiskers_of_what_is_reset_hold_the_errors_of_all_seeds() -> None:
    found = Reset((sweep(20, 40, 60), sweep(40, 40, 90)), sweep(12, 14, 30))
    deleted, reset = reset_errors([("residual", found, False)], 90, LIGHT).data
    assert reset["y"].tolist() == [30, 40, 75] and deleted["y"].tolist() == [12, 14, 30]
    assert (reset["y"] + reset["error_y"]["array"]).tolist() == [40, 40, 90]
    assert (reset["y"] - reset["error_y"]["arrayminus"]).tolist() == [20, 40, 60]


def test_what_is_reset_is_compared_with_what_is_deleted() -> None:
    found = Reset((sweep(20, 40, 60), sweep(40, 10, 90)), sweep(12, 44, 30))
    assert found.rises.tolist() == [20, 15, 65]
    assert found.worse_than_deleted.tolist() == [8, 28], "medians of (8, -4, 30) and (28, -34, 60)"
    assert reset_sentence(found) == (
        "reset, the median block costs +20.0 points, deleted +20.0; 1 of 3 blocks is better reset than deleted; the three "
        "worst when reset: layer2.0 (+65.0), layer1.0 (+20.0), layer1.1 (+15.0)."
    )


def test_a_rise_stands_with_its_interval() -> None:
    lesion = Lesion(wrong(10)[0], wrong(60)[0], LABELS)
    low, high = lesion.rise_interval()
    assert rises_sentence({"layer1": lesion}) == f"layer1 +50.0 points (95 % {low:+.1f} to {high:+.1f})"
    assert low == pytest.approx(39.3, abs=0.5)
