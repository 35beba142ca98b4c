"""What layers and blocks cost, by arithmetic from their channels; what papers print of networks for ImageNet."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.models import get_model

from ..networks.blocks import SideBySide
from ..networks.description import Description, describe
from ..networks.googlenet import MODULES
from ..networks.zoo import NETWORKS, Entry, architecture

__all__ = [
    "ENSEMBLES",
    "PRINTED_MULTIPLY_ADDS",
    "SINGLE_MODEL",
    "TEN_CROP",
    "WIDTHS",
    "Layer",
    "Stack",
    "blocks_of_width",
    "bottleneck_near",
    "inception_rows",
    "params_with_auxiliary_heads",
    "strided_as_in_the_paper",
    "weights_of",
]

WIDTHS = (64, 128, 256, 512, 1024, 2048)  # channels
# Multiply-adds, 10^9: He et al. 2015, table 1 and section 3.3; GoogLeNet: its budget, Szegedy et al. 2015, section 1.
PRINTED_MULTIPLY_ADDS = {
    "plain18": 1.8,
    "resnet18": 1.8,
    "plain34": 3.6,
    "resnet34": 3.6,
    "resnet50": 3.8,
    "resnet101": 7.6,
    "resnet152": 11.3,
    "vgg16": 15.3,
    "googlenet": 1.5,
}
# Errors on ImageNet in %, top 1 and top 5, validation set: He et al. 2015. Tables 2 and 3, the mean over ten crops;
# ResNet-18 has shortcuts of option A, ResNet-34 of option B, as torchvision's.
TEN_CROP: dict[str, tuple[float | None, float | None]] = {
    "plain18": (27.94, None),
    "resnet18": (27.88, None),
    "plain34": (28.54, 10.02),
    "resnet34": (24.52, 7.46),
    "resnet50": (22.85, 6.71),
    "resnet101": (21.75, 6.05),
    "resnet152": (21.43, 5.71),
    "vgg16": (28.07, 9.33),
    "googlenet": (None, 9.15),
}
# Table 4: a single model, validation set.
SINGLE_MODEL = {
    "resnet34": (21.84, 5.71),
    "resnet50": (20.74, 5.25),
    "resnet101": (19.87, 4.60),
    "resnet152": (19.38, 4.49),
}
ENSEMBLES = {"ResNet": 3.57, "GoogLeNet": 6.66, "VGG": 7.32}  # table 5: test set, top 5


@dataclass(frozen=True)
class Layer:
    """A convolution of ``kernel`` x ``kernel``, without a bias."""

    kernel: int
    in_channels: int
    out_channels: int

    @property
    def weights(self) -> int:
        return self.kernel**2 * self.in_channels * self.out_channels

    @property
    def terms(self) -> str:
        """'9 · 64 · 64', what its weights are the product of."""
        places = [self.kernel**2] if self.kernel > 1 else []
        return " · ".join(map(str, [*places, self.in_channels, self.out_channels]))

    @property
    def size(self) -> str:
        """'3x3'."""
        return f"{self.kernel}x{self.kernel}"

    @property
    def title(self) -> str:
        """'3x3, 64 → 64'."""
        return f"{self.size}, {self.in_channels} → {self.out_channels}"


@dataclass(frozen=True)
class Stack:
    """Convolutions that follow each other, each behind what its title says."""

    title: str
    layers: tuple[Layer, ...]

    @property
    def weights(self) -> int:
        return weights_of(self.layers)

    @property
    def terms(self) -> str:
        """'256 · 64 + 9 · 64 · 64 + 64 · 256'."""
        return " + ".join(layer.terms for layer in self.layers)


def weights_of(layers: Iterable[Layer]) -> int:
    """Those of all together."""
    return sum(layer.weights for layer in layers)


def blocks_of_width(width: int, reduction: int) -> tuple[Stack, Stack, Stack, Stack]:
    """The branches of blocks whose stream has ``width`` channels, or so many that are left of them by the
    ``reduction``: a basic block of these few, a bottleneck that reduces to them, a basic block of full width, and the
    bottleneck's three layers without the reduction."""
    few = width // reduction
    return (
        Stack(f"basic block, {few} channels", (Layer(3, few, few),) * 2),
        Stack(f"bottleneck, {width} → {few} → {few} → {width}", bottleneck(width, few)),
        Stack(f"basic block, {width} channels", (Layer(3, width, width),) * 2),
        Stack(f"three layers at {width} channels", bottleneck(width, width)),
    )


