"""A network of somebody else's as a chain of sums: its graph says where the stream is, and what is added to it.

The model's forward is traced (torch.fx) into a graph of operations. What every way from the images to the output passes through
dominates the output (Lengauer and Tarjan 1979, doi:10.1145/357062.357071): these tensors are the stream. Where one of them is the
sum of two ways from the one before it, there is a residual block: one way is its shortcut, the other its branch.
"""

import operator
import re
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from .blocks import Block, Gate, Way
from .exactness import exactly
from .network import ResidualNetwork
from .settled import reads_the_mode
from .tracing import MODEL, NUMBER, ends_of, name_of, on_every_way, title, traced, values_of

__all__ = ["Anatomy", "GraphBlock", "has_weights"]

SUMS = (operator.add, operator.iadd, torch.add)
FOUND = ("call_module", "get_attr")
FUNCTIONS = {functional.relu: nn.ReLU, torch.relu: nn.ReLU, functional.gelu: nn.GELU, functional.silu: nn.SiLU}
CALLED = {"BasicBlock": "basic", "Bottleneck": "bottleneck"}  # as the papers do
SAY_NOTHING = ("Sequential", "ModuleList", "ModuleDict", "Layer", "Block")


class GraphBlock(Block):
    """A block of somebody else's: any module may follow the sum, lead to it, or be its shortcut.

    ``entry``: what lies between the sum before it and the parting of its two ways; a deleted block keeps it. ``origin``: where the
    branch stands in the model, 'blocks.3.attn'.
    """

    of_others = True

    def __init__(
        self,
        kind: str,
        entry: nn.Module,
        branch: nn.Module,
        shortcut: nn.Module,
        last: nn.Module,
        origin: str = "",
    ) -> None:
        super().__init__(kind, branch, shortcut)
        self.entry, self.last, self.origin = entry, last, origin

    @property
    def shortcut_kind(self) -> str:
        """'identity', 'parameter-free' or 'projection': whether the shortcut, and what leads to it, has weights."""
        if all(isinstance(each, nn.Identity) for each in (self.entry, self.shortcut)):
            return "identity"
        weights = (next(each.parameters(), None) for each in (self.entry, self.shortcut))
        return "parameter-free" if all(each is None for each in weights) else "projection"

    @property
    def lead(self) -> list[nn.Module]:
        return [self.entry]

    def split(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        entered = self.entry(stream)
        return self.shortcut(entered), entered

    def ways(self, gate: Gate) -> tuple[Way, Way] | None:
        if not exactly(self, GraphBlock):
            return None
        return ([self.entry, self.shortcut], 1.0), ([self.entry, self.branch], gate)


class OfShape(nn.Module):
    """Takes images of one shape alone, for which a model was followed: with others it might go another way."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[1:] != self.shape:
            raise ValueError(
                f"it was adapted for images of shape {tuple(self.shape)}: adapt it anew, with images of this one"
            )
        return images


@dataclass(frozen=True)
class Sum:
    """A sum on the stream: ``entering``, where its two ways part, and what it adds up."""

    node: fx.Node
    entering: fx.Node
    shortcut: fx.Node
    branch: fx.Node


class Anatomy:
    """A model in eval mode, followed: its graph, its stream, and the sums on it; ``images``: two that it takes.

    Raises TypeError where its forward cannot be followed, or its stream passes no sum of two ways.
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        runner, self.fixed = traced(model, images)
        self.model, self.shape, self.batch = model, images.shape[1:], len(images)
        self.graph, self.constants = runner.graph, runner
        self.images, self.output = ends_of(self.graph)
        self.order = {node: place for place, node in enumerate(self.graph.nodes)}
        values = values_of(runner, images)
        self.shapes, self.numbers = values.shapes, values.numbers
        for node in self.numbers:
            node.meta[NUMBER] = True
        self.alone = values_of(runner, images[:1]).numbers if self.numbers else {}  # of one image
        self.depends, self.stream = on_every_way(self.graph)
        self.sums = list(self.find_sums())
        if not self.sums:
            joined = any(node.target in (torch.cat, torch.concat) for node in self.stream)
            what = (
                "it joins its ways (torch.cat) and adds none"
                if joined
                else "its stream never passes the sum of two ways"
            )
            raise TypeError(f"{title(model)} has no residual block: {what}")

    def network(self, model: nn.Module) -> ResidualNetwork:
        """Stem, blocks and head, of the layers of a model that is built like the one that was followed."""
        stages: list[list[Block]] = []
        shape, start = torch.Size([]), self.sums[0].entering
        stem = self.part(model, self.images, start)
        for each in self.sums:
            before, shape = shape, self.shapes[each.node][1:]
            reshaped = len(before) != len(shape) and before.numel() == shape.numel()  # as patches of a picture, say
            if not stages or (before != shape and not reshaped):
                stages.append([])
            kind, origin = self.kind_of(each)
            entry, branch = self.part(model, start, each.entering), self.part(model, each.entering, each.branch)
            shortcut, start = self.part(model, each.entering, each.shortcut), self.after(each.node)
            last = self.part(model, each.node, start)
            stages[-1].append(GraphBlock(kind, entry, branch, shortcut, alone(last), origin))
        head = self.part(model, start, cast(fx.Node, self.output.args[0]))
        if self.fixed:
            stem = nn.Sequential(OrderedDict(shape=OfShape(self.shape), layers=stem))
        network = ResidualNetwork(stem, stages, head)
        theirs = set(model.modules())
        for module in network.modules():
            if module not in theirs and (isinstance(module, fx.GraphModule) or not reads_the_mode(module)):
                module.training = model.training
        called = {name_of(node) for node in self.graph.nodes if node.op == "call_module"}
        around = (each for name, each in model.named_modules() if name not in called)
        followed_otherwise = any(each.training and reads_the_mode(each) for each in around)
        for block in network.blocks.values():
            block.training = followed_otherwise
        return network

    def find_sums(self) -> Iterator[Sum]:
        """The sums on the stream, in order."""
        for entering, node in zip(self.stream, self.stream[1:], strict=False):
            if not is_sum(node) or not all(isinstance(each, fx.Node) and each in self.depends for each in node.args):
                continue
            terms = cast(tuple[fx.Node, fx.Node], node.args)
            shape = self.shapes.get(node)
            if any(self.shapes.get(each) != shape for each in terms) or terms[0] is terms[1]:
                continue
            if shape and shape[0] == self.batch:
                yield Sum(node, entering, *sorted(terms, key=partial(self.length, entering)))

    def length(self, start: fx.Node, stop: fx.Node) -> int:
        """The operations between two nodes."""
        return len(self.between(start, stop))

    def between(self, start: fx.Node, stop: fx.Node) -> list[fx.Node]:
        """What has to be computed of ``stop`` when ``start`` is known, in order. Raises TypeError where more would have to be."""
        needed, waiting = set[fx.Node](), [stop]
        follow: set[fx.Node] = set()
        while waiting:
            node = waiting.pop()
            if node is start or node in needed:
                continue
            if node in self.numbers:
                follow = follow or self.following(start)
                if node not in follow:
                    continue
            if node.op == "placeholder":
                raise TypeError(f"{stop.name} is made of more than {start.name}")
            needed.add(node)
            waiting.extend(node.all_input_nodes)
        return sorted(needed, key=self.order.__getitem__)

    def following(self, start: fx.Node) -> set[fx.Node]:
        """What can be computed of ``start`` alone, and of weights."""
        found = {start}
        for node in self.graph.nodes:  # each after those that it is made of
            if node.op != "placeholder" and found.issuperset(node.all_input_nodes):
                found.add(node)
        return found

    def part(self, model: nn.Module, start: fx.Node, stop: fx.Node) -> nn.Module:
        """What takes one node to another, of a model's layers: an identity, the layers in a row, or a graph of its own."""
        nodes = self.between(start, stop)
        if layers := self.in_a_row(model, start, nodes):
            return layers
        own, known = fx.Graph(), dict[fx.Node, Any]()
        entering = own.placeholder("stream")
        known[start] = entering

        def of(node: fx.Node) -> Any:
            if node not in known:
                known[node] = self.number(own, entering, node)
            return known[node]

        for node in nodes:
            for each in node.all_input_nodes:
                of(each)
            known[node] = own.node_copy(node, of)
            if node.op in FOUND:
                known[node].target = name_of(node)
        own.output(of(stop))
        return fx.GraphModule({name_of(node): self.found_in(model, node) for node in nodes if node.op in FOUND}, own)

    def found_in(self, model: nn.Module, node: fx.Node) -> Any:
        """What a node of the graph names: a layer or a weight of the model, or a constant that was made while it was followed."""
        if node.op == "call_module":
            return out_of_place(model.get_submodule(name_of(node)))
        if not str(node.target).startswith(MODEL):
            return getattr(self.constants, str(node.target))
        parent, _, name = name_of(node).rpartition(".")
        return getattr(model.get_submodule(parent), name)

    def number(self, graph: fx.Graph, entering: fx.Node, node: fx.Node) -> Any:
        """A number, or several, that follow from the images alone: the same for all batches, or so many times their size."""

        def one(value: Any, alone: Any) -> Any:
            if not isinstance(value, int):
                return tuple(map(one, value, alone))
            if value == alone:
                self.fixed = True
                return value
            if value != alone * self.batch:
                raise TypeError(f"{node.name} depends on the batch in another way than by its size")
            size = graph.call_method("size", (entering, 0))
            size.meta[NUMBER] = True
            return size if alone == 1 else graph.call_function(operator.mul, (size, alone))

        return one(self.numbers[node], self.alone[node])

    def after(self, node: fx.Node) -> fx.Node:
        """The last of what follows a sum at once and only acts on it: activations, which have no weights and keep the shape."""
        for following in self.stream[self.stream.index(node) + 1 :]:
            if following is self.output or following.all_input_nodes != [node]:
                break
            if self.shapes.get(following) != self.shapes[node]:
                break
            if following.op == "call_module" and has_weights(self.of(following)):
                break
            node = following
        return node

    def of(self, node: fx.Node) -> nn.Module:
        """The layer that a node calls, in the model that was followed."""
        return self.model.get_submodule(name_of(node))

    def kind_of(self, each: Sum) -> tuple[str, str]:
        """What a branch is called, and where it stands in the model: the layer of theirs that holds most of it. It is called by its
        class, or where that says nothing by its name there, unless that is a number."""
        layers = [name_of(node) for node in self.between(each.entering, each.branch) if node.op == "call_module"]
        parents = Counter(name[: end.start()] for name in layers for end in re.finditer(r"\.|$", name))
        most = [name for name, count in parents.items() if count > len(layers) / 2]
        origin = max(most, key=len, default="")
        kind, name = type(self.model.get_submodule(origin)).__name__, origin.rpartition(".")[2]
        if kind in SAY_NOTHING:
            kind = name if name and not name.isdigit() else "residual"
        return CALLED.get(kind, kind), origin

    def in_a_row(self, model: nn.Module, start: fx.Node, nodes: Sequence[fx.Node]) -> nn.Module | None:
        """The layers, if the nodes are no more than that: each takes what the one before gives."""
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for node in nodes:
            layer = layer_of(model, node)
            if layer is None or node.args[:1] != (start,) or node.all_input_nodes != [start]:
                return None
            name = str(node.target).rpartition(".")[2] if node.op == "call_module" else node.name
            if not exactly(layer, nn.Identity):
                layers[name if name not in layers else f"{name}_{len(layers)}"] = layer
            start = node
        return nn.Sequential(layers) if layers else nn.Identity()


def alone(layers: nn.Module) -> nn.Module:
    """A layer that stands in a row of one."""
    return layers[0] if isinstance(layers, nn.Sequential) and len(layers) == 1 else layers


def has_weights(layer: nn.Module) -> bool:
    """Whether a layer has weights; those of an activation do not count."""
    return not isinstance(layer, nn.PReLU) and next(layer.parameters(), None) is not None


def is_sum(node: fx.Node) -> bool:
    """Whether a node adds up two things, as they are."""
    plain = len(node.args) == 2 and not node.kwargs
    return plain and (
        (node.op == "call_function" and node.target in SUMS) or (node.op, node.target) == ("call_method", "add")
    )


def layer_of(model: nn.Module, node: fx.Node) -> nn.Module | None:
    """The layer that a node calls, or one that does what its function does; a copy of an activation that works in place."""
    if node.op == "call_function" and len(node.args) == 1 and not any(node.kwargs.values()):
        return FUNCTIONS[node.target]() if node.target in FUNCTIONS else None
    if node.op == "call_function" and node.target is torch.flatten and node.args[1:] == (1,):
        return nn.Flatten(1)
    if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
        return None
    return out_of_place(model.get_submodule(name_of(node)))


def out_of_place(module: nn.Module) -> nn.Module:
    """The layer itself, but for a copy of an activation that works in place."""
    if not getattr(module, "inplace", False) or next(module.parameters(), None) is not None:
        return module
    own = copy(module)  # which shares its hooks
    setattr(own, "inplace", False)  # noqa: B010 - mypy knows no such attribute of a module
    return own
