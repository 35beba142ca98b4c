"""How much each block matters, measured in four ways."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import comb
from typing import cast

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from ..errors import InputError
from ..networks.device import array_of
from ..networks.network import ResidualNetwork, check_batch
from ..networks.settled import require_settled
from .loss import finite, image_losses, loss_gradient
from .plan import Plan
from .stepwise import Stepping, stepwise
from .trace import gradients_of, image_norms, record

__all__ = [
    "IMAGES",
    "MOST_BLOCKS",
    "PERMUTATIONS",
    "PLAN",
    "Importance",
    "branch_size",
    "first_order",
    "intact",
    "interval_of",
    "joined",
    "rank_correlation_interval",
    "rank_correlations",
    "shapley",
    "shapley_exact",
    "shapley_permutation",
    "true_deletion",
]

IMAGES, PERMUTATIONS = 100, 25
MOST_BLOCKS = (
    11  # up to here all 2^n subsets, a branch each, cost no more than the 25 permutations, n forward passes each
)
PLAN = Plan(
    "Which blocks matter, and does it depend on how one asks?",
    "rise of the mean loss without the block, in nats: by deleting it, by the gradient with respect to its gate, by its Shapley value; "
    "and |F(x)| / |x|, since size is often taken for importance. Compared by Spearman's rank correlation with true deletion",
    "fashion-resnet20 and fashion-resnet56",
    f"{IMAGES} of the bundled test images",
    f"resnet20: none are needed, all 512 subsets of its blocks are measured ({PERMUTATIONS} permutations, tried first, had given 0.60); "
    f"resnet56: {PERMUTATIONS} permutations of the blocks, seed 0",
    "Shapley values correlate above 0.7 with true deletion; the first-order estimate and the size below 0.7: a gradient sees an "
    "infinitely small lesion, and a large branch need not matter",
)
RESAMPLES = 2000
TOGETHER = 3  # of the first blocks: the subsets that begin with the same ones of them are a step


@dataclass(frozen=True)
class Importance:
    """One measure of n blocks. ``by_image``: float64 (images, n); ``standard_error``: (n,), of the mean over the images, or
    where permutations were drawn, over these. ``by_permutation``: (permutations, n), what each of them gave; None where
    nothing was drawn."""

    by_image: np.ndarray
    standard_error: np.ndarray
    by_permutation: np.ndarray | None = None

    @property
    def mean(self) -> np.ndarray:
        """The mean over the images, (n,)."""
        return cast(np.ndarray, self.by_image.mean(0))


@stepwise
def true_deletion(network: ResidualNetwork, images: Tensor, labels: Tensor) -> Stepping[Importance]:
    """The rise of each image's loss when the block alone is deleted, exactly. What lies before it is walked once for all."""
    require_settled(network)
    check_batch(images)
    with torch.no_grad():
        stream = network.enter(images)
    losses = []
    for place, name in enumerate(network.blocks):
        with torch.no_grad():
            last = network.walk(stream, network.gates_without([name]), start=place)
            losses.append(image_losses(network.logits(last), labels))
            stream = network.walk(stream, start=place, stop=place + 1)
        yield (place + 1) / len(network.blocks)
    with torch.no_grad():
        intact = image_losses(network.logits(stream), labels)
    return of_images(torch.stack([loss - intact for loss in losses], 1))


@stepwise
def first_order(network: ResidualNetwork, images: Tensor, labels: Tensor) -> Stepping[Importance]:
    """The rise that the gradient promises: -d loss / d gate, since the gate falls by 1. One backward pass for all blocks."""
    require_settled(network)
    gates = intact(network, images).requires_grad_()
    with torch.enable_grad():
        logits = finite(network(images, gates))
        direction, size = loss_gradient(logits, labels)  # a softmax less 1 would be rounding where the network is sure
        (gradient,) = gradients_of(logits, [gates], direction)
    yield 1.0
    return of_images(-gradient * size[:, None])


@stepwise
def branch_size(network: ResidualNetwork, images: Tensor, labels: Tensor) -> Stepping[Importance]:
    """|F(x)| / |x| at each block, L2 norms of each image; not a measure of importance, but often taken for one."""
    kept = record(network, images, labels)
    finite(kept.logits)
    yield 1.0
    ratios = [
        image_norms(branch) / image_norms(stream)
        for branch, stream in zip(kept.branches, kept.streams[:-1], strict=True)
    ]
    return of_images(torch.stack(ratios, 1))


