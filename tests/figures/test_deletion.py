"""Figures of deletions: what is drawn, and what the marks mean."""

import numpy as np

from resnet_viz.experiments.deletion import Lesion, Sweep
from resnet_viz.figures.deletion import error_bars, sweep_caption, sweep_errors
from resnet_viz.figures.palette import LIGHT

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
