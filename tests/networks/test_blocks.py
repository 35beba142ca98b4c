"""The block kinds: their two terms, what a gate does to them, what deleting one amounts to."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from resnet_viz.networks.blocks import PlainBlock, ZeroPadding
from resnet_viz.networks.network import BLOCK_KINDS

from ..conftest import (
    CASES,
    PLAIN,
    RESIDUAL_CASES,
    Case,
    reference_activation,
    reference_head,
    reference_option_a,
    reference_streams,
    reference_sum,
    reference_terms,
    relative_error,
    small_network,
)

original_cases = pytest.mark.parametrize(
    "case", [case for case in RESIDUAL_CASES if "pre" not in case.kind], ids="-".join
)
preactivation_cases = pytest.mark.parametrize("case", [case for case in CASES if "pre" in case.kind], ids="-".join)
residual_cases = pytest.mark.parametrize("case", RESIDUAL_CASES, ids="-".join)
plain_case = pytest.mark.parametrize("case", [PLAIN], ids="-".join)


def test_the_cases_hold_every_kind():
    assert {case.kind for case in CASES} == set(BLOCK_KINDS)


@residual_cases
def test_activation_of_shortcut_plus_branch_is_the_output(network, images):
    streams = network.streams(images)
    for block, stream, following in zip(network.blocks.values(), streams, streams[1:], strict=False):
        shortcut, branch_input = block.split(stream)
        assert torch.equal(block.activation(shortcut + block.branch(branch_input)), following)


@plain_case
def test_a_plain_block_puts_out_its_branch_alone(network, images):
    streams = network.streams(images)
    for block, stream, following in zip(network.blocks.values(), streams, streams[1:], strict=False):
        assert torch.equal(block.activation(block.branch(block.split(stream)[1])), following)


def test_both_terms_equal_the_papers(case, network, images):
    state = network.state_dict()
    for (name, block), stream in zip(network.blocks.items(), network.streams(images), strict=False):
        shortcut, branch_input = block.split(stream)
        expected_shortcut, expected_branch = reference_terms(case, state, name, stream)
        assert torch.equal(shortcut, expected_shortcut)
        assert torch.equal(block.branch(branch_input), expected_branch)


@original_cases
def test_deleting_an_original_block_is_zeroing_its_last_batch_norm(network, images):
    for name in network.blocks:
        lesioned = deepcopy(network)
        last = [layer for layer in lesioned.blocks[name].branch if isinstance(layer, nn.BatchNorm2d)][-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        assert torch.equal(network(images, network.gates_without([name])), lesioned(images))
        assert not torch.allclose(lesioned(images), network(images))


@preactivation_cases
def test_deleting_a_preactivation_block_is_zeroing_its_last_convolution(network, images):
    for name in network.blocks:
        lesioned = deepcopy(network)
        last = [layer for layer in lesioned.blocks[name].branch if isinstance(layer, nn.Conv2d)][-1]
        nn.init.zeros_(last.weight)
        assert torch.equal(network(images, network.gates_without([name])), lesioned(images))
        assert not torch.allclose(lesioned(images), network(images))


@plain_case
@pytest.mark.parametrize(
    ("deleted", "blocks", "renamed"),
    [
        ("layer1.0", (1, 2), {"layer1.1": "layer1.0"}),
        ("layer1.1", (1, 2), {}),
        ("layer2.1", (2, 1), {}),
    ],
)
def test_deleting_a_plain_block_is_building_without_it(network, images, image_set, case, deleted, blocks, renamed):
    shorter = small_network(case, image_set, blocks=blocks).to(images.device)
    state = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(deleted)}
    for old, new in renamed.items():
        state = {name.replace(old, new): tensor for name, tensor in state.items()}
    shorter.load_state_dict(state)
    assert torch.equal(network(images, network.gates_without([deleted])), shorter(images))


@plain_case
def test_deleting_the_plain_block_that_begins_a_stage_carries_the_stream_into_its_shape(network, images):
    carried = reference_option_a(network.streams(images)[2], channels=8, stride=2)
    expected = network.head(network.blocks["layer2.1"](carried))
    assert torch.equal(network(images, network.gates_without(["layer2.0"])), expected)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_every_block_keeps_the_shape_of_the_stream_when_deleted(case, image_set, batch_norm):
    network = small_network(case, image_set, batch_norm=batch_norm)
    streams = network.streams(torch.randn(2, 1, 8, 8))
    for block, stream, following in zip(network.blocks.values(), streams, streams[1:], strict=False):
        assert block(stream, 0.0).shape == following.shape


@pytest.mark.parametrize(
    "gates",
    [
        [1.0, 0.0, 1.0, 1.0],
        torch.tensor([1.0, 0.0, 1.0, 1.0]),
        torch.tensor([[1.0, 0.0, 1.0, 1.0]] * 4),
        torch.tensor([[1.0, 0.0, 1.0, 1.0]]),
    ],
    ids=["numbers", "tensor", "tensor for each image", "tensor for all images"],
)
def test_a_branch_with_gate_0_is_not_run(network, images, gates):
    gates = gates.to(images.device) if torch.is_tensor(gates) else gates
    expected = network(images, gates)
    poison(network.blocks["layer1.1"].branch)
    assert network(images).isnan().any()
    assert torch.equal(network(images, gates), expected)


def test_a_branch_is_not_run_for_the_images_whose_gate_is_0(network, images):
    gates = torch.ones(4, 4, device=images.device)
    gates[[0, 2], 1] = 0
    poison(network.blocks["layer1.1"].branch)
    logits = network(images, gates)
    assert logits[[0, 2]].isfinite().all()
    assert logits[[1, 3]].isnan().all()


def poison(branch: nn.Module) -> None:
    """Make everything that comes out of a branch NaN."""
    with torch.no_grad():
        for index, parameter in enumerate(branch.parameters()):
            parameter.fill_(torch.inf if index else torch.nan)


def test_gates_in_between_scale_the_branch(case, network, images):
    gates = [0.25, 1.0, 0.5, 0.75]
    state = network.state_dict()
    logits = network(images, gates)
    assert relative_error(logits, reference_head(case, state, reference_streams(case, state, images, gates)[-1])) < 1e-6
    assert relative_error(logits, network(images)) > 1e-3


def test_gates_of_each_image_equal_the_separate_runs(network, images):
    gates = torch.tensor([[1, 0, 1, 0.5], [0, 0, 0, 0], [1, 1, 1, 1], [0.3, 1, 0, 1]], device=images.device)
    together = network(images, gates)
    for image, row, logits in zip(images, gates, together, strict=True):
        assert relative_error(logits, network(image[None], row.tolist())[0]) < 1e-5


def test_a_block_leaves_the_stream_that_enters_it(network, images):
    for block, stream in zip(network.blocks.values(), network.streams(images), strict=False):
        before = stream.clone()
        for gate in (0.0, 0.5, torch.tensor([0, 1, 0.5, 0], device=images.device)):
            block(stream, gate)
            assert torch.equal(stream, before)


def test_one_tensor_of_gates_equals_the_numbers(network, images):
    gates = [1.0, 0.0, 0.5, 1.0]
    tensor = torch.tensor(gates, device=images.device)
    assert torch.equal(network(images, tensor), network(images, gates))
    assert torch.equal(network(images, tensor.requires_grad_()), network(images, gates))


def test_the_gradient_of_a_gate_at_0_is_the_slope_there(case, network, images):
    # On a positive stream, since the ReLU after an original block has no slope where the shortcut delivers 0.
    stream = network.streams(images)[1].double().detach() + 0.1
    block = network.double().blocks["layer1.1"]
    state = network.state_dict()
    weights = torch.randn_like(stream)

    def value(gate: float) -> torch.Tensor:
        terms = reference_sum(case, *reference_terms(case, state, "layer1.1", stream), gate)
        return (weights * reference_activation(case, sum(terms))).sum()

    gate = torch.zeros(4, device=images.device, dtype=torch.double, requires_grad=True)
    (weights * block(stream, gate)).sum().backward()
    slope = (value(1e-6) - value(-1e-6)) / 2e-6
    assert slope.abs() > 0.01
    assert gate.grad.sum().item() == pytest.approx(slope.item(), rel=1e-6)


@pytest.mark.parametrize("per_image", [False, True])
def test_the_gradient_of_gates_is_the_slope_of_the_logits(network, images, per_image):
    network, images = network.double(), images.double()
    gates = torch.tensor([0.5, 1.0, 0.9, 0.2], dtype=torch.double, device=images.device)
    gates = gates.expand(4, 4).clone() if per_image else gates
    gates.requires_grad_()
    weights = torch.randn(4, 10, device=images.device, dtype=torch.double)
    (gradient,) = torch.autograd.grad((weights * network(images, gates)).sum(), gates)
    gradient = gradient.sum(0) if per_image else gradient
    for index in range(4):
        values = []
        for step in (1e-8, -1e-8):
            moved = gates.detach().clone()
            moved[..., index] += step
            values.append((weights * network(images, moved)).sum())
        assert gradient[index].item() == pytest.approx((values[0] - values[1]).item() / 2e-8, rel=1e-5)


@pytest.mark.parametrize(("in_channels", "out_channels", "stride"), [(16, 32, 2), (4, 16, 1), (3, 8, 2)])
def test_option_a_splits_the_new_channels_equally(in_channels, out_channels, stride, device):
    stream = torch.rand(2, in_channels, 5, 6, device=device) + 0.1
    padded = ZeroPadding(in_channels, out_channels, stride)(stream)
    before = (out_channels - in_channels) // 2
    assert padded.shape == (2, out_channels, -(-5 // stride), -(-6 // stride))
    assert torch.equal(padded[:, before : before + in_channels], stream[:, :, ::stride, ::stride])
    assert padded[:, :before].abs().sum() == padded[:, before + in_channels :].abs().sum() == 0
    assert out_channels - in_channels - 2 * before in (0, 1)


def test_option_a_lies_as_in_the_public_cifar_checkpoints(device):
    # github.com/akamaster/pytorch_resnet_cifar10, resnet.py: a quarter of the new width on either side.
    stream = torch.randn(2, 16, 8, 8, device=device)
    public = nn.functional.pad(stream[:, :, ::2, ::2], (0, 0, 0, 0, 32 // 4, 32 // 4), "constant", 0)
    assert torch.equal(ZeroPadding(16, 32, 2)(stream), public)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case("plain", "A"), ["none", "none", "none", "none"]),
        (Case("basic", "A"), ["identity", "identity", "option A", "identity"]),
        (Case("basic", "B"), ["identity", "identity", "projection", "identity"]),
        (Case("basic", "C"), ["projection"] * 4),
        (Case("bottleneck", "A"), ["option A", "identity", "option A", "identity"]),
        (Case("bottleneck", "B"), ["projection", "identity", "projection", "identity"]),
        (Case("preactivation-basic", "A"), ["identity", "identity", "option A", "identity"]),
        (Case("preactivation-basic", "B"), ["identity", "identity", "projection", "identity"]),
        (Case("preactivation-bottleneck", "C"), ["projection"] * 4),
    ],
    ids=str,
)
def test_shortcut_kinds(case, expected, image_set):
    blocks = small_network(case, image_set).blocks.values()
    assert [block.shortcut_kind for block in blocks] == expected
    assert {block.kind for block in blocks} == {case.kind}
    assert all(isinstance(block, PlainBlock) == (case.kind == "plain") for block in blocks)
