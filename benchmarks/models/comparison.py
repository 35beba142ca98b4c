"""One model, taken and compared: what became of it, in a row."""

import re
from collections import Counter
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from resnet_viz.experiments.paths import gradient_by_length
from resnet_viz.experiments.trace import record
from resnet_viz.networks.adapt import adapt
from resnet_viz.networks.exactness import rounding
from resnet_viz.networks.network import ResidualNetwork

from . import hooks
from .catalogue import Model

__all__ = ["Row", "compared", "installed"]

DIFFERENCES = ("logits", "deletions", "branch_gradients", "stream_gradients", "paths")
NOISE = 0.02  # added to all weights: many branches begin as exact zeros


@dataclass(frozen=True)
class Row:
    """What was found of one model. Differences are the largest, relative to the largest value; 0: the same bits.

    ``outcome``: 'taken', 'refused', 'not installed' or 'failed', and ``reason`` why. ``stages``: blocks in each;
    ``kinds``: of branch, with their number. ``deletions``: of the logits without the first block, and without the
    middle one; ``branch_gradients``: as these None where no module of the model's own is the branch.
    ``stream_gradients``: at the ``streams_seen`` blocks whose stream is what a module is given; ``paths``: of their sum
    from autograd's gradient.
    """

    package: str
    model: str
    outcome: str
    reason: str = ""
    stages: tuple[int, ...] = ()
    kinds: tuple[tuple[str, int], ...] = ()
    logits: float | None = None
    deletions: float | None = None
    branch_gradients: float | None = None
    stream_gradients: float | None = None
    streams_seen: int = 0
    paths: float | None = None
    seconds: float = 0.0


def installed(model: Model) -> bool:
    """Whether a model's package is there."""
    return find_spec(model.module.partition(".")[0]) is not None


def compared(model: Model) -> Row:
    """Take a model and compare it; whatever goes wrong is told in its row."""
    if not installed(model):
        return Row(model.package, model.name, "not installed", f"pip install {model.package}")
    start = perf_counter()
    try:
        torch.manual_seed(0)
        original = lively(model.make(import_module(model.module)), torch.randn(8, *model.shape))
        images = torch.randn(2, *model.shape)
        try:
            network = adapt(original, images)
        except TypeError as refusal:
            return refused(model, str(refusal))
        if model.refused:
            return Row(model.package, model.name, "failed", f"taken, where a refusal was expected: {model.refused}")
        return measured(model, original, network, images, start)
    except Exception as error:  # of whatever library: the other models are to be compared all the same
        return Row(model.package, model.name, "failed", f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")


def refused(model: Model, said: str) -> Row:
    outcome = "refused" if model.refused and model.refused in said else "failed"
    return Row(model.package, model.name, outcome, re.sub(r"^\S+ ", "", said))


@torch.no_grad()
def lively(model: nn.Module, images: Tensor) -> nn.Module:
    """The model in eval mode as if it had learnt: all weights moved a little, so that no branch adds zero, and batch
    norms that have seen a batch, so that signals neither vanish nor grow."""
    for parameter in model.parameters():
        parameter.add_(NOISE * torch.randn_like(parameter))
    norms = {module: module.momentum for module in model.modules() if isinstance(module, _BatchNorm)}
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        model.train()(images)
    for norm, momentum in norms.items():
        norm.momentum = momentum
    return model.eval()


def measured(model: Model, original: nn.Module, network: ResidualNetwork, images: Tensor, start: float) -> Row:
    labels = torch.tensor([0, 1])
    with torch.no_grad():
        logits = difference(network(images), original(images))
    ours = record(network, images, labels)
    deletions = branch_gradients = None
    if model.branches:
        calls, blocks = hooks.calls_of(original, model.branches, images), list(network.blocks)
        if calls != len(blocks):
            raise ValueError(f"{len(blocks)} blocks were found; {calls} were expected")
        deletions = max(deletion(model, original, network, images, place) for place in (0, len(blocks) // 2))
        theirs = hooks.branch_gradients(original, model.branches, images, labels)
        branch_gradients = max(map(difference, ours.branch_gradients, theirs))
    streams = hooks.stream_gradients(original, images, labels, ours.streams[:-1])
    stream_gradients = [difference(ours.stream_gradients[place], gradient) for place, gradient in streams.items()]
    row = Row(
        model.package,
        model.name,
        "taken",
        stages=tuple(network.stage_sizes().values()),
        kinds=tuple(Counter(block.kind for block in network.blocks.values()).most_common()),
        logits=logits,
        deletions=deletions,
        branch_gradients=branch_gradients,
        stream_gradients=max(stream_gradients, default=None),
        streams_seen=len(streams),
        paths=gradient_by_length(network, images, labels).sum_relative_error,
        seconds=perf_counter() - start,
    )
    off = [f"{name} {value:.0e}" for name, value in asdict(row).items() if name in DIFFERENCES and not within(value)]
    if off:
        raise ValueError(f"it differs from the model by more than rounding: {', '.join(off)}")
    return row


def within(difference: float | None) -> bool:
    """Whether rounding explains a difference, if there is one; NaN is none that it does."""
    return difference is None or difference <= rounding(torch.ones(()))


@torch.no_grad()
def deletion(model: Model, original: nn.Module, network: ResidualNetwork, images: Tensor, place: int) -> float:
    """How far the logits without one block are from those when a hook makes its branch 0. Raises ValueError where
    neither changes anything."""
    without = network(images, network.gates_without([list(network.blocks)[place]]))
    if torch.equal(without, network(images)):
        raise ValueError("deleting a block changes nothing")
    return difference(without, hooks.logits_without(original, model.branches, place, images))


def difference(result: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest expected value; 0 for the same numbers."""
    if torch.equal(result, expected):
        return 0.0
    return ((result - expected).abs().max() / expected.abs().max()).item()
