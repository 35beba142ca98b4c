"""Deeper plain networks do worse on the images they are trained on: what the bundled histories say, and the papers."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from ..networks.zoo import CHECKPOINTS, trainable
from .plan import Plan
from .training import Recipe, difference, histories

History = Mapping[str, Any]
DEPTHS = {"plain": (20, 32, 56), "resnet": (20, 32, 56, 110)}
PLAN = Plan(
    "Do more layers make a plain network worse, even on the images it is trained on?",
    "error on all 60,000 training images and on all 10,000 test images after ten epochs, in eval mode",
    "plain and residual networks of 20, 32 and 56 layers of one family (6n + 2), and resnet110",
    "Fashion-MNIST: trained on all 60,000 images, tested on all 10,000",
    "0, 1 and 2 for 20 and 56 layers, 0 for the others",
    "plain56's training error is at least 2 points above plain20's, beyond the spread of seeds; resnet56's is not above "
    "resnet20's; and plain56's test error exceeds its training error by no more than plain20's: it is no overfitting",
    "He et al. 2015, figure 1 and 6: plain-56 lies above plain-20 in training and test error on CIFAR-10; figure 4 on ImageNet",
    known="the plain networks' errors",
)
LONGER_EPOCHS = 30
LONGER_PLAN = Plan(
    "Does the plain network's handicap go away with three times the training?",
    "error on all 60,000 training images after 10 and after 30 epochs, the one-cycle learning rate stretched over them",
    "plain20, plain56, resnet20 and resnet56",
    "Fashion-MNIST: trained on all 60,000 images",
    "0; one run for each network and number of epochs, so no interval",
    "after 30 epochs plain56's training error is still at least 1 point above plain20's, and resnet56's is not above resnet20's",
    "He et al. 2015, section 4.1, footnote 3: trained three times as long, the plain networks showed the degradation still",
)
# Percent. "recalled": widely published, not read again in the paper; "seen": in public reproductions' tables.
PUBLISHED = [
    ("plain-18", "ImageNet, top 1", 27.94, "recalled"),
    ("ResNet-18", "ImageNet, top 1", 27.88, "recalled"),
    ("plain-34", "ImageNet, top 1", 28.54, "recalled"),
    ("ResNet-34, option A", "ImageNet, top 1", 25.03, "recalled"),
    *((f"ResNet-{depth}", "CIFAR-10", error, "seen")
      for depth, error in ((20, 8.75), (32, 7.51), (44, 7.17), (56, 6.97), (110, 6.43), (1202, 7.93))),
]  # fmt: skip
MILESTONES = [
    ("about 20 layers", "where plain networks stop getting better with depth (He et al., 2015)"),
    ("152 layers", "the deepest ResNet of ILSVRC 2015"),
    ("3.57 %", "top-5 error of the ResNets that won ILSVRC 2015, an ensemble; a person was estimated at 5.1 %"),
    ("1001 layers", "the pre-activation ResNet of He et al., 2016: 4.62 % on CIFAR-10"),
]


def family(kind: str) -> dict[int, list[dict[str, Any]]]:
    """The bundled histories of 'plain' or 'resnet', one for each seed, by depth; depths that have none are left out."""
    found = {depth: histories(trainable(kind, depth), Recipe(), CHECKPOINTS) for depth in DEPTHS[kind]}
    return {depth: runs for depth, runs in found.items() if runs}


def gap(history: History) -> float:
    """Test error minus training error at the end, in points: the generalisation gap."""
    return history["test_error_pct"] - history["train_error_pct"]


def mean_train_error(runs: Sequence[History]) -> float:
    """The training error at the end, mean of the seeds, %."""
    return fmean(run["train_error_pct"] for run in runs)


def compared(deep: Sequence[History], shallow: Sequence[History]) -> dict[str, tuple[float, float, float]]:
    """Deep minus shallow, mean over the seeds and Welch's 95 % interval, in points: training error, test error, gap."""
    measures = {"training error": lambda run: run["train_error_pct"], "test error": lambda run: run["test_error_pct"], "gap": gap}  # fmt: skip
    return {
        name: difference([measure(run) for run in deep], [measure(run) for run in shallow])
        for name, measure in measures.items()
    }


def gradient_history(history: History) -> np.ndarray:
    """The norm of d loss / d stream entering each block, after each epoch: (blocks, epochs)."""
    return np.array([epoch["stream_gradient_norms"] for epoch in history["epochs"]]).T
