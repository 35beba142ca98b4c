"""Figures of deletions: what is drawn, and what the marks mean."""

import numpy as np
import pytest

from resnet_viz.experiments.deletion import Lesion, Sweep
from resnet_viz.figures.deletion import error_bars, intact_and_chance, sweep_caption, sweep_errors, sweep_sentence
from resnet_viz.figures.palette import LIGHT
from resnet_viz.figures.plot import Plot

LABELS = np.arange(10)
WRONG = np.where(LABELS < 3, 9, LABELS)


def test_an_intact_network_has_one_bar_and_a_damaged_one_two() -> None:
    def bars(after: np.ndarray) -> list[str]:
        return [bar.name for bar in error_bars([("a", Lesion(LABELS, after, LABELS), False)], LIGHT).figure().data]

    assert bars(LABELS) == ["a, intact"]
    assert bars(WRONG) == ["a, after", "a, intact"]


def test_the_network_beside_has_its_intervals_and_its_mark_is_named() -> None:
    swept = Sweep(("layer1.0", "layer1.1"), LABELS, np.stack([WRONG, LABELS]), LABELS)
    rows = [("residual", swept, False), ("plain", swept, True)]
    for trace in sweep_errors(rows, 90, LIGHT).figure().data:
        assert len(trace.error_y.array) == 2 and trace.error_y.array[0] > 0
    assert sweep_caption(rows) == "● in stage colours: residual; ■ grey: plain. Whiskers: 95 % intervals."
    assert sweep_caption([("a", swept, False), ("b", swept, False)]).startswith("● in stage colours: a; ○: b.")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ([6, 5, 7, 2], "the three worst, by error: c (70.0 %), a (60.0 %), b (50.0 %)."),
        ([4, 3, 7, 2], "the error rises only without c (70.0 %), a (40.0 %)."),
        ([3, 0, 2, 3], "no deletion raises the error."),
    ],
)
def test_only_blocks_that_do_harm_are_named(wrong: list[int], told: str) -> None:
    predictions = np.stack([np.where(count > LABELS, 10, LABELS) for count in wrong])
    assert sweep_sentence(Sweep(tuple("abcd"), WRONG, predictions, LABELS)).endswith(f"; {told}")


@pytest.mark.parametrize(
    ("intact", "chance", "anchors"),
    [
        (8.5, 90, ("middle", "middle")),
        (90, 90, ("top", "bottom")),
        (89, 90, ("top", "bottom")),
        (95, 90, ("bottom", "top")),
    ],
)
def test_of_two_close_lines_the_lower_has_its_name_below(intact: float, chance: float, anchors) -> None:
    plot = Plot()
    intact_and_chance(plot, intact, chance, LIGHT)
    assert tuple(each["yanchor"] for each in plot.layout["annotations"]) == anchors
