"""Which shortcut? The kinds of shortcut and the orders of activation that He et al. 2016 compared (arXiv:1603.05027): what comes
back along the shortcuts, and what training makes of each."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..networks.blocks import Block
from ..networks.network import ResidualNetwork
from ..networks.shortcuts import GatedShortcut, Scale
from ..networks.zoo import Entry, trainable
from ..places import CHECKPOINTS
from .loss import labels_of
from .paths import block_pulls, checked_pulls, stream_gradients
from .plan import Plan
from .trace import image_norms
from .training import Schedule, histories

__all__ = [
    "DEEP",
    "DEEP_KINDS",
    "DEPTH",
    "DEPTHS",
    "EPOCHS",
    "GRADIENT_PLAN",
    "IMAGES",
    "KINDS",
    "ORDERS",
    "RECORDED",
    "SEEDS",
    "SHORTCUTS",
    "TRAINING_PLAN",
    "AlongShortcuts",
    "Kind",
    "along_shortcuts",
    "recorded",
    "runs",
    "schedule",
    "trained",
]

DEPTH, DEEP, DEPTHS = 56, 110, (20, 56, 110)
EPOCHS, SEEDS = 3, (0, 1, 2)
IMAGES = 32
RECORDED = CHECKPOINTS / "shortcuts.json"
PAPER = "[He et al., 2016](https://arxiv.org/abs/1603.05027)"
GRADIENT_PLAN = Plan(
    "How much gradient comes back along the shortcuts alone?",
    "norm of the gradient that comes back along all shortcuts, and along no branch, to the first block's input, relative to that at "
    "the last stream; exact, mean of the seeds",
    "residual networks of 20, 56 and 110 layers, untrained, with seven kinds of shortcut beside the identity, and with the five "
    "orders of activation",
    f"{IMAGES} of the bundled test images",
    "0, 1 and 2",
    "at 56 layers below 1e-6 where the shortcut is scaled by 0.5 or has a gate that begins half-open; at 110 layers above 0.1 with "
    "full pre-activation, where nothing but the two changes of shape stands on the way, and less than that with the original order, "
    "where a ReLU follows each sum",
    f"{PAPER}, section 3: a factor on each shortcut multiplies up over the blocks, and the signal vanishes or explodes",
)
TRAINING_PLAN = Plan(
    "Which shortcut is trained best?",
    f"error on all 60,000 training images after {EPOCHS} epochs: difference to the identity shortcut, in points",
    f"residual networks of {DEPTH} layers with seven kinds of shortcut, none, and the five orders of activation",
    "Fashion-MNIST: trained on all 60,000 images",
    "0, 1 and 2",
    "at least 1 point worse: scaled by 0.5, the gate that begins half-open, the 1x1 convolution and dropout; at least 5 points "
    "worse: no shortcut; at most 1 point worse: ReZero, the gate that begins open, and full pre-activation",
    f"{PAPER}, tables 1 and 2, test error on CIFAR-10 with 110 layers: identity 6.61 %, scaled 12.35 %, gate begun half-open 12.86 %, begun open "
    "6.91 %, 1x1 convolution 12.22 %, dropout and no shortcut fail; full pre-activation 6.37 %",
    known="the errors of plain56 and resnet56 after ten epochs",
)


@dataclass(frozen=True)
class Kind:
    """One kind of block. ``network``: its name in the family of ``trainable``, ``option`` that of its shortcuts; ``formula``: what
    the block adds up, in LaTeX. ``published``: the test error on CIFAR-10 of its network of 110 layers, %, by He et al. 2016 (tables
    1 and 2; median of 5 runs); None where they report that it fails, NaN where they did not try it."""

    title: str
    network: str
    formula: str
    published: float | None
    option: str = "A"

    def entry(self, depth: int) -> Entry:
        """Its network of 6n + 2 layers for Fashion-MNIST. Raises InputError for another depth."""
        return trainable(self.network, depth, self.option)


NOT_TRIED = float("nan")
SHORTCUTS = {
    "identity": Kind("identity", "resnet", "x + F(x)", 6.61),
    "none": Kind("no shortcut", "plain", "F(x)", None),
    "exclusive": Kind("exclusive gate", "exclusive", "(1 - g)x + gF(x),\\ b = -6", 8.70),
    "halved": Kind("scaled by 0.5", "halved", "0.5x + 0.5F(x)", 12.35),
    "gated": Kind("half-open gate", "gated", "(1 - g)x + F(x),\\ b = 0", 12.86),
    "opened": Kind("open gate", "opened", "(1 - g)x + F(x),\\ b = -6", 6.91),
    "convolution": Kind("1x1 convolution", "resnet", "Wx + F(x)", 12.22, "C"),
    "dropout": Kind("dropout 0.5", "dropout", "\\mathrm{drop}(x) + F(x)", None),
    "rezero": Kind("ReZero", "rezero", "x + \\alpha F(x)", NOT_TRIED),
}
ORDERS = {
    "normafter": Kind("BN after addition", "normafter", "\\mathrm{ReLU}(\\mathrm{BN}(x + F(x)))", 8.17),
    "relubefore": Kind("ReLU before addition", "relubefore", "x + \\mathrm{ReLU}(F(x))", 7.84),
    "relufirst": Kind("ReLU-only pre-activation", "relufirst", "x + F(\\mathrm{ReLU}(x))", 6.71),
    "preactivation": Kind("full pre-activation", "preact", "x + F(\\mathrm{ReLU}(\\mathrm{BN}(x)))", 6.37),
}
KINDS = SHORTCUTS | ORDERS
DEEP_KINDS = ("identity", "exclusive")


@dataclass(frozen=True)
class AlongShortcuts:
    """What comes back through n blocks. ``alone``: the norm of the gradient that has come along the shortcuts alone, at each block's
    input and at the last stream, relative to the latter, float64 (n + 1,); ``whole``: that of the whole gradient. ``factors``: the
    mean of the factor on each shortcut, (n,): 1 for an identity, 0 for none, NaN where it is no factor. A norm is L2 per
    image, then the mean over the images."""

    alone: np.ndarray
    whole: np.ndarray
    factors: np.ndarray


def along_shortcuts(network: ResidualNetwork, images: Tensor, labels: Tensor) -> AlongShortcuts:
    """Follow the gradient back along the shortcuts alone, exactly, beside the whole gradient.

    What follows a block's sum counts to the shortcut. Raises InputError where shortcut and branch together do not make up
    autograd's gradient at a block, for a network that is not in eval mode and for labels that do not fit.
    """
    streams, gradients, size = stream_gradients(network, images, labels_of(images, labels))
    alone = [gradients[-1][None]]
    for through_shortcut, _ in checked_pulls(block_pulls(network, streams, None), gradients):
        alone.append(through_shortcut(alone[-1]))

    def relative(norms: Sequence[Tensor]) -> np.ndarray:
        means = torch.stack([(each * size).mean() for each in norms]).cpu().numpy()
        return np.asarray(means / means[-1])

    factors = [mean_factor(block, stream) for block, stream in zip(network.blocks.values(), streams, strict=False)]
    return AlongShortcuts(
        relative([image_norms(each[0]) for each in reversed(alone)]),
        relative([image_norms(each) for each in gradients]),
        np.array(factors),
    )


@torch.no_grad()
def mean_factor(block: Block, stream: Tensor) -> float:
    """The mean factor on a block's shortcut, over images, channels and places; NaN where it is no factor."""
    if isinstance(block, GatedShortcut):
        return float(block.factor(stream).mean())
    if block.is_plain:
        return 0.0
    scales = [layer.factor for layer in block.shortcut.modules() if isinstance(layer, Scale)]
    mixes = any(isinstance(layer, nn.Conv2d) for layer in block.shortcut.modules())
    return float("nan") if mixes else float(scales[0]) if scales else 1.0


