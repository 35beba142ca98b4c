"""The gated walk: the same logits as an independent forward pass, whatever layout; what it refuses; what it leaves alone."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from resnet_viz.errors import InputError
from resnet_viz.networks.blocks import Block
from resnet_viz.networks.network import BLOCK_KINDS, ResidualNetwork, build

from ..conftest import (
    PLAIN,
    Case,
    UnluckyError,
    left_as_it_was,
    reference_head,
    reference_streams,
    small_network,
    unlucky,
)

LAYOUTS = [torch.contiguous_format, torch.channels_last]
layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=["default", "channels_last"])


@layouts
def test_logits_equal_the_papers_bit_for_bit(case, network, images, layout):
    network, images = network.to(memory_format=layout), images.to(memory_format=layout)
    state = network.state_dict()
    expected = reference_streams(case, state, images)
    for stream, reference in zip(network.streams(images), expected, strict=True):
        assert torch.equal(stream, reference)
    logits = reference_head(case, state, expected[-1])
    assert torch.equal(network(images), logits)
    assert torch.equal(network(images, [1] * 4), logits)
    assert torch.equal(network(images, torch.ones(4, 4, device=images.device)), logits)
    assert len(set(logits.argmax(1).tolist())) > 1


@pytest.mark.parametrize(
    "gates",
    [[1.0] * 3, torch.ones(3), torch.ones(2, 3), torch.ones(3, requires_grad=True)],
    ids=lambda gates: type(gates),
)
def test_a_wrong_number_of_gates_is_refused_with_both_numbers(image_set, gates):
    network = small_network(PLAIN, image_set)
    for function in (network, network.streams, network.walk):
        with pytest.raises(InputError, match="one for each of 4 blocks; got 3"):
            function(torch.zeros(2, 1, 8, 8), gates)


def test_a_walk_in_parts_is_the_whole_walk(network, images):
    gates = [1.0, 0.0, 0.5, 1.0]
    whole = network.streams(images, gates)
    for stop in range(5):
        assert torch.equal(network.walk(whole[0], gates, stop=stop), whole[stop])
        assert torch.equal(network.walk(whole[stop], gates, start=stop), whole[-1])
    assert torch.equal(network.head(whole[-1]), network(images, gates))


def test_names_of_blocks_and_stages(image_set):
    network = small_network(Case("basic", "A"), image_set, blocks=(1, 3))
    assert list(network.blocks) == ["layer1.0", "layer2.0", "layer2.1", "layer2.2"]
    assert network.stage_sizes() == {"layer1": 1, "layer2": 3}
    assert network.block_indices(["layer2.1", "layer1.0"]) == [2, 0]
    assert network.gates_without(["layer2.2", "layer1.0"]) == [0.0, 1.0, 1.0, 0.0]
    with pytest.raises(InputError, match=r"one of layer1\.0 \.\.\. layer2\.2 .* layer2\.0-2\); got 'layer2\.3'"):
        network.gates_without(["layer2.3"])


def test_blocks_carry_their_names_in_the_state_dict(network):
    for name, block in network.blocks.items():
        assert network.get_submodule(name) is block
    assert {name for name, _ in network.named_children()} == {"stem", "layer1", "layer2", "head"}


@pytest.mark.parametrize("kind", BLOCK_KINDS)
def test_a_seed_gives_its_weights_and_leaves_the_global_random_state(kind):
    before = torch.get_rng_state()
    first, again, other = (build(kind, (1, 1), (4, 8), seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["stem.conv1.weight"], other["stem.conv1.weight"])


def test_initial_weights_have_the_deviation_of_he_et_al():
    weight = build("basic", (1, 1), (64, 128)).get_parameter("layer2.0.branch.conv1.weight")
    assert weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.01)


@pytest.mark.parametrize("kind", BLOCK_KINDS)
def test_without_batch_norm_the_convolutions_have_biases(kind):
    network = build(kind, (2, 2), (4, 8), shortcut="B", batch_norm=False)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert all(layer.bias is not None for layer in network.modules() if isinstance(layer, nn.Conv2d))
    assert network(torch.randn(2, 1, 8, 8)).shape == (2, 10)


def test_what_build_does_not_know_is_refused():
    with pytest.raises(InputError, match=r"one of plain, basic.*; got 'round'"):
        build("round", (1,), (4,))
    with pytest.raises(InputError, match=r"one of A, B, C; got 'D'"):
        build("basic", (1,), (4,), shortcut="D")


def test_a_forward_pass_leaves_the_network_as_it_was(network, images):
    gates = torch.rand(4, 4, device=images.device)
    with left_as_it_was(network):
        network(images)
        network(images, gates)
        network.streams(images, [0.0, 1.0, 0.5, 1.0])


def test_a_failed_forward_pass_leaves_the_network_as_it_was(network, images):
    network = unlucky(network)
    network(images)
    with left_as_it_was(network), pytest.raises(UnluckyError):
        network(images)


def test_a_copy_is_independent(network, images):
    expected = network(images)
    copy = deepcopy(network)
    with torch.no_grad():
        for parameter in copy.blocks["layer1.1"].parameters():
            parameter.zero_()
    assert torch.equal(network(images), expected)
    assert not torch.equal(copy(images), expected)


def test_a_block_that_computes_elsewhere_is_refused() -> None:
    class Halved(Block):
        def forward(self, stream, gate=1.0):
            return super().forward(stream, gate) / 2

    stage = [Halved("basic", nn.Identity(), nn.Identity())]
    with pytest.raises(InputError, match="Halved must leave forward as it is"):
        ResidualNetwork(nn.Identity(), [stage], nn.Identity())
