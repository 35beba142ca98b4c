"""Other shortcuts and orders of activation: each as written by hand, its two ways, what deleting it leaves, and what is drawn."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from resnet_viz.errors import InputError
from resnet_viz.experiments.paths import block_pulls, gradient_by_length, stream_gradients
from resnet_viz.networks.cutting import cut
from resnet_viz.networks.network import ResidualNetwork, build
from resnet_viz.networks.shortcuts import VARIANTS, GatedShortcut, ShortcutDropout, build_variant
from resnet_viz.networks.zoo import entry_of

from ..conftest import lived_in, reference_convolution, reference_norm, reference_option_a, relative_error

each_variant = pytest.mark.parametrize("variant", VARIANTS)
GATED = ("exclusive", "gated", "opened")
gated_variants = pytest.mark.parametrize("variant", GATED)


def network_of(variant: str, images: Tensor, **settings) -> ResidualNetwork:
    """Two stages of two blocks with statistics, weights of the norms and ReZero's factor as after training."""
    network = lived_in(build_variant(variant, (2, 2), (4, 8), stem_stride=1, **settings), images)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("scale.factor"):
                parameter.fill_(0.7)
            if name.endswith("gate.conv.bias"):
                parameter.uniform_(-1, 1, generator=torch.Generator().manual_seed(3))
    return network


def convolved(state: dict[str, Tensor], name: str, stream: Tensor, stride: int) -> Tensor:
    """The two convolutions of a branch, with what stands between them."""
    first = reference_norm(state, f"{name}.bn1", reference_convolution(state, f"{name}.conv1", stream, stride))
    return reference_convolution(state, f"{name}.conv2", first.relu(), 1)


def by_hand(variant: str, state: dict[str, Tensor], name: str, stream: Tensor) -> tuple[Tensor, Tensor]:
    """What a block puts out, and without its branch; written with functions alone."""
    stride = 2 if name == "layer2.0" else 1
    last = convolved(state, f"{name}.branch", stream.relu() if variant == "relufirst" else stream, stride)
    carried = reference_option_a(stream, last.shape[1], stride) if stride == 2 else stream
    if variant == "normafter":
        norm = f"{name}.last.bn"
        return reference_norm(state, norm, carried + last).relu(), reference_norm(state, norm, carried).relu()
    branch = reference_norm(state, f"{name}.branch.bn2", last)
    if variant == "relufirst":
        return carried + branch, carried
    if variant == "relubefore":
        return carried + branch.relu(), carried
    if variant == "halved":
        return (0.5 * carried + 0.5 * branch).relu(), (0.5 * carried).relu()
    if variant == "rezero":
        return (carried + 0.7 * branch).relu(), carried.relu()
    if variant == "dropout":
        return (carried + branch).relu(), carried.relu()
    convolution = f"{name}.gate.conv"
    gate = reference_convolution(state, convolution, stream, stride) + state[f"{convolution}.bias"].view(-1, 1, 1)
    gate = gate.sigmoid()
    branch = gate * branch if variant == "exclusive" else branch
    return ((1 - gate) * carried + branch).relu(), ((1 - gate) * carried).relu()


@each_variant
def test_a_block_is_what_it_is_by_hand_with_its_branch_and_without(variant, images) -> None:
    network = network_of(variant, images)
    state, streams = network.state_dict(), network.streams(images)
    for (name, block), stream, following in zip(network.blocks.items(), streams, streams[1:], strict=False):
        whole, without = by_hand(variant, state, name, stream)
        assert relative_error(following, whole) < 1e-6
        assert relative_error(block(stream, 0.0), without) < 1e-6
        assert not torch.allclose(whole, without)


@each_variant
def test_the_paths_add_up_to_the_gradient_with_a_lesion_too(variant, images, labels) -> None:
    network = network_of(variant, images)
    for gates in (None, [1.0, 0.0, 0.5, 1.0]):
        found = gradient_by_length(network, images, labels, gates)
        assert found.sum_relative_error <= 1e-5
        assert found.norms[:, 0].min() > 0 and found.norms[:, 2].min() > 0


@gated_variants
def test_what_comes_back_along_a_gated_shortcut_is_the_gradient_times_the_factor(variant, images, labels) -> None:
    network = network_of(variant, images)
    streams, gradients, _ = stream_gradients(network, images, labels)
    *_, (through_shortcut, through_branch) = block_pulls(network, streams, None)
    block = network.blocks["layer1.0"]
    behind = gradients[1] * (streams[1] > 0)
    expected = block.factor(streams[0]) * behind
    assert relative_error(through_shortcut(gradients[1][None])[0], expected) < 1e-6
    both = through_shortcut(gradients[1][None]) + through_branch(gradients[1][None])
    assert relative_error(both[0], gradients[0]) < 1e-5


