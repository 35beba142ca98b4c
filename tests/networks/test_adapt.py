"""The adapter: other people's networks walked with gates; what the layout decides, what is compared, what is refused."""

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from itertools import product
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import densenet121, mobilenet_v2, resnet18, vgg11
from torchvision.models import resnet as torchvision_resnet

import resnet_viz
from resnet_viz.errors import InputError
from resnet_viz.experiments.deletion import sweep
from resnet_viz.experiments.paths import gradient_by_length
from resnet_viz.experiments.trace import trace
from resnet_viz.networks.adapt import adapt
from resnet_viz.networks.blocks import PreactivationBlock
from resnet_viz.networks.description import branch_layers_of, describe
from resnet_viz.networks.folding import folded
from resnet_viz.networks.images import ImageSet, Preprocessing
from resnet_viz.networks.network import ResidualNetwork

from ..conftest import everything_about, lived_in, relative_error

layouts = pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last], ids=["default", "channels_last"]
)
CHANNELS = {64: 64, 128: 32, 256: 32, 512: 64}  # of the four stages: the original's, and those here


class Narrow(torchvision_resnet.ResNet):
    """torchvision's, but for CHANNELS."""

    def __init__(self, *settings, **named):
        super().__init__(*settings, **named)
        self.fc = nn.Linear(self.inplanes, 10)

    def _make_layer(self, block, channels, *settings, **named):
        return super()._make_layer(block, CHANNELS[channels], *settings, **named)


TORCHVISION = {
    "resnet18": lambda: resnet18(num_classes=10),
    "resnext": lambda: Narrow(torchvision_resnet.Bottleneck, [1, 2, 1, 1], groups=4, width_per_group=4),
    "wide": lambda: Narrow(torchvision_resnet.Bottleneck, [1, 1, 1, 1], width_per_group=128),
}
ONES = {"layers": (1, 1, 1, 1), "channels": tuple(CHANNELS.values())}
TIMM = {
    "resnet18": ONES,
    "resnet10t": ONES | {"global_pool": "catavgmax"},  # basic, deep stem, average-pool shortcuts
    "resnet26d": ONES | {"layers": (2, 1, 1, 1)},  # the same with bottlenecks
    "seresnet18": ONES,
    "ecaresnet26t": ONES,
    "resnetblur18": ONES,
    "resnetaa50d": ONES,
    "resnetrs50": ONES,  # attention, and a strided convolution in place of the max pool
    "resnet14t": ONES | {"act_layer": "prelu"},  # activations with weights of their own
    "resnet50_gn": ONES | {"zero_init_last": False},
    "resnet34": ONES
    | {"layers": (1, 2, 1, 1), "act_layer": "silu", "drop_path_rate": 0.2, "drop_block_rate": 0.1, "drop_rate": 0.3},
}
MODELS = [*(f"torchvision {name}" for name in TORCHVISION), *(f"timm {name}" for name in TIMM)]
NOT_ELEMENTWISE = [f"timm {name}" for name in ("seresnet18", "ecaresnet26t", "resnetblur18", "resnet50_gn", "resnet34")]


def make(name: str) -> nn.Module:
    """A network of torchvision's ('torchvision resnet18') or timm's in eval mode, with batch norms as after training."""
    torch.manual_seed(0)
    source, name = name.split()
    model = TORCHVISION[name]() if source == "torchvision" else timm.create_model(name, num_classes=10, **TIMM[name])
    return lived_in(model, torch.randn(4, 3, 64, 64))


@pytest.fixture(scope="module", params=MODELS)
def model(request) -> nn.Module:
    """To be read, not changed; so is ``network``."""
    return make(request.param)


@pytest.fixture(scope="module")
def network(model) -> ResidualNetwork:
    """The model, adapted."""
    return adapt(model)


not_elementwise = pytest.mark.parametrize("model", NOT_ELEMENTWISE, indirect=True)


@layouts
@torch.no_grad()
def test_logits_are_the_models_bit_for_bit(model, device, layout):
    model = deepcopy(model).to(device, memory_format=layout)
    images = torch.randn(2, 3, 64, 64, device=device).to(memory_format=layout)
    expected = model(images)
    network = adapt(model)
    assert torch.equal(network(images), expected)
    assert torch.equal(network(images, [1.0] * len(network.blocks)), expected)
    assert torch.equal(model(images), expected)


