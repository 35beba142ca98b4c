"""What a network is made of: shapes, parameters and multiply-adds, block by block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from .blocks import Block, Shortcuts, SideBySide
from .exactness import exactly
from .images import AnyPreprocessing
from .multiply_adds import MultiplyAdds
from .network import ResidualNetwork, stage_of
from .recurrent import Step
from .settled import require_settled
from .tracing import on_every_way

__all__ = ["BlockPart", "Description", "Part", "blank", "branch_layers_of", "describe", "stem_and_head"]

Shape = tuple[int, ...]
SHOWN = (  # of a stem or head
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    nn.Linear,
)
ACTIVATIONS: dict[str, type[nn.Module]] = {  # by the functions that do the same
    **{"relu": nn.ReLU, "relu6": nn.ReLU6, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU},
    **{"gelu": nn.GELU, "silu": nn.SiLU, "hardswish": nn.Hardswish, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh},
}


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
    """A block, with its stage and its kind of shortcut.

    ``lead``: the layers between the stream and the branch, 'batch norm and ReLU'; ``shared``: how many of the layers that
    ``branch_layers_of`` names lead to the shortcut, too. ``activation``: what follows the sum, 'ReLU'. Both '' where there is nothing.
    ``origin``: where its branch stands in somebody else's model, 'blocks.3.attn'; '' in networks of this project, and where it is called
    there as it is here.
    """

    stage: str
    shortcut: str
    lead: str
    shared: int
    activation: str
    origin: str = ""


@dataclass(frozen=True)
class Description:
    """A network as stem, blocks, head. ``layers``: those with weights, as the papers count them: without projections and gates of
    shortcuts, each time step as one, and of layers side by side those of the longest row."""

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


def describe(network: ResidualNetwork, preprocessing: AnyPreprocessing) -> Description:
    """Measure each part by passing one black image of the network's own input size through it.

    Raises InputError for a network that is not in eval mode, which the image would change."""
    stream = blank(network, preprocessing.shape)
    stem, stream = measure("stem", "stem", network.stem, stream)
    blocks = []
    for name, block in network.blocks.items():
        part, stream = described(name, block, stream)
        blocks.append(part)
    head, _ = measure("head", "head", network.head, stream)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    convolution_params = sum(parameter.numel() for layer in convolutions for parameter in layer.parameters())
    chain = [network.stem, *(block.branch for block in network.blocks.values()), network.head]
    layers = sum(map(weighted_layers, chain))
    return Description(stem, tuple(blocks), head, layers, convolution_params)


def described(name: str, block: Block, stream: Tensor) -> tuple[BlockPart, Tensor]:
    """A block, and the stream that leaves it."""
    part, leaving = measure(name, block.kind, block, stream)
    ways, only_last = block.ways(1.0), type(block).activation is Block.activation
    both = ways[0][0][:-1] if ways else []  # the layers before the shortcut itself, which lead to the branch, too
    return BlockPart(
        **vars(part),
        stage=stage_of(name),
        shortcut=block.shortcut_kind,
        lead=titles(block.lead),
        shared=len(measured_layers(layers_of(both), stream)),
        activation=titles([block.last])
        if ways or only_last
        else "activation",  # a stranger's block may have one of its own
        origin="" if block.origin == name else block.origin,
    ), leaving


def stem_and_head(network: ResidualNetwork, preprocessing: AnyPreprocessing) -> tuple[list[Part], list[Part]]:
    """The layers of the stem and of the head that have weights or change the shape."""
    stream = blank(network, describe(network, preprocessing).head.in_shape)
    return overview(network.stem, blank(network, preprocessing.shape)), overview(network.head, stream)


def branch_layers_of(block: Block, stream: Tensor) -> list[Part]:
    """The convolutions, norms and activations that a block's branch and what leads to it are made of, in order."""
    return [part for part, _ in measured_layers(layers_of([*block.lead, block.branch]), stream)]


def overview(module: nn.Module, stream: Tensor) -> list[Part]:
    """The layers of a stem or head that have weights or change the shape: convolutions, poolings, fully connected ones."""
    return [part for part, layer in measured_layers(leaves(module), stream) if isinstance(layer, SHOWN)]


def measured_layers(layers: list[tuple[str, nn.Module]], stream: Tensor) -> list[tuple[Part, nn.Module]]:
    """Measure layers one after the other, and within a graph those that every way through it passes."""
    measured = []
    for name, layer in layers:
        if isinstance(layer, fx.GraphModule):
            inside = _Layers(layer)
            stream = inside.run(stream)
            measured += inside.measured
        elif not isinstance(layer, nn.Identity):
            part, stream = measure(name, layer_title(layer), layer, stream)
            measured.append((part, layer))
    return measured


