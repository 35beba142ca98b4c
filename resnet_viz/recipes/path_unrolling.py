"""Which paths carry the gradient? The exact gradient by path length, and the unravelled view of a run of blocks."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
from scipy import stats
from torch import Tensor

from ..errors import InputError
from ..experiments import path_lengths, paths
from ..experiments.path_lengths import ORDERS, PathLengths
from ..experiments.paths import (
    COUNT_PLAN,
    LENGTH_PLAN,
    SINGLE_PATH_PLAN,
    GradientByLength,
    gradient_by_length,
    joined,
    sampled_path_norms,
)
from ..experiments.stepwise import share_of
from ..figures import paths as figures
from ..figures.palette import LIGHT, power_of_two
from ..findings import Answer, Measurement, Question
from ..networks.images import ImageSet
from ..networks.network import ResidualNetwork, block_indices, stage_sizes
from . import measures
from .shown import MEASURED, PRECOMPUTED, SCHEMATIC, Shown, Steps, counted, recipe, sources
from .subject import Subject
from .verdict import BACKWARD_IMAGES, IMAGES, RESAMPLES, batch, bootstrapped, lengths, mean_interval

__all__ = ["count_times_norm", "length_by_depth", "lengths_by_stage", "share_by_length", "unravelled"]

DEEP, LONGEST_RUN = 27, 5  # in blocks
BY_LENGTH = (
    r"d_k \leftarrow J_s^\top d_k + J_F^\top d_{k-1},\quad"
    r"\text{share}_k = \lVert d_k \rVert / \textstyle\sum_j \lVert d_j \rVert"
)
ONE_PATH = r"d \leftarrow J_F^\top d\text{ at the }k\text{ blocks drawn, }d \leftarrow J_s^\top d\text{ at the others}"
UNRAVELLED = r"n\text{ blocks: }2^n\text{ paths, }\tbinom{n}{k}\text{ of them of length }k"
NO_SHORTCUTS = (
    "{network} has no shortcuts: its only path goes through all {blocks} blocks. "
    "Choose a residual network to unravel one."
)
TRY_DEEPER = " In a deeper network the two lie much further apart: try fashion-resnet110."
DECOMPOSED = (
    "$d_k$: the gradient that has come back from the loss through $k$ branches so far; $J_s$, $J_F$: the derivatives "
    "of a block's shortcut and of its branch. A length's share is the norm of the summed gradient of all its paths, "
    "over the sum of these norms. The backward pass decomposes exactly over paths, for the activations of this forward "
    "pass; the forward pass does not, since each branch sees a mixture."
)
CANCELLED = (
    "○ one path, drawn at random; $d$: the gradient that comes back along it. The product counts the paths of a length "
    "as if they all pointed one way (with few draws, a single path can stand out); the exact gradient lets them cancel."
)
THREE_PANELS = "Number of paths, norm of single paths, and their product by length, beside the exact gradient."
WITHIN_STAGES = (
    "For each stage: the gradient at its end, followed back to its beginning, "
    "by the number of branches taken on the way."
)
HALF_OF_THEM = (
    "■ the branch is taken, ─ the shortcut. Deleting one block removes the {half} paths through its branch and leaves "
    "the other {half}. Of the whole network's {all} paths, each branch lies on half."
)

MEAN_LENGTH = r"\bar k = \textstyle\sum_k k\,\lVert d_k \rVert / \sum_k \lVert d_k \rVert"
BY_DEPTH = (
    "Both axes are logarithmic. Dashed: the mean length of all 2ⁿ paths, half of the blocks. Filled: untrained, three seeds; hollow: trained, "
    "one run; whiskers: 95 % of redraws of the images. The powers are fitted to the untrained ones, n: the blocks. The flatter a line, the less of its depth a network uses at once. The networks of "
    "up to 110 layers have basic blocks; that of 1001 has bottlenecks, a quarter as wide as the paper's, and was never trained."
)
NOT_RECORDED = f"{path_lengths.RECORDED} is missing; make it with: python -m resnet_viz path-lengths."


@recipe("Follow the gradient through every length")
def share_by_length(subject: Subject, *beside: Subject, images: int = 1) -> Steps:
    """The share of the gradient, and of the paths, by the number of branches; the gradient of a network beside as well.

    ``images``: 1 for the image alone, else so many of the set. Of a plain network it says that there is one path.
    """
    if subject.is_plain:
        says = NO_SHORTCUTS.format(network=subject.title, blocks=len(subject.blocks))
        return Shown(title="The whole gradient flows through one path", says=says)
    subjects, alone = [subject, *beside], one_by_one(subject, images)
    done = yield from measures.one_after_the_other(
        [measures.batch_in_steps(gradient_by_length, each.loaded, *given) for each, given in product(subjects, alone)]
    )
    exact, *others = [joined(done[start : start + len(alone)]) for start in range(0, len(done), len(alone))]
    drawn_beside = (beside[0].title, others[0]) if beside else None
    title, says = figures.length_sentences(exact)
    for each, other in zip(beside, others, strict=True):
        says += f" ○ {each.title}: {other.mean_length:.1f} branches on average."
    if len(subject.blocks) < DEEP:
        says += TRY_DEEPER
    batch, error = subject.batch(images), exact.sum_relative_error
    return Shown(
        title=title,
        draw=partial(figures.share_by_length, exact, beside=drawn_beside),
        says=says,
        formula=BY_LENGTH,
        caption=DECOMPOSED,
        alt=says,
        facts=(MEASURED, counted(batch), f"exact: the lengths add up to autograd's gradient within {error:.0e}"),
        sources=sources(subjects, batch),
    )


@recipe("Sample single paths")
def count_times_norm(subject: Subject, images: int = 1, samples: int = 5, seed: int = 0) -> Steps:
    """The number of paths of each length, the norm of single ones, and their product beside the exact gradient.

    ``images`` as in ``share_by_length``; ``samples``: so many paths of each length are drawn, from ``seed``.
    """
    alone = one_by_one(subject, images)
    exact, norms = [], []
    for done, given in enumerate(alone):
        by_length = measures.batch_in_steps(gradient_by_length, subject.loaded, *given)
        exact.append((yield from share_of(by_length, 2 * done, 2 * len(alone))))
        sampled = measures.batch_in_steps(sampled_path_norms, subject.loaded, *given, samples, seed)
        norms.append((yield from share_of(sampled, 2 * done + 1, 2 * len(alone))))
        yield (done + 1) / len(alone)
    whole, mean, batch = joined(exact), np.mean(norms, 0), subject.batch(images)
    return Shown(
        title=figures.product_sentence(whole, mean),
        draw=partial(figures.count_times_norm, whole, mean),
        formula=ONE_PATH,
        caption=CANCELLED,
        alt=THREE_PANELS,
        facts=(MEASURED, counted(batch), f"{samples} sampled paths for each length", f"seed {seed}"),
        sources=sources([subject], batch),
    )


@recipe("Look at each stage")
def lengths_by_stage(subject: Subject, images: int = 1) -> Steps:
    """The share of the gradient by the branches taken within each stage; ``images`` as in ``share_by_length``."""
    batch, names = subject.batch(images), list(stage_sizes(subject.blocks))
    labels, stages = subject.labels(batch), {}
    for name in names:
        stages[name] = measures.over_batch(within_stage, subject.loaded, batch, labels, name)
        yield len(stages) / len(names)
    return Shown(
        title=figures.stage_sentence(stages),
        draw=partial(figures.lengths_by_stage, stages),
        formula=BY_LENGTH,
        caption=WITHIN_STAGES,
        alt="Share of the gradient by the number of branches taken within each stage.",
        facts=(MEASURED, counted(batch)),
        sources=sources([subject], batch),
    )


@recipe()
def unravelled(subject: Subject, start: str = "", run: int = 3, path: int = 0) -> Shown:
    """Every path through a run of blocks, one by one, and one of them in words.

    ``start``: the first block of the run (the network's first); near the end, the run ends with the last block.
    ``run``: how many blocks, 1 to LONGEST_RUN; ``path``: the row of the chosen path, from 0. Raises InputError for a
    block, a run or a row that does not exist.
    """
    blocks = subject.blocks
    (position,) = block_indices(blocks, [start or blocks[0]])
    longest = min(LONGEST_RUN, len(blocks))
    if not 1 <= run <= longest:
        raise InputError(f"Run must be 1 to {longest} blocks; got {run}.")
    first = min(position, len(blocks) - run)
    chosen, paths = blocks[first : first + run], figures.all_paths(run)
    if not 0 <= path < len(paths):
        raise InputError(f"Path must be a row from 0 to {len(paths) - 1}; got {path}.")
    half, taken = len(paths) // 2, paths[path]
    return Shown(
        title=f"{run} blocks unravelled: {power_of_two(run)} = {len(paths)} paths, each branch on {half} of them",
        draw=partial(figures.unravelled, chosen, path),
        says=f"Chosen, length {sum(taken)}: **{figures.path_name(taken, chosen)}**. Click another.",
        formula=UNRAVELLED,
        caption=HALF_OF_THEM.format(half=half, all=power_of_two(len(blocks))),
        alt=f"All {len(paths)} paths through {', '.join(chosen)}.",
        facts=(SCHEMATIC, "the wiring, no numbers measured"),
        sources=(subject.entry.name,),
    )


@recipe()
def length_by_depth() -> Shown:
    """The mean length of the paths that carry the gradient, by number of blocks, beside that of all paths: original and
    pre-activation networks, untrained and trained. Raises InputError where none was recorded."""
    found = path_lengths.recorded()
    if not found:
        raise InputError(NOT_RECORDED)
    blocks = [each.blocks for each in found]
    least, most = min(blocks), max(blocks)
    sentences = []
    for kind, order in ORDERS.items():
        few, many = (
            mean_length([each for each in untrained(found, kind) if each.blocks == count]) for count in (least, most)
        )
        power = exponent(untrained(found, kind))
        sentences.append(f"{order} {few:.1f} to {many:.1f} branches, as n to the power of {power:.2f}")
    times = f"{most / least:.0f} times as many blocks"
    title = f"With {times}, the paths that carry the gradient are {many / few:.0f} times as long"
    return Shown(
        title=title,
        draw=partial(figures.length_by_depth, found),
        says=f"Untrained, from {least} to {most} blocks: {'; '.join(sentences)}. The average path: {least / 2:g} to {most / 2:g} branches.",
        formula=MEAN_LENGTH,
        caption=BY_DEPTH,
        alt=f"{title}: {'; '.join(sentences)}.",
        facts=(
            PRECOMPUTED,
            f"{path_lengths.IMAGES} images, {path_lengths.FEW_IMAGES} with 1001 layers",
            "3 seeds",
            "exact",
        ),
        sources=(f"{path_lengths.PLAN.networks}, Fashion-MNIST",),
    )


def untrained(found: Sequence[PathLengths], kind: str) -> list[PathLengths]:
    """Those of one kind with initial weights."""
    return [each for each in found if each.kind == kind and each.seed is not None]


def exponent(found: Sequence[PathLengths]) -> float:
    """The slope of the mean length over the number of blocks, both as logarithms: least squares."""
    blocks, lengths = (np.log([getattr(each, name) for each in found]) for name in ("blocks", "mean_length"))
    return float(stats.linregress(blocks, lengths).slope)


def mean_length(found: Sequence[PathLengths]) -> float:
    """The mean of several networks' lengths."""
    return float(np.mean([each.mean_length for each in found]))


def one_by_one(subject: Subject, images: int) -> list[tuple[ImageSet, tuple[int]]]:
    """The images of a pass, each for itself with its class: so one of them is one step."""
    batch = subject.batch(images)
    return [(batch.subset([index]), (label,)) for index, label in enumerate(subject.labels(batch))]


def within_stage(network: ResidualNetwork, images: Tensor, labels: Tensor, stage: str) -> GradientByLength:
    """The exact gradient by the number of branches taken within one stage."""
    return gradient_by_length(network, images, labels, stage=stage)


def number_of_paths() -> Answer:
    """Arithmetic: how many of the 2^54 paths have which length."""
    counts = lengths("fashion-resnet110").paths
    few, most = (100 * paths.share_of_paths(counts, *ends) for ends in ((5, 17), (19, 35)))
    measured = [
        Measurement(
            "any network of 54 blocks", "paths of 5 to 17 branches, %", few, None, None, "", abs(few - 0.4537) < 1e-4
        ),
        Measurement(
            "any network of 54 blocks", "paths of 19 to 35 branches, %", most, None, None, "", abs(most - 98.02) < 0.01
        ),
    ]
    return measured, "Each branch lies on half of the paths, 2^53 of 2^54", None


def gradient() -> Answer:
    """Which lengths carry the gradient."""
    measured, notes = [], []
    for name in ("fashion-resnet110", "fashion-preact110", "fashion-resnet56", "fashion-preact56"):
        exact = lengths(name)
        half = (len(exact.paths) - 1) / 2

        def mean_length(chosen: np.ndarray, exact: GradientByLength = exact) -> float:
            return replace(exact, norms=exact.norms[chosen]).mean_length

        interval = bootstrapped(mean_length, len(exact.norms))
        measured.append(
            Measurement(
                name, "mean length, branches", exact.mean_length, *interval, IMAGES, exact.mean_length < half / 2 + 1e-9
            )
        )
        low, high = paths.carrying_range(exact.mean_norms)
        notes.append(
            f"{name}: 95 % of the summed norms at lengths of {low} to {high} of {len(exact.paths) - 1} branches "
            f"({100 * paths.share_of_paths(exact.paths, low, high):.2g} % of the paths); untrained {lengths(name, 0).mean_length:.1f} on average; "
            f"the lengths add up to autograd's gradient within {exact.sum_relative_error:.0e}"
        )
    figure = figures.share_by_length(
        lengths("fashion-resnet110"), LIGHT, ("fashion-preact110", lengths("fashion-preact110"))
    )
    return measured, "; ".join(notes), figure


def one_path() -> Answer:
    """Single paths, drawn at random: the longer, the weaker."""
    sampled = paths.sampled_path_norms(*batch("fashion-resnet110", BACKWARD_IMAGES))
    length = np.repeat(np.arange(len(sampled)), sampled.shape[1])

    def correlation(chosen: np.ndarray) -> float:
        return float(stats.spearmanr(length[chosen], sampled.flatten()[chosen]).statistic)

    value = correlation(np.arange(len(length)))
    exact = lengths("fashion-resnet110")
    product = paths.count_times_norm(exact.paths, sampled)
    measured = [
        Measurement(
            "fashion-resnet110",
            "Spearman's correlation of norm and length",
            value,
            *bootstrapped(correlation, len(length)),
            "95 %, paths",
            value < -0.9,
        )
    ]
    generator = np.random.default_rng(0)
    drawn = generator.integers(sampled.shape[1], size=(RESAMPLES, *sampled.shape))
    peaks = [paths.count_times_norm(exact.paths, np.take_along_axis(sampled, each, 1)).argmax() for each in drawn]
    low, high = np.percentile(peaks, [2.5, 97.5])
    notes = (
        f"five paths a length do not determine where the number of paths times the norm of one peaks: at {int(product.argmax())} as drawn, "
        f"at {low:.0f} to {high:.0f} in 95 % of redraws from them, and one path alone makes up {100 * paths.largest_path_share(exact.paths, sampled):.0f} % of the product; "
        f"the exact gradient peaks at {int(exact.mean_norms.argmax())}"
    )
    return measured, notes, figures.count_times_norm(exact, sampled, LIGHT)


def growth() -> Answer:
    """How long the effective paths are, in shares of the number of blocks."""
    found, measured = path_lengths.recorded(), []
    for kind, order in ORDERS.items():
        for depth, most in ((110, 1 / 2.5), (path_lengths.DEEPEST, 1 / 10)):
            these = [each for each in untrained(found, kind) if each.depth == depth]
            value, low, high = mean_interval([each.mean_length / each.blocks for each in these])
            bracket = f"95 %, Student's t over {len(these)} seeds"
            what = f"{depth} layers, mean length in shares of n"
            measured.append(Measurement(f"{order}, untrained", what, value, low, high, bracket, value < most))
        (trained,) = [each for each in found if each.kind == kind and each.depth == 110 and each.seed is None]
        value, low, high = (length / trained.blocks for length in (trained.mean_length, trained.low, trained.high))
        what = "110 layers, mean length in shares of n"
        measured.append(Measurement(f"{order}, trained", what, value, low, high, IMAGES, value < 1 / 4))
    depths = sorted({each.depth for each in found})
    notes = "untrained, mean of the seeds, branches: " + "; ".join(
        f"{order} "
        + ", ".join(
            f"{mean_length([each for each in untrained(found, kind) if each.depth == depth]):.1f} at {depth} layers"
            for depth in depths
        )
        for kind, order in ORDERS.items()
    )
    notes += "; fitted, over the number of blocks n: " + ", ".join(
        f"{order} n^{exponent(untrained(found, kind)):.2f}" for kind, order in ORDERS.items()
    )
    return measured, notes, figures.length_by_depth(found, LIGHT)


QUESTIONS: tuple[Question, ...] = (
    (COUNT_PLAN, "path_unrolling?network=fashion-resnet110", number_of_paths),
    (LENGTH_PLAN, "path_unrolling?network=fashion-resnet110&beside=fashion-preact110", gradient),
    (SINGLE_PATH_PLAN, "path_unrolling?network=fashion-resnet110", one_path),
    (path_lengths.PLAN, "path_unrolling?figure=length_by_depth", growth),
)