@torch.no_grad()
def test_deleting_a_block_is_zeroing_its_last_norm(model, network):
    images = torch.randn(2, 3, 64, 64)
    names = [name for name, module in model.named_modules() if name.count(".") == 1 and name.startswith("layer")]
    assert list(network.blocks) == names
    for name in {names[0], names[1], names[-1]}:
        lesioned = deepcopy(model)
        block = lesioned.get_submodule(name)
        last = block.bn3 if hasattr(block, "bn3") else block.bn2
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        deleted = network(images, network.gates_without([name]))
        assert torch.equal(deleted, lesioned(images))
        assert not torch.equal(deleted, network(images))


def test_each_block_is_the_activation_of_its_sum(model, network):
    stream = network.stem(torch.randn(2, 3, 64, 64))
    for name, block in network.blocks.items():
        shortcut, branch_input = block.split(stream)
        output = model.get_submodule(name)(stream.clone())
        assert torch.equal(block.activation(block.branch(branch_input) + shortcut), output)
        stream = output


def test_the_layers_are_shared_and_only_activations_are_not(model, network):
    assert {id(parameter) for parameter in network.parameters()} == {id(parameter) for parameter in model.parameters()}
    assert {id(buffer) for buffer in network.buffers()} == {id(buffer) for buffer in model.buffers()}
    own = [layer for module in network.modules() if type(module) is nn.Sequential for layer in module]
    assert not any(getattr(layer, "inplace", False) for layer in own)


@pytest.mark.parametrize("name", ["torchvision resnext", "timm resnet10t", "timm resnet34"])
def test_the_model_is_left_as_it_was(name):
    model = make(name).train()
    model.bn1.eval()  # a frozen norm
    model.layer2.eval()
    model.fc.bias.requires_grad_(False)
    model.layer1[0].conv1.weight.grad = torch.ones_like(model.layer1[0].conv1.weight)
    model.layer1.register_forward_hook(lambda *_: None)
    before, modules, descriptions = everything_about(model), dict(model.named_modules()), repr(model)
    random = torch.get_rng_state()
    network = adapt(model)
    assert torch.equal(torch.get_rng_state(), random)
    after = everything_about(model)
    assert before.keys() == after.keys()
    assert all(
        torch.equal(value, after[name]) if torch.is_tensor(value) else value == after[name]
        for name, value in before.items()
    )
    assert dict(model.named_modules()) == modules
    assert repr(model) == descriptions  # the activations work in place as before
    assert network.training and network.blocks["layer1.0"].training and not network.stem.bn1.training
    assert not adapt(model.eval()).training


def test_in_training_mode_nothing_is_measured():
    network = adapt(timm.create_model("resnet18", **ONES, zero_init_last=False, drop_path_rate=0.5))
    with pytest.raises(InputError, match="must be in eval mode"):
        trace(network, torch.randn(2, 3, 64, 64), torch.tensor([0, 1]))


# What can be asked of the result.


@not_elementwise
def test_every_length_is_the_sum_over_its_paths(network):
    images, labels = torch.randn(2, 3, 64, 64), torch.tensor([0, 1])
    blocks = list(network.blocks.values())
    streams = [stream.detach() for stream in network.streams(images)]
    last = streams[-1].clone().requires_grad_()
    functional.cross_entropy(network.head(last), labels, reduction="sum").backward()
    sums = [torch.zeros_like(streams[0]) for _ in range(len(blocks) + 1)]
    for path in product((False, True), repeat=len(blocks)):
        gradient = last.grad
        for block, stream, takes_branch in reversed(list(zip(blocks, streams, path, strict=False))):
            stream = stream.clone().requires_grad_()
            shortcut, branch = block.shortcut(stream), block.branch(stream)
            total = (shortcut + branch).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(block.activation(total), total, gradient)
            (gradient,) = torch.autograd.grad(branch if takes_branch else shortcut, stream, gradient)
        sums[sum(path)] += gradient
    expected = torch.stack([each.flatten(1).norm(dim=1) for each in sums], 1).numpy()
    result = gradient_by_length(network, images, labels)
    np.testing.assert_allclose(result.norms, expected, rtol=1e-4, atol=1e-6 * expected.max())


