"""What a network is made of: shapes, parameters and multiply-adds, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from .blocks import Block, Shortcuts, SideBySide
from .exactness import exactly, require_settled
from .graph import on_every_way
from .images import Preprocessing
from .multiply_adds import MultiplyAdds
from .network import ResidualNetwork, stage_of

__all__ = ["BlockPart", "Description", "Part", "blank", "branch_layers_of", "describe", "stem_and_head"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """A stem, block, head or layer. Shapes are of one image, without the batch; ``macs``: multiply-adds for one image."""

    name: str
    kind: str
    in_shape: Shape
    out_shape: Shape
    params: int
    macs: int


@dataclass(frozen=True)
class BlockPart(Part):
    """A block, with its stage and its kind of shortcut."""

    stage: str
    shortcut: str


@dataclass(frozen=True)
class Description:
    """A network as stem, blocks, head. ``layers``: those with weights, as the papers count them: without projections,
    and of layers side by side those of the longest row."""

    stem: Part
    blocks: tuple[BlockPart, ...]
    head: Part
    layers: int
    convolution_params: int

    @property
    def params(self) -> int:
        return self.stem.params + sum(block.params for block in self.blocks) + self.head.params

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return self.stem.macs + sum(block.macs for block in self.blocks) + self.head.macs


def blank(network: ResidualNetwork, shape: Shape) -> Tensor:
    """One tensor of zeros of the given shape, where the network is and in its precision."""
    return next(network.parameters()).new_zeros(1, *shape).detach()


def describe(network: ResidualNetwork, preprocessing: Preprocessing) -> Description:
    """Measure each part by passing one black image of the network's own input size through it.

    Raises InputError for a network that is not in eval mode, which the image would change."""
    stream = blank(network, preprocessing.shape)
    stem, stream = measure("stem", "stem", network.stem, stream)
    blocks = []
    for name, block in network.blocks.items():
        part, stream = measure(name, block.kind, block, stream)
        blocks.append(BlockPart(**vars(part), stage=stage_of(name), shortcut=block.shortcut_kind))
    head, _ = measure("head", "head", network.head, stream)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    convolution_params = sum(parameter.numel() for layer in convolutions for parameter in layer.parameters())
    chain = [network.stem, *(block.branch for block in network.blocks.values()), network.head]
    layers = sum(map(weighted_layers, chain))
    return Description(stem, tuple(blocks), head, layers, convolution_params)


def stem_and_head(network: ResidualNetwork, preprocessing: Preprocessing) -> tuple[list[Part], list[Part]]:
    """The layers of the stem and of the head that have weights or change the shape."""
    stream = blank(network, describe(network, preprocessing).head.in_shape)
    return overview(network.stem, blank(network, preprocessing.shape)), overview(network.head, stream)


def branch_layers_of(block: Block, stream: Tensor) -> list[Part]:
    """The convolutions, norms and activations that a block's branch and what leads to it are made of, in order."""
    return layer_parts([layer for part in (*block.lead, block.branch) for layer in leaves(part)], stream)


def overview(module: nn.Module, stream: Tensor) -> list[Part]:
    """The layers of a stem or head that have weights or change the shape: convolutions, poolings, fully connected ones."""
    shown = (nn.Conv2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Linear)
    layers = leaves(module)
    layers = [(name, layer) for name, layer in layers if not isinstance(layer, nn.Identity)]
    return [
        part for part, (_, layer) in zip(layer_parts(layers, stream), layers, strict=True) if isinstance(layer, shown)
    ]


def layer_parts(layers: list[tuple[str, nn.Module]], stream: Tensor) -> list[Part]:
    """Measure layers one after the other."""
    parts = []
    for name, layer in layers:
        if isinstance(layer, fx.GraphModule):
            inside = _Layers(layer)
            stream = inside.run(stream)
            parts += inside.parts
        elif not isinstance(layer, nn.Identity):
            part, stream = measure(name, layer_title(layer), layer, stream)
            parts.append(part)
    return parts


