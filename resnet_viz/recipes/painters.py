"""Do the blocks need their order? A stage in reverse, a block repeated, blocks side by side, and blocks reset."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from ..experiments import deletion
from ..experiments.deletion import Lesion, Sweep
from ..experiments.painters import (
    OWN_WEIGHTS,
    PARALLEL,
    PLANS,
    REINITIALISED,
    REPEATED,
    REVERSED,
    SEEDS,
    Reset,
    in_orders,
    in_parallel,
    reinitialised,
    repeating,
    reversing,
    runs_of_one_shape,
)
from ..experiments.stepwise import Stepping, finished, share_of
from ..figures import painters as figures
from ..figures.bars import relative_bars
from ..figures.painters import Line
from ..figures.palette import LIGHT
from ..figures.plot import Plot
from ..findings import Answer, Measurement, Question
from . import measures
from .shown import MEASURED, Shown, Steps, no_error, one_of, recipe, rows_of, sources
from .subject import Subject
from .verdict import CHANCE, CONTROL, IMAGES, RESIDUAL, bootstrapped, mean_interval

__all__ = ["parallel", "reinitialise", "repeat", "reverse"]

Lesions = dict[str, Lesion]
EVERY_STAGE = "every stage"
TIMES = (2, 3, 4, 6, 8)  # that a block is walked in a row
COUNTS = (2, 3, 4, 6, 8, 12, 18)  # of blocks side by side
ADDED, AVERAGED = "added", "averaged"
MOST_SEEDS = 4
REVERSE = r"h \to f_n(\dots f_2(f_1(h))) \quad\Rightarrow\quad h \to f_1(f_2(\dots f_n(h)))"
REPEAT = r"h \to f_i(f_i(\dots f_i(h)))"
ADD_OR_AVERAGE = (
    r"\mathrm{ReLU}\bigl(h + \sum_{i=1}^{k} F_i(h)\bigr),\quad "
    r"\mathrm{ReLU}\bigl(h + \tfrac{1}{k} \sum_{i=1}^{k} F_i(h)\bigr)"
)
RESET = r"h \to f_i^{\text{untrained}}(h)"
HOLLOW, INK = "○ hollow", "● in ink"  # a network beside that is not plain
IN_REVERSE = (
    "Reversed are the blocks of a stage that keep the stream's shape: a block that changes it stays the stage's first. "
    "A trained block has only ever seen the stream that the blocks before it leave."
)
IN_A_ROW = (
    "Each panel: one block, walked so many times in a row; once is the intact network. Of each stage the middle block"
)
THE_CHOSEN = ", and the one chosen in the strip"
AT_ONCE = (
    "Each panel: the last k blocks of a stage read one stream, where each would have read what the one before left. ● "
    "their branches added to it; ○ the mean of the branches added, as Sun et al. do in Transformers; the ReLU "
    "(original blocks) comes once, after the sum. A plain block has no shortcut: there the outputs alone are added or "
    "averaged."
)
WITH_INITIAL_WEIGHTS = (
    "The block has initial weights again, all others the trained ones. ● or ■: those of seed 0, from which the bundled "
    "networks were trained: it is re-initialised, as Zhang et al. say; ◆ those of other seeds, the mean, whiskers from "
    "the least to the largest: it is re-randomised; ○ or □: it is deleted instead. Other whiskers: 95 % intervals. The "
    "block's batch norms have the statistics of the untrained network, calibrated as for all untrained networks here."
)
CHANGES_SHAPE = "{block} changes the shape of the stream, or has weights on its shortcut: it cannot be walked twice. "
NO_RUN = "No stage of {title} has {least} blocks in a row of the same shape."


@recipe("Reverse every stage")
def reverse(*subjects: Subject) -> Steps:
    """The error of the set in each network with the blocks of a stage in reverse order, stage by stage, and in all at
    once.

    A network beside that has no two blocks of one shape is left out."""
    if refusal := refused(subjects[0], 2):
        return refusal
    able = [each for each in subjects if runs(each, 2)]
    swept = yield from measures.one_after_the_other([reversed_stages(each) for each in able])
    rises, stages = swept[0].rises, [name for name in swept[0].blocks if name != EVERY_STAGE]
    least, most = int(rises[: len(stages)].argmin()), int(rises[: len(stages)].argmax())
    title = f"With its blocks in reverse order, {stages[least]} costs {rises[least]:+.1f} points"
    title += f", {stages[most]} {rises[most]:+.1f}" if most != least else ""
    return shown(
        title,
        able,
        partial(figures.errors_by_stage, rows_of(able, swept), able[0].chance_pct),
        {each.title: figures.rises_sentence(named(found)) for each, found in zip(able, swept, strict=True)},
        REVERSE,
        IN_REVERSE,
        HOLLOW,
    )


@recipe("Repeat a block of each stage")
def repeat(*subjects: Subject, block: str = "") -> Steps:
    """The error of the set in each network with one block walked several times in a row: the middle one of each stage,
    and a ``block`` of one's choice, if it keeps the stream's shape. Raises InputError for a block that does not
    exist."""
    subject = subjects[0]
    if refusal := refused(subject, 1):
        return refusal
    own = runs(subject, 1)
    positions = [middle(run) for run in own.values()]
    wish = subject.blocks.index(subject.block(block)) if block else positions[0]
    may = any(wish in run for run in own.values())
    positions = sorted({*positions, wish}) if may else positions
    able = [each for each in subjects if all(any(p in run for run in runs(each, 1).values()) for p in positions)]
    swept = yield from measures.one_after_the_other(
        [repeated(each, position) for position in positions for each in able]
    )
    panels: dict[str, list[Line]] = {}
    found = iter(swept)
    for position in positions:
        panels[subject.blocks[position]] = [line(subject, each, TIMES, next(found)) for each in able]
    twice = {name: lines[0].sweep.rises[0] for name, lines in panels.items()}
    title = f"Walked twice, {', '.join(f'{name} costs {rise:+.1f}' for name, rise in twice.items())} points"
    return shown(
        title,
        able,
        partial(figures.errors_by_count, panels, "times in a row", able[0].chance_pct),
        {f"{each.title}, twice": first_rises(panels, number) for number, each in enumerate(able)},
        REPEAT,
        ("" if may else CHANGES_SHAPE.format(block=block)) + IN_A_ROW + (THE_CHOSEN if block and may else "") + ".",
        INK,
    )


@recipe("Run blocks side by side")
def parallel(*subjects: Subject) -> Steps:
    """The error of the set in each network when the last k blocks of a stage read one stream, for some k and stage by
    stage: with their branches added, and averaged."""
    subject = subjects[0]
    if refusal := refused(subject, 2):
        return refusal
    own = runs(subject, 2)
    able = [each for each in subjects if runs(each, 2).keys() >= own.keys()]
    asked = [(stage, each, averaged) for stage in own for each in able for averaged in (False, True)]
    swept = yield from measures.one_after_the_other([together(each, stage, how) for stage, each, how in asked])
    panels: dict[str, list[Line]] = {}
    for (stage, each, averaged), found in zip(asked, swept, strict=True):
        drawn = line(subject, each, counts(runs(each, 2)[stage]), found, averaged=averaged)
        panels.setdefault(stage, []).append(drawn)
    last = list(own)[-1]
    added, mean = (panels[last][number].sweep.rises[0] for number in (0, 1))
    return shown(
        f"The last two blocks of {last} side by side cost {added:+.1f} points {ADDED}, {mean:+.1f} {AVERAGED}",
        able,
        partial(figures.errors_by_count, panels, "blocks side by side", able[0].chance_pct),
        {
            f"{each.title}, two {how}": first_rises(panels, 2 * number + place)
            for number, each in enumerate(able)
            for place, how in enumerate((ADDED, AVERAGED))
        },
        ADD_OR_AVERAGE,
        AT_ONCE,
        INK,
    )


@recipe("Reset every block to initial weights")
def reinitialise(*subjects: Subject, seeds: int = 2) -> Steps:
    """The error of the set in each network with each block in turn set back to the initial weights of seed 0, and of
    so many other seeds, 1 to 4, beside that with the block deleted; until all are measured, with the first of the
    others."""
    one_of("seeds", range(1, MOST_SEEDS + 1), seeds)
    images = subjects[0].images
    if refusal := refused(subjects[0], 0):
        return refusal
    deleted = yield from share_of(each_deleted(subjects), 0, seeds + 2)
    initial: list[list[Sweep]] = []
    for seed in range(seeds + 1):
        asked = [with_initial_weights(each, seed) for each in subjects]
        initial.append((yield from share_of(measures.one_after_the_other(asked), seed + 1, seeds + 2)))
        if not seed:
            continue
        found = [
            Reset(own, tuple(others), of_network)
            for (own, *others), of_network in zip(zip(*initial, strict=True), deleted, strict=True)
        ]
        rows = rows_of(subjects, found)
        so_far = Shown(
            draw=partial(figures.reset_errors, rows, subjects[0].chance_pct),
            facts=(MEASURED, f"{len(images):,} images", f"{seed} of {seeds} other seeds so far"),
        )
        if seed < seeds:
            yield so_far
    first = found[0]
    own, others = np.median(first.own.rises), np.median(first.rises_of_others)
    says = "  \n".join(f"**{title}**: {figures.reset_sentence(each)}." for title, each, _ in rows)
    return Shown(
        title=f"With random weights, the median block costs {others:+.1f} points; with those of seed 0, {own:+.1f}",
        draw=so_far.draw,
        says=says,
        formula=RESET,
        caption=WITH_INITIAL_WEIGHTS,
        alt=says,
        facts=(MEASURED, f"{len(images):,} images", f"seeds 0 to {seeds}"),
        sources=sources(subjects, images),
        bars=relative_bars(
            dict(zip(first.deleted.blocks, first.rises_of_others, strict=True)), "points more error", least=5
        ),
        bars_title="bars: rise in error when this block alone has random weights",
    )


def shown(
    title: str,
    subjects: Sequence[Subject],
    draw: partial[Plot],
    says: Mapping[str, str],
    formula: str,
    caption: str,
    beside: str,
) -> Shown:
    """An answer about some networks; ``says``: a sentence each, by what it is about; ``beside``: how a second one is
    drawn that is not plain."""
    text = "  \n".join(f"**{name}**: {sentence}." for name, sentence in says.items())
    images = subjects[0].images
    marks = "; ".join(
        f"{'■ grey' if each.is_plain else beside if number else '● in stage colours'}: {each.title}"
        for number, each in enumerate(subjects)
    )
    return Shown(
        title=title,
        draw=draw,
        says=text,
        formula=formula,
        caption=f"{marks}. Whiskers: 95 % intervals. {caption}",
        alt=f"{title}. {text}",
        facts=(MEASURED, f"{len(images):,} images", "Wilson 95 %"),
        sources=sources(subjects, images),
    )


def refused(subject: Subject, least: int) -> Shown | None:
    """Why there is nothing to measure: no labels, or no run of so many blocks; None where there is."""
    if subject.images.labels is None:
        return Shown(title="No labels, no error", says=no_error(subject))
    if least and not runs(subject, least):
        return Shown(title="No blocks of one shape", says=NO_RUN.format(title=subject.title, least=least))
    return None


def runs(subject: Subject, least: int) -> dict[str, range]:
    """The blocks of each stage that can stand in each other's place, where there are so many."""
    return {stage: run for stage, run in runs_of_one_shape(subject.description).items() if len(run) >= least}