def test_all_lengths_together_are_autograds_gradient(network):
    images, labels = torch.randn(2, 3, 64, 64), torch.tensor([0, 1])
    assert gradient_by_length(network, images, labels).sum_relative_error <= 1e-5


def test_what_a_description_counts(model, network):
    description = describe(network, Preprocessing(resize=64, crop=64, mean=(0.5,) * 3, std=(0.25,) * 3))
    assert description.params == sum(parameter.numel() for parameter in model.parameters())
    basic = "Basic" in type(model.layer1[0]).__name__
    assert {block.kind for block in description.blocks} == {"basic" if basic else "bottleneck"}
    assert description.blocks[-1].shortcut == ("identity" if len(model.layer4) > 1 else "projection")
    stream = network.streams(torch.randn(1, 3, 64, 64))[0]
    kinds = [layer.kind for layer in branch_layers_of(network.blocks["layer1.0"], stream)]
    assert sum("convolution" in kind for kind in kinds) == (2 if basic else 3)


@torch.no_grad()
def test_folded_logits_are_the_models(model, network):
    model, network = deepcopy((model, network))  # they share their layers
    model.double(), network.double()
    image = torch.randn(1, 3, 64, 64).double()  # since norms of so few pixels blow rounding up
    assert relative_error(folded(network)(image), model(image)) < 1e-12


@not_elementwise
def test_a_sweep_predicts_what_the_gates_do(model, network):
    preprocessing = Preprocessing(resize=64, crop=64, mean=(0.5,) * 3, std=(0.25,) * 3)
    pixels = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    swept = sweep(network, preprocessing, ImageSet("noise", pixels, None, ("a", "b", "c")))
    inputs = preprocessing.normalise(pixels)
    assert swept.intact.tolist() == model(inputs).argmax(1).tolist()
    for name, predictions in zip(swept.blocks, swept.predictions, strict=True):
        assert predictions.tolist() == network(inputs, network.gates_without([name])).argmax(1).tolist()


@not_elementwise
def test_traced_gradients_are_those_of_the_model(model, network):
    images, labels = torch.randn(2, 3, 64, 64), torch.tensor([0, 1])
    traced = trace(network, images, labels)
    loss = functional.cross_entropy(model(images), labels)
    for name, norm in zip(traced.blocks, traced.parameter_gradient_norm, strict=True):
        parameters = list(model.get_submodule(name).parameters())
        gradients = [gradient.flatten() for gradient in torch.autograd.grad(loss, parameters, retain_graph=True)]
        assert norm == pytest.approx(torch.cat(gradients).double().norm().item(), rel=1e-5)


# Networks that follow the layout.


class Subsample(nn.Module):
    """Option A, as many write it."""

    def forward(self, tensor):
        return functional.pad(tensor[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))


class TheirBlock(nn.Module):
    """A basic block with functional activations; ``change`` makes it compute something else."""

    def __init__(self, in_channels, channels, stride, change=""):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential() if stride == 1 else Subsample()
        self.change = change

    def forward(self, tensor):
        out = self.bn1(self.conv1(tensor))
        out = functional.leaky_relu(out) if self.change == "another activation" else functional.relu(out)
        out = self.bn2(self.conv2(out))
        if self.change == "activation before the sum":
            return self.shortcut(tensor) + functional.relu(out)
        if self.change == "another sum":
            out = 0.5 * out
        out += self.shortcut(tensor)
        return functional.relu(out)


