"""Lesion studies after Veit et al. 2016 (arXiv:1605.06431, section 4): blocks deleted one by one, many at once, reordered."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from ..errors import InputError
from ..networks.images import AnyPreprocessing, ImageSet
from ..networks.network import ResidualNetwork, stage_of
from ..networks.settled import require_settled
from ..progress import Progress, no_progress
from .deletion import Sweep, known, sweep, sweep_of
from .plan import Plan
from .stepwise import Stepping, stepwise

__all__ = [
    "IMAGES",
    "PLANS",
    "RANDOM",
    "REORDER",
    "SINGLE",
    "STUDIES",
    "Study",
    "largest_steps",
    "random_deletions",
    "random_swaps",
    "single_deletions",
    "swappable_pairs",
    "ten_counts",
    "together",
]

SINGLE, RANDOM, REORDER = STUDIES = ("single", "random", "reorder")
IMAGES = "the 1,000 bundled test images, 100 a class"
PLANS = {
    SINGLE: Plan(
        "Does a residual network survive the loss of a typical block, where a plain one does not?",
        "rise in error when each block in turn is deleted, in points: mean, median and the three worst",
        "fashion-resnet56, -resnet110 and -preact110; controls fashion-plain56 and fashion-vgg11",
        IMAGES,
        "none are needed: every block is deleted once",
        "median rise below 5 points in the residual networks, above 50 points in the plain ones and in the VGG",
        "Veit et al., figure 3: one block of ResNet-110 deleted hardly changes the error on CIFAR-10, any layer of a VGG "
        "takes it to chance",
        known="figures of an earlier measurement",
    ),
    RANDOM: Plan(
        "Does the error rise smoothly as more and more blocks are deleted?",
        "median error over draws of k of the n blocks, k from 0 to n: its largest step up and its largest fall from one k to "
        "the next, as shares of the whole rise, which is from the intact network's error to the largest median",
        "fashion-resnet56 and -resnet110; control fashion-plain56",
        IMAGES,
        "20 draws for each k, seed 0",
        "in the residual networks no step takes more than a third of the rise and no fall more than a tenth, and with a tenth "
        "of the blocks deleted the median error is below 50 %; in the plain one the first block takes more than two thirds, "
        "and the median error stays above 50 %",
        "Veit et al., figure 5 (a): the error of ResNet-110 rises smoothly with up to 20 deleted blocks",
        known="figures of five draws for each k",
    ),
    REORDER: Plan(
        "Does the error rise smoothly as blocks of equal shape change places?",
        "median error over draws of k random swaps within a stage, k from 0 to the number of blocks: its largest step up and "
        "its largest fall from one k to the next, as shares of the whole rise",
        "fashion-resnet56 and -resnet110; control fashion-plain56",
        IMAGES,
        "20 draws for each k, seed 0",
        "in the residual networks no step takes more than a third of the rise and no fall more than a tenth; in the plain one "
        "the first swap takes more than two thirds, and the median error stays above 50 %",
        "Veit et al., figure 5 (b): the error of ResNet-110 rises smoothly as Kendall's tau falls",
        known="figures of five draws for each k",
    ),
}


def ten_counts(most: int) -> list[int]:
    """About ten numbers from 1 to ``most``, the small ones closer together."""
    return sorted({round(count) for count in np.geomspace(1, most, 10)})


@dataclass(frozen=True)
class Study:
    """A lesion study; m lesions. ``amounts``: float64 (m,), how strong each is: the number of blocks deleted, or for
    reordered blocks Kendall's tau of the order, 1 for the network's own; ``steps``: int64 (m,), the number of deletions or
    swaps drawn; ``sweep``: the lesions by name, with the predictions under each."""

    kind: str
    amounts: np.ndarray
    steps: np.ndarray
    sweep: Sweep

    @property
    def error_pct(self) -> np.ndarray:
        """The error under each lesion, float64 (m,); ValueError without labels."""
        return self.sweep.errors

    def medians(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """By number of steps: the steps, the median amount, and of the error median, least and largest of the draws."""
        steps, errors = np.unique(self.steps), self.error_pct
        groups = [self.steps == step for step in steps]
        rows = [(np.median(self.amounts[g]), np.median(errors[g]), errors[g].min(), errors[g].max()) for g in groups]
        amounts, middle, least, largest = np.array(rows).T
        return steps, amounts, middle, least, largest

    def largest_steps(self) -> tuple[float, float]:
        """The largest step up and the largest fall of the median error, as ``largest_steps`` has them."""
        return largest_steps(np.array([known(self.sweep.error_pct), *self.medians()[2]]))

    def correlation(self) -> float:
        """Spearman's rank correlation of amount and error over all lesions, -1 ... 1; NaN where one of them is constant."""
        if np.ptp(self.amounts) == 0 or np.ptp(self.error_pct) == 0:
            return float("nan")
        return float(stats.spearmanr(self.amounts, self.error_pct).statistic)


