"""Folding batch norms away: the same logits, and nothing done to the network that came."""

import pytest
import torch
from torch import nn
from torch.nn.modules import module as of_all_modules

from resnet_viz.errors import InputError
from resnet_viz.experiments.paths import gradient_by_length
from resnet_viz.networks.adapt import adapt
from resnet_viz.networks.folding import folded

from ..conftest import Case, left_as_it_was, lived_in, relative_error, small_network
from .test_adapt import TORCHVISION


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["default", "channels_last"])
def test_folded_logits_differ_by_rounding_only(network, images, layout):
    network = network.to(memory_format=layout)
    copy = folded(network)
    for gates in (None, [0.0, 1.0, 1.0, 0.0], [0.5, 1.0, 0.25, 0.75]):
        assert relative_error(copy(images, gates), network(images, gates)) < 1e-5


@pytest.mark.parametrize("name", ["resnext", "wide"])
def test_folded_logits_of_torchvisions_networks(name, device):
    images = torch.randn(16, 3, 48, 48)
    network = adapt(lived_in(TORCHVISION[name](), images)).to(device)
    copy = folded(network)
    assert relative_error(copy(images.to(device)), network(images.to(device))) < 1e-5
    assert count_norms(copy) == 0


def test_only_norms_that_follow_no_convolution_are_left(case, network):
    copy = folded(network)
    if not case.kind.startswith("preactivation"):
        assert count_norms(copy) == 0
    else:
        assert count_norms(copy) == 3 + 1  # the entries of all blocks but the first, and the head
        assert all(count_norms(block.branch) == 0 for block in copy.blocks.values())
    assert count_norms(network) > 4


def count_norms(module: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


def test_folding_leaves_the_network_as_it_was(network, images):
    expected = network(images)
    with left_as_it_was(network):
        copy = folded(network)
        own = {id(parameter) for parameter in network.parameters()}
        new = [parameter for parameter in copy.parameters() if id(parameter) not in own]
        assert len(new) >= 2 * 4  # weight and bias, of one convolution in each branch at least
        with torch.no_grad():
            for parameter in new:
                parameter.fill_(7)
    assert torch.equal(network(images), expected)


@pytest.mark.parametrize("hook", ["forward", "forward_pre", "full_backward"])
def test_hooks_on_all_modules_are_called_by_the_copy_and_along_paths(image_set, images, labels, hook):
    network = small_network(Case("basic", "B"), image_set).to(images.device)

    def double(module, *given):
        return (2 * given[-1 if hook == "forward" else 0][0],) if isinstance(module, nn.BatchNorm2d) else None

    def double_output(module, _, output):
        return 2 * output if isinstance(module, nn.BatchNorm2d) else None

    register = getattr(of_all_modules, f"register_module_{hook}_hook")
    handle = register(double_output if hook == "forward" else double)
    try:
        expected, found = network(images).detach(), folded(network)(images).detach()
        assert gradient_by_length(network, images, labels).sum_relative_error < 1e-5
    finally:
        handle.remove()
    assert relative_error(found, expected) < 1e-5
    assert hook == "full_backward" or not torch.allclose(network(images), expected)


def test_a_weight_that_is_no_parameter_is_not_folded(image_set, images):
    network = small_network(Case("basic", "B"), image_set).to(images.device)
    convolution = next(layer for layer in network.blocks["layer1.1"].branch.modules() if isinstance(layer, nn.Conv2d))
    weight = convolution.weight.detach()
    del convolution.weight
    convolution.weight = weight
    assert relative_error(folded(network)(images), network(images)) < 1e-5


def test_what_is_not_folded_is_the_networks_own(network):
    copy = folded(network)
    assert copy.head.fc is network.head.fc
    assert all(copy.blocks[name] is copy.get_submodule(name) for name in network.blocks)
    assert [name for name, _ in copy.named_modules()] == [name for name, _ in network.named_modules()]


def test_a_network_in_training_mode_is_refused(case, image_set):
    network = small_network(case, image_set).train()
    with (
        left_as_it_was(network),
        pytest.raises(InputError, match=r"in eval mode; got .* in training mode.*network\.eval"),
    ):
        folded(network)