class TheirNetwork(nn.Module):
    """A small network for images of 32x32 pixels alone, which pools a fixed 4x4; ``changes``: part -> what is different."""

    def __init__(self, changes=None, size=32):
        super().__init__()
        self.changes = changes or {}
        self.size = size
        self.conv0 = nn.Conv2d(3, 5, 1) if "longer stem" in self.changes else nn.Identity()
        self.conv1 = nn.Conv2d(5 if "longer stem" in self.changes else 3, 8, 3, 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(*(TheirBlock(8, 8, 1, self.changes.get(f"layer1.{i}")) for i in range(2)))
        self.layer2 = nn.Sequential(
            TheirBlock(8, 16, 2, self.changes.get("layer2.0")), TheirBlock(16, 16, 1, self.changes.get("layer2.1"))
        )
        self.linear = nn.Linear(16, 10)

    def forward(self, images):
        if images.shape[-1] != self.size:
            raise ValueError("another size was expected")
        out = self.bn1(self.conv1(self.conv0(images)))
        out = out if "stem" in self.changes else functional.relu(out)
        out = self.layer2(self.layer1(out))
        pool = functional.max_pool2d if "head" in self.changes else functional.avg_pool2d
        logits = self.linear(pool(out, out.shape[-1]).flatten(1))
        if "squeezed" in self.changes:
            return logits.squeeze()
        return (logits, out) if "pair" in self.changes else logits


def test_a_network_of_the_same_layout():
    images = torch.randn(4, 3, 32, 32)
    model = lived_in(TheirNetwork(), images)
    network = adapt(model)
    assert list(network.blocks) == ["layer1.0", "layer1.1", "layer2.0", "layer2.1"]
    assert [block.shortcut_kind for block in network.blocks.values()] == [
        "identity",
        "identity",
        "parameter-free",
        "identity",
    ]
    stream = model.layer2(model.layer1(functional.relu(model.bn1(model.conv1(images)))))
    assert torch.equal(network.streams(images)[-1], stream)
    assert relative_error(network(images), model(images)) < 1e-6  # it pools with another function
    assert gradient_by_length(network, images, torch.arange(4)).sum_relative_error <= 1e-5


@pytest.mark.parametrize("change", ["another activation", "activation before the sum", "another sum"])
@pytest.mark.parametrize("block", ["layer1.0", "layer2.0", "layer2.1"])
def test_a_block_is_taken_as_it_computes(block, change):
    images = torch.randn(4, 3, 32, 32)
    model = lived_in(TheirNetwork({block: change}), images)
    network = adapt(model)
    assert list(network.blocks) == ["layer1.0", "layer1.1", "layer2.0", "layer2.1"]
    assert torch.equal(network(images), model(images))
    assert gradient_by_length(network, images, torch.arange(4)).sum_relative_error <= 1e-5
    other = lived_in(TheirNetwork(), images)
    other.load_state_dict(model.state_dict())
    assert not torch.equal(network(images), other(images))


def test_what_draws_at_random_is_seen():
    class Noisy(TheirBlock):
        def forward(self, tensor):
            return super().forward(tensor) + torch.rand(1)

    model = TheirNetwork()
    model.layer1[1] = Noisy(8, 8, 1)
    with pytest.raises(TypeError, match=r"TheirNetwork computes something other than what was followed of it"):
        adapt(model)


def test_a_forward_that_decides_by_numbers_is_refused():
    class Early(TheirNetwork):
        def forward(self, images):
            return super().forward(images if images.mean() > 0 else -images)

    with pytest.raises(TypeError, match=r"Early cannot be followed .*decides by the numbers that it sees"):
        adapt(Early())


def pack(tensors):
    """einops' in small: what looks into its arguments and gives shapes beside a tensor."""
    assert all(type(each) is torch.Tensor for each in tensors)
    return torch.cat([each.flatten(1) for each in tensors], 1), [each.shape[1:] for each in tensors]


def unpack(packed, shapes):
    parts = packed.split([shape.numel() for shape in map(torch.Size, shapes)], 1)
    return [part.view(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]


def test_functions_of_einops_are_operations(monkeypatch):
    class Packed(TheirNetwork):
        def forward(self, images):
            packed, shapes = pack([functional.relu(self.bn1(self.conv1(images))), images])
            inner, _ = unpack(self.layer3(packed), shapes)
            return self.linear(self.layer2(self.layer1(inner)).mean((2, 3)))

    monkeypatch.setitem(sys.modules, "einops", SimpleNamespace(pack=pack, unpack=unpack))
    model, images = Packed(), torch.randn(2, 3, 32, 32)
    model.layer3 = Scaled()
    network = adapt(model.eval(), images)
    assert network.stage_sizes() == {"layer1": 1, "layer2": 2, "layer3": 2}
    assert torch.equal(network(images), model(images))
    assert torch.equal(network(images[:1]), model(images[:1]))


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.within = nn.Identity()  # what has no layers within is not followed

    def forward(self, tensor):
        return tensor + self.within(self.scale * tensor)


def test_a_condition_is_looked_up_along_each_operation_once():
    class Deep(TheirNetwork):
        def forward(self, images):
            size = images.shape[-1]
            for _ in range(100):  # 2^100 ways lead back from the condition: were each gone, this would not end
                size = ((size + 1) + (size - 1)) // 2
            return super().forward(images) if size > 16 else images

    images = torch.randn(2, 3, 32, 32)
    model = Deep().eval()
    assert torch.equal(adapt(model, images)(images), model(images))


def test_a_network_may_end_in_a_sum():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = lived_in(resnet18(num_classes=3), torch.randn(4, 3, 64, 64)), vgg11(num_classes=3)

        def forward(self, images):
            return self.one(images) + self.other(images)

    model, images = Two().eval(), torch.randn(2, 3, 64, 64)
    network = adapt(model, images)
    assert torch.equal(network(images), model(images))
    assert torch.equal(network(images, [0.0]), model.other(images))


def test_what_is_kept_of_the_weights_in_eval_mode_is_made_anew_before_the_comparison():
    class Keeping(Scaled):  # as LeViT keeps its attention biases
        def __init__(self):
            super().__init__()
            self.kept = {}

        def train(self, mode=True):
            if mode:
                self.kept.clear()
            return super().train(mode)

        def forward(self, tensor):
            key = str(tensor.device)
            if key not in self.kept:
                self.kept[key] = 3 * self.scale
            return tensor + self.within(self.kept[key] * tensor)

    model, images = TheirNetwork(), torch.randn(2, 3, 32, 32)
    model.layer2.append(Keeping())
    model.eval()
    assert torch.equal(adapt(model, images)(images), model(images))


def test_a_network_followed_for_one_shape_takes_no_other():
    network = adapt(lived_in(TheirNetwork(), torch.randn(4, 3, 32, 32)))
    with pytest.raises(InputError, match=r"adapted for images of shape \(3, 32, 32\)"):
        network(torch.randn(2, 3, 48, 48))


@pytest.mark.parametrize("part", ["stem", "longer stem", "head"])
def test_another_stem_or_head_is_taken(part):
    images = torch.randn(4, 3, 32, 32)
    model = lived_in(TheirNetwork({part: "different"}), images)
    assert torch.equal(adapt(model)(images), model(images))


@pytest.mark.parametrize(("part", "got"), [("pair", "a tuple"), ("squeezed", r"a tensor of shape \(10,\) for 1")])
def test_what_is_no_logits_is_named(part, got):
    with pytest.raises(TypeError, match=rf"TheirNetwork must return logits of shape \(batch, classes\); got {got}"):
        adapt(TheirNetwork({part: "different"}), torch.randn(1, 3, 32, 32))


def test_images_are_wanted_where_no_noise_is_taken():
    model = TheirNetwork(size=48)
    with pytest.raises(
        InputError, match=r"TheirNetwork takes no images of 64, 32, 224 .*another size.*adapt\(model, images\)"
    ):
        adapt(model)
    images = torch.randn(2, 3, 48, 48)
    assert relative_error(adapt(model, images).eval()(images), model.eval()(images)) < 1e-6


@pytest.mark.parametrize(("precision", "rounding"), [(torch.float64, 1e-12), (torch.bfloat16, 1e-2)])
def test_other_precisions_stay(precision, rounding):
    model = TheirNetwork().to(precision).eval()
    images = torch.randn(2, 3, 32, 32).to(precision)
    logits = adapt(model)(images)
    assert logits.dtype == precision
    assert relative_error(logits, model(images)) < rounding


# What is refused, and what is said.


def scripted() -> nn.Module:
    model = TORCHVISION["resnet18"]()
    model.layer1[0] = torch.jit.script(model.layer1[0])
    return model


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda: densenet121(num_classes=10), r"DenseNet has no residual block: it joins its ways \(torch\.cat\)"),
        (lambda: vgg11(num_classes=10), "VGG has no residual block: its stream never passes the sum of two ways"),
        (lambda: nn.DataParallel(TORCHVISION["resnet18"]()), r"must not be wrapped.*hand over model\.module"),
        (scripted, r"layer1\.0, a part of the model, must not be TorchScript.*build a ResidualNetwork"),
    ],
)
def test_what_is_no_residual_network_is_told(model, told):
    with pytest.raises(TypeError, match=told):
        adapt(model())