@stepwise
def shapley_exact(network: ResidualNetwork, images: Tensor, labels: Tensor) -> Stepping[Importance]:
    """The Shapley values of the blocks: how much each lowers each image's loss, on average over all n! orders in which the
    blocks can be added to the network without any.

    From the losses of all 2^n subsets, each weighted by the share of the orders that pass through it. Subsets that begin
    alike share their walk, so 2^n - 1 branches are run. Raises InputError for more than MOST_BLOCKS blocks.
    Invariant: the sum over the blocks is loss(all deleted) - loss(intact).
    """
    count = len(network.blocks)
    if count > MOST_BLOCKS:
        raise InputError(
            f"Exact Shapley values need at most {MOST_BLOCKS} blocks; got {count}. Average over shapley_permutation instead."
        )

    @torch.no_grad()
    def losses_from(stream: Tensor, gates: list[float]) -> Tensor:
        """The losses of all subsets that begin with these gates: (2,) * blocks left + (images,), 0 deleted, 1 kept."""
        place = len(gates)
        if place == count:
            return image_losses(network.logits(stream), labels)
        return torch.stack([losses_from(*walked(stream, [*gates, gate])) for gate in (0.0, 1.0)])

    def walked(stream: Tensor, gates: list[float]) -> tuple[Tensor, list[float]]:
        place = len(gates)
        return network.walk(stream, [*gates, *[1.0] * (count - place)], place - 1, place), gates

    require_settled(network)
    with torch.no_grad():
        beginnings = [(network.enter(images), list[float]())]
        for _ in range(min(TOGETHER, count)):
            beginnings = [walked(stream, [*gates, gate]) for stream, gates in beginnings for gate in (0.0, 1.0)]
    found = []
    for stream, gates in beginnings:
        found.append(losses_from(stream, gates))
        yield len(found) / len(beginnings)
    losses = torch.stack(found).unflatten(0, (2,) * min(TOGETHER, count))
    size = sum(np.indices((2,) * (count - 1)))  # the number of blocks there before the one that is added
    orders = np.array([1 / (count * comb(count - 1, before)) for before in range(count)])  # share that adds it then
    weights = torch.as_tensor(orders[size], device=losses.device)[..., None]
    falls = [weights * (losses.select(block, 0) - losses.select(block, 1)) for block in range(count)]
    return of_images(torch.stack([fall.flatten(0, -2).sum(0) for fall in falls], 1))


def joined(parts: Sequence[Importance]) -> Importance:
    """A measure of several parts of a set of images as one."""
    return of_images(torch.from_numpy(np.concatenate([part.by_image for part in parts])))


@stepwise
def shapley_permutation(
    network: ResidualNetwork, images: Tensor, labels: Tensor, number: int, seed: int = 0
) -> Stepping[np.ndarray]:
    """How much each block, added in a random order to the network without any, lowers each image's loss: float64 (images, n).

    One permutation (Castro et al. 2009, doi:10.1016/j.cor.2008.04.004), the ``number``-th of a seed, drawn from a generator of
    its own. Invariant: the sum over the blocks is loss(all deleted) - loss(intact). The mean over permutations estimates the
    Shapley values.
    """
    require_settled(network)
    check_batch(images)
    count = len(network.blocks)
    generator = torch.Generator().manual_seed(seed * 100_000 + number)
    gates, losses = [0.0] * count, []
    order = torch.randperm(count, generator=generator).tolist()
    for done, block in enumerate([None, *order]):
        if block is not None:
            gates[block] = 1.0
        with torch.no_grad():
            losses.append(image_losses(network(images, gates), labels))
        yield done / count
    falls = torch.empty(len(images), count, dtype=losses[0].dtype, device=losses[0].device)
    falls[:, order] = torch.stack([before - after for before, after in pairwise(losses)], 1)
    return array_of(falls.double())


def shapley(permutations: Sequence[np.ndarray]) -> Importance:
    """The mean over results of ``shapley_permutation``; the standard error is of the permutations, NaN for a single one."""
    stacked = np.stack(permutations)
    means = stacked.mean(1)
    error = stats.sem(means, axis=0) if len(means) > 1 else np.full(means.shape[1], np.nan)
    return Importance(stacked.mean(0), error, means)


def rank_correlations(measures: list[Importance]) -> np.ndarray:
    """Spearman's correlation of the means over the blocks, each measure with each: (measures, measures), -1 ... 1; NaN where a
    measure is the same for all blocks."""
    ranks = [stats.rankdata(measure.mean) for measure in measures]
    with np.errstate(invalid="ignore"):
        return cast(np.ndarray, np.corrcoef(ranks))


def rank_correlation_interval(one: Importance, other: Importance) -> tuple[float, float]:
    """The 95 % percentile interval of the rank correlation of two measures, from RESAMPLES draws of the blocks and, where a
    measure has them, of its permutations, both with replacement, seed 0; NaN where all blocks of a draw may be the same, in
    a network of a few blocks."""
    generator = np.random.default_rng(0)
    count = len(one.mean)
    blocks = generator.integers(count, size=(RESAMPLES, count))
    ranks = [
        stats.rankdata(np.take_along_axis(resampled_means(each, generator), blocks, 1), axis=1) for each in (one, other)
    ]
    first, second = (each - each.mean(1, keepdims=True) for each in ranks)
    with np.errstate(invalid="ignore"):
        found = (first * second).sum(1) / np.sqrt((first**2).sum(1) * (second**2).sum(1))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def resampled_means(measure: Importance, generator: np.random.Generator) -> np.ndarray:
    """The means of a measure's n blocks, (RESAMPLES, n), over permutations drawn anew in each row where it has any."""
    if measure.by_permutation is None:
        return np.broadcast_to(measure.mean, (RESAMPLES, len(measure.mean)))
    count = len(measure.by_permutation)
    return cast(np.ndarray, measure.by_permutation[generator.integers(count, size=(RESAMPLES, count))].mean(1))


def interval_of(measure: Importance) -> str:
    """What the interval of a rank correlation with this measure is drawn over."""
    return "blocks" if measure.by_permutation is None else "blocks and permutations"


def intact(network: ResidualNetwork, images: Tensor) -> Tensor:
    """Gates of 1, (images, n)."""
    check_batch(images)
    return next(network.parameters()).new_ones(len(images), len(network.blocks))


def of_images(values: Tensor) -> Importance:
    """One value for each image and block, and the standard error of their mean."""
    by_image = values.detach().double().cpu().numpy()
    return Importance(
        by_image, stats.sem(by_image, axis=0) if len(by_image) > 1 else np.full(by_image.shape[1], np.nan)
    )
