"""Networks of strangers: what a module does beyond its class is done by the walk, the paths and the sweep, or is refused."""

import types
from collections import OrderedDict
from copy import deepcopy
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune
from torch.nn.utils import weight_norm as hooked_weight_norm
from torchvision.models.resnet import BasicBlock
from torchvision.ops import StochasticDepth

from resnet_viz.errors import InputError
from resnet_viz.experiments import image_attribution
from resnet_viz.experiments.attribution import branch_size, first_order, true_deletion
from resnet_viz.experiments.deletion import COMPARED, compared, loss_of_each, sweep
from resnet_viz.experiments.influence import influence
from resnet_viz.experiments.paths import gradient_by_length, sampled_path_norms
from resnet_viz.experiments.strongest_paths import path_gradient, strongest_paths
from resnet_viz.experiments.trace import trace
from resnet_viz.networks.adapt import adapt
from resnet_viz.networks.blocks import Block
from resnet_viz.networks.cutting import cut
from resnet_viz.networks.folding import folded
from resnet_viz.networks.images import ImageSet, Preprocessing
from resnet_viz.networks.network import ResidualNetwork

from ..conftest import SMALL_PREPROCESSING, everything_about, lived_in, relative_error
from .test_adapt import Narrow, TheirNetwork

PREPROCESSING = Preprocessing(32, 32, (0.5,) * 3, (0.25,) * 3)


def images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32)


def theirs() -> nn.Module:
    """A small network in eval mode, its norms as after training."""
    return lived_in(TheirNetwork(), images(16))


# Layers that do more than their class says: exact.


class Standardised(nn.Conv2d):
    """Weight standardisation."""

    def forward(self, tensor):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(tensor, weight / weight.std((1, 2, 3), keepdim=True), self.bias)


class Halving(nn.BatchNorm2d):
    def forward(self, tensor):
        return 0.5 * super().forward(tensor)


class Centred(nn.ReLU):
    """A ReLU that looks at its neighbours."""

    def forward(self, tensor):
        return super().forward(tensor - tensor.mean((2, 3), keepdim=True))


class Doubling(nn.Sequential):
    def forward(self, tensor):
        return super().forward(super().forward(tensor))


def with_layer(name: str, make) -> nn.Module:
    model = theirs()
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, make(model.get_submodule(name)).eval())
    return model


def replaced(kind, **settings):
    """A convolution of another class or with other settings, for 3x3 ones of 8 channels."""
    return lambda _: kind(8, 8, 3, **{"padding": 1, "bias": False} | settings)


def hooked(name: str, register: str, hook) -> nn.Module:
    model = theirs()
    getattr(model.get_submodule(name), register)(hook)
    return model


def changed(change) -> nn.Module:
    model = theirs()
    change(model.layer1[1])
    return model


def patch(module: nn.Module, name: str, function) -> None:
    setattr(module, name, types.MethodType(function, module))


