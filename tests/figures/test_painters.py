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


RESET = Reset(sweep(11, 12, 13), (sweep(20, 40, 60), sweep(40, 10, 90)), sweep(12, 44, 30))


def test_whiskers_of_random_weights_hold_the_errors_of_all_seeds() -> None:
    deleted, others, own = reset_errors([("residual", RESET, False)], 90, LIGHT).data
    assert others["y"].tolist() == [30, 25, 75] and deleted["y"].tolist() == [12, 44, 30]
    assert own["y"].tolist() == [11, 12, 13]
    assert (others["y"] + others["error_y"]["array"]).tolist() == [40, 40, 90]
    assert (others["y"] - others["error_y"]["arrayminus"]).tolist() == [20, 10, 60]
    assert len({others["marker"]["symbol"], own["marker"]["symbol"]}) == 2


def test_what_is_reset_is_compared_with_what_is_deleted() -> None:
    assert RESET.rises_of_others.tolist() == [20, 15, 65]
    assert RESET.worse_than_deleted.tolist() == [-17, 8, 28], "of (-1, -32, -17), (8, -4, 30) and (28, -34, 60)"
    assert RESET.others_worse_than_own(np.arange(100)) == pytest.approx(19), "of (19, 13, 62)"
    assert RESET.others_worse_than_own(np.arange(15)) == pytest.approx(100 * 2 / 15), "of the first 15 images"
    assert reset_sentence(RESET) == (
        "with the initial weights of seed 0 the median block costs +2.0 points, with those of other seeds +20.0, deleted "
        "+20.0; the three worst with those of other seeds: layer2.0 (+65.0), layer1.0 (+20.0), layer1.1 (+15.0)"
    )


def test_a_rise_stands_with_its_interval() -> None:
    lesion = Lesion(wrong(10)[0], wrong(60)[0], LABELS)
    low, high = lesion.rise_interval()
    assert rises_sentence({"layer1": lesion}) == f"layer1 +50.0 points (95 % {low:+.1f} to {high:+.1f})"
    assert low == pytest.approx(39.3, abs=0.5)