def test_a_block_replaced_by_an_identity_is_gone():
    model = lived_in(resnet18(num_classes=10), torch.randn(4, 3, 64, 64))
    model.layer1[1] = nn.Identity()
    network, images = adapt(model), torch.randn(2, 3, 64, 64)
    assert network.stage_sizes() == {"layer1": 1, "layer2": 2, "layer3": 2, "layer4": 2}
    assert torch.equal(network(images), model(images))


TIMMS = {  # of other kinds, in their smallest forms -> the blocks of their stages
    "res2net50_26w_4s": ({"layers": (1, 1, 1, 1)}, 64, [1, 1, 1, 1]),
    "skresnet18": (ONES, 64, [1, 1, 1, 1]),
    "resnest14d": ({"layers": (1, 1, 1, 1)}, 64, [1, 1, 1, 1]),
    "vit_tiny_patch16_224": ({"img_size": 64, "depth": 2}, 64, [4]),  # attention and MLP
    "swin_tiny_patch4_window7_224": ({"img_size": 56, "depths": (1, 1), "num_heads": (1, 2)}, 56, [2, 2]),
    "convnext_atto": ({"depths": (1, 1, 1, 1)}, 64, [1, 1, 1, 1]),
    "regnety_002": ({}, 64, [1, 1, 4, 7]),
    "mobilenetv3_small_050": ({}, 64, [1, 4, 2]),
    "efficientnet_b0": ({}, 64, [1, 1, 2, 2, 3]),
    "mixer_s32_224": ({"img_size": 64}, 64, [16]),
    "resnetv2_50": ({"layers": (1, 1, 1, 1)}, 64, [1, 1, 1, 1]),  # pre-activation, with weights standardised
}