CONV, FIRST_NORM, NORM = "layer1.1.conv1", "layer1.1.bn1", "layer1.1.bn2"
EXACT = {
    "weight standardisation": lambda: with_layer(CONV, replaced(Standardised)),
    "circular": lambda: with_layer(CONV, replaced(nn.Conv2d, padding_mode="circular")),
    "reflect": lambda: with_layer(CONV, replaced(nn.Conv2d, padding_mode="reflect")),
    "padding same": lambda: with_layer(CONV, replaced(nn.Conv2d, padding="same")),
    "dilated, grouped": lambda: with_layer(CONV, replaced(nn.Conv2d, padding=2, dilation=2, groups=4)),
    "norm subclass": lambda: with_layer(NORM, lambda _: Halving(8)),
    "instance norm": lambda: with_layer(NORM, lambda _: nn.InstanceNorm2d(8)),
    "group norm": lambda: with_layer(NORM, lambda _: nn.GroupNorm(2, 8)),
    "shortcut that looks around": lambda: with_layer("layer1.1.shortcut", lambda _: nn.Sequential(Centred())),
    "sequential with its own forward": lambda: with_layer("layer1.1.shortcut", lambda _: Doubling(nn.Tanh())),
    "forward hook": lambda: hooked(NORM, "register_forward_hook", lambda *given: 0.5 * given[-1]),
    "forward hook on a convolution": lambda: hooked(CONV, "register_forward_hook", lambda *given: given[-1].square()),
    "forward pre-hook": lambda: hooked(NORM, "register_forward_pre_hook", lambda _, given: (given[0] + 1,)),
    "backward hook": lambda: hooked(FIRST_NORM, "register_full_backward_hook", lambda _, into, __: (0.5 * into[0],)),
    "backward pre-hook": lambda: hooked(FIRST_NORM, "register_full_backward_pre_hook", lambda _, out: (0.5 * out[0],)),
    "pruning": lambda: changed(lambda block: prune.l1_unstructured(block.conv1, "weight", 0.5)),
    "weight norm, hooked": lambda: changed(lambda block: hooked_weight_norm(block.conv1)),
    "weight norm": lambda: changed(lambda block: parametrizations.weight_norm(block.conv1)),
    "spectral norm": lambda: changed(lambda block: parametrizations.spectral_norm(block.conv1)),
    "spectral norm, hooked": lambda: changed(lambda block: nn.utils.spectral_norm(block.conv1)),
    "patched forward of a norm": lambda: changed(
        lambda block: patch(block.bn2, "forward", lambda self, x: 0.5 * type(self).forward(self, x))
    ),
    "patched method of a convolution": lambda: changed(
        lambda block: patch(
            block.conv1, "_conv_forward", lambda _, x, weight, __: functional.conv2d(x, 2 * weight, padding=1)
        )
    ),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the hooked weight norm
@pytest.mark.parametrize("kind", EXACT)
def test_what_a_layer_does_beyond_its_class_is_done_everywhere(kind):
    model = EXACT[kind]().eval()
    inputs, labels = images(), torch.arange(4)
    expected = model(inputs).detach()
    before = everything_about(model)
    network = adapt(model)
    assert relative_error(network(inputs), expected) < 1e-6
    assert relative_error(folded(network)(inputs), expected) < 1e-5
    assert gradient_by_length(network, inputs, labels).sum_relative_error < 1e-5
    lengths, found = (
        gradient_by_length(network, inputs[:1], labels[:1]),
        strongest_paths(network, inputs[:1], labels[:1]),
    )
    assert found.shares.sum() == pytest.approx(1, abs=1e-4)  # all 2^4 paths
    longest = found.norms[found.takes_branch.sum(1) == 4]
    assert longest == pytest.approx(lengths.norms[0, 4:], rel=1e-4)
    entering = model.bn1(model.conv1(inputs)).relu().detach().requires_grad_()
    rest = model.layer2(model.layer1(entering))
    functional.cross_entropy(
        model.linear(functional.avg_pool2d(rest, rest.shape[-1]).flatten(1)), labels, reduction="sum"
    ).backward()
    traced = trace(network, inputs, labels).stream_gradient_norm[0]
    assert traced == pytest.approx(entering.grad.flatten(1).norm(dim=1).mean().item(), rel=1e-4)
    model.zero_grad()
    after = everything_about(model)
    assert all(
        torch.equal(value, after[name]) if torch.is_tensor(value) else value == after[name]
        for name, value in before.items()
    )


class OwnBlock(Block):
    """A block of the user's own: its branch's convolution says how much the shortcut hands on, also when the branch is deleted, and
    half of that when it is not; the activation looks at all channels."""

    def split(self, stream):
        return self.branch.conv(stream).sigmoid() * stream, stream.tanh()

    def gated(self, shortcut, branch_input, gate):
        shortcut, branch = super().gated(shortcut, branch_input, gate)
        return (1 - 0.5 * gate) * shortcut, branch

    def activation(self, total):
        return total.softmax(1)


def own_network() -> ResidualNetwork:
    """Blocks of this project on both sides of two of the user's own, with norms as after training."""

    def layers() -> nn.Sequential:
        return nn.Sequential(OrderedDict(conv=nn.Conv2d(4, 4, 3, padding=1), norm=nn.BatchNorm2d(4)))

    kinds = (Block, OwnBlock, OwnBlock, Block)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    stage = [kind("basic", layers(), nn.Identity()) for kind in kinds]
    return lived_in(ResidualNetwork(nn.Conv2d(3, 4, 1), [stage], head), images(16))


def terms_by_hand(block: Block, stream: torch.Tensor, gate: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What such a block adds up, from its weights alone."""
    conv, norm = block.branch.conv, block.branch.norm

    def convolved(tensor):
        return functional.conv2d(tensor, conv.weight, conv.bias, padding=1)

    own = type(block) is OwnBlock
    branch = convolved(stream.tanh() if own else stream)
    branch = functional.batch_norm(branch, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    return (convolved(stream).sigmoid() * stream * (1 - 0.5 * gate) if own else stream), gate * branch


def after_the_sum_by_hand(block: Block, total: torch.Tensor) -> torch.Tensor:
    return total.softmax(1) if type(block) is OwnBlock else total.relu()


def streams_by_hand(network: ResidualNetwork, stream: torch.Tensor, gates) -> list[torch.Tensor]:
    streams = [stream]
    for block, gate in zip(network.blocks.values(), gates, strict=True):
        streams.append(after_the_sum_by_hand(block, sum(terms_by_hand(block, streams[-1], gate))))
    return streams


@pytest.mark.parametrize("gates", [[1.0] * 4, [0.5, 0.0, 0.25, 1.0]], ids=["intact", "changed"])
def test_the_paths_through_a_block_of_ones_own_are_those_that_it_says(gates):
    network, inputs, labels = own_network(), images(), torch.arange(4)
    blocks = list(network.blocks.values())
    streams = [each.detach() for each in streams_by_hand(network, network.stem(inputs), gates)]
    last = streams[-1].clone().requires_grad_()
    functional.cross_entropy(network.head(last), labels, reduction="sum").backward()
    of_length = [torch.zeros_like(streams[0]) for _ in range(5)]
    for path in product((False, True), repeat=4):
        gradient = last.grad
        for block, gate, stream, takes_branch in reversed(list(zip(blocks, gates, streams, path, strict=False))):
            stream = stream.clone().requires_grad_()
            terms = terms_by_hand(block, stream, gate)
            total = sum(terms).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(after_the_sum_by_hand(block, total), total, gradient)
            (gradient,) = torch.autograd.grad(terms[takes_branch], stream, gradient)
        of_length[sum(path)] += gradient
    expected = torch.stack([each.flatten(1).norm(dim=1) for each in of_length], 1).numpy()
    found = gradient_by_length(network, inputs, labels, gates)
    np.testing.assert_allclose(found.norms, expected, rtol=1e-4, atol=1e-6 * expected.max())
    assert found.sum_relative_error < 1e-5


@pytest.mark.parametrize("deleted", [[0], [1], [0, 1], [1, 2], [2, 3]], ids=str)
def test_what_a_block_of_ones_own_reads_is_neither_cut_off_nor_folded(deleted):
    network, inputs = own_network(), images()
    names = [name for number, name in enumerate(network.blocks) if number in deleted]
    gates = network.gates_without(names)
    expected = network.head(streams_by_hand(network, network.stem(inputs), gates)[-1]).detach()
    left = cut(network, names)
    assert relative_error(left(inputs), expected) < 1e-6
    assert relative_error(folded(left)(inputs), expected) < 1e-5
    assert relative_error(folded(network)(inputs, gates), expected) < 1e-5
    assert gradient_by_length(left, inputs, torch.arange(4)).sum_relative_error < 1e-5


def test_the_influence_of_a_block_of_ones_own():
    network, inputs, labels = own_network(), images(), torch.arange(4)
    streams = streams_by_hand(network, network.stem(inputs), [1.0] * 4)
    for stream in streams:
        stream.retain_grad()
    functional.cross_entropy(network.head(streams[-1]), labels, reduction="sum").backward()
    found = influence(network, inputs, labels)
    for number, (block, entering, leaving) in enumerate(
        zip(network.blocks.values(), streams, streams[1:], strict=False)
    ):
        branch = terms_by_hand(block, entering, 1.0)[1].detach()
        deleted = after_the_sum_by_hand(block, sum(terms_by_hand(block, entering, 0.0)))
        rows = [each.detach().flatten(1) for each in (leaving, deleted, branch, entering, -entering.grad)]
        for name, expected in (
            ("cosine", functional.cosine_similarity(rows[0], rows[1])),
            ("branch_to_stream", rows[2].norm(dim=1) / rows[3].norm(dim=1)),
            ("growth", rows[0].norm(dim=1) / rows[3].norm(dim=1)),
            ("response_mean", rows[2].mean(1)),
            ("response_square", rows[2].square().mean(1)),
            ("descent", functional.cosine_similarity(rows[2], rows[4], eps=1e-20)),
        ):
            np.testing.assert_allclose(getattr(found, name)[:, number], expected, rtol=1e-4, atol=1e-5, err_msg=name)


# What is done around the blocks, which a walk does not call: the same, or refused.


class LayerDrop(nn.Sequential):
    """Leaves out its second block at test time, too."""

    def forward(self, tensor):
        return self[0](tensor)


class Wrapped(nn.Module):
    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def forward(self, tensor):
        return self.stage(tensor)


class Relu6Block(nn.Module):
    """The layers of a block in another's hands: a ReLU6 that no layer names."""

    def __init__(self, block, activation):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = block.conv1, block.bn1, block.conv2, block.bn2
        self.activation_used = activation

    def forward(self, tensor):
        return functional.relu(tensor + self.bn2(self.conv2(self.activation_used(self.bn1(self.conv1(tensor))))))


def around(change) -> nn.Module:
    model = Narrow(BasicBlock, [2, 2, 2, 2]).eval()
    change(model)
    return model


def set_item(sequence, index, value) -> None:
    sequence[index] = value


def relu6(norm, activation=functional.relu6):
    def change(model):
        if norm:
            model.layer1[1].bn1 = norm
        model.layer1[1] = Relu6Block(model.layer1[1], activation)

    return change


def half(*given):
    return 0.5 * given[-1]


TAKEN = {
    "hook on a block": lambda m: m.layer2[0].register_forward_hook(half),
    "pre-hook on a block": lambda m: m.layer2[0].register_forward_pre_hook(lambda _, x: (0.5 * x[0],)),
    "patched block": lambda m: patch(m.layer3[0], "forward", lambda self, x: 0.5 * type(self).forward(self, x)),
    "detached block": lambda m: patch(m.layer3[1], "forward", lambda self, x: type(self).forward(self, x).detach()),
    "hook on a stage": lambda m: m.layer2.register_forward_hook(half),
    "patched stage": lambda m: patch(m.layer2, "forward", lambda self, x: self[1](self[0](x)) + 1),
    "stage that drops blocks": lambda m: setattr(m, "layer3", LayerDrop(*m.layer3)),
    "hook on the model": lambda m: m.register_forward_hook(half),
    "pre-hook on the model": lambda m: m.register_forward_pre_hook(lambda _, x: (0.5 * x[0],)),
    "patched model": lambda m: patch(m, "forward", lambda self, x: self._forward_impl(x) + 1),
    "patched inside": lambda m: patch(m, "_forward_impl", lambda self, x: type(self)._forward_impl(self, 2 * x)),
    "wrapped stage": lambda m: setattr(m, "layer4", Wrapped(m.layer4)),
    "unnamed ReLU6": relu6(None),
    "unnamed ReLU6 behind a group norm": relu6(nn.GroupNorm(4, 64)),
    "unnamed Hardtanh behind a wide norm": relu6(None, lambda x: x.clamp(0, 20)),
    "unnamed SiLU": relu6(None, functional.silu),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_what_is_done_around_the_blocks_is_done(kind):
    model = around(TAKEN[kind]).eval()
    network, inputs = adapt(model), torch.randn(2, 3, 64, 64)
    assert len(network.blocks) == (7 if "drops" in kind else 8)
    assert torch.equal(network(inputs), model(inputs))
    assert gradient_by_length(network, inputs, torch.tensor([0, 1])).sum_relative_error < 1e-5


OTHERWISE = "computes something other than what was followed of it, or draws at random"
REFUSED = {
    "backward hook on a block": (
        lambda m: m.layer2[0].register_full_backward_hook(lambda _, into, __: (0.5 * into[0],)),
        OTHERWISE,
    ),
    "always dropped out": (
        lambda m: patch(m.layer3[1], "forward", lambda self, x: functional.dropout(type(self).forward(self, x))),
        OTHERWISE,
    ),
    "random layer": (
        lambda m: m.layer1[0].bn2.register_forward_hook(lambda *given: functional.dropout(given[-1])),
        OTHERWISE,
    ),
    "compiled stage": (
        lambda m: setattr(m, "layer4", torch.compile(m.layer4, backend="eager")),
        r"layer4, a part of the model, must not be compiled.*_orig_mod",
    ),
    "compiled block": (
        lambda m: set_item(m.layer1, 1, torch.compile(m.layer1[1], backend="eager")),
        r"layer1\.1, a part of the model, must not be compiled",
    ),
    "batch norms of the batch": (
        lambda m: setattr(m, "bn1", nn.BatchNorm2d(64, track_running_stats=False)),
        "each image by itself.*running statistics",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_followed_is_refused(kind):
    change, told = REFUSED[kind]
    with pytest.raises(TypeError, match=told):
        adapt(around(change))


def test_a_compiled_model_is_refused_with_the_cure():
    with pytest.raises(TypeError, match=r"The model must not be compiled; got a .*OptimizedModule: put the original"):
        adapt(torch.compile(Narrow(BasicBlock, [1, 1, 1, 1]), backend="eager"))


def test_hooks_that_only_look_on_are_taken():
    model, seen = theirs(), []
    for module in (model, model.layer1, model.layer1[0]):
        module.register_forward_hook(lambda *given: seen.append(given[-1]))
    network = adapt(model)
    assert relative_error(network(x := images()), model(x)) < 1e-6
    assert len(seen) > 3


# Heads that give probabilities.


class Classifier(nn.Sequential):
    """A head of the user's own, in which nothing is called."""


PROBABILITIES = {
    "sigmoid": nn.Sequential(nn.Linear(16, 1), nn.Sigmoid()),
    "sigmoid of several": nn.Sequential(nn.Linear(16, 10), nn.Sigmoid(), nn.Identity()),
    "log sigmoid": Classifier(nn.Linear(16, 1), nn.Sequential(nn.LogSigmoid())),
    "softmax": nn.Sequential(nn.Linear(16, 10), nn.Softmax(1)),
    "a subclass": nn.Sequential(nn.Linear(16, 10), type("Cold", (nn.Softmax,), {})(1)),
}


@pytest.mark.parametrize("kind", PROBABILITIES)
def test_a_head_that_ends_in_probabilities_is_refused(kind):
    model = theirs()
    model.linear = PROBABILITIES[kind].eval()
    with pytest.raises(
        InputError, match=r"must give logits; got (head\.linear\..*|a softmax,) at its end.*model\.fc = model\.fc\[0\]"
    ):
        adapt(model)


def test_rows_of_probabilities_are_refused_and_of_their_logarithms_taken():
    hook = (model := theirs()).linear.register_forward_hook(lambda *given: given[-1].softmax(1))
    with pytest.raises(
        InputError, match="must return logits; got rows from 0 to 1 whose sum is 1: leave out the softmax"
    ):
        adapt(model)
    hook.remove()
    model.linear = nn.Sequential(model.linear, nn.LogSoftmax(1).eval())
    assert relative_error(adapt(model)(x := images()), model(x)) < 1e-6


# What cannot be compared.


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["layer1.0.conv1.weight", "layer2.1.bn2.running_var", "linear.bias"])
def test_weights_that_are_not_finite_are_named(name, value):
    model = theirs()
    model.state_dict()[name].view(-1)[1] = value
    with pytest.raises(InputError, match=f"must be finite; got NaN or infinity in {name}: "):
        adapt(model)


def test_lazy_layers_are_taken_once_they_have_seen_a_batch():
    model = theirs()
    model.layer1[1].conv1 = nn.LazyConv2d(8, 3, padding=1, bias=False)
    model.layer1[1].bn1 = nn.LazyBatchNorm2d().eval()
    bare = ResidualNetwork(
        nn.LazyConv2d(4, 1), [], nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    )
    for ask in (lambda: adapt(model), lambda: trace(bare.eval(), images(), torch.arange(4))):
        with pytest.raises(InputError, match=r"got (layer1\.1\.conv1|stem), a LazyConv2d, without.*once on a batch"):
            ask()
    model(x := images())
    assert relative_error(adapt(model)(x), model(x)) < 1e-6


UNFIT = {
    "double": (
        lambda x: x.double(),
        r"got torch\.float64 of shape \(4, 3, 32, 32\) .*: write images\.to\(torch\.float32\)",
    ),
    "uint8": (lambda x: x.to(torch.uint8), r"got torch\.uint8 .*: normalise them, which gives torch\.float32"),
    "channels last": (
        lambda x: x.movedim(1, -1),
        r"got torch\.float32 of shape \(4, 32, 32, 3\).*: write images\.movedim\(-1, 1\), since the channels come last",
    ),
    "an array": (lambda x: x.numpy(), "got a ndarray"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_images_that_the_model_does_not_take_are_named_and_not_its_layers(kind):
    change, told = UNFIT[kind]
    with pytest.raises(InputError, match=f"^Images must be .*{told}"):
        adapt(theirs(), change(images()))


@pytest.mark.parametrize(
    ("forward", "told"),
    [
        (lambda logits: logits[:, 0], r"got a tensor of shape \(2,\) for 2 images: .*logits\[:, None\]"),
        (lambda logits: logits[:, :, None, None], r"shape \(2, 10, 1, 1\) for 2 images: .*logits\.flatten\(1\)"),
        (lambda logits: (logits,), "got a tuple for 2 images: let its forward return the class scores alone"),
        (lambda logits: logits[:, :0], r"shape \(2, 0\) for 2 images: let its forward"),
    ],
)
def test_an_output_that_is_no_logits_is_told_with_the_cure(forward, told):
    model = theirs()
    model.register_forward_hook(lambda *given: forward(given[-1]))
    with pytest.raises(TypeError, match=rf"must return logits of shape \(batch, classes\); .*{told}"):
        adapt(model)


# Modes of what a walk does not call.


@pytest.mark.parametrize("part", ["", "layer2", "layer2.1"])
def test_a_model_stage_or_block_in_training_mode_is_refused(part):
    model = theirs()
    model.layer2 = type("Stage", (nn.Sequential,), {})(*model.layer2)
    model.eval().get_submodule(part).training = True  # its norms are frozen; a dropout in its forward would not be
    network = adapt(model)
    with pytest.raises(InputError, match=r"got layer\d\.\d, a GraphBlock, in training mode"):
        trace(network, images(), torch.arange(4))
    assert trace(network.eval(), images(), torch.arange(4)).images == 4


def test_a_copy_of_an_activation_keeps_its_mode():
    network = adapt(around(lambda model: setattr(model.layer1[1], "relu", nn.RReLU(inplace=True))))
    with pytest.raises(InputError, match=r"got layer1\.1\.branch\.relu, a RReLU, in training mode"):
        trace(network, images(), torch.arange(4))


# What no gradient reaches.


class Quantised(nn.Conv2d):
    """Its weight is rounded, and no gradient goes through that."""

    def forward(self, tensor):
        return self._conv_forward(tensor, (16 * self.weight.detach()).round() / 16, self.bias)


class Spare(nn.Conv2d):
    """A convolution with a weight that it does not use."""

    def __init__(self, *settings, **named):
        super().__init__(*settings, **named)
        self.spare = nn.Parameter(torch.ones(3))


class Fixed(nn.Conv2d):
    def forward(self, tensor):
        with torch.no_grad():
            return super().forward(tensor)


def detached(*given):
    return given[-1].detach()


CUT = {
    "unused weight": lambda: with_layer(CONV, replaced(Spare)),
    "quantised weight": lambda: with_layer(CONV, replaced(Quantised)),
    "fixed convolution": lambda: with_layer(CONV, replaced(Fixed)),
    "detached branch": lambda: hooked(NORM, "register_forward_hook", detached),
    "fixed stem": lambda: with_layer("conv1", lambda _: Fixed(3, 8, 3, 2, padding=1, bias=False)),
    "detached head": lambda: hooked("linear", "register_forward_hook", detached),
}


@pytest.mark.parametrize("kind", CUT)
def test_where_no_gradient_comes_it_is_zero(kind, monkeypatch):
    monkeypatch.setattr(image_attribution, "STEPS", (4,))
    model = CUT[kind]()
    inputs, labels = images(), torch.arange(4)
    network = adapt(model)
    traced = trace(network, inputs, labels)
    entering = model.bn1(model.conv1(inputs)).relu().detach().requires_grad_()
    rest = model.layer2(model.layer1(entering))
    logits = model.linear(functional.avg_pool2d(rest, rest.shape[-1]).flatten(1))
    stream, weight = torch.zeros_like(entering), torch.zeros(1)
    if logits.requires_grad:
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        wanted = [entering, *model.layer1[1].parameters()]
        stream, *weights = torch.autograd.grad(loss, wanted, materialize_grads=True)
        weight = torch.cat([each.flatten() for each in weights]) / 4
    assert traced.stream_gradient_norm[0] == pytest.approx(stream.flatten(1).norm(dim=1).mean().item(), rel=1e-4)
    assert traced.parameter_gradient_norm[1] == pytest.approx(weight.norm().item(), rel=1e-4)
    assert gradient_by_length(network, inputs, labels).sum_relative_error < 1e-5
    assert (branch_size(network, inputs, labels).by_image > 0).all()
    if kind != "detached head":
        assert np.abs(first_order(network, inputs, labels).by_image).sum() > 0
    pixels = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    found = image_attribution.integrated_gradients(
        network, PREPROCESSING, ImageSet("noise", pixels, None, ("a",)), 0, [1.0] * 4
    )
    assert bool(np.abs(found.picture).sum() > 0) == (kind not in ("fixed stem", "detached head"))


# Hooks that bend the gradient.


@pytest.mark.parametrize("bend", [lambda g: g.clamp(min=0), lambda g: g.sign() * g.abs().max(), lambda g: g.square()])
def test_a_backward_hook_that_is_not_linear_is_refused(bend):
    model = theirs()
    for block in (*model.layer1, *model.layer2):
        block.bn1.register_full_backward_hook(lambda _, into, __: (bend(into[0]),))
    network = adapt(model)
    inputs, label = images(1), torch.tensor([1])
    for ask in (strongest_paths, lambda *given: path_gradient(*given, [True] * 4), sampled_path_norms):
        with pytest.raises(
            InputError, match=r"must add up to autograd's; got a relative error of .*hook that is not linear"
        ):
            ask(network, inputs, label)


# Three dimensions, one, and none.


class AnyBlock(nn.Module):
    def __init__(self, conv, norm, channels):
        super().__init__()
        self.conv1, self.bn1 = conv(channels, channels, 3, 1, 1), norm(channels)
        self.conv2, self.bn2 = conv(channels, channels, 3, 1, 1), norm(channels)

    def forward(self, x):
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class AnyNetwork(nn.Module):
    def __init__(self, dimensions, channels=4):
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
        norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dimensions - 1]
        self.conv1, self.bn1 = conv(1, channels, 3, 1, 1), norm(channels)
        self.layer1 = nn.Sequential(AnyBlock(conv, norm, channels), AnyBlock(conv, norm, channels))
        self.fc = nn.Linear(channels, 5)

    def forward(self, x):
        return self.fc(self.layer1(torch.relu(self.bn1(self.conv1(x)))).flatten(2).mean(2))


def tokens() -> ResidualNetwork:
    """A network over tokens (batch, 6, 4)."""
    blocks = [Block("basic", nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4)), nn.Identity()) for _ in range(2)]
    head = nn.Sequential(nn.Flatten(1), nn.Linear(24, 5))
    return ResidualNetwork(nn.Linear(3, 4), [blocks], head).eval()


def features() -> ResidualNetwork:
    """A network over vectors (batch, 4)."""
    blocks = [Block("basic", nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), nn.Identity()) for _ in range(2)]
    return ResidualNetwork(nn.Linear(3, 4), [blocks], nn.Linear(4, 5)).eval()


SHAPES = {
    "3-D": (lambda: adapt(AnyNetwork(3).eval()), (1, 6, 6, 6)),
    "2-D": (lambda: adapt(AnyNetwork(2).eval()), (1, 6, 6)),
    "1-D": (lambda: adapt(AnyNetwork(1).eval()), (1, 6)),
    "tokens": (tokens, (6, 3)),
    "vectors": (features, (3,)),
}


@pytest.mark.parametrize("batch", [4, 3])  # as many images as channels, and not
@pytest.mark.parametrize("kind", SHAPES)
def test_streams_of_any_shape(kind, batch):
    make, shape = SHAPES[kind]
    network, inputs, labels = make(), torch.randn(batch, *shape), torch.arange(batch)
    gates = torch.rand(batch, 2)
    gates[0, 0] = 0
    alone = torch.cat([network(inputs[i : i + 1], gates[i].tolist()) for i in range(batch)])
    torch.testing.assert_close(network(inputs, gates), alone)
    traced = trace(network, inputs, labels)
    assert traced.stream_gradient_norm.shape == (2,)
    entering = network.stem(inputs).detach().requires_grad_()
    functional.cross_entropy(network.head(network.walk(entering)), labels, reduction="sum").backward()
    expected = entering.grad.flatten(1).norm(dim=1).mean().item()
    assert traced.stream_gradient_norm[0] == pytest.approx(expected, rel=1e-4)
    by_length = gradient_by_length(network, inputs, labels)
    assert by_length.norms.shape == (batch, 3)
    assert by_length.sum_relative_error < 1e-5
    assert true_deletion(network, inputs, labels).by_image.shape == (batch, 2)
    assert strongest_paths(network, inputs[:1], labels[:1]).shares.sum() == pytest.approx(1, abs=1e-4)


class Mixing(nn.Module):
    """What one token hands on to others (batch, tokens, channels)."""

    def __init__(self, tokens, channels):
        super().__init__()
        self.norm, self.last = nn.LayerNorm(channels), nn.Linear(tokens, tokens)

    def forward(self, x):
        return x + self.last(self.norm(x).mT).mT


class Perceptron(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm, self.first, self.last = (
            nn.LayerNorm(channels),
            nn.Linear(channels, 8),
            nn.Linear(8, channels),
        )

    def forward(self, x):
        return x + self.last(functional.gelu(self.first(self.norm(x))))


class Mixer(nn.Module):
    """A network that takes the rows of a picture as tokens."""

    def __init__(self):
        super().__init__()
        self.embed, self.layer1 = nn.Linear(8, 4), nn.Sequential(Mixing(8, 4), Perceptron(4))
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(self.layer1(self.embed(x)).mean(1))


class OfPictures(nn.Module):
    """A network of another shape that is given pictures (batch, 1, 8, 8)."""

    def __init__(self, network, shape):
        super().__init__()
        self.network, self.shape = network, shape

    def forward(self, x):
        return self.network(x.reshape(x.shape[0], *self.shape))


OF_PICTURES = {
    "signals": lambda: OfPictures(AnyNetwork(1), (1, 64)),
    "volumes": lambda: OfPictures(AnyNetwork(3), (1, 4, 4, 4)),
    "tokens": lambda: OfPictures(Mixer(), (8, 8)),
}


@pytest.mark.parametrize("kind", OF_PICTURES)
def test_pictures_whose_streams_are_signals_volumes_or_tokens(kind, image_set):
    model = OF_PICTURES[kind]().eval()
    inputs, labels = SMALL_PREPROCESSING.normalise(image_set.pixels), image_set.labels % 5
    network = adapt(model, inputs)
    seen = []
    hooks = [
        unit.register_forward_hook(lambda *given: seen.append((given[1][0], given[2]))) for unit in model.network.layer1
    ]
    logits = model(inputs)
    for hook in hooks:
        hook.remove()
    for _, leaving in seen:
        leaving.retain_grad()
    seen[0][0].retain_grad()
    functional.cross_entropy(logits, labels, reduction="sum").backward()
    gradients = [seen[0][0].grad, seen[0][1].grad]  # before each of the two blocks
    expected = [gradient.flatten(1).norm(dim=1).mean().item() for gradient in gradients]
    assert trace(network, inputs, labels).stream_gradient_norm == pytest.approx(expected, rel=1e-4)
    by_length = gradient_by_length(network, inputs, labels)
    assert by_length.norms.shape == (16, 3) and by_length.sum_relative_error < 1e-5
    found = influence(network, inputs, labels)
    for number, (entering, leaving) in enumerate(seen):
        growth = leaving.flatten(1).norm(dim=1) / entering.flatten(1).norm(dim=1)
        np.testing.assert_allclose(found.growth[:, number], growth.detach(), rtol=1e-5)
        cosine = functional.cosine_similarity(leaving.flatten(1), entering.flatten(1)).detach()
        np.testing.assert_allclose(found.cosine[:, number], cosine, atol=1e-5)
    images = replace(image_set, labels=labels)
    swept = sweep(network, SMALL_PREPROCESSING, images)
    losses = loss_of_each(
        network, SMALL_PREPROCESSING, images, [network.gates_without([each]) for each in swept.blocks]
    )
    for number, unit in enumerate(model.network.layer1):
        silenced = deepcopy(model)
        last = "bn2" if isinstance(unit, AnyBlock) else "last"
        for parameter in silenced.network.layer1[number].get_submodule(last).parameters():
            nn.init.zeros_(parameter)
        logits = silenced(inputs).detach()
        assert swept.predictions[number].tolist() == logits.argmax(1).tolist()
        np.testing.assert_allclose(
            losses[number], functional.cross_entropy(logits, labels, reduction="none"), rtol=1e-5
        )


# The folded copy and the network.


def test_a_copy_that_rounds_too_much_is_not_used():
    network = adapt(theirs())
    pixels = torch.randint(0, 256, (COMPARED, 3, 32, 32), dtype=torch.uint8)
    found = ImageSet("noise", pixels, None, ("a", "b"))
    copy = folded(network)
    assert compared(copy, network, PREPROCESSING, found) is copy
    other = deepcopy(network)
    torch.nn.init.zeros_(other.blocks["layer2.1"].branch.conv2.weight)
    assert compared(folded(other), network, PREPROCESSING, found) is network


def test_a_network_that_draws_at_random_is_refused_by_the_sweep():
    layers = OrderedDict(conv=nn.Conv2d(3, 3, 1), drop=StochasticDepth(0.5, "row"))
    network = ResidualNetwork(
        nn.Identity(),
        [[Block("basic", nn.Sequential(layers), nn.Identity())]],
        head := nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4)),
    )
    network.eval()
    head[2].register_forward_hook(lambda *given: functional.dropout(given[-1]))
    found = ImageSet("noise", torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8), None, tuple("abcd"))
    with pytest.raises(InputError, match="same output each time; got others: a layer draws at random"):
        sweep(network, PREPROCESSING, found)
