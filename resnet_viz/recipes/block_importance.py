"""Which blocks matter? Four measures beside each other, how far they agree, and the images that one block matters most for."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..engine.kept import kept
from ..experiments import attribution, deletion
from ..experiments.attribution import IMAGES, MOST_BLOCKS, PERMUTATIONS, Importance
from ..experiments.stepwise import Stepping, Stepwise, share_of
from ..figures import importance as figures
from ..figures.bars import relative_bars
from ..figures.palette import LIGHT
from ..findings import Answer, Measurement, Question
from ..networks.images import ImageSet
from ..networks.network import gates_without
from . import measures
from .shown import MEASURED, Shown, Steps, pictures_of, recipe, sources
from .subject import Subject
from .verdict import batch

__all__ = ["agreement", "importance", "most_harmed", "shapley_values"]

Tasks: TypeAlias = Sequence[Callable[[], Stepping[Any]]]
MEASURES = {
    "deletion, nats": attribution.true_deletion,
    "first order, nats": attribution.first_order,
    "|F(x)| / |x|": attribution.branch_size,
}
DELETION, SHAPLEY = "deletion, nats", "Shapley value, nats"
AT_ONCE = 40_000  # pixels: fifty small images, or a large one
PICTURES = 8
ERRORS = "± one standard error"
OF_SHAPLEY = r"\varphi_i = \mathrm{E}_\pi [L(\pi \text{ before } i) - L(\pi \text{ up to } i)]"
FORMULA = rf"L(g_i = 0) - L(g = 1);\quad -\frac{{\partial L}}{{\partial g_i}};\quad {OF_SHAPLEY}"
RANKS = r"\rho = \mathrm{corr}(\mathrm{rank}\,a, \mathrm{rank}\,b)"
NO_LABELS = "These images have no labels: the loss is computed against the predicted classes. "
A_BAR = (
    "A bar: how much the mean loss rises without the block, by each measure; the size of the branch does not measure a loss, "
    "but is often taken for importance. The first order sees only the slope at the intact network. "
)
BELOW_0 = "A Shapley value below 0: putting the block back raises the loss, on average over the orders. "
WHISKERS = {  # by whether the values are exact
    True: "Whiskers: one standard error, over the images.",
    False: "Whiskers: one standard error, over the images; for Shapley values, over the permutations.",
}
RANKED = "1: the same order of blocks; 0: unrelated; −1: the reverse."
VERDICT_NOTES = (
    "Spearman's rank correlations over the blocks; Shapley values of fashion-resnet20 are exact, from all 512 subsets of its "
    f"blocks, those of fashion-resnet56 from {PERMUTATIONS} permutations"
)
NO_LOSS = "{title}: they have no labels, so no image has a loss."
RISES = (
    "Without it the loss rises for {share:.0f} % of {count:,} images; over all of them by {mean:.2f} nats on average."
)


@recipe("Measure every block")
def importance(subject: Subject, *beside: Subject, block: str = "", shapley: bool = False, seed: int = 0) -> Steps:
    """How much each block matters by three measures or, with Shapley values, four; and by deletion in the networks beside.

    ``block``: the one (the last) whose deletion is told of those beside. ``seed``: of the permutations of the blocks, where
    there are too many for exact Shapley values. Raises InputError for a block that does not exist.
    """
    name, blocks, images = subject.block(block), subject.blocks, subject.images
    of_beside = {f"in {each.title}, nats": tasks(attribution.true_deletion, each, batches(subject)) for each in beside}
    found = yield from results(subject, measurements(subject, shapley, seed) | of_beside)
    deleted = {title: found.pop(title) for title in of_beside}
    title, says = kept(figures.importance_sentences, blocks, found)
    for each, values in zip(beside, deleted.values(), strict=True):
        says += f" {each.title} without {name}: {values.mean[blocks.index(name)]:+.2f} nats."
    return Shown(
        title=title,
        draw=partial(figures.importance_by_block, blocks, found, beside=deleted),
        says=says,
        formula=FORMULA,
        caption=("" if images.labels is not None else NO_LABELS) + A_BAR + BELOW_0 + WHISKERS[is_exact(subject)],
        alt=f"{title}. {says}",
        facts=(MEASURED, ERRORS, *facts(subject, shapley, seed)),
        sources=sources([subject, *beside], images.limit(IMAGES)),
        bars=relative_bars(dict(zip(blocks, found[DELETION].mean, strict=True)), "nats more loss", 3),
        bars_title="bars: rise of the mean loss when this block alone is deleted",
    )


@recipe("Measure every block")
def agreement(subject: Subject, shapley: bool = False, seed: int = 0) -> Steps:
    """How far the measures put the blocks in the same order; settings as for ``importance``."""
    found = yield from results(subject, measurements(subject, shapley, seed))
    return Shown(
        title=figures.agreement_title(list(found.values())),
        draw=partial(figures.correlation_matrix, list(found), list(found.values())),
        formula=RANKS,
        caption=RANKED,
        alt="Rank correlations of the measures.",
        facts=(MEASURED, *facts(subject, shapley, seed)),
        sources=sources([subject], subject.images.limit(IMAGES)),
    )


@recipe("Add Shapley values")
def shapley_values(subject: Subject, seed: int = 0) -> Steps:
    """The Shapley value of each block; until it is known, of some of the images, or over some of the permutations."""
    todo, exact = shapley_tasks(subject, seed), is_exact(subject)
    done: list[Any] = []
    together, what = (1, "parts of the images") if exact else (len(todo) // PERMUTATIONS, "permutations")
    for task in todo:
        done.append((yield from share_of(task(), len(done), len(todo))))
        yield len(done) / len(todo)
        if len(done) % together == 0:
            found = {SHAPLEY: combined(subject, done)}
            so_far = Shown(
                draw=partial(figures.importance_by_block, subject.blocks, found),
                facts=(MEASURED, ERRORS, f"{len(done) // together} of {len(todo) // together} {what} so far"),
            )
            yield so_far
    title, _ = figures.importance_sentences(subject.blocks, found)
    return Shown(
        title=title,
        draw=so_far.draw,
        formula=OF_SHAPLEY,
        caption=BELOW_0 + WHISKERS[exact],
        alt=title,
        facts=(MEASURED, ERRORS, *facts(subject, True, seed)),
        sources=sources([subject], subject.images.limit(IMAGES)),
    )


@recipe("Delete the block for every image")
def most_harmed(subject: Subject, block: str = "") -> Steps:
    """The images of the set whose loss rises most without a block (the last). Raises InputError where there is none such."""
    images, name = subject.images, subject.block(block)
    title = f"The images that {name} matters most for"
    if images.labels is None:
        return Shown(title=title, says=NO_LOSS.format(title=images.title))
    both, loaded = [subject.intact, tuple(gates_without(subject.blocks, [name]))], subject.loaded
    parts = measures.parts_for(loaded, images, 1)
    asked = [measures.set_in_steps(deletion.loss_of_each, loaded, part, [gates]) for gates in both for part in parts]
    losses = yield from measures.one_after_the_other(asked)
    before, after = np.concatenate([each[0] for each in losses]).reshape(2, -1)
    rise = after - before
    worst = map(int, np.argsort(-rise, kind="stable")[:PICTURES])
    captions = {index: f"{images.names[index].split(',')[0]}: {rise[index]:+.1f} nats" for index in worst}
    return Shown(
        title=title,
        says=RISES.format(share=100 * np.mean(rise > 0), count=len(rise), mean=np.mean(rise)),
        facts=(MEASURED, f"{len(rise):,} images"),
        sources=sources([subject], images),
        pictures=pictures_of(images, captions),
    )


def batches(subject: Subject) -> list[ImageSet]:
    """The images in parts, with their classes; where nobody knows these, those that the network predicts."""
    sample = subject.sample(IMAGES)
    return sample.parts(max(1, AT_ONCE // sample.pixels[0, 0].numel()))


def tasks(compute: Stepwise[..., Any], subject: Subject, parts: Iterable[ImageSet], *given: int) -> Tasks:
    """What there is to compute for a measure, part by part."""
    return [
        partial(measures.batch_in_steps, compute, subject.loaded, part, deletion.known(part.labels).tolist(), *given)
        for part in parts
    ]


def is_exact(subject: Subject) -> bool:
    """Whether the blocks are few enough for all their subsets."""
    return len(subject.blocks) <= MOST_BLOCKS


def shapley_tasks(subject: Subject, seed: int) -> Tasks:
    """All subsets of the blocks, or one permutation of them after the other."""
    parts = batches(subject)
    if is_exact(subject):
        return tasks(attribution.shapley_exact, subject, parts)
    compute = attribution.shapley_permutation
    return [task for number in range(PERMUTATIONS) for task in tasks(compute, subject, parts, number, seed)]


def measurements(subject: Subject, shapley: bool, seed: int) -> dict[str, Tasks]:
    """What there is to compute, by the title of the measure."""
    parts = batches(subject)
    todo = {title: tasks(compute, subject, parts) for title, compute in MEASURES.items()}
    return todo | ({SHAPLEY: shapley_tasks(subject, seed)} if shapley else {})


def results(subject: Subject, todo: Mapping[str, Tasks]) -> Generator[float, None, dict[str, Importance]]:
    """What comes of it, by title; yields how much is done."""
    done: dict[str, list[Any]] = {title: [] for title in todo}
    every = [(title, task) for title, tasks in todo.items() for task in tasks]
    for number, (title, task) in enumerate(every):
        done[title].append((yield from share_of(task(), number, len(every))))
        yield (number + 1) / len(every)
    return {title: combined(subject, parts) for title, parts in done.items()}


def combined(subject: Subject, parts: Sequence[Any]) -> Importance:
    """What was measured of parts of the images as one; or over whole permutations."""
    if isinstance(parts[0], Importance):
        return attribution.joined(parts)
    images = min(IMAGES, len(subject.images))
    return attribution.shapley([*np.concatenate(parts).reshape(-1, images, len(subject.blocks))])


def facts(subject: Subject, shapley: bool, seed: int) -> tuple[str, ...]:
    """How many images, and over which orders of the blocks Shapley values were taken."""
    exact = f"exact, all {2 ** len(subject.blocks):,} subsets of the blocks"
    how = exact if is_exact(subject) else f"{PERMUTATIONS} permutations, seed {seed}"
    return f"{min(IMAGES, len(subject.images))} images", *([f"Shapley values {how}"] if shapley else [])


def verdict() -> Answer:
    """How far the other measures agree with deletion, in the smaller networks."""
    measured, figure = [], None
    for name in ("fashion-resnet20", "fashion-resnet56"):
        settings = batch(name, IMAGES)
        deleted = attribution.true_deletion(*settings)
        if len(settings[0].blocks) <= MOST_BLOCKS:
            shapley = attribution.shapley_exact(*settings)
        else:
            drawn = [attribution.shapley_permutation(*settings, number) for number in range(PERMUTATIONS)]
            shapley = attribution.shapley(drawn)
        size = attribution.branch_size(*settings)
        others = {SHAPLEY: shapley, "first order, nats": attribution.first_order(*settings), "|F(x)| / |x|": size}
        for title, other in others.items():
            value = float(attribution.rank_correlations([other, deleted])[0, 1])
            expected = value > 0.7 if title == SHAPLEY else value < 0.7
            interval = attribution.rank_correlation_interval(other, deleted)
            bracket = f"95 %, {attribution.interval_of(other)}"
            what = f"{title.split(',')[0]} with deletion"
            measured.append(Measurement(name, what, value, *interval, bracket, expected))
        figure = figures.importance_by_block(list(settings[0].blocks), {DELETION: deleted, **others}, LIGHT)
    return measured, VERDICT_NOTES, figure


QUESTIONS: tuple[Question, ...] = ((attribution.PLAN, "block_importance?network=fashion-resnet20", verdict),)
