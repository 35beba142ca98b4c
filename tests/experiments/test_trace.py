"""The trace of one forward and backward pass, against autograd used in another way."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from resnet_viz.experiments.trace import record, stream_gradient_norms, trace

from ..conftest import (
    Case,
    UnluckyError,
    left_as_it_was,
    reference_activation,
    reference_head,
    reference_terms,
    small_network,
    unlucky,
)


@pytest.fixture
def reference(case, network, images, labels):
    """Streams, branches and logits of a second forward pass, with the gradients of the summed loss in their .grad."""
    state = network.state_dict()
    with torch.enable_grad():
        streams, branches = [network.stem(images).detach().requires_grad_()], []
        for name in network.blocks:
            shortcut, branch = reference_terms(case, state, name, streams[-1])
            branch.retain_grad()
            branches.append(branch)
            streams.append(branch if case.kind == "plain" else reference_activation(case, shortcut + branch))
            streams[-1].retain_grad()
        logits = reference_head(case, state, streams[-1])
        functional.cross_entropy(logits, labels, reduction="sum").backward()
    return streams, branches, logits


def mean_norms(tensors: list[torch.Tensor]) -> list[float]:
    """The L2 norm of each image, then the mean over the images."""
    return [float(np.mean([image.norm().item() for image in tensor])) for tensor in tensors]


def test_activations_and_their_gradients(network, images, labels, reference):
    streams, branches, logits = reference
    kept = record(network, images, labels)
    assert torch.equal(kept.logits, logits)
    for own, other in zip([*kept.streams, *kept.branches], [*streams, *branches], strict=True):
        assert torch.equal(own, other)
        assert not own.requires_grad
    for own, other in zip([*kept.stream_gradients, *kept.branch_gradients], [*streams, *branches], strict=True):
        torch.testing.assert_close(own, other.grad, rtol=1e-5, atol=1e-7)
        assert not own.requires_grad


def test_gradient_norms(network, images, labels, reference):
    streams, branches, _ = reference
    traced = trace(network, images, labels)
    expected = mean_norms([stream.grad for stream in streams[:-1]])
    np.testing.assert_allclose(traced.stream_gradient_norm, expected, rtol=1e-5)
    np.testing.assert_allclose(stream_gradient_norms(network, images, labels), expected, rtol=1e-5)
    np.testing.assert_allclose(traced.branch_gradient_norm, mean_norms([branch.grad for branch in branches]), rtol=1e-5)


def test_parameter_gradients_are_those_of_the_mean_loss(network, images, labels):
    traced = trace(network, images, labels)
    copy = deepcopy(network)
    loss = functional.cross_entropy(copy(images), labels)
    loss.backward()
    assert traced.loss == pytest.approx(loss.item(), rel=1e-6)
    assert traced.stem_gradient_norm == pytest.approx(gradient_norm(copy.stem), rel=1e-5)
    expected = [gradient_norm(block) for block in copy.blocks.values()]
    np.testing.assert_allclose(traced.parameter_gradient_norm, expected, rtol=1e-5)


def gradient_norm(module: nn.Module) -> float:
    return sum(parameter.grad.square().sum().item() for parameter in module.parameters()) ** 0.5


def test_statistics_of_the_streams(network, images, labels, reference):
    streams, branches, _ = reference
    traced = trace(network, images, labels)
    leaving = [stream.detach().cpu().double().numpy() for stream in streams[1:]]
    np.testing.assert_allclose(traced.stream_mean, [stream.mean() for stream in leaving], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(traced.stream_deviation, [stream.std(ddof=1) for stream in leaving], rtol=1e-5)
    np.testing.assert_allclose(traced.stream_zeros, [(stream == 0).mean() for stream in leaving], atol=1e-7)
    ratios = [
        np.mean([(part.norm() / whole.norm()).item() for part, whole in zip(branch, stream, strict=True)])
        for branch, stream in zip(branches, streams, strict=False)
    ]
    np.testing.assert_allclose(traced.branch_to_stream, ratios, rtol=1e-5)
    assert traced.blocks == ("layer1.0", "layer1.1", "layer2.0", "layer2.1")
    assert traced.images == 4


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_size_does_not_matter(network, images, labels, batch_size):
    whole, parts = trace(network, images, labels), trace(network, images, labels, batch_size)
    for name, value in vars(whole).items():
        if name != "blocks":
            np.testing.assert_allclose(getattr(parts, name), value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_the_loss_of_one_image_does_not_depend_on_the_others(network, images, labels):
    together = record(network, images, labels)
    alone = record(network, images[2:3], labels[2:3])
    for own, all_of_them in zip(alone.stream_gradients, together.stream_gradients, strict=True):
        torch.testing.assert_close(own[0], all_of_them[2], rtol=1e-4, atol=1e-6)


def test_a_frozen_network_has_the_same_activation_gradients(network, images, labels):
    expected = record(network, images, labels)
    frozen = record(deepcopy(network).requires_grad_(False), images, labels)
    for own, other in zip(frozen.stream_gradients, expected.stream_gradients, strict=True):
        assert torch.equal(own, other)
    assert all(group == [] for group in frozen.parameter_gradients.values())
    assert not trace(deepcopy(network).requires_grad_(False), images, labels).parameter_gradient_norm.any()


def test_tracing_works_under_no_grad(network, images, labels):
    with torch.no_grad():
        inside = trace(network, images, labels)
    np.testing.assert_array_equal(inside.stream_gradient_norm, trace(network, images, labels).stream_gradient_norm)


@pytest.mark.parametrize("function", [trace, record, stream_gradient_norms])
def test_tracing_leaves_the_network_as_it_was(network, images, labels, function):
    with left_as_it_was(network):
        function(network, images, labels)


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("function", [trace, record, stream_gradient_norms])
def test_a_failed_trace_leaves_the_network_as_it_was(image_set, images, labels, function, where):
    network = unlucky(small_network(Case("basic", "B"), image_set).to(images.device), where)
    network(images)
    with left_as_it_was(network), pytest.raises(UnluckyError):
        function(network, images, labels)