def largest_steps(medians: np.ndarray) -> tuple[float, float]:
    """Whether a curve rises smoothly: its largest step up and its largest fall between neighbours, as shares of the whole
    rise, from the first to the largest value. (1, 0): all at once; (1 / m, 0): by m equal steps. NaN where nothing rises.

    ``medians``: (m + 1,), the errors by the strength of the lesion, that of the intact network first.
    """
    rise, steps = medians.max() - medians[0], np.diff(medians)
    if rise <= 0:
        return float("nan"), float("nan")
    return float(steps.max() / rise), float(max(0.0, -steps.min()) / rise)


def together(studies: Sequence[Study], most: int | None = None) -> Study:
    """Studies of one network over the same images as one, lesion after lesion; the first ``most`` of them, or all."""
    sweeps = [study.sweep for study in studies]
    return Study(
        studies[0].kind,
        np.concatenate([study.amounts for study in studies])[:most],
        np.concatenate([study.steps for study in studies])[:most],
        Sweep(
            tuple(name for each in sweeps for name in each.blocks)[:most],
            sweeps[0].intact,
            np.concatenate([each.predictions for each in sweeps])[:most],
            sweeps[0].labels,
        ),
    )


def single_deletions(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet, progress: Progress = no_progress
) -> Study:
    """Delete every block in turn."""
    swept = sweep(network, preprocessing, images, progress=progress)
    ones = np.ones(len(swept.blocks))
    return Study(SINGLE, ones, ones.astype(np.int64), swept)


@stepwise
def random_deletions(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    counts: Sequence[int],
    draws: int = 5,
    seed: int = 0,
    first: int = 0,
    progress: Progress = no_progress,
) -> Stepping[Study]:
    """Delete k blocks drawn at random, ``draws`` times for each k in ``counts``, from draw ``first`` on; those of one k depend on
    no other."""
    names = list(network.blocks)
    if not all(1 <= count <= len(names) for count in counts):
        raise InputError(f"Numbers of blocks must be 1 to {len(names)}; got {list(counts)}.")
    drawn: list[np.ndarray] = []
    for count in counts:
        generator = np.random.default_rng((seed, count))
        of_count = [np.sort(generator.choice(len(names), count, replace=False)) for _ in range(first + draws)]
        drawn += of_count[first:]
    deleted = [[names[index] for index in chosen] for chosen in drawn]
    lesions = [network.gates_without(each) for each in deleted]
    titles = tuple(map(", ".join, deleted))
    steps = np.repeat(np.array(counts, np.int64), draws)
    swept = yield from sweep_of.steps(network, preprocessing, images, titles, lesions, progress=progress)
    return Study(RANDOM, steps.astype(np.float64), steps, swept)


@stepwise
def random_swaps(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    counts: Sequence[int],
    draws: int = 5,
    seed: int = 0,
    first: int = 0,
    progress: Progress = no_progress,
) -> Stepping[Study]:
    """Let k random pairs of blocks change places, ``draws`` times for each k in ``counts``, from draw ``first`` on.

    A pair is drawn from all pairs of one stage that keep the stream's shape. Raises InputError where there is none.
    """
    if min(counts, default=1) < 1:
        raise InputError(f"Numbers of swaps must be 1 or more; got {list(counts)}.")
    pairs = swappable_pairs(network, preprocessing, images)
    if not pairs:
        raise InputError("No two blocks of this network can change places: no stage has two that keep its shape.")
    own = np.arange(len(network.blocks))
    orders: list[np.ndarray] = []
    for count in counts:
        generator, of_count = np.random.default_rng((seed, count)), []
        for _ in range(first + draws):
            order = own.copy()
            for one, other in generator.choice(pairs, count):
                order[[one, other]] = order[[other, one]]
            of_count.append(order)
        orders += of_count[first:]
    names = list(network.blocks)
    titles = tuple(
        ", ".join(f"{names[block]} at {names[place]}" for place, block in enumerate(order) if block != place)
        or "its own order"
        for order in orders
    )
    intact = [network.gates_without([])] * len(orders)
    tau = np.array([stats.kendalltau(own, order).statistic for order in orders])
    swept = yield from sweep_of.steps(
        network, preprocessing, images, titles, intact, [order.tolist() for order in orders], progress=progress
    )
    return Study(REORDER, tau, np.repeat(np.array(counts, np.int64), draws), swept)


def swappable_pairs(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet
) -> list[tuple[int, int]]:
    """All pairs of positions of blocks in one stage that take and return a stream of one shape."""
    require_settled(network)
    with torch.no_grad():
        streams = network.streams(preprocessing.inputs_of(network, images.pixels[:1]))
    places = [
        (stage_of(name), before.shape, after.shape)
        for name, before, after in zip(network.blocks, streams[:-1], streams[1:], strict=True)
    ]
    positions = range(len(places))
    return [(i, j) for i in positions for j in positions if i < j and places[i] == places[j]]