class _Layers(fx.Interpreter):
    """Runs a graph, and measures the layers and activations that every way through it passes."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.measured: list[tuple[Part, nn.Module]] = []
        self.on_every_way = on_every_way(module.graph)[1]
        self.passed = {str(node.target) for node in passed_layers(module)}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op in ("call_function", "call_method") and n in self.on_every_way and called(n) in ACTIVATIONS:
            shape, layer = tuple(result.shape[1:]), ACTIVATIONS[called(n)]()
            self.measured.append((Part(n.name, layer_title(layer), shape, shape, 0, 0), layer))
        return result

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        layer = self.fetch_attr(target)
        if target not in self.passed or isinstance(layer, nn.Identity):
            return super().call_module(target, args, kwargs)
        part, output = measure(target.rpartition(".")[2], layer_title(layer), layer, *args, **kwargs)
        self.measured.append((part, layer))
        return output


def weighted_layers(part: nn.Module) -> int:
    """How many convolutions and fully connected layers follow each other in a stem, branch or head."""
    return sum(
        max(map(weighted_layers, layer.values()))
        if isinstance(layer, SideBySide)
        else isinstance(layer, nn.Conv2d | nn.Linear | Step)
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


def layers_of(row: Sequence[nn.Module]) -> list[tuple[str, nn.Module]]:
    """The layers of modules in a row, in order."""
    return [layer for module in row for layer in leaves(module)]


def titles(row: Sequence[nn.Module]) -> str:
    """The layers of modules in a row: 'batch norm and ReLU'; '' where nothing is done."""
    *most, last = ["", *(layer_title(layer) for _, layer in layers_of(row) if not isinstance(layer, nn.Identity))]
    return " and ".join(filter(None, [", ".join(most[1:]), last]))


def layer_title(layer: nn.Module) -> str:
    """'3x3 convolution, 64 -> 128, stride 2', 'convolution of 7, 3 -> 8' in one dimension, 'batch norm', 'ReLU'."""
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        sizes = "x".join(map(str, layer.kernel_size))
        size = f"convolution of {sizes}" if isinstance(layer, nn.Conv1d) else f"{sizes} convolution"
        groups = f", {layer.groups} groups" if layer.groups > 1 else ""
        stride = f", stride {layer.stride[0]}" if layer.stride[0] > 1 else ""
        return f"{size}, {layer.in_channels} → {layer.out_channels}{groups}{stride}"
    if isinstance(layer, nn.Linear):
        return f"fully connected, {layer.in_features} → {layer.out_features}"
    if isinstance(layer, nn.MultiheadAttention):
        return f"attention, {layer.num_heads} heads, {layer.embed_dim} → {layer.embed_dim}"
    if isinstance(layer, nn.LayerNorm):
        return "layer norm"
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
    if isinstance(layer, fx.GraphModule):
        return ", ".join(operations(layer))
    known: dict[type[nn.Module], str] = {
        nn.BatchNorm1d: "batch norm",
        nn.BatchNorm2d: "batch norm",
        nn.BatchNorm3d: "batch norm",
        nn.ReLU: "ReLU",
        nn.AdaptiveAvgPool2d: "average pool",
        Shortcuts: "shortcuts of deleted blocks",
    }
    return known.get(type(layer), type(layer).__name__)


def operations(part: fx.GraphModule) -> Iterator[str]:
    """What a graph calls, in order: 'ReLU', 'clamp'."""
    for node in part.graph.nodes:
        if node.op == "call_module":
            yield layer_title(part.get_submodule(str(node.target)))
        elif node.op.startswith("call_"):
            yield layer_title(ACTIVATIONS[called(node)]()) if called(node) in ACTIVATIONS else called(node)


def called(node: fx.Node) -> str:
    """The function or method that a node calls: 'relu', in place or not."""
    return str(getattr(node.target, "__name__", node.target)).rstrip("_")


def measure(name: str, kind: str, module: nn.Module, stream: Tensor, *others: Any, **settings: Any) -> tuple[Part, Any]:
    """A module with what it makes of the stream, and of what else it is given; of several results the first has its shape."""
    require_settled(module)
    with torch.enable_grad(), MultiplyAdds() as counted:  # without a gradient, attention would be fused and not counted
        output = module(
            stream.requires_grad_().clone(), *others, **settings
        )  # a clone, since a layer may work in place
    output = tuple(output) if isinstance(output, tuple) else output.detach()
    first = output[0] if isinstance(output, tuple) else output
    params = sum(parameter.numel() for parameter in module.parameters())
    return Part(
        name, kind, tuple(stream.shape[1:]), tuple(first.shape[1:]), params, counted.macs // len(stream)
    ), output
