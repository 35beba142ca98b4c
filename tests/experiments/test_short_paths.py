"""Training on short paths: what each parameter's gradient is made of, and which blocks a batch trains."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from resnet_viz.experiments.short_paths import backward_over_paths, random_gates, share_of_short_paths

from ..conftest import RESIDUAL_CASES, relative_error, small_network

ALL = range(5)  # the small networks have four blocks


residual = pytest.mark.parametrize("case", RESIDUAL_CASES, ids="-".join)  # a plain network has a single path


@pytest.fixture
def training(case, image_set):
    """A small network in training mode."""
    return small_network(case, image_set).train()


def gradient(network: nn.Module, images, labels, lengths, without: str = "") -> torch.Tensor:
    """All of .grad as one vector, zeros where there is none; without the parameters whose name begins with ``without``."""
    network.zero_grad()
    backward_over_paths(network, images, labels, lengths)
    return gradients(network, without)


def gradients(network: nn.Module, without: str) -> torch.Tensor:
    parts = [
        parameter.new_zeros(parameter.shape) if parameter.grad is None else parameter.grad
        for name, parameter in network.named_parameters()
        if not without or not name.startswith(without)
    ]
    return torch.cat([part.flatten() for part in parts])


def test_all_lengths_give_autograds_gradient(training, images, labels):
    training.zero_grad()
    functional.cross_entropy(training(images), labels).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in training.parameters()])
    assert relative_error(gradient(training, images, labels, ALL), expected) <= 1e-5


@pytest.mark.parametrize("lengths", [{0}, {0, 1}, {1, 3}, {4}], ids=str)
def test_complementary_lengths_add_up(training, images, labels, lengths):
    whole = gradient(training, images, labels, ALL, "head")
    part = gradient(training, images, labels, lengths, "head")
    rest = gradient(training, images, labels, set(ALL) - lengths, "head")
    assert relative_error(part + rest, whole) <= 1e-5
    assert relative_error(part, whole) > 1e-2 or relative_error(rest, whole) > 1e-2


@residual
def test_one_length_is_the_sum_over_its_paths(training, images, labels):
    """Brute force: the gradient over paths of length k is a coefficient of a polynomial in a factor on every branch.

    A branch whose gradient, not its value, is multiplied by t gives each path of length k the factor t^k: from the loss
    down to a parameter's own branch, or to its projection or the stem.
    """
    factors = torch.linspace(0.5, 1.5, 5, dtype=torch.float64)
    training, images = training.double(), images.double()
    found = []
    for factor in factors:
        training.zero_grad()
        stream = training.stem(images)
        for block in training.blocks.values():
            shortcut, entering = block.split(stream)
            branch = block.branch(entering)
            stream = block.activation(shortcut + branch.detach() + factor * (branch - branch.detach()))
        functional.cross_entropy(training.head(stream), labels).backward()
        found.append(gradients(training, "head"))
    powers = torch.stack([factors**power for power in ALL], 1)
    coefficients = torch.linalg.solve(powers, torch.stack(found))
    for length, expected in zip(ALL, coefficients, strict=True):
        assert relative_error(gradient(training, images, labels, {length}, "head"), expected) <= 1e-6


def test_the_head_is_always_trained(training, images, labels):
    training.zero_grad()
    backward_over_paths(training, images, labels, ())
    given = {name for name, parameter in training.named_parameters() if parameter.grad is not None}
    assert given == {name for name, _ in training.named_parameters() if name.startswith("head")}
    short = training.head.fc.weight.grad.clone()
    functional.cross_entropy(training(images), labels).backward()
    assert torch.allclose(2 * short, training.head.fc.weight.grad, atol=1e-6)


def test_random_gates_are_seeded_and_keep_as_many_blocks_as_asked():
    draws = [random_gates(9, 4, torch.Generator().manual_seed(seed)) for seed in range(200)]
    assert all(sorted(gates) == [0.0] * 5 + [1.0] * 4 for gates in draws)
    assert random_gates(9, 4, torch.Generator().manual_seed(3)) == draws[3]
    kept = torch.tensor(draws).mean(0)
    assert (kept - 4 / 9).abs().max() < 0.15, "every block has its turn: 4/9, with a deviation of 0.035"


def test_the_share_of_short_paths_is_that_of_the_summed_norms():
    assert share_of_short_paths(np.array([1.0, 2.0, 3.0, 4.0]), longest=1) == 0.3