@gated_variants
def test_a_deleted_gated_block_has_the_whole_derivative_of_its_shortcut(variant, images) -> None:
    network = network_of(variant, images).double()
    block, stream = network.blocks["layer1.1"], network.streams(images.double())[1].detach() + 0.1
    direction = torch.randn(stream.shape, dtype=torch.double, generator=torch.Generator().manual_seed(4))
    stream.requires_grad_()
    (slope,) = torch.autograd.grad(block(stream, 0.0).sum(), stream)
    with torch.no_grad():
        change = (block(stream + 1e-6 * direction, 0.0) - block(stream - 1e-6 * direction, 0.0)).sum() / 2e-6
    assert (slope * direction).sum().item() == pytest.approx(change.item(), rel=1e-6)


@each_variant
def test_all_begin_with_the_weights_of_the_residual_network(variant) -> None:
    plain, other = (
        make.state_dict() for make in (build("basic", (2, 2), (4, 8)), build_variant(variant, (2, 2), (4, 8)))
    )
    shared = plain.keys() & other.keys()
    assert len([name for name in shared if "conv" in name]) == 9
    assert all(torch.equal(plain[name], other[name]) for name in shared)
    assert {name for name in plain.keys() - other.keys() if "branch.bn2" not in name} == set()


def test_gates_are_drawn_from_the_seed_alone() -> None:
    one, same, other = (build_variant("gated", (1,), (4,), seed=seed) for seed in (0, 0, 1))
    weights = [network.blocks["layer1.0"].gate.conv.weight for network in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert not one.blocks["layer1.0"].gate.conv.bias.any()
    assert build_variant("opened", (1,), (4,)).blocks["layer1.0"].gate.conv.bias.eq(-6).all()


def test_dropout_draws_from_a_generator_that_is_lent_and_from_nothing_else() -> None:
    ones, layer = torch.ones(10_000), ShortcutDropout(0.5)
    before = torch.get_rng_state()
    assert torch.equal(layer(ones), ones), "nobody has lent one"
    layer.generator = torch.Generator().manual_seed(0)
    drawn = layer(ones)
    assert set(drawn.tolist()) == {0.0, 2.0} and float(drawn.mean()) == pytest.approx(1, abs=0.03)
    assert not torch.equal(layer(ones), drawn)
    layer.generator.manual_seed(0)
    assert torch.equal(layer(ones), drawn)
    assert torch.equal(layer.eval()(ones), ones)
    assert torch.equal(torch.get_rng_state(), before)


def test_rezero_begins_as_its_shortcuts(images) -> None:
    network = lived_in(build_variant("rezero", (2, 2), (4, 8), stem_stride=1), images)
    assert torch.equal(network(images), network(images, [0.0] * 4))


@pytest.mark.parametrize(
    ("variant", "kinds"),
    [
        ("halved", ["parameter-free", "parameter-free"]),
        ("gated", ["gated", "gated"]),
        ("dropout", ["parameter-free", "parameter-free"]),
        ("rezero", ["identity", "option A"]),
        ("normafter", ["identity", "option A"]),
    ],
)
def test_shortcut_kinds(variant, kinds) -> None:
    blocks = build_variant(variant, (1, 1), (4, 8)).blocks.values()
    assert [block.shortcut_kind for block in blocks] == kinds
    assert all(isinstance(block, GatedShortcut) == (kinds[0] == "gated") for block in blocks)


@each_variant
def test_a_cut_network_is_the_one_with_its_blocks_deleted(variant, images, labels) -> None:
    network = network_of(variant, images)
    left = cut(network, ["layer1.0", "layer2.1"])
    assert relative_error(left(images), network(images, [0.0, 1.0, 1.0, 0.0])) < 1e-6
    assert gradient_by_length(left, images, labels).sum_relative_error <= 1e-5
    assert [block.shortcut_kind == "gated" for block in left.blocks.values()] == [variant in GATED] * 2


def test_the_relu_that_stood_after_the_last_sum_is_not_lost(images) -> None:
    network = network_of("relufirst", images)
    stream = network.streams(images)[-1]
    assert stream.min() < 0
    assert torch.equal(network(images), network.head.fc(stream.relu().mean((2, 3))))


def test_without_batch_norm_and_with_projections_they_are_built_too(images) -> None:
    for variant in VARIANTS:
        bare = build_variant(variant, (1, 1), (4, 8), stem_stride=1, batch_norm=False).eval()
        assert not any(isinstance(layer, nn.BatchNorm2d) for layer in bare.modules())
        projected = network_of(variant, images, shortcut="B")
        assert deepcopy(projected)(images).shape == bare(images).shape == (4, 10)


def test_a_name_says_which_one() -> None:
    entry = entry_of("fashion-exclusive20")
    assert {type(block) for block in entry.build(seed=0).blocks.values()} == {GatedShortcut}
    assert entry.weights is None and len(entry.build(seed=0).blocks) == 9
    with pytest.raises(InputError, match=r"exclusiveN.*got 'fashion-exclusive21'"):
        entry_of("fashion-exclusive21")
    with pytest.raises(InputError, match=r"Variant must be one of halved, .*; got 'half'"):
        build_variant("half", (1,), (4,))
