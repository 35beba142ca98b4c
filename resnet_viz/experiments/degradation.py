"""Deeper plain networks do worse on the images they are trained on: what the bundled histories say, and the papers."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from ..networks.zoo import NETWORKS, trainable
from ..places import CHECKPOINTS
from .plan import Plan
from .training import Schedule, difference, histories

__all__ = [
    "DEPTHS",
    "LONGER_DEPTHS",
    "LONGER_EPOCHS",
    "LONGER_PLAN",
    "MILESTONES",
    "PLAN",
    "PUBLISHED",
    "History",
    "compared",
    "family",
    "gap",
    "gradient_history",
    "mean_train_error",
    "trained_longer",
]

History = Mapping[str, Any]
DEPTHS = {"plain": (20, 32, 56), "resnet": (20, 32, 56, 110)}
PLAN = Plan(
    "Do more layers make a plain network worse, even on the images it is trained on?",
    "error on all 60,000 training images and on all 10,000 test images after ten epochs, in eval mode",
    "plain and residual networks of 20, 32 and 56 layers of one family (6n + 2), and resnet110",
    "Fashion-MNIST: trained on all 60,000 images, tested on all 10,000",
    "0, 1 and 2 for 20 and 56 layers, 0 for the others",
    "plain56's training error is at least 2 points above plain20's, beyond the spread of seeds; resnet56's is not above "
    "resnet20's; and plain56's test error exceeds its training error by no more than plain20's: it does not overfit",
    "He et al. 2015, figures 1 and 6: plain-56 lies above plain-20 in training and test error on CIFAR-10; figure 4 on ImageNet",
    known="the plain networks' errors",
)
LONGER_EPOCHS, LONGER_DEPTHS = 30, (20, 56)
LONGER_PLAN = Plan(
    "Does the plain network's handicap go away with three times the training?",
    "error on all 60,000 training images after 10 and after 30 epochs, the one-cycle learning rate stretched over them",
    "plain20, plain56, resnet20 and resnet56",
    "Fashion-MNIST: trained on all 60,000 images",
    "0; one run for each network and number of epochs, so no interval",
    "after 30 epochs plain56's training error is still at least 1 point above plain20's, and resnet56's is not above resnet20's",
    "He et al. 2015, section 4.1, footnote 3: trained three times as long, the plain networks still showed degradation",
)
# Error in per cent, and where it stands. torchvision has no plain networks, and its ResNets are of option B.
PUBLISHED = [
    *(
        (name, "ImageNet, top 1, 10-crop", error, "He et al. 2015, table 2")
        for name, error in (
            ("plain-18", 27.94),
            ("ResNet-18", 27.88),
            ("plain-34", 28.54),
            ("ResNet-34, option A", 25.03),
        )
    ),
    *(
        (
            f"ResNet-{depth}, option B",
            "ImageNet, top 1, single crop",
            NETWORKS[f"imagenet-resnet{depth}"].published_error_pct,
            "torchvision, IMAGENET1K_V1",
        )
        for depth in (18, 34)
    ),
    *(
        (f"ResNet-{depth}", "CIFAR-10, test images", error, "He et al. 2015, table 6")
        for depth, error in ((20, 8.75), (32, 7.51), (44, 7.17), (56, 6.97), (110, 6.43), (1202, 7.93))
    ),
]
MILESTONES = [
    ("152 layers", "the deepest ResNet that won ILSVRC 2015"),
    (
        "3.57 %",
        "top-5 error of the ensemble of ResNets that won ILSVRC 2015 (He et al. 2015, table 5); the better of two trained "
        "people was at 5.1 % (Russakovsky et al. 2015, section 6.4)",
    ),
    ("1001 layers", "the pre-activation ResNet of He et al. 2016: 4.62 % on CIFAR-10"),
]


def family(kind: str, epochs: int = Schedule.epochs) -> dict[int, list[dict[str, Any]]]:
    """The bundled histories of 'plain' or 'resnet', one for each seed, by depth; depths that have none are left out."""
    found = {depth: histories(trainable(kind, depth), Schedule(epochs), CHECKPOINTS) for depth in DEPTHS[kind]}
    return {depth: runs for depth, runs in found.items() if runs}


def trained_longer() -> tuple[dict[str, dict[int, list[dict[str, Any]]]], list[str]]:
    """The histories of LONGER_EPOCHS epochs by kind and depth, and the names of the networks that have none yet."""
    found = {kind: family(kind, LONGER_EPOCHS) for kind in DEPTHS}
    missing = [f"{kind}{depth}" for kind, runs in found.items() for depth in LONGER_DEPTHS if depth not in runs]
    return {kind: runs for kind, runs in found.items() if runs}, missing


def gap(history: History) -> float:
    """Test error minus training error at the end, in points: the generalisation gap."""
    return float(history["test_error_pct"] - history["train_error_pct"])


def mean_train_error(runs: Sequence[History]) -> float:
    """The training error at the end, mean of the seeds, %."""
    return fmean(run["train_error_pct"] for run in runs)


def compared(deep: Sequence[History], shallow: Sequence[History]) -> dict[str, tuple[float, float, float]]:
    """Deep minus shallow, mean over the seeds and Welch's 95 % interval, in points: training error, test error, gap."""
    measures = {
        "training error": lambda run: run["train_error_pct"],
        "test error": lambda run: run["test_error_pct"],
        "gap": gap,
    }
    return {
        name: difference([measure(run) for run in deep], [measure(run) for run in shallow])
        for name, measure in measures.items()
    }


def gradient_history(history: History) -> np.ndarray:
    """The norm of d loss / d stream entering each block, after each epoch: (blocks, epochs)."""
    return np.array([epoch["stream_gradient_norms"] for epoch in history["epochs"]]).T
