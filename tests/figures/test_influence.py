"""Figures of influence: which blocks carry their names."""

import numpy as np
import pytest

from resnet_viz.experiments.attribution import Importance
from resnet_viz.experiments.influence import Harm
from resnet_viz.figures.influence import harm_by_influence
from resnet_viz.figures.palette import LIGHT


@pytest.mark.parametrize(
    ("rises", "named"),
    [
        ([0.0, 2.0, -1.0, 0.0], {"layer1.1"}),
        ([4.0, 2.0, 1.0, 3.0], {"layer1.0", "layer1.1", "layer1.3"}),
        ([0.0, 0.0, 0.0, 0.0], set()),
    ],
)
def test_only_blocks_that_do_harm_carry_their_names(rises: list[float], named: set[str]) -> None:
    influence, rise = (Importance(np.array([values]), np.zeros(4)) for values in ([0.1, 0.2, 0.3, 0.4], rises))
    harm = Harm(tuple(f"layer1.{number}" for number in range(4)), influence, rise)
    (points,) = harm_by_influence([("residual", harm, False)], LIGHT).figure().data
    assert {name for name in points.text if name} == named
    assert points.cliponaxis is False, "points at 0 lie on the axis"
