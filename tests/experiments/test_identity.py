"""Stacks that are to give back their input: what can do nothing, what is measured, and which attempt counts."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from resnet_viz.experiments import identity
from resnet_viz.experiments.deepening import become_identity
from resnet_viz.experiments.identity import (
    ARMS,
    LEARNING_RATES,
    Arm,
    Attempt,
    Stacks,
    as_stream,
    attempt,
    best,
    relative_error,
    stack,
    train_stacks,
)
from resnet_viz.networks.datasets import bundled_fashion
from resnet_viz.networks.images import ImageSet

PLAIN, RESIDUAL, PREACTIVATION = Arm("plain"), Arm("basic", 1.0), Arm("preactivation-basic", 1.0)
SMALL = Stacks(blocks=2, steps=12, batch_size=16)


@pytest.fixture(scope="module")
def stream() -> torch.Tensor:
    return as_stream(bundled_fashion("training").limit(100))


def outcome(arm: Arm, stacks: Stacks, learning_rate: float, stream: torch.Tensor) -> Attempt:
    *steps, done = attempt(arm, stacks, learning_rate, stream, stream[:40])
    assert steps == [None] * len(steps)
    assert done is not None
    return done


@pytest.mark.parametrize("kind", ["basic", "preactivation-basic"])
def test_with_scale_0_a_residual_stack_does_nothing_and_cannot_learn(kind, stream):
    assert stream.min() >= 0
    done = outcome(Arm(kind, 0.0), replace(SMALL, blocks=5), 0.25, stream)
    assert set(done.errors) == {0.0}
    assert done.gradient_norm == 0.0


@pytest.mark.parametrize("arm", [PLAIN, RESIDUAL, PREACTIVATION, Arm("basic", 0.1)], ids=lambda arm: arm.title)
def test_any_other_stack_begins_off_and_learns(arm, stream):
    done = outcome(arm, SMALL, 0.05, stream)
    assert done.errors[0] > 0.01
    assert done.gradient_norm > 0
    assert done.errors[-1] < done.errors[0]


def test_the_scale_is_that_of_the_branch(stream):
    """A branch that ends linearly is so much smaller; the weights are otherwise those of the seed."""
    for kind in ("basic", "preactivation-basic"):
        whole, tenth = (stack(Arm(kind, scale), 1, seed=4) for scale in (1.0, 0.1))
        branches = [network.blocks["layer1.0"] for network in (whole, tenth)]
        with torch.no_grad():
            ours, smaller = (block.branch(block.split(stream)[1]) for block in branches)
        assert torch.allclose(smaller, 0.1 * ours, rtol=1e-4, atol=1e-6)


def test_a_plain_stack_can_do_nothing(stream):
    """The solution exists; what fails is the training."""
    network = stack(PLAIN, 6, seed=0).eval()
    with torch.no_grad():
        for block in network.blocks.values():
            become_identity(block, stream, live=True)
    assert relative_error(network.eval(), stream) < 1e-5
    assert relative_error(stack(PLAIN, 6, seed=0), stream) > 0.1


@pytest.mark.parametrize("factor", [0.0, 1.0, 3.0])
def test_the_relative_error_is_that_of_numpy(factor, stream):
    class Multiple(nn.Module):
        def walk(self, tensor: torch.Tensor) -> torch.Tensor:
            return factor * tensor + 0.5

    given = stream.numpy().astype(np.float64)
    expected = np.linalg.norm((factor * given + 0.5 - given).ravel()) / np.linalg.norm(given.ravel())
    assert relative_error(Multiple(), stream) == pytest.approx(expected, rel=1e-5)


def test_the_error_needs_no_gradient_and_is_measured_as_trained(stream):
    """With the batch's own statistics: those that a stack has seen before do not matter."""
    fresh, used = (stack(RESIDUAL, 2, seed=0) for _ in range(2))
    relative_error(used, 50 * stream.flip(0)[:30] + 3)
    assert relative_error(used, stream) == relative_error(fresh, stream)
    assert all(parameter.grad is None for parameter in used.parameters())


