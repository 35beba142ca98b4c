"""The recipes of gradients and paths: what they refuse, and how they take long ways in steps."""

import numpy as np
import pytest

from resnet_viz.engine.kept import Shared
from resnet_viz.errors import InputError
from resnet_viz.experiments.paths import sampled_path_norms
from resnet_viz.recipes import gradient_flow, path_unrolling, strongest_paths
from resnet_viz.recipes.subject import Subject

from .conftest import traces_of


def test_a_gradient_or_a_block_that_does_not_exist_is_refused() -> None:
    subject = Subject.of("fashion-resnet20")
    with pytest.raises(InputError, match="one of stream, branch, parameters; got 'weights'"):
        gradient_flow.trained(subject, gradient="weights")
    with pytest.raises(InputError, match=r"got 'layer9\.0'"):
        gradient_flow.at_block(subject, block="layer9.0")


@pytest.mark.parametrize("setting", [("run", 0), ("run", 6), ("path", 8), ("path", -1), ("start", "layer9.0")])
def test_a_run_or_a_path_that_does_not_exist_is_refused(setting: tuple[str, object]) -> None:
    name, value = setting
    with pytest.raises(InputError, match=f"got {value!r}"):
        path_unrolling.unravelled(Subject.of("fashion-resnet20"), **{name: value})


def test_a_run_that_would_end_behind_the_network_begins_earlier() -> None:
    shown = path_unrolling.unravelled(Subject.of("fashion-resnet20"), start="layer3.2")
    assert shown.alt == "All 8 paths through layer3.0, layer3.1, layer3.2."


def test_each_of_several_images_is_a_step(monkeypatch) -> None:
    monkeypatch.setattr(Shared, "archive", None)  # in which they are known
    subject = Subject.of("fashion-resnet20")
    eighths = [number / 8 for number in range(1, 9)]
    for steps in (
        path_unrolling.share_by_length.steps(subject, images=8),
        path_unrolling.count_times_norm.steps(subject, images=8, samples=2, seed=1),
    ):
        done = list(steps)
        assert done == sorted(done) and set(eighths) <= set(done)
        assert len(set(done)) >= 8 * len(subject.blocks), "each block is a step"
    shown, batch = path_unrolling.count_times_norm(subject, images=8, samples=2, seed=1), subject.batch(8)
    inputs = subject.loaded.inputs(batch)
    sampled = sampled_path_norms(subject.loaded.network, inputs, batch.labels.to(inputs.device), samples=2, seed=1)
    assert np.allclose(traces_of(shown)[1]["y"], sampled.flatten(), rtol=1e-3)


def test_a_branch_that_does_not_exist_is_refused() -> None:
    for ask in (strongest_paths.strongest, strongest_paths.path_picture):
        with pytest.raises(InputError, match=r"got 'layer9\.0'"):
            ask(Subject.of("fashion-resnet20"), branches=("layer1.0", "layer9.0"))


def test_the_branches_of_the_strongest_path_are_those_of_rank_1() -> None:
    subject = Subject.of("fashion-resnet20")
    best = strongest_paths.branches_of(subject)[0]
    assert "(rank 1 of those found)" in strongest_paths.path_picture(subject, branches=tuple(best)).says
    bars = strongest_paths.strongest(subject).bars
    assert list(bars) == subject.blocks and max(share for share, _ in bars.values()) <= 1
