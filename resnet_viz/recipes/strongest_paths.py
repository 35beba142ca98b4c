"""Which single paths carry most? The strongest that a search finds, and any path picked by hand."""

from collections.abc import Sequence
from functools import partial
from itertools import compress

import numpy as np

from ..engine.tickets import result
from ..experiments.stepwise import Stepping, finished, share_of
from ..experiments.strongest_paths import (
    MOST_BLOCKS,
    PLAN,
    WIDTH,
    StrongestPaths,
    path_gradient,
    recall,
    strongest_paths,
)
from ..figures.bars import relative_bars
from ..figures.diagram import feature_maps
from ..figures.palette import power_of_two, short_number
from ..figures.strongest_paths import MOST_ROWS, branches_by_stage, paths_on_blocks
from ..findings import Answer, Measurement, Question
from ..networks.network import block_indices
from . import measures
from .shown import MEASURED, Shown, Steps, recipe, sources
from .subject import Subject
from .verdict import batch, mean_interval

__all__ = ["path_picture", "strongest"]

SHARE = r"\text{share of } p = \frac{\langle g_p, g\rangle}{\langle g, g\rangle},\quad g = \sum_p g_p"
ALONG_PATH = r"\partial L / \partial \text{image, along } p"
ALL_WALKED = (
    "All {paths} paths walked one by one: {right} of the {looked_at} found are among the {looked_at} strongest."
)
NOT_PROVEN = (
    "They are the strongest found, not proven to be the strongest: the search loses a path that is weak half-way."
)
ONE_A_ROW = (
    "The {rows} strongest found, one a row: ■ the branch is taken, ─ the shortcut. A path is as strong as its share, "
    "the part of the whole gradient that it adds: over all paths the shares add up to 100 %, and a path that points "
    "against the whole has a negative one. The search keeps the partial paths with the largest share of the gradient "
    "at each stream."
)
BY_PIXEL = (
    "The gradient of the loss with respect to each pixel of the normalised image, along this path alone: blue, the "
    "loss would rise with a brighter pixel; red, it would fall."
)


@recipe("Search for the strongest paths")
def strongest(subject: Subject, *beside: Subject, branches: tuple[str, ...] = ()) -> Steps:
    """The single paths with the largest shares of the image's gradient; in words, the strongest of a network beside.

    ``branches``: the blocks whose branch the chosen path takes (none: shortcuts only). Its bars: how many of the paths
    found take each block's branch. Raises InputError for a block that does not exist.
    """
    chosen, blocks = takes_branch(subject, branches), subject.blocks
    few = len(blocks) <= MOST_BLOCKS and not subject.is_plain
    steps = 1 + few + len(beside)
    found = yield from share_of(search(subject), 0, steps)
    yield 1 / steps
    lengths, shares = found.takes_branch.sum(1), 100 * found.shares
    if subject.is_plain:
        says = f"{subject.title} has no shortcuts: this is its only path."
    else:
        says = (
            f"The {len(shares)} strongest found, of {power_of_two(len(blocks))} paths, have {lengths.min()} to "
            f"{lengths.max()} branches; together their share is {shares.sum():.1f} %. "
        )
        if few:
            right, looked_at = measures.over_batch(recall, subject.loaded, subject.image, [subject.label])
            yield 2 / steps
            says += ALL_WALKED.format(paths=2 ** len(blocks), right=right, looked_at=looked_at)
        else:
            says += NOT_PROVEN
    for number, each in enumerate(beside, start=2 + few):
        there = yield from share_of(search(each), number - 1, steps)
        yield number / steps
        length, share = there.takes_branch[0].sum(), 100 * there.shares[0]
        says += f" Beside it {each.title}: the strongest takes {length} branches, its share is {share:.2f} %."
    taken = f"{lengths[0]} of {len(blocks)} branches"
    title = f"The strongest path takes {taken}; its share of the whole gradient is {shares[0]:.2f} %"
    through = dict(zip(blocks, 100 * found.takes_branch.mean(0), strict=True))
    return Shown(
        title=title,
        draw=partial(paths_on_blocks, found, blocks, row_of(found, chosen)),
        says=says,
        formula=SHARE,
        caption=ONE_A_ROW.format(rows=min(MOST_ROWS, len(shares))),
        alt=f"{title}. {says}",
        facts=(MEASURED, "1 image", f"search of width {WIDTH}"),
        sources=sources([subject], subject.image),
        bars=relative_bars(through, "% of these paths take its branch", 0, least=100),
        bars_title=f"bars: share of the {len(shares)} paths found that take the branch",
    )


@recipe()
def path_picture(subject: Subject, branches: tuple[str, ...] = ()) -> Shown:
    """The gradient along one path, as a picture on the image; ``branches`` as in ``strongest``."""
    chosen = takes_branch(subject, branches)
    path = measures.over_batch(path_gradient, subject.loaded, subject.image, [subject.label], chosen)
    row = row_of(finished(search(subject)), chosen)
    by_stage = branches_by_stage(np.array(chosen), subject.blocks)
    rank = f"rank {row + 1} of those found" if row >= 0 else "not among the strongest found"
    length = f"{sum(chosen)} branch{'' if sum(chosen) == 1 else 'es'}"
    return Shown(
        title=f"The chosen path, of {length}: {100 * path.share:+.3g} % of the gradient",
        draw=partial(feature_maps, "gradient", path.picture),
        says=f"{by_stage} ({rank}); norm {short_number(path.norm)} at the first block.",
        formula=ALONG_PATH,
        caption=BY_PIXEL,
        alt="The gradient along the chosen path, as a picture on the input.",
        facts=(MEASURED, "1 image"),
        sources=sources([subject], subject.image),
    )


def search(subject: Subject) -> Stepping[StrongestPaths]:
    """The strongest paths that are found for the image."""
    return measures.batch_in_steps(strongest_paths, subject.loaded, subject.image, [subject.label])


def branches_of(subject: Subject) -> list[list[str]]:
    """The blocks whose branch each path takes that was found, the strongest first."""
    return result(_branches_of, subject)


def _branches_of(subject: Subject) -> list[list[str]]:
    return [list(compress(subject.blocks, taken)) for taken in finished(search(subject)).takes_branch]


def takes_branch(subject: Subject, branches: Sequence[str]) -> tuple[bool, ...]:
    """For each block, whether it is among these. Raises InputError for one that does not exist."""
    taken = block_indices(subject.blocks, branches)
    return tuple(index in taken for index in range(len(subject.blocks)))


def row_of(found: StrongestPaths, chosen: tuple[bool, ...]) -> int:
    """Which of the paths found the chosen one is, -1 if none."""
    rows = np.flatnonzero((found.takes_branch == chosen).all(1))
    return int(rows[0]) if len(rows) else -1


def strongest_found() -> Answer:
    """The strongest single paths that a search finds."""
    walked, inputs, labels = batch("fashion-resnet20", 10)
    recalls = []
    for image, label in zip(inputs.split(1), labels.split(1), strict=True):
        right, looked_at = recall(walked, image, label)
        recalls.append(right / looked_at)
    value, low, high = mean_interval(recalls)
    what = "share of the 64 strongest paths that a search of width 64 finds"
    measured = [
        Measurement("fashion-resnet20", what, value, low, high, "95 %, Student's t over 10 images", value > 0.7)
    ]
    return measured, "all 512 paths are known, so what the search misses can be counted", None


QUESTIONS: tuple[Question, ...] = ((PLAN, "strongest_paths?network=fashion-resnet20", strongest_found),)