def test_the_stream_holds_every_pixel_once():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8, generator=generator)
    stream = as_stream(ImageSet("noise", pixels, None, ("a", "b", "c")))
    assert stream.shape == (3, 16, 7, 7)
    assert stream.dtype == torch.float32
    undone = np.zeros((3, 28, 28))
    for channel in range(16):
        undone[:, channel // 4 :: 4, channel % 4 :: 4] = stream[:, channel].numpy()
    np.testing.assert_array_equal(np.rint(255 * undone), pixels[:, 0].numpy())
    assert 0 <= stream.min() <= stream.max() <= 1


def made(arm: Arm, rate: float, seed: int, last: float, blocks: int = 1) -> Attempt:
    return Attempt(arm, blocks, rate, seed, (0, 5), (1.0, last), 1.0)


def test_the_best_rate_has_the_least_mean_last_error():
    tried = [
        made(PLAIN, 0.01, 0, 0.2),
        made(PLAIN, 0.01, 1, 0.4),
        made(PLAIN, 0.05, 0, 0.1),
        made(PLAIN, 0.05, 1, 0.6),
        made(PLAIN, 0.25, 0, 0.5),
        made(PLAIN, 0.25, 1, 0.5),
    ]
    (found,) = best(tried).values()
    assert found == tried[:2]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_number_is_worst(bad):
    tried = [made(PLAIN, 0.01, 0, bad), made(PLAIN, 0.01, 1, 0.0), made(PLAIN, 0.05, 0, 9.0), made(PLAIN, 0.05, 1, 9.0)]
    for order in (tried, tried[::-1], tried[2:] + tried[:2]):
        (found,) = best(order).values()
        assert {each.learning_rate for each in found} == {0.05}


def test_the_best_is_chosen_for_each_arm_and_depth():
    tried = [
        made(arm, rate, 0, abs(rate - wanted), blocks)
        for arm, blocks, wanted in ((PLAIN, 1, 0.01), (PLAIN, 2, 0.25), (RESIDUAL, 1, 0.05))
        for rate in LEARNING_RATES
    ]
    rates = {place: [each.learning_rate for each in its] for place, its in best(tried).items()}
    assert rates == {(PLAIN, 1): [0.01], (PLAIN, 2): [0.25], (RESIDUAL, 1): [0.05]}
    assert best([]) == {}


@pytest.mark.parametrize("arm", [PLAIN, PREACTIVATION], ids=lambda arm: arm.title)
def test_an_attempt_that_explodes_ends_there(arm, stream):
    done = outcome(arm, replace(SMALL, steps=100), 1e38, stream)
    assert not done.errors[-1] < math.inf
    assert all(error < math.inf for error in done.errors[:-1])
    assert done.steps[-1] < 100
    assert len(done.steps) == len(done.errors)


@pytest.mark.parametrize(
    ("steps", "expected"), [(1, (0, 1)), (5, (0, 5)), (12, (0, 5, 10, 12))], ids=["one", "five", "twelve"]
)
def test_errors_come_at_the_start_every_fifth_step_and_at_the_end(steps, expected, stream):
    seen = list(attempt(PLAIN, replace(SMALL, steps=steps), 0.05, stream, stream[:10]))
    assert len(seen) == steps + 1
    assert seen[-1].steps == expected
    assert len(seen[-1].errors) == len(expected)


def test_the_same_seed_repeats_exactly_and_another_does_not(stream):
    first, again = (outcome(RESIDUAL, SMALL, 0.05, stream) for _ in range(2))
    other = outcome(RESIDUAL, replace(SMALL, seed=1), 0.05, stream)
    assert first == again
    assert first.errors[0] != other.errors[0]


def test_the_seed_is_that_of_the_batches_too(stream, monkeypatch):
    """Of two stacks with the same weights the first gradients differ."""
    monkeypatch.setattr(identity, "stack", lambda arm, blocks, _: stack(arm, blocks, 0))
    first, other = (outcome(RESIDUAL, replace(SMALL, steps=1, seed=seed), 0.05, stream) for seed in (0, 1))
    assert first.errors[0] == other.errors[0]
    assert first.gradient_norm != other.gradient_norm


def test_stacks_leave_the_global_random_state_alone(stream):
    before = torch.get_rng_state()
    outcome(PLAIN, replace(SMALL, steps=2), 0.05, stream)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_gradient_is_that_before_the_first_step(stream):
    """As torch's own clipping measures it, over one batch of the seed; the learning rate has no part in it."""
    slow, fast = (
        outcome(RESIDUAL, replace(SMALL, steps=steps), rate, stream) for steps, rate in ((1, 0.01), (9, 0.25))
    )
    assert slow.gradient_norm == fast.gradient_norm
    network = stack(RESIDUAL, SMALL.blocks, 0).to(memory_format=torch.channels_last)
    everything = replace(SMALL, steps=1, batch_size=1)
    one = stream[:1]
    done = outcome(RESIDUAL, everything, 0.05, one)
    (network.walk(one) - one).square().mean().backward()
    assert done.gradient_norm == pytest.approx(nn.utils.clip_grad_norm_(network.parameters(), 1.0).item(), rel=1e-4)


def test_every_arm_is_trained_with_each_rate_once_in_order():
    images = bundled_fashion("training").limit(20)
    seen = list(train_stacks(Stacks(blocks=1, steps=2, seed=3, batch_size=4), images, images))
    done = [each for each in seen if each]
    assert [(each.arm, each.learning_rate) for each in done] == [(arm, rate) for arm in ARMS for rate in LEARNING_RATES]
    assert {(each.blocks, each.seed, each.steps) for each in done} == {(1, 3, (0, 2))}
    assert len(seen) == 21 * 3
    titles = [arm.title for arm in ARMS]
    assert titles == [
        "plain",
        "residual, scale 1",
        "residual, scale 0.1",
        "residual, scale 0",
        "pre-activation, scale 1",
        "pre-activation, scale 0.1",
        "pre-activation, scale 0",
    ]


def test_stacks_are_trained_on_the_chosen_device(stream, device):
    images = bundled_fashion("training").limit(100)
    found = next(filter(None, train_stacks(SMALL, images, images.subset(list(range(40))), [RESIDUAL])))
    expected = outcome(RESIDUAL, SMALL, found.learning_rate, stream)
    assert found.errors == pytest.approx(expected.errors, rel=0 if device.type == "cpu" else 1e-2)


def test_the_recorded_attempts_are_read_as_they_were_trained(tmp_path, monkeypatch):
    rows = (
        '[{"arm": {"kind": "plain", "scale": null}, "blocks": 2, "learning_rate": 0.25, "seed": 1, "steps": [0, 5],'
        ' "errors": [1.5, null], "gradient_norm": 0.5}]'
    )
    (tmp_path / "identity.json").write_text(rows)
    monkeypatch.setattr(identity, "CHECKPOINTS", tmp_path)
    (read,) = identity.bundled()
    assert (read.arm, read.blocks, read.learning_rate, read.seed) == (PLAIN, 2, 0.25, 1)
    assert list(read.errors) == [1.5, math.inf]