def bottleneck(width: int, few: int) -> tuple[Layer, Layer, Layer]:
    """Reduce, work, restore."""
    return Layer(1, width, few), Layer(3, few, few), Layer(1, few, width)


def bottleneck_near(width: int) -> tuple[Stack, Layer]:
    """The bottleneck of ResNet-50 whose stream is nearest to so many channels, and the 3x3 that would work on all of
    them."""
    convolutions = [layers_of(block.branch) for block in architecture(NETWORKS["imagenet-resnet50"]).blocks.values()]
    alike = [layers for layers in convolutions if layers[0].in_channels == layers[-1].out_channels]
    layers = min(alike, key=lambda layers: abs(layers[0].in_channels - width))
    channels = layers[0].in_channels
    title = " → ".join(map(str, [channels, *(layer.out_channels for layer in layers)]))
    return Stack(f"bottleneck of ResNet-50, {title}", layers), Layer(3, channels, channels)


def inception_rows(module: str) -> tuple[int, dict[str, tuple[tuple[Layer, ...], Layer | None]]]:
    """The width of torchvision's maps in a module of GoogLeNet ('3a' ... '5b') in pixels, and its rows: the
    convolutions of each, and, where it begins with a 1x1 that reduces the channels, the last of them as it would be
    without: reading all channels."""
    names = {name: (stage, index) for stage, row in enumerate(MODULES, start=1) for index, name in enumerate(row)}
    stage, index = names[module]
    entry = NETWORKS["imagenet-googlenet"]
    network = architecture(entry)
    block = f"layer{stage}.{index}"
    side = next(part.out_shape[-1] for part in describe(network, entry.preprocessing).blocks if part.name == block)
    (rows,) = (each for each in network.blocks[block].branch.modules() if isinstance(each, SideBySide))
    titles = "1x1", "3x3", "5x5 (3x3 in torchvision)", "max pool, 1x1"
    found: dict[str, tuple[tuple[Layer, ...], Layer | None]] = {}
    for title, row in zip(titles, rows.values(), strict=True):
        layers = layers_of(row)
        reduced = Layer(layers[1].kernel, layers[0].in_channels, layers[1].out_channels) if len(layers) > 1 else None
        found[title] = layers, reduced
    return side, found


def layers_of(part: nn.Module) -> tuple[Layer, ...]:
    """The convolutions of a part, in order."""
    convolutions = (layer for layer in part.modules() if isinstance(layer, nn.Conv2d))
    return tuple(Layer(each.kernel_size[0], each.in_channels, each.out_channels) for each in convolutions)


def strided_as_in_the_paper(entry: Entry) -> Description:
    """A residual network of torchvision's, but for the stride of its bottlenecks: on the first 1x1, as He et al. 2015
    have it, where torchvision has it on the 3x3."""
    network = architecture(entry)
    for block in network.blocks.values():
        convolutions = [layer for layer in block.branch.modules() if isinstance(layer, nn.Conv2d)]
        if len(convolutions) == 3:
            first, second, _ = convolutions
            first.stride, second.stride = second.stride, first.stride
    return describe(network, entry.preprocessing)


def params_with_auxiliary_heads() -> int:
    """The parameters of torchvision's googlenet with the two heads that it has in training only."""
    with torch.device("meta"):
        model = get_model("googlenet", weights=None, aux_logits=True, init_weights=False)
    return sum(parameter.numel() for parameter in model.parameters())