def middle(run: range) -> int:
    return run[len(run) // 2]


def counts(run: range) -> list[int]:
    """The numbers of blocks that stand side by side."""
    return sorted({count for count in (*COUNTS, len(run)) if count <= len(run)})


def reversed_stages(subject: Subject) -> Stepping[Sweep]:
    """Each stage in reverse order, and where there are several, all of them."""
    own, blocks = runs(subject, 2), len(subject.blocks)
    orders = {stage: reversing(blocks, run) for stage, run in own.items()}
    if len(own) > 1:
        orders[EVERY_STAGE] = reversing(blocks, *own.values())
    return measures.swept(in_orders, subject.loaded, subject.images, len(orders), orders)


def repeated(subject: Subject, position: int) -> Stepping[Sweep]:
    """One block walked so many times in a row."""
    orders = {f"{times} times": repeating(len(subject.blocks), position, times) for times in TIMES}
    return measures.swept(in_orders, subject.loaded, subject.images, len(orders), orders)


def together(subject: Subject, stage: str, averaged: bool) -> Stepping[Sweep]:
    """The last blocks of a stage side by side."""
    run = runs(subject, 2)[stage]
    side_by_side = counts(run)
    return measures.swept(in_parallel, subject.loaded, subject.images, len(side_by_side), run, side_by_side, averaged)


def each_deleted(subjects: Sequence[Subject]) -> Stepping[list[Sweep]]:
    """Each block in turn deleted, in each network, as *Layer deletion* shows it."""
    passes = len(subjects[0].blocks) / 2  # what lies before a block is shared
    networks = [each.loaded for each in subjects]
    return measures.swept_in_parts(deletion.sweep, networks, subjects[0].images, passes)


def with_initial_weights(subject: Subject, seed: int) -> Stepping[Sweep]:
    """Each block in turn with the initial weights of a seed."""
    passes, initial = len(subject.blocks) / 2, measures.network(subject.entry, seed)
    return (yield from measures.swept(reinitialised, subject.loaded, subject.images, passes, initial))


def line(subject: Subject, each: Subject, numbers: Sequence[int], swept: Sweep, averaged: bool = False) -> Line:
    """A network's line in a figure about ``subject``."""
    name = f"{each.title}, {AVERAGED}" if averaged else each.title
    return Line(name, numbers, swept, each.is_plain, averaged, each is not subject)


def named(swept: Sweep) -> Lesions:
    """Each lesion by its name."""
    return dict(zip(swept.blocks, swept.lesions, strict=True))


def first_rises(panels: Mapping[str, Sequence[Line]], number: int) -> str:
    """What the smallest count of one line costs in each panel."""
    return figures.rises_sentence({place: lines[number].sweep.lesions[0] for place, lines in panels.items()})


def answer(
    measure: Callable[[Subject], tuple[Lesions, Lesions]], expected: Callable[[bool, str, float], bool]
) -> tuple[list[Measurement], str]:
    """The rise under each lesion that the report asks for in each of its networks, and notes about others.
    ``measure``: both, by name; ``expected``: whether a rise is where it should be, given whether the network is plain
    and the lesion's name."""
    measured, notes = [], []
    for subject in map(Subject.of, (*RESIDUAL, CONTROL)):
        asked, also = measure(subject)
        for name, lesion in asked.items():
            as_expected = expected(subject.is_plain, name, lesion.rise)
            what = f"{name}: rise, points"
            measured.append(
                Measurement(subject.entry.name, what, lesion.rise, *lesion.rise_interval(), IMAGES, as_expected)
            )
        notes.append(f"{subject.title}: {figures.rises_sentence(also)}")
    return measured, "; ".join(notes)


def in_reverse() -> Answer:
    """Each stage with its blocks in reverse order."""
    rows = []

    def measure(subject: Subject) -> tuple[Lesions, Lesions]:
        found = finished(reversed_stages(subject))
        rows.append((subject.title, found, subject.is_plain))
        lesions = named(found)
        return lesions, {f"{EVERY_STAGE} at once": lesions.pop(EVERY_STAGE)}

    def expected(plain: bool, stage: str, rise: float) -> bool:
        return rise > 50 if plain else rise > 20 if stage == "layer1" else rise < 20

    measured, notes = answer(measure, expected)
    return measured, notes, figures.errors_by_stage([rows[0], rows[-1]], CHANCE, LIGHT)


def walked_twice() -> Answer:
    """The middle block of each stage, twice in a row."""

    def measure(subject: Subject) -> tuple[Lesions, Lesions]:
        positions = map(middle, runs(subject, 1).values())
        lesions = {subject.blocks[position]: finished(repeated(subject, position)).lesions for position in positions}
        twice = {f"{block} twice": of_block[0] for block, of_block in lesions.items()}
        return twice, {f"{block} {TIMES[-1]} times": of_block[-1] for block, of_block in lesions.items()}

    return *answer(measure, lambda plain, _, rise: rise > 50 if plain else rise < 5), None


def two_at_once() -> Answer:
    """The last two blocks of the network side by side."""

    def measure(subject: Subject) -> tuple[Lesions, Lesions]:
        stage, run = list(runs(subject, 2).items())[-1]
        lesions = {how: finished(together(subject, stage, how == AVERAGED)).lesions for how in (ADDED, AVERAGED)}
        two = {f"two blocks {how}": of_kind[0] for how, of_kind in lesions.items()}
        return two, {f"all {len(run)} of {stage} {how}": of_kind[-1] for how, of_kind in lesions.items()}

    return *answer(measure, lambda plain, _, rise: rise > 50 if plain else rise < 5), None


def reset_in(name: str) -> tuple[Subject, Reset]:
    """Each block of a bundled network reset, and deleted."""
    subject = Subject.of(name)
    (deleted,) = finished(each_deleted([subject]))
    own, *others = (finished(with_initial_weights(subject, seed)) for seed in SEEDS)
    return subject, Reset(own, tuple(others), deleted)


def reset() -> Answer:
    """Each block with initial weights, compared with its deletion."""
    measured, notes, rows = [], [], []
    for subject, found in map(reset_in, (*RESIDUAL, CONTROL)):
        value, low, high = mean_interval(found.worse_than_deleted)
        measured.append(
            Measurement(
                subject.entry.name,
                "median rise when reset minus when deleted, mean over the seeds, points",
                value,
                low,
                high,
                f"95 %, Student's t over {len(SEEDS)} seeds",
                abs(value) < 10 if subject.is_plain else value > 10,
            )
        )
        notes.append(f"{subject.title}: {figures.reset_sentence(found)}")
        rows.append((subject.title, found, subject.is_plain))
    notes.append("the seeds do not belong together: see the next question")
    return measured, "; ".join(notes), figures.reset_errors([rows[0], rows[-1]], CHANCE, LIGHT)


def own_weights() -> Answer:
    """Each block with the weights that it began with, and with others."""
    measured, notes = [], []
    for subject, found in map(reset_in, ("fashion-plain20", "fashion-plain32", "fashion-resnet20", "fashion-resnet32")):
        images = len(subject.images)
        value = found.others_worse_than_own(np.arange(images))
        interval = bootstrapped(found.others_worse_than_own, images)
        what = "median rise with other initial weights minus with its own, points"
        as_expected = value > 20 if subject.is_plain else value < 5
        measured.append(Measurement(subject.entry.name, what, value, *interval, IMAGES, as_expected))
        notes.append(f"{subject.title}: {figures.reset_sentence(found)}")
    return measured, "; ".join(notes), None


QUESTIONS: tuple[Question, ...] = (
    (PLANS[REVERSED], "painters?network=fashion-resnet56", in_reverse),
    (PLANS[REPEATED], "painters?network=fashion-resnet56", walked_twice),
    (PLANS[PARALLEL], "painters?network=fashion-resnet56", two_at_once),
    (PLANS[REINITIALISED], "painters?network=fashion-resnet56", reset),
    (PLANS[OWN_WEIGHTS], "painters?network=fashion-plain20", own_weights),
)
