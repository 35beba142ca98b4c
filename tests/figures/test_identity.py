"""Stacks that learn the identity, as drawn: means over seeds, whiskers, an error of 0 on a log axis."""

import math

import numpy as np
import pytest

from resnet_viz.experiments.identity import ARMS, Arm, Attempt
from resnet_viz.figures.identity import FLOOR, error_by_blocks, error_by_step, identity_sentence
from resnet_viz.figures.palette import DARK, LIGHT

from .test_paths import titles, traces

PLAIN, ZERO = Arm("plain"), Arm("basic", 0.0)


def made(arm: Arm, blocks: int, rate: float, seed: int, *errors: float, gradient: float = 1.0) -> Attempt:
    return Attempt(arm, blocks, rate, seed, tuple(range(0, 5 * len(errors), 5)), errors, gradient)


ATTEMPTS = [
    made(PLAIN, 1, 0.01, 0, 1.0, 0.5),
    made(PLAIN, 1, 0.01, 1, 1.0, 0.7),
    made(PLAIN, 1, 0.05, 0, 2.0, 0.2),
    made(PLAIN, 1, 0.05, 1, 1.0, 0.4),
    made(PLAIN, 1, 0.05, 2, 1.0, 0.6),
    made(PLAIN, 20, 0.01, 0, 3.0, 2.0),
    made(ZERO, 1, 0.01, 0, 0.0, 0.0, gradient=0.0),
    made(ZERO, 20, 0.01, 0, 0.0, 0.0, gradient=0.0),
]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_the_mean_error_of_the_best_rate_is_drawn_by_step(palette):
    figure = error_by_step(ATTEMPTS, 1, palette).figure()
    drawn = traces(figure)
    assert list(drawn) == ["plain", "residual, scale 0"]
    assert list(drawn["plain"].x) == [0, 5]
    assert list(drawn["plain"].y) == pytest.approx([4 / 3, 0.4])
    assert "learning rate 0.05" in drawn["plain"].hovertemplate
    assert list(drawn["residual, scale 0"].y) == [FLOOR, FLOOR]
    assert titles(figure) == ["training steps", "relative error, log scale"]
    assert figure.layout.yaxis.type == "log"
    assert list(traces(error_by_step(ATTEMPTS, 20, palette).figure())["plain"].y) == [3, 2]


def test_the_last_errors_are_drawn_by_depth_with_whiskers_to_the_extremes():
    figure = error_by_blocks(ATTEMPTS, LIGHT).figure()
    plain = traces(figure)["plain"]
    assert list(plain.x) == [0, 1]
    assert list(plain.y) == pytest.approx([0.4, 2])
    ends = np.array([plain.y - plain.error_y.arrayminus, plain.y + plain.error_y.array])
    assert ends.T.tolist() == [pytest.approx([0.2, 0.6]), pytest.approx([2, 2])]
    assert figure.layout.xaxis.ticktext == (1, 20)
    assert titles(figure) == ["blocks", "relative error, log scale"]
    assert figure.layout.yaxis.type == "log"


def test_every_arm_looks_different():
    figure = error_by_step([made(arm, 1, 0.01, 0, 1.0, 0.5) for arm in ARMS], 1, LIGHT).figure()
    looks = {(trace.line.color, trace.line.dash) for trace in figure.data}
    assert len(looks) == len(ARMS) == len(figure.data)
    assert figure.layout.showlegend is True


def test_seeds_that_ended_early_are_drawn_as_far_as_all_have_come():
    """Where every rate fails, the attempts of one stack are of unequal length."""
    failed = [made(PLAIN, 1, 0.01, 0, 1.0, 5.0, math.nan), made(PLAIN, 1, 0.01, 1, 3.0, math.inf)]
    (line,) = error_by_step(failed, 1, LIGHT).figure().data
    assert list(line.x) == [0, 5]
    assert line.y[0] == 2
    assert not np.isfinite(line.y[1])
    (point,) = error_by_blocks(failed, LIGHT).figure().data
    assert not np.isfinite(point.y).any()


def test_the_sentence_names_the_errors_and_who_took_no_step():
    assert (
        identity_sentence(ATTEMPTS, 1)
        == "Error at the end: plain: 0.4; residual, scale 0: 0 from the start, and so is its gradient."
    )
    assert identity_sentence(ATTEMPTS[:-1], 20) == "Error at the end: plain: 2."
