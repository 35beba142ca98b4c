"""The measurements that come with the project: they are found, said to be precomputed, and what is measured here."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from resnet_viz.engine.kept import ANSWERS, PRECOMPUTED, RESULTS, Shared
from resnet_viz.precompute import bundled, first_views
from resnet_viz.recipes import (
    block_importance,
    block_influence,
    early_stop,
    layer_deletion,
    lesion_studies,
    painters,
    path_unrolling,
)
from resnet_viz.recipes.shown import Shown
from resnet_viz.recipes.subject import Subject

from .web.conftest import traces_of


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    RESULTS.forget()
    ANSWERS.forget()
    yield
    RESULTS.forget()
    ANSWERS.forget()


@pytest.mark.parametrize("network", bundled())
def test_what_pages_show_first_is_not_measured_again(network) -> None:
    first, *others = [view() for view in first_views(network)]
    assert [shown.recipe for shown in (first, *others) if shown.facts[:1] == ("measured",)] == []


def test_it_is_what_is_measured_here(monkeypatch) -> None:
    subject, draws = Subject.of("fashion-resnet20"), lesion_studies.AT_ONCE
    views = [
        partial(layer_deletion.set_error, subject),
        partial(layer_deletion.sweep, subject),
        *(partial(lesion_studies.study, subject, kind=kind, draws=draws) for kind in lesion_studies.COMPUTE),
        partial(block_importance.importance, subject),
        partial(early_stop.error_by_stop, subject),
        partial(painters.reverse, subject),
        partial(block_influence.responses, subject),
        partial(path_unrolling.share_by_length, subject),
    ]
    precomputed = [view() for view in views]
    monkeypatch.setattr(Shared, "archive", None)
    RESULTS.forget()
    ANSWERS.forget()
    for before, view in zip(precomputed, views, strict=True):
        after = view()
        assert (before.facts[0], after.facts[0]) == ("precomputed", "measured"), before.recipe
        recorded, anew = numbers_in(before), numbers_in(after)
        assert len(recorded) == len(anew) > 0
        for one, other in zip(recorded, anew, strict=True):
            assert one == pytest.approx(other, rel=0.01, abs=0.11), f"{before.recipe}: one image in 1,000 may differ"


def numbers_in(shown: Shown) -> list[np.ndarray]:
    """What the figure's marks stand at."""
    axes = [np.array(trace[axis]) for trace in traces_of(shown) for axis in "xy" if axis in trace]
    return [each for each in axes if each.dtype.kind in "fi"]


def test_fewer_draws_are_the_first_of_those_that_are_kept() -> None:
    subject = Subject.of("fashion-resnet20")
    for kind in lesion_studies.COMPUTE:
        assert lesion_studies.study(subject, kind=kind, draws=3).facts[0] == "precomputed"
    few = replace(subject, images=subject.images.limit(20))
    assert lesion_studies.study(few, draws=1).facts[0] == "measured", "over other images it is another measurement"


def test_a_lesion_is_measured_at_once() -> None:
    subject = Subject.of("fashion-resnet20", deleted=["layer2.1"])
    assert layer_deletion.set_error(subject).facts[0] == "measured"


def test_the_file_is_small() -> None:
    assert PRECOMPUTED.stat().st_size < 20e6
