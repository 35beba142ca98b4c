"""Which of two networks learns faster? Two networks trained side by side: the race that came with the project, or another."""

from collections.abc import Generator, Sequence
from functools import partial

from ..engine.kept import kept, kept_in_steps
from ..experiments.race import (
    BLOCK_IMAGES,
    MOST_STEPS,
    PLAN,
    RECORDED,
    SAMPLE,
    Race,
    Racing,
    Record,
    bundled,
    row_of,
    samples,
)
from ..experiments.training import difference
from ..figures.bars import relative_bars
from ..figures.palette import LIGHT
from ..figures.race import error_by_step, gradients_at
from ..findings import Answer, Measurement, Question
from ..networks.zoo import block_names
from . import measures
from .shown import MEASURED, PRECOMPUTED, Shown, Steps, one_of, recipe
from .verdict import WELCH, last_errors, listed

__all__ = ["race_deletions", "race_errors", "race_gradients"]

TRAIN = "Train both networks"
STEP = r"\theta \leftarrow \theta - \eta\,\nabla_\theta L"
GRADIENT = r"\left\| \partial L / \partial x_i \right\|"
HOLLOW_IS_TRAINING = (
    "Hollow, dashed: on training images; filled: on test images, in eval mode. One percent is five images: small "
    "differences say nothing."
)
FIRST_AT_THE_LEFT = (
    "The first block is at the left. A large gradient does not mean fast learning: compare it with the errors above."
)


@recipe(TRAIN)
def race_errors(race: Race | None = None, step: int = MOST_STEPS, records: Sequence[Record] | None = None) -> Steps:
    """The errors of both networks by step; the last record up to ``step`` in words.

    ``race``: what is trained now; None: the race that came with the project. ``records``: what it came to, if known.
    """
    race, records, record, how = yield from raced(race, step, records)
    left, right = record.left, record.right
    title = (
        f"After {record.step} steps: {race.left} {left.train_error_pct:.1f} %, {race.right} {right.train_error_pct:.1f} % "
        "training error"
    )
    says = f"On test images: {left.test_error_pct:.1f} % and {right.test_error_pct:.1f} %."
    return Shown(
        title=title,
        draw=partial(error_by_step, records, (race.left, race.right), step=record.step),
        says=says,
        formula=STEP,
        caption=HOLLOW_IS_TRAINING,
        alt=f"{title}. {says}",
        facts=(how, f"{SAMPLE} training and {SAMPLE} test images", f"seed {race.seed}"),
        sources=(source(race, record),),
    )


@recipe(TRAIN)
def race_gradients(race: Race | None = None, step: int = MOST_STEPS, records: Sequence[Record] | None = None) -> Steps:
    """The gradient at each block of both networks, at the last record up to ``step``. The others as for ``race_errors``."""
    race, _, record, how = yield from raced(race, step, records)
    names = race.left, race.right
    return Shown(
        title=f"The gradient at each block after {record.step} steps",
        draw=partial(gradients_at, record, names, [block_names(row_of(name)) for name in names]),
        formula=GRADIENT,
        caption=FIRST_AT_THE_LEFT,
        alt="The gradient norm at each block of both networks.",
        facts=(how, f"{BLOCK_IMAGES} training images", f"seed {race.seed}"),
        sources=(source(race, record),),
    )


@recipe(TRAIN)
def race_deletions(
    race: Race | None = None, step: int = MOST_STEPS, side: str = "left", records: Sequence[Record] | None = None
) -> Steps:
    """How much the error of the left or the right network rises when a block is deleted. The others as for ``race_errors``.

    Raises InputError for another side.
    """
    one_of("side", ("left", "right"), side)
    race, _, record, how = yield from raced(race, step, records)
    name = getattr(race, side)
    rises = dict(zip(block_names(row_of(name)), getattr(record, side).deletion_rises, strict=True))
    return Shown(
        title=f"{name}, after {record.step} steps",
        facts=(how, f"{BLOCK_IMAGES} test images", f"seed {race.seed}"),
        sources=(source(race, record),),
        rows=tuple({"block": block, "rise in error, points": rise} for block, rise in rises.items()),
        bars=relative_bars(rises, "points more error", least=5),
        bars_title=f"bars: rise in error on {BLOCK_IMAGES} test images when this block alone is deleted",
    )


def raced(
    race: Race | None, step: int, records: Sequence[Record] | None
) -> Generator[float, None, tuple[Race, Sequence[Record], Record, str]]:
    """A race, its records, the last one up to a step, and whether they are PRECOMPUTED or MEASURED.

    Raises InputError for a step that no race has, and what ``Racing`` raises.
    """
    how = PRECOMPUTED if race is None else MEASURED
    if race is None:
        race, records = recorded()
    elif records is None:
        records = yield from kept_in_steps(trained, race)
    step = one_of("step", range(MOST_STEPS + 1), step)
    return race, records, next(record for record in reversed(records) if record.step <= step), how


def recorded() -> tuple[Race, list[Record]]:
    """The race that came with the project, of the first seed."""
    return kept(bundled, RECORDED)[0]


def trained(race: Race) -> Generator[float, None, list[Record]]:
    """What a race comes to."""
    return (yield from measures.trained(Racing(race, samples(race.full)), race.steps + 1))


def source(race: Race, record: Record) -> str:
    """What was trained, and how far."""
    return (
        f"{race.left} and {race.right}, {record.step} steps of {race.batch_size} images, "
        f"learning rate {race.learning_rate:g}"
    )


def verdict() -> Answer:
    """A plain beside a residual network from the first step."""
    races = bundled(RECORDED)
    plain, residual = last_errors(races)
    expected = all(one - other >= 10 for one, other in zip(plain, residual, strict=True))
    what = "training error after 500 steps, points"
    measured = [Measurement("plain56 against resnet56", what, *difference(plain, residual), WELCH, expected)]
    notes = f"plain56 {listed(plain)}, resnet56 {listed(residual)}, for seeds 0, 1 and 2"
    race, records = races[0]
    return measured, notes, error_by_step(records, (race.left, race.right), LIGHT)


QUESTIONS: tuple[Question, ...] = ((PLAN, "live_training", verdict),)
