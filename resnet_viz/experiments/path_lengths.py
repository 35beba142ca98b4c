"""How the paths that carry the gradient grow with depth: their mean length in networks of 8 to 1001 layers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import comb

import numpy as np
from scipy import stats

from ..networks.images import ImageSet
from ..networks.zoo import NETWORKS, Entry, load, trainable
from ..places import CHECKPOINTS
from .deletion import known
from .paths import GradientByLength, gradient_by_length
from .plan import Plan
from .trace import stream_gradient_norms

__all__ = [
    "DEEPEST",
    "FEW_IMAGES",
    "IMAGES",
    "ORDERS",
    "PLAN",
    "RECORDED",
    "SEEDS",
    "PathLengths",
    "entry_of_depth",
    "measured",
    "recorded",
    "wanted",
]

DEEPEST, SEEDS = 1001, (0, 1, 2)
DEPTHS = (8, 14, 20, 26, 32, 44, 56, 110, DEEPEST)
ORDERS = {"resnet": "original", "preact": "pre-activation"}
IMAGES, FEW_IMAGES = 32, 4  # of the networks of up to 110 layers, and of those of 1001
RESAMPLES = 1000
RECORDED = CHECKPOINTS / "path_lengths.json"
PLAN = Plan(
    "How fast do the effective paths grow with depth?",
    "mean length of the paths, weighted by the norm of the gradient that all paths of a length carry together, exact; divided by the "
    "number of blocks",
    "residual networks of 8 to 110 layers, original and pre-activation, and of 1001 layers (bottlenecks, a quarter of the paper's width); "
    "untrained, and trained where there are weights",
    f"{IMAGES} of the bundled test images, {FEW_IMAGES} of them with 1001 layers",
    "0, 1 and 2 of the untrained networks; one run of each trained one",
    "more slowly than the number of blocks n: at 1001 layers below n / 10, in both orders, at 110 layers below n / 2.5; trained networks of "
    "110 layers below n / 4",
    "Veit et al., section 4.3: in a trained ResNet-110, most of the gradient comes through paths of 5 to 17 of 54 branches",
    known="the trained networks' lengths, about 16 untrained at 110 layers and about 25 at 1001",
)


@dataclass(frozen=True)
class PathLengths:
    """What the paths of one network carry. ``kind``: one of ORDERS; ``seed``: of the initial weights, None where it is trained.
    ``mean_length`` in branches; ``low``, ``high``: its 95 % interval over the images. ``norms``: by length, mean over the images
    (n + 1,). ``first``, ``last``: the norm of the gradient at the input of the first block and of the last."""

    kind: str
    depth: int
    seed: int | None
    images: int
    mean_length: float
    low: float
    high: float
    first: float
    last: float
    sum_relative_error: float
    norms: tuple[float, ...]

    @property
    def blocks(self) -> int:
        return len(self.norms) - 1

    @cached_property
    def by_length(self) -> GradientByLength:
        """As an experiment returns it, over the images together."""
        paths = tuple(comb(self.blocks, length) for length in range(self.blocks + 1))
        return GradientByLength(paths, np.array([self.norms]), self.sum_relative_error)


def entry_of_depth(kind: str, depth: int) -> Entry:
    """The row of the table of a network of so many layers. Raises InputError where there is none."""
    return NETWORKS[f"fashion-{kind}{depth}"] if depth == DEEPEST else trainable(kind, depth)


def wanted() -> Iterator[tuple[str, int, int | None]]:
    """What there is to be measured: kind, layers, seed (None: trained); the deepest last."""
    for depth in DEPTHS:
        for kind in ORDERS:
            trained = (None,) if entry_of_depth(kind, depth).weights else ()
            for seed in (*trained, *SEEDS):
                yield kind, depth, seed


def measured(kind: str, depth: int, seed: int | None, images: ImageSet) -> PathLengths:
    """Follow the gradient of images, labelled, along the paths of every length. Raises what ``load`` raises."""
    loaded = load(entry_of_depth(kind, depth), untrained=seed)
    inputs = loaded.inputs(images)
    labels = known(images.labels).to(inputs.device)
    found = gradient_by_length(loaded.network, inputs, labels)
    norms = stream_gradient_norms(loaded.network, inputs, labels)
    return PathLengths(
        kind,
        depth,
        seed,
        len(images),
        found.mean_length,
        *interval(found),
        norms[0],
        norms[-1],
        found.sum_relative_error,
        tuple(float(f"{norm:.4g}") for norm in found.mean_norms),
    )


def interval(found: GradientByLength) -> tuple[float, float]:
    """The 95 % percentile interval of the mean length, the images drawn with replacement, seed 0."""

    def mean_length(chosen: np.ndarray) -> float:
        return replace(found, norms=found.norms[chosen]).mean_length

    drawn = stats.bootstrap(
        (np.arange(len(found.norms)),),
        mean_length,
        vectorized=False,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=0,
    )
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def recorded() -> list[PathLengths]:
    """What was measured beforehand; empty where nothing was."""
    rows = json.loads(RECORDED.read_text()) if RECORDED.is_file() else ()
    return [PathLengths(**row | {"norms": tuple(row["norms"])}) for row in rows]
