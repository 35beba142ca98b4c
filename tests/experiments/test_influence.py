"""What a block changes, against the networks written a second time; and how it is told of a set."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from resnet_viz.experiments.deletion import Sweep
from resnet_viz.experiments.influence import Harm, Influence, cosines, influence, joined, last_factors
from resnet_viz.networks.cutting import cut
from resnet_viz.networks.network import ResidualNetwork

from ..conftest import (
    Case,
    left_as_it_was,
    reference_activation,
    reference_head,
    reference_norm,
    reference_sum,
    reference_terms,
    small_network,
)


def cosine(one: torch.Tensor, other: torch.Tensor) -> list[float]:
    """For each image, from the definition."""
    return [float((a * b).sum() / (a.norm() * b.norm())) for a, b in zip(one.detach(), other.detach(), strict=True)]


def length(tensor: torch.Tensor) -> np.ndarray:
    return np.array([float(image.detach().norm()) for image in tensor])


def test_it_is_what_the_definitions_give(case, network, images, labels):
    found, state = influence(network, images, labels), network.state_dict()
    stream = network.stem(images).detach().requires_grad_()
    seen = []
    for name in network.blocks:
        shortcut, branch = reference_terms(case, state, name, stream)
        deleted = reference_activation(case, sum(reference_sum(case, shortcut, branch, 0.0)))
        leaving = reference_activation(case, sum(reference_sum(case, shortcut, branch)))
        leaving.retain_grad()
        seen.append((stream, branch, deleted, leaving))
        stream = leaving
    functional.cross_entropy(reference_head(case, state, stream), labels, reduction="sum").backward()
    for number, (entering, branch, deleted, leaving) in enumerate(seen):
        np.testing.assert_allclose(found.cosine[:, number], cosine(leaving, deleted), atol=1e-5)
        np.testing.assert_allclose(found.branch_to_stream[:, number], length(branch) / length(entering), rtol=1e-5)
        np.testing.assert_allclose(found.growth[:, number], length(leaving) / length(entering), rtol=1e-5)
        if case.kind == "plain" or branch.shape != entering.shape:
            assert np.isnan(found.descent[:, number]).all()
        else:
            np.testing.assert_allclose(found.descent[:, number], cosine(branch, -entering.grad), atol=1e-4)


def before_a_relu(case: Case, network: ResidualNetwork, name: str, stream: torch.Tensor) -> torch.Tensor:
    """What the last batch norm or convolution of a branch puts out."""
    if case.kind != "plain":
        return reference_terms(case, network.state_dict(), name, stream)[1]
    layers = network.blocks[name].branch.layers
    return reference_norm(network.state_dict(), f"{name}.branch.layers.bn2", layers[:-1](stream))


@torch.no_grad()
def test_the_response_is_that_of_the_last_batch_norm_or_convolution(case, network, images, labels):
    streams = zip(network.blocks, network.streams(images), strict=False)
    responses = [before_a_relu(case, network, name, stream) for name, stream in streams]
    found = influence(network, images, labels)
    np.testing.assert_allclose(
        found.response_deviation(), [float(each.std(unbiased=False)) for each in responses], rtol=1e-5
    )
    two = [float(each[[0, 2]].std(unbiased=False)) for each in responses]
    np.testing.assert_allclose(found.response_deviation(np.array([0, 2])), two, rtol=1e-5)


@torch.no_grad()
def test_a_block_behind_deleted_ones_responds_to_what_these_hand_on(case, network, images, labels):
    found = influence(cut(network, ["layer2.0"]), images, labels)
    stream = network.streams(images, network.gates_without(["layer2.0"]))[3]
    expected = before_a_relu(case, network, "layer2.1", stream).std(unbiased=False)
    np.testing.assert_allclose(found.response_deviation()[-1], float(expected), rtol=1e-5)
    if case.kind == "plain":
        assert np.isnan(found.descent).all()


def test_a_branch_that_does_nothing_has_no_influence_and_one_that_doubles_the_stream_none_either(image_set, images):
    network = small_network(Case("basic", "A"), image_set).to(images.device)
    silent, doubling = network.blocks["layer1.0"], network.blocks["layer1.1"]
    nn.init.zeros_(silent.branch.bn2.weight)
    nn.init.zeros_(silent.branch.bn2.bias)
    doubling.branch = nn.Identity()
    found = influence(network, images, torch.zeros(len(images), dtype=torch.long))
    np.testing.assert_allclose(found.importance.mean[:2], 0, atol=1e-6)
    np.testing.assert_allclose(found.branch_to_stream[:, :2], [[0, 1]] * len(images), atol=1e-6)
    np.testing.assert_allclose(found.growth[:, :2], [[1, 2]] * len(images), rtol=1e-6)
    assert not found.descent[:, 0].any(), "a branch that is 0 goes nowhere"


def test_the_gradient_of_a_sure_network_has_a_direction():
    gradient, branch = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[4.0, 3.0], [1.0, 0.0]])
    assert cosines(1e-20 * gradient, branch).tolist() == pytest.approx([0.96, 0])


def test_parts_of_a_set_are_joined(network, images, labels):
    whole = influence(network, images, labels)
    parts = joined([influence(network, images[part], labels[part]) for part in (slice(0, 1), slice(1, 4))])
    assert parts.blocks == whole.blocks
    for name in vars(Influence(*[()] * 7)):
        if name != "blocks":
            np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-3, atol=1e-5)
    assert parts.importance.by_image.shape == (4, 4)


def test_the_harm_is_the_rise_in_error_and_is_ranked_against_the_influence():
    labels, right = np.arange(4), np.array([0, 1, 2, 0])
    sweep = Sweep(("a", "b", "c"), right, np.array([[1, 1, 1, 1], [0, 1, 2, 3], right]), labels)
    turned = np.array([[0.5, 0.9, 0.95], [0.5, 0.9, 0.95]])  # cosines
    harm = Harm.of(Influence(sweep.blocks, turned, *[turned] * 5), sweep)
    np.testing.assert_array_equal(harm.rise.by_image.T, [[100, 0, 100, 0], [0, 0, 0, -100], [0, 0, 0, 0]])
    np.testing.assert_allclose(harm.rise.mean, sweep.rises)
    assert harm.correlation == pytest.approx(0.5), "the ranks are 3, 2, 1 and 3, 1, 2"
    with pytest.raises(ValueError, match="no labels"):
        Harm.of(Influence(sweep.blocks, *[turned] * 6), Sweep(("a",), right, right[None], None))


def test_the_last_factors_are_those_of_the_norm_before_the_sum(image_set):
    for kind, last in (("basic", "bn2"), ("bottleneck", "bn3"), ("plain", "layers.bn2")):
        network = small_network(Case(kind, "A"), image_set)
        state = network.state_dict()
        expected = [state[f"{name}.branch.{last}.weight"] for name in network.blocks]
        np.testing.assert_array_equal(last_factors(network), np.concatenate(expected))


def test_it_leaves_the_network_as_it_was(network, images, labels):
    with left_as_it_was(network):
        influence(network, images, labels)