def schedule(seed: int = 0) -> Schedule:
    """How each of them is trained."""
    return Schedule(EPOCHS, seed=seed)


def runs() -> Iterator[tuple[Entry, Schedule]]:
    """Every run of the race, in the order in which they are worth having."""
    for seed in SEEDS:
        for kind in KINDS.values():
            yield kind.entry(DEPTH), schedule(seed)
    for seed in SEEDS:
        for name in DEEP_KINDS:
            yield KINDS[name].entry(DEEP), schedule(seed)


def trained(depth: int = DEPTH) -> dict[str, list[dict[str, Any]]]:
    """The histories that are there, one for each seed, by kind; kinds that have none are left out."""
    found = {name: histories(kind.entry(depth), schedule(), CHECKPOINTS) for name, kind in KINDS.items()}
    return {name: of_seeds for name, of_seeds in found.items() if of_seeds}


def recorded() -> dict[tuple[str, int], list[AlongShortcuts]]:
    """What was measured of the untrained networks, one for each seed, by kind and number of layers; empty where nothing was."""
    found: dict[tuple[str, int], list[AlongShortcuts]] = {}
    for row in json.loads(RECORDED.read_text()) if RECORDED.is_file() else ():
        arrays = (np.array(row[name], float) for name in ("alone", "whole", "factors"))
        found.setdefault((row["kind"], row["depth"]), []).append(AlongShortcuts(*arrays))
    return found