@pytest.mark.parametrize("name", TIMMS)
def test_residual_networks_of_other_kinds(name):
    settings, size, stages = TIMMS[name]
    torch.manual_seed(0)
    images, labels = torch.randn(2, 3, size, size), torch.tensor([0, 1])
    model = lived_in(timm.create_model(name, num_classes=10, **settings), torch.randn(4, 3, size, size))
    with torch.no_grad():
        for parameter in model.parameters():  # no branch that adds 0
            parameter.add_(0.02 * torch.randn_like(parameter))
    network = adapt(model, images)
    assert list(network.stage_sizes().values()) == stages
    assert torch.equal(network(images), model(images))
    assert gradient_by_length(network, images, labels).sum_relative_error <= 1e-5
    loss = functional.cross_entropy(model(images), labels)
    last = trace(network, images, labels)
    assert last.loss == pytest.approx(loss.item(), rel=1e-5)
    for name in list(network.blocks)[:2]:
        deleted = network(images, network.gates_without([name]))
        assert not torch.equal(deleted, network(images)) and deleted.isfinite().all()


def test_torchvisions_with_another_activation():
    torch.manual_seed(0)
    model = TORCHVISION["resnext"]().eval()
    for module in model.modules():
        if hasattr(module, "relu"):
            module.relu = nn.Hardswish(inplace=True)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(adapt(model)(images), model(images))


def test_rounding_that_an_untrained_network_blows_up_is_no_reason_to_refuse_it():
    torch.manual_seed(0)
    model = mobilenet_v2().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(adapt(model, images)(images), model(images))


def test_branches_of_zero_are_told():
    model = timm.create_model("resnet18", **ONES).eval()
    with pytest.warns(UserWarning, match=r"branches of 4 of 4 blocks \(layer1\.0 \.\.\.\).*add exactly 0") as told:
        network = adapt(model)
    assert told[0].filename == __file__
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(network(images, [0.0] * 4), network(images))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapt(timm.create_model("resnet18", **ONES, zero_init_last=False))
        adapt(Narrow(torchvision_resnet.BasicBlock, [1, 1, 1, 1]))
        adapt(Narrow(torchvision_resnet.BasicBlock, [1, 1, 1, 1], norm_layer=nn.Identity))


def test_on_the_meta_device_shapes_are_known():
    with torch.device("meta"):
        model = timm.create_model("seresnet50")
    description = describe(adapt(model).eval(), Preprocessing(resize=224, crop=224, mean=(0.5,) * 3, std=(0.25,) * 3))
    assert description.layers == 50
    assert description.params == 28_088_024  # Hu et al. 2018 give 28.1 million
    assert description.head.out_shape == (1000,)


