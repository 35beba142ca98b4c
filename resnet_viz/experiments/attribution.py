"""How much each block matters, measured in four ways: thin calls into Captum, which takes gates as inputs."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import FeatureAblation, ShapleyValueSampling
from scipy import stats
from torch import Tensor
from torch.nn import functional

from ..networks.network import ResidualNetwork
from .plan import Plan
from .trace import image_norms, record

IMAGES, PERMUTATIONS = 100, 25
PLAN = Plan(
    "Which blocks matter, and does it depend on how one asks?",
    "rise of the mean loss without the block, in nats: by deleting it, by the gradient with respect to its gate, by its Shapley value; "
    "and |F(x)| / |x|, since size is often taken for importance. Compared by Spearman's rank correlation with true deletion",
    "fashion-resnet20 and fashion-resnet56",
    f"{IMAGES} of the bundled test images",
    f"{PERMUTATIONS} permutations of the blocks, seed 0",
    "Shapley values correlate above 0.7 with true deletion; the first-order estimate and the size below 0.7: a gradient sees an "
    "infinitely small lesion, and a large branch need not matter",
)
Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Importance:
    """One measure of n blocks. ``by_image``: float64 (images, n); ``standard_error``: (n,), of the mean over the images, or
    where permutations were drawn, over these."""

    by_image: np.ndarray
    standard_error: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The mean over the images, (n,)."""
        return self.by_image.mean(0)


def loss_of_gates(network: ResidualNetwork, images: Tensor, labels: Tensor) -> Loss:
    """The function that Captum explains: gates (images, n), a row for each image -> each image's cross-entropy (images,)."""

    def loss(gates: Tensor) -> Tensor:
        return functional.cross_entropy(network(images, gates), labels, reduction="none")

    return loss


def true_deletion(network: ResidualNetwork, images: Tensor, labels: Tensor) -> Importance:
    """The rise of each image's loss when the block alone is deleted. Captum's FeatureAblation over the gates: exact."""
    gates = intact(network, images)
    with torch.no_grad():
        falls = FeatureAblation(loss_of_gates(network, images, labels)).attribute(gates, perturbations_per_eval=1)
    return of_images(-falls)


def first_order(network: ResidualNetwork, images: Tensor, labels: Tensor) -> Importance:
    """The rise that the gradient promises: -d loss / d gate, since the gate falls by 1. One backward pass for all blocks."""
    gates = intact(network, images).requires_grad_()
    with torch.enable_grad():
        losses = loss_of_gates(network, images, labels)(gates)
        (gradient,) = torch.autograd.grad(losses.sum(), gates)
    return of_images(-gradient)


def branch_size(network: ResidualNetwork, images: Tensor, labels: Tensor) -> Importance:
    """|F(x)| / |x| at each block, L2 norms of each image; not a measure of importance, but often taken for one."""
    kept = record(network, images, labels)
    ratios = [
        image_norms(branch) / image_norms(stream)
        for branch, stream in zip(kept.branches, kept.streams[:-1], strict=True)
    ]
    return of_images(torch.stack(ratios, 1))


def shapley_permutation(
    network: ResidualNetwork, images: Tensor, labels: Tensor, number: int, seed: int = 0
) -> np.ndarray:
    """How much each block, added in a random order to the network without any, lowers each image's loss: float64 (images, n).

    Captum's ShapleyValueSampling with one permutation, the ``number``-th of a seed, drawn from a generator of its own.
    Invariant: the sum over the blocks is loss(all deleted) - loss(intact). The mean over permutations estimates the
    Shapley values.
    """
    sampling = ShapleyValueSampling(loss_of_gates(network, images, labels))
    generator = torch.Generator().manual_seed(seed * 100_000 + number)
    sampling.permutation_generator = lambda count, draws: (
        torch.randperm(count, generator=generator).tolist() for _ in range(draws)
    )
    with torch.no_grad():
        falls = sampling.attribute(intact(network, images), n_samples=1, perturbations_per_eval=1)
    return -falls.double().cpu().numpy()


def shapley(permutations: Sequence[np.ndarray]) -> Importance:
    """The mean over results of ``shapley_permutation``; the standard error is of the permutations, NaN for a single one."""
    by_permutation = np.stack(permutations)
    means = by_permutation.mean(1)
    error = stats.sem(means, axis=0) if len(means) > 1 else np.full(means.shape[1], np.nan)
    return Importance(by_permutation.mean(0), error)


def rank_correlations(measures: list[Importance]) -> np.ndarray:
    """Spearman's correlation of the means over the blocks, each measure with each: (measures, measures), -1 ... 1."""
    ranks = [stats.rankdata(measure.mean) for measure in measures]
    return np.corrcoef(ranks)


def rank_correlation_interval(one: Importance, other: Importance) -> tuple[float, float]:
    """The 95 % percentile interval of the rank correlation of two measures, from 2,000 draws of the blocks, seed 0; NaN
    where all blocks of a draw may be the same, in a network of a few blocks."""

    def correlation(*means: np.ndarray, axis: int) -> np.ndarray:
        centred = [
            ranks - ranks.mean(axis, keepdims=True) for ranks in (stats.rankdata(each, axis=axis) for each in means)
        ]
        with np.errstate(invalid="ignore"):
            return (centred[0] * centred[1]).sum(axis) / np.sqrt(
                (centred[0] ** 2).sum(axis) * (centred[1] ** 2).sum(axis)
            )

    with warnings.catch_warnings(action="ignore", category=stats.DegenerateDataWarning):
        drawn = stats.bootstrap((one.mean, other.mean), correlation, paired=True, vectorized=True, n_resamples=2000, method="percentile", rng=0)  # fmt: skip
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def intact(network: ResidualNetwork, images: Tensor) -> Tensor:
    """Gates of 1, (images, n)."""
    return images.new_ones(len(images), len(network.blocks))


def of_images(values: Tensor) -> Importance:
    """One value for each image and block, and the standard error of their mean."""
    by_image = values.detach().double().cpu().numpy()
    return Importance(
        by_image, stats.sem(by_image, axis=0) if len(by_image) > 1 else np.full(by_image.shape[1], np.nan)
    )
