"""Do the blocks need their order, their number and their weights? A stage in reverse, a block repeated, blocks side by
side (after Sun et al. 2024, arXiv:2407.09298), a block with initial weights again (after Zhang et al. 2019,
arXiv:1902.01996)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..networks.blocks import Block, add
from ..networks.description import Description
from ..networks.folding import folded
from ..networks.images import AnyPreprocessing, ImageSet
from ..networks.network import ResidualNetwork
from ..networks.zoo import LoadedNetwork
from .deletion import Sweep, Walk, compared, known, label_array, predicted, read_walks, sweep_of
from .lesion_studies import IMAGES
from .plan import Plan
from .stepwise import Stepping, stepwise

__all__ = [
    "OWN_WEIGHTS",
    "PARALLEL",
    "PLANS",
    "REINITIALISED",
    "REPEATED",
    "REVERSED",
    "SEEDS",
    "Reset",
    "in_orders",
    "in_parallel",
    "reinitialised",
    "repeating",
    "reversing",
    "runs_of_one_shape",
    "side_by_side",
]

SEEDS = (0, 1, 2)  # of the initial weights in the report; the bundled networks were trained from those of seed 0
REVERSED, REPEATED, PARALLEL, REINITIALISED = "reversed", "repeated", "parallel", "reinitialised"
OWN_WEIGHTS = "own weights"
NETWORKS = "fashion-resnet56 and -resnet110; control fashion-plain56"
NO_SEEDS = "none are needed"
TRANSFORMERS = (
    "Sun et al., of Transformers' middle layers: some tasks survive it that layers are skipped, walked in another "
    "order or run in parallel"
)
PLANS = {
    REVERSED: Plan(
        "Do the blocks of a stage need their order?",
        "rise in error, in points, when the blocks of one stage that keep the stream's shape are walked in reverse "
        "order, stage by stage",
        NETWORKS,
        IMAGES,
        NO_SEEDS,
        "in the residual networks the rise is above 20 points in the first stage, whose first blocks cannot be deleted "
        "either, and below 20 points in the later stages; in the plain one it is above 50 points in every stage",
        TRANSFORMERS,
        known="the errors after random swaps and after each deletion",
    ),
    REPEATED: Plan(
        "Can a block be walked twice?",
        "rise in error, in points, when the middle one of a stage's blocks that keep the stream's shape is walked "
        "twice in a row, stage by stage",
        NETWORKS,
        IMAGES,
        NO_SEEDS,
        "in the residual networks the rise is below 5 points in every stage, in the plain one above 50 points",
        TRANSFORMERS,
        known="the errors after each deletion",
    ),
    PARALLEL: Plan(
        "Can two blocks run side by side?",
        "rise in error, in points, when the last two blocks of the network read the same stream and what their "
        "branches make of it is added, or averaged; in the plain network, without a shortcut",
        NETWORKS,
        IMAGES,
        NO_SEEDS,
        "added or averaged, the rise is below 5 points in the residual networks and above 50 points in the plain one",
        TRANSFORMERS,
        known="the errors after each deletion and when the network stops early",
    ),
    REINITIALISED: Plan(
        "Is a block with its initial weights better than none?",
        "rise in error, in points, when one block has initial weights again, minus the rise when it is deleted: the "
        "median over the blocks, its mean over the seeds. The block's batch norms have the "
        "statistics of the untrained network, calibrated",
        NETWORKS,
        IMAGES,
        "0, from whose weights the networks were trained, 1 and 2",
        "worse: in the residual networks the median difference is above 10 points, since a random branch adds noise as "
        "large as the stream; in the plain one it is within 10 points of 0, since either is a collapse",
        "Zhang et al.: set back to its initial weights, a layer either does hardly any harm (robust) or takes the "
        "error to chance (critical)",
        known="the errors after each deletion",
    ),
    OWN_WEIGHTS: Plan(
        "Does it matter which initial weights a block is set back to?",
        "rise in error, in points, when one block has the initial weights of other seeds (mean of two), minus the rise "
        "when it has those from which its network was trained: the median over the blocks",
        "fashion-plain20 and -plain32; beside them fashion-resnet20 and -resnet32",
        IMAGES,
        "0, from whose weights the networks were trained; 1 and 2",
        "yes in the plain networks, above 20 points: their trained blocks still fit the weights that they began with; "
        "hardly in the residual ones, below 5 points",
        "Zhang et al. tell the two apart: re-initialised (its own initial weights) and re-randomised",
        known="such differences, 73 points in fashion-plain56 and below 1 in fashion-resnet56,",
    ),
}


@dataclass(frozen=True)
class Reset:
    """What a network's blocks are worth with initial weights, the sweep of each: ``own``, with those of seed 0, from
    which the bundled networks were trained (re-initialised, as Zhang et al. say); ``others``, with those of other seeds
    (re-randomised); ``deleted``, in which each block is deleted instead. Raises ValueError without labels."""

    own: Sweep
    others: tuple[Sweep, ...]
    deleted: Sweep

    @property
    def errors_of_others(self) -> np.ndarray:
        """The error of the set with each block reset to other weights, in per cent, float64 (seeds, blocks)."""
        return np.stack([swept.errors for swept in self.others])

    @property
    def rises_of_others(self) -> np.ndarray:
        """The rise in error with each block reset to other weights, mean over the seeds, in points, float64
        (blocks,)."""
        rises: np.ndarray = np.mean([swept.rises for swept in self.others], axis=0)
        return rises

    @property
    def worse_than_deleted(self) -> np.ndarray:
        """The median over the blocks of the rise when reset minus that when deleted, in points, float64 (seeds,)."""
        return np.array([np.median(swept.rises - self.deleted.rises) for swept in (self.own, *self.others)])

    def others_worse_than_own(self, chosen: np.ndarray) -> float:
        """The median over the blocks of the rise when reset to other weights, mean over the seeds, minus that when
        reset to its own, in points, over some of the images: positions, which may repeat."""
        labels = known(self.own.labels)
        own, *others = ((swept.predictions != labels)[:, chosen].mean(1) for swept in (self.own, *self.others))
        return float(100 * np.median(np.mean(others, axis=0) - own))


def runs_of_one_shape(description: Description) -> dict[str, range]:
    """For each stage the positions of its last consecutive blocks that keep the stream's shape and have no weights on
    the shortcut: any of them can stand in the place of any other. A stage without one is left out."""
    runs: dict[str, range] = {}
    for position, block in enumerate(description.blocks):
        if block.in_shape == block.out_shape and block.shortcut in ("identity", "none"):
            run = runs.get(block.stage, range(0))
            runs[block.stage] = range(run.start if run.stop == position and run else position, position + 1)
    return runs


def reversing(blocks: int, *runs: range) -> list[int]:
    """The order of so many blocks in which those of some runs stand in reverse."""
    order = list(range(blocks))
    for run in runs:
        order[run.start : run.stop] = reversed(run)
    return order


def repeating(blocks: int, position: int, times: int) -> list[int]:
    """The order of so many blocks in which one is walked so many times in a row."""
    return [*range(position), *[position] * times, *range(position + 1, blocks)]


@stepwise
def in_orders(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet, orders: Mapping[str, Sequence[int]]
) -> Stepping[Sweep]:
    """Predictions when the blocks are walked in each of some named orders, which may name a block more than once."""
    intact = [network.gates_without([])] * len(orders)
    return (yield from sweep_of.steps(network, preprocessing, images, tuple(orders), intact, list(orders.values())))


@stepwise
def in_parallel(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    run: range,
    counts: Sequence[int],
    averaged: bool,
) -> Stepping[Sweep]:
    """Predictions when the last k blocks of a run stand side by side, for each k of ``counts``: see ``side_by_side``.

    ``run``: positions of blocks of one shape, as ``runs_of_one_shape`` has them.
    """
    copy = compared(folded(network), network, preprocessing, images)
    blocks = list(copy.blocks.values())

    def walk(count: int) -> Walk:
        start = run.stop - count

        def to_the_end(stream: Tensor) -> Tensor:
            return copy.walk(side_by_side(blocks[start : run.stop], stream, averaged), start=run.stop)

        return Walk(start, to_the_end)

    return (yield from swept(copy, preprocessing, images, {f"{count} side by side": walk(count) for count in counts}))


def side_by_side(blocks: Sequence[Block], stream: Tensor, averaged: bool) -> Tensor:
    """What blocks of one shape make of a stream that they all read: the shortcut, plus the sum of what their branches
    make of it, or (``averaged``) plus the mean, then the activation once: ``activation(h + sum_i F_i(h))``.

    Sun et al. average. Plain blocks have no shortcut: of these the outputs alone, ReLU included, are added or averaged.
    """
    terms = [block.gated(*block.split(stream), 1.0) for block in blocks]
    branches = torch.stack([known(branch) for _, branch in terms])
    return blocks[-1].activation(add(terms[-1][0], branches.mean(0) if averaged else branches.sum(0)))


@stepwise
def reinitialised(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet, initial: LoadedNetwork
) -> Stepping[Sweep]:
    """Predictions when each block in turn is exchanged for that of an untrained network of the same architecture, with
    the batch-norm statistics that it has there."""
    copy = compared(folded(network), network, preprocessing, images)
    others = compared(folded(initial.network), initial.network, preprocessing, images).blocks

    def walk(position: int, block: Block) -> Walk:
        return Walk(position, lambda stream: copy.walk(block(stream), start=position + 1))

    walks = {name: walk(position, block) for position, (name, block) in enumerate(others.items())}
    return (yield from swept(copy, preprocessing, images, walks))


def swept(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet, walks: Mapping[str, Walk]
) -> Stepping[Sweep]:
    """Predictions at the end of each of some named walks, beside those of the intact network."""
    whole = Walk(0, network.walk)
    intact, *predictions = yield from read_walks.steps(
        network, preprocessing, images, [whole, *walks.values()], predicted
    )
    return Sweep(tuple(walks), intact, np.stack(predictions), label_array(images))