def test_other_threads_call_their_modules_meanwhile():
    model, other, images = TheirNetwork(), TheirNetwork().eval(), torch.randn(2, 3, 32, 32)
    expected, done = other(images), Event()

    def call() -> bool:
        equal = True
        while not done.is_set():
            equal &= torch.equal(other(images), expected)
        return equal

    with ThreadPoolExecutor(3) as pool:
        calling = pool.submit(call)
        adapted = [each.result() for each in [pool.submit(adapt, model) for _ in range(8)]]
        done.set()
    assert calling.result()
    assert all(torch.equal(each(images), adapted[0](images)) for each in adapted)


# Any other network, its layers handed to blocks.


class TheirPreactivationNetwork(nn.Module):
    """ResNet-v2, written without a thought of this project."""

    def __init__(self):
        super().__init__()
        self.begin = nn.Conv2d(3, 8, 3, padding=1)
        self.units = nn.ModuleList([TheirUnit(8, 8), TheirUnit(8, 16), TheirUnit(16, 16)])
        self.norm = nn.BatchNorm2d(16)
        self.classify = nn.Linear(16, 10)

    def forward(self, images):
        out = self.begin(images)
        for unit in self.units:
            out = unit(out)
        return self.classify(functional.relu(self.norm(out)).mean((2, 3)))


class TheirUnit(nn.Module):
    def __init__(self, in_channels, channels):
        super().__init__()
        stride = channels // in_channels
        self.norm_a, self.norm_b = nn.BatchNorm2d(in_channels), nn.BatchNorm2d(channels)
        self.conv_a = nn.Conv2d(in_channels, channels, 3, stride, padding=1)
        self.conv_b = nn.Conv2d(channels, channels, 3, padding=1)
        self.project = nn.Conv2d(in_channels, channels, 1, stride) if stride > 1 else None

    def forward(self, tensor):
        activated = functional.relu(self.norm_a(tensor))
        shortcut = tensor if self.project is None else self.project(activated)
        return shortcut + self.conv_b(functional.relu(self.norm_b(self.conv_a(activated))))


def handed_over(model: TheirPreactivationNetwork) -> ResidualNetwork:
    """As the docstring of adapt shows."""

    def wrap(unit):
        entry = nn.Sequential(unit.norm_a, nn.ReLU())
        branch = nn.Sequential(unit.conv_a, unit.norm_b, nn.ReLU(), unit.conv_b)
        return PreactivationBlock("preactivation-basic", entry, branch, unit.project or nn.Identity())

    head = nn.Sequential(model.norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.classify)
    units = [wrap(unit) for unit in model.units]
    return ResidualNetwork(model.begin, [units[:1], units[1:]], head).eval()


def test_a_network_of_another_layout_handed_over():
    images, labels = torch.randn(4, 3, 16, 16), torch.arange(4)
    model = lived_in(TheirPreactivationNetwork(), images)
    network = handed_over(model)
    assert torch.equal(network(images), model(images))
    assert torch.equal(adapt(model)(images), model(images))
    kinds = ["identity", "projection", "identity"]
    assert [[block.shortcut_kind for block in each.blocks.values()] for each in (network, adapt(model))] == [
        kinds,
        kinds,
    ]
    assert gradient_by_length(network, images, labels).sum_relative_error <= 1e-5
    assert relative_error(folded(network)(images), model(images)) < 1e-5
    lesioned = deepcopy(model)
    nn.init.zeros_(lesioned.units[1].conv_b.weight)
    nn.init.zeros_(lesioned.units[1].conv_b.bias)
    assert torch.equal(network(images, network.gates_without(["layer2.0"])), lesioned(images))
    description = describe(network, Preprocessing(resize=16, crop=16, mean=(0.5,) * 3, std=(0.25,) * 3))
    assert description.params == sum(parameter.numel() for parameter in model.parameters())


def test_adapt_is_imported_when_it_is_asked_for():
    code = "import sys, resnet_viz; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert resnet_viz.adapt is adapt
    with pytest.raises(AttributeError, match="no attribute 'adopt'"):
        resnet_viz.adopt  # noqa: B018