class _Layers(fx.Interpreter):
    """Runs a graph, and measures the layers that every way through it passes."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.parts: list[Part] = []
        self.passed = {str(node.target) for node in passed_layers(module)}

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        layer = self.fetch_attr(target)
        if target not in self.passed or len(args) != 1 or kwargs or isinstance(layer, nn.Identity):
            return super().call_module(target, args, kwargs)
        part, output = measure(target.rpartition(".")[2], layer_title(layer), layer, args[0])
        self.parts.append(part)
        return output


def weighted_layers(part: nn.Module) -> int:
    """How many convolutions and fully connected layers follow each other in a stem, branch or head."""
    return sum(
        max(map(weighted_layers, layer.values()))
        if isinstance(layer, SideBySide)
        else isinstance(layer, nn.Conv2d | nn.Linear)
        for layer in layers_in(part)
    )


def layers_in(part: nn.Module) -> Iterator[nn.Module]:
    """The layers of a stem, branch or head, in a row."""
    for _, layer in leaves(part):
        if isinstance(layer, fx.GraphModule):
            yield from (layer.get_submodule(str(node.target)) for node in passed_layers(layer))
        else:
            yield layer


def passed_layers(part: fx.GraphModule) -> list[fx.Node]:
    """Where a graph calls layers that every way through it passes: not the gates of a squeeze-and-excitation beside it."""
    return [node for node in on_every_way(part.graph)[1] if node.op == "call_module"]


def leaves(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers of nested Sequentials, in order."""
    if not exactly(module, nn.Sequential):
        return [("", module)]
    found = []
    for name, child in module._modules.items():  # named_children() would leave out what is called twice
        assert child is not None
        found += leaves(child) if exactly(child, nn.Sequential) else [(name, child)]
    return found


def layer_title(layer: nn.Module) -> str:
    """'3x3 convolution, 64 -> 128, stride 2', 'batch norm', 'ReLU'."""
    if isinstance(layer, nn.Conv2d):
        size = "x".join(map(str, layer.kernel_size))
        groups = f", {layer.groups} groups" if layer.groups > 1 else ""
        stride = f", stride {layer.stride[0]}" if layer.stride[0] > 1 else ""
        return f"{size} convolution, {layer.in_channels} → {layer.out_channels}{groups}{stride}"
    if isinstance(layer, nn.Linear):
        return f"fully connected, {layer.in_features} → {layer.out_features}"
    if isinstance(layer, nn.MaxPool2d):
        return f"{layer.kernel_size}x{layer.kernel_size} max pool, stride {layer.stride}"
    if isinstance(layer, SideBySide):
        rows = (
            [layer_title(each).split(",")[0].removesuffix(" convolution") for _, each in leaves(row)]
            for row in layer.values()
        )
        return "side by side: " + " | ".join(
            ", ".join(each for each in row if each not in ("batch norm", "ReLU")) for row in rows
        )
    titles: dict[type[nn.Module], str] = {
        nn.BatchNorm2d: "batch norm",
        nn.ReLU: "ReLU",
        nn.AdaptiveAvgPool2d: "average pool",
        Shortcuts: "shortcuts of deleted blocks",
    }
    return titles.get(type(layer), type(layer).__name__)


def measure(name: str, kind: str, module: nn.Module, stream: Tensor) -> tuple[Part, Tensor]:
    require_settled(module)
    with torch.enable_grad(), MultiplyAdds() as counted:  # without a gradient, attention would be fused and not counted
        output = module(stream.requires_grad_().clone()).detach()  # a clone, since a layer may work in place
    params = sum(parameter.numel() for parameter in module.parameters())
    return Part(
        name, kind, tuple(stream.shape[1:]), tuple(output.shape[1:]), params, counted.macs // len(stream)
    ), output
