"""A model's forward as a graph of operations: how it is followed, and which of its nodes lie on every way."""

import operator
import sys
from collections.abc import Callable
from threading import Lock, get_ident
from typing import Any

import networkx
import torch
from torch import Tensor, fx, nn

__all__ = ["MODEL", "NUMBER", "ends_of", "name_of", "on_every_way", "title", "traced", "values_of"]

IN_PLACE = {operator.iadd: operator.add, operator.isub: operator.sub, operator.imul: operator.mul}
MOST_LEAVES = 100
ONE_AT_A_TIME = Lock()
NUMBER = "is a whole number"  # what is noted of a node, in parts of the graph, too
MODEL = "model."  # before all that is found in it
NOT_FOLLOWED = ("math", "einops")  # whose functions are operations, as torch's are: they look into what they are given


class Tracer(fx.Tracer):
    """Follows a model's forward down to torch's own layers, to those without layers inside, and to those that cannot be followed.

    ``leaves``: the latter; ``decisions``: how its conditions come out, in turn. Where it stops, ``failed`` is the innermost layer that
    could not be followed, and ``undecided`` the condition that is not known yet.
    """

    def __init__(self, leaves: dict[int, nn.Module], decisions: list[bool]) -> None:
        not_followed: Any = tuple(sys.modules[name] for name in NOT_FOLLOWED if name in sys.modules)
        super().__init__(autowrap_modules=not_followed)
        self.leaves, self.decisions = leaves, iter(decisions)
        self.thread = get_ident()
        self.failed: nn.Module | None = None
        self.undecided: fx.Node | None = None

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = next(m.children(), None) is None and not isinstance(m, nn.Sequential)
        return whole or id(m) in self.leaves or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if get_ident() != self.thread:  # torch.fx stands in for every module's call meanwhile, whoever makes it
            return forward(*args, **kwargs)
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.failed = self.failed or m
            raise

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if get_ident() != self.thread else super().getattr(attr, attr_val, parameter_proxy_cache)

    def to_bool(self, obj: fx.Proxy) -> bool:
        for decision in self.decisions:
            return decision
        self.undecided = obj.node
        return super().to_bool(obj)


def traced(model: nn.Module, images: Tensor) -> tuple[fx.GraphModule, bool]:
    """A model in eval mode as its graph, and whether its forward decides by the images' shape, for which alone that holds.

    Raises TypeError where it cannot be followed.
    """
    leaves: dict[int, nn.Module] = {}
    decisions: list[bool] = []
    while True:
        tracer = Tracer(leaves, decisions)
        try:
            with ONE_AT_A_TIME:
                graph = tracer.trace(Called(model))
            overwriting_nothing(graph)
            return fx.GraphModule(tracer.root, graph), bool(decisions)
        except Exception as error:
            failed, undecided = tracer.failed, tracer.undecided
            if undecided is not None and (decision := decided(tracer, undecided, images)) is not None:
                decisions.append(decision)
            elif failed not in (None, model) and id(failed) not in leaves and len(leaves) < MOST_LEAVES:
                assert failed is not None
                leaves[id(failed)] = failed
                decisions.clear()
            else:
                reason = str(error).partition("\n")[0].rstrip(".")
                raise TypeError(
                    f"The forward of {title(model)} cannot be followed ({reason}): it decides by the numbers that it sees, or is "
                    "written in a way that torch.fx does not know"
                ) from error


def decided(tracer: Tracer, condition: fx.Node, images: Tensor) -> bool | None:
    """How a condition comes out that looks at shapes alone; None where it depends on the numbers, or on the size of the batch."""
    graph, known, needed, waiting = fx.Graph(), dict[fx.Node, fx.Node](), set[fx.Node](), [condition]
    while waiting:
        node = waiting.pop()
        if node not in needed:  # or else each would be visited as often as ways lead to it
            needed.add(node)
            waiting.extend(node.all_input_nodes)
    for node in tracer.graph.nodes:
        if node in needed or node.op == "placeholder":
            known[node] = graph.node_copy(node, known.__getitem__)
    graph.output(known[condition])
    runner = fx.GraphModule(tracer.root, graph)
    with torch.no_grad():
        values = [runner(each.clone()) for each in (images, images[:1])]
    return bool(values[0]) if all(isinstance(each, int) for each in values) and values[0] == values[1] else None


class Called(nn.Module):
    """A model that is called, with its own hooks and whatever its forward takes beside the images left as it is."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Any:
        return self.model(images)


class Values(fx.Interpreter):
    """Runs a graph; keeps the shapes of its tensors, and what is made of whole numbers."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, torch.Size] = {}
        self.numbers: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if torch.is_tensor(result):
            self.shapes[n] = result.shape
        elif is_number(result):
            self.numbers[n] = result
        return result


def ends_of(graph: fx.Graph) -> tuple[fx.Node, fx.Node]:
    """What comes in first, and what goes out."""
    first = next(node for node in graph.nodes if node.op == "placeholder")
    return first, next(node for node in reversed(graph.nodes) if node.op == "output")


def on_every_way(graph: fx.Graph) -> tuple[set[fx.Node], list[fx.Node]]:
    """The nodes that depend on what comes in, and, in order, those that every way from there to the end passes through; no way
    leads over whole numbers, as shapes are."""
    first, last = ends_of(graph)
    flow = networkx.DiGraph(
        (source, node) for node in graph.nodes for source in node.all_input_nodes if NUMBER not in source.meta
    )
    before, ways = networkx.immediate_dominators(flow, first), [last]
    while ways[-1] is not first:
        ways.append(before[ways[-1]])
    return networkx.descendants(flow, first) | {first}, ways[::-1]


def values_of(runner: fx.GraphModule, images: Tensor) -> Values:
    """What a graph computes of images."""
    values = Values(runner)
    with torch.no_grad():
        values.run(images.clone())
    return values


def is_number(value: Any) -> bool:
    """Whether a value is a whole number, or several, as shapes are, or several shapes."""
    return isinstance(value, int) or (isinstance(value, tuple | list) and all(map(is_number, value)))


def name_of(node: fx.Node) -> str:
    """What a node names, as the model calls it: 'layer1.0.conv1'."""
    return str(node.target).removeprefix(MODEL)


def overwriting_nothing(graph: fx.Graph) -> None:
    """Have nothing overwrite what others read: x += y, x.add_(y) and relu(x, inplace=True) become their likes."""
    for node in graph.nodes:
        if node.op == "call_function":
            node.target = IN_PLACE.get(node.target, node.target)
            if node.kwargs.get("inplace"):
                node.kwargs = {**node.kwargs, "inplace": False}
        if node.op == "call_method" and str(node.target).endswith("_") and not str(node.target).endswith("__"):
            node.target = str(node.target).removesuffix("_")


def title(module: nn.Module) -> str:
    """'torch.nn.modules.linear.Linear'."""
    return f"{type(module).__module__}.{type(module).__qualname__}"
