"""Why is it hard to learn to do nothing? Stacks that are to give back their input, and a network deepened by identities."""

from collections.abc import Generator, Sequence
from functools import partial

import numpy as np

from ..engine.kept import kept_in_steps
from ..experiments import deepening, identity, race
from ..experiments.deepening import BATCH, TRAINING_IMAGES, Difference
from ..experiments.degradation import family, mean_train_error
from ..experiments.identity import ARMS, LEARNING_RATES, TEST_IMAGES, Arm, Attempt, Stacks, train_stacks
from ..experiments.race import DEEPENED, MOST_STEPS, bundled, samples
from ..experiments.stepwise import Stepping, share_of
from ..experiments.training import difference
from ..figures.identity import depth_sentence, error_by_blocks, error_by_step, identity_sentence
from ..figures.palette import LIGHT
from ..figures.race import error_by_step as race_by_step
from ..findings import Answer, Measurement, Question
from ..networks.zoo import NETWORKS, Entry, LoadedNetwork, load, trainable
from . import measures
from .shown import MEASURED, PRECOMPUTED, Shown, Steps, one_of, recipe, sources
from .subject import Subject
from .verdict import WELCH, last_errors, listed

__all__ = ["containment", "deepened", "identity_blocks", "identity_steps", "trained_stacks"]

ALL = len(ARMS) * len(LEARNING_RATES)  # stacks that are trained for one number of blocks
IMAGES = f"{TEST_IMAGES} images"
RATES = "best of the learning rates " + ", ".join(f"{rate:g}" for rate in LEARNING_RATES)
TO_LEARN = r"\text{plain: } F(x) = x;\quad \text{residual: } F(x) = 0"
RELATIVE_ERROR = r"\| f(x) - x \| / \| x \|"
UNDONE = r"\gamma = \sqrt{\sigma^2 + \epsilon},\ \beta = \mu:\quad \text{BN}(x) = x"
BY_BLOCKS = (
    "A residual block that should do nothing only has to bring its branch to 0; a plain one has to learn a whole identity. "
    "Scale: the initial weight of the branch's last batch norm (pre-activation: a factor on its last convolution). Started "
    "as usual, at 1 (see all seven kinds), residual stacks of 10 blocks or more end worse than plain ones, since every "
    "branch has to be unlearned: what makes doing nothing easy is a shortcut beside a branch that starts small. Marks: the "
    "mean; whiskers: from the least to the largest of three seeds; an error of exactly 0 is drawn as the lowest line."
)
LINES = {  # by the scale of the branch
    None: "Solid: as usually initialised",
    0.1: "dashed: scale 0.1",
    0.0: (
        "dotted: scale 0, where the residual stack is the identity before it has learned anything: its error is 0 already "
        "(drawn as the lowest line), and so is its gradient; on a task with something to learn, a branch that starts at 0 "
        "does learn"
    ),
}
DEEPER = (
    "The trained plain20 is deepened to {layers} layers with layers that do nothing: Dirac convolutions, each followed by a "
    "batch norm whose scale and offset undo its normalisation. So {layers} layers can do what 20 do.{afresh}\n\n"
    "| inserted batch norms | logits differ in eval mode | in train mode |\n|---|---|---|\n"
)
AFRESH = (
    " Trained from fresh weights they do not get there: plain{layers} ends at {deep:.1f} % training error, plain20 at "
    "{shallow:.1f} % (all 60,000 training images)."
)
SQUARES_ARE_DEEPENED = (
    "Squares: deepened; circles: the same depth from fresh initial weights. At 0.05 the values in the deepened network grow "
    "without bound within 20 steps, since its inserted batch norms are frozen and rescale nothing; it is then wrong on "
    "90 %, no better than a guess. At 0.01 its training error stays far below that of the fresh network, which does not "
    "find in time what the other was given."
)


def recorded(all_kinds: bool) -> list[Attempt]:
    """The stacks that came with the project: all of them, or the plain ones and those of scale 0.1."""
    return [each for each in identity.bundled() if all_kinds or each.arm.scale in (None, 0.1)]


@recipe()
def identity_blocks(all_kinds: bool = False) -> Shown:
    """The error at the end over the number of blocks: of plain stacks and those of scale 0.1, or of all kinds."""
    attempts = recorded(all_kinds)
    return Shown(
        title=depth_sentence(attempts),
        draw=partial(error_by_blocks, attempts),
        formula=TO_LEARN,
        caption=BY_BLOCKS,
        alt="The error at the end over the number of blocks.",
        facts=(PRECOMPUTED, IMAGES, "3 seeds", RATES),
        sources=("stacks of 1 to 50 blocks of 16 channels",),
    )


@recipe()
def identity_steps(blocks: int = 20, all_kinds: bool = False) -> Shown:
    """The error by step of the stacks of one number of blocks. Raises InputError unless such have been recorded."""
    return by_step(recorded(all_kinds), one_of("blocks", identity.DEPTHS, blocks), PRECOMPUTED)


@recipe("Train the stacks")
def trained_stacks(
    blocks: int = 5, steps: int = 100, seed: int = 0, count: int = ALL, records: Sequence[Attempt] | None = None
) -> Steps:
    """The error by step of the first ``count`` stacks as they are trained now. ``records``: what they came to, if known.

    Raises InputError for fewer than one block, step or stack, and for more than can be.
    """
    for name, value, most in (("blocks", blocks, 50), ("steps", steps, MOST_STEPS), ("count", count, ALL)):
        one_of(name, range(1, most + 1), value)
    if records is None:
        records = yield from kept_in_steps(attempts, Stacks(blocks, steps, seed), count)
    return by_step(records, blocks, MEASURED)


def attempts(stacks: Stacks, count: int) -> Generator[float, None, list[Attempt]]:
    """The first ``count`` stacks, trained."""
    given = samples(full=False)
    steps = train_stacks(stacks, given.training, given.test)
    return (yield from measures.trained(steps, count * (stacks.steps + 1), count))


def by_step(attempts: Sequence[Attempt], blocks: int, how: str) -> Shown:
    """The error as the stacks of one number of blocks are trained."""
    seeds, scales = len({each.seed for each in attempts}), {each.arm.scale for each in attempts}
    says = identity_sentence(attempts, blocks)
    return Shown(
        title=f"{blocks} block{'s' if blocks > 1 else ''} that should do nothing",
        draw=partial(error_by_step, attempts, blocks),
        says=says,
        formula=RELATIVE_ERROR,
        caption="; ".join(text for scale, text in LINES.items() if scale in scales) + ".",
        alt=says,
        facts=(how, IMAGES, f"{seeds} seed{'s' if seeds > 1 else ''}", RATES),
        sources=(f"stacks of {blocks} blocks of 16 channels",),
    )


@recipe("Deepen plain20")
def containment(layers: int = 56) -> Steps:
    """What plain20 and itself deepened have in common. Raises InputError unless there is a plain network of so many layers."""
    subject, deep = Subject.of("fashion-plain20"), trainable("plain", layers)
    differences: list[Difference] = []
    errors: list[float] = []
    for live in (False, True):
        apart = kept_in_steps(logits_apart, subject.loaded, deep, live)
        differences.append((yield from share_of(apart, len(differences), 4)))
        yield len(differences) / 4
    for row in (subject.entry, deep):
        of_row = kept_in_steps(error_deepened, subject.loaded, row)
        errors.append((yield from share_of(of_row, 2 + len(errors), 4)))
        yield (2 + len(errors)) / 4
    rows = "\n".join(
        f"| {name} | {row.in_eval:.1e} | {row.in_train:.1e} |"
        for name, row in zip(("frozen", "live"), differences, strict=True)
    )
    return Shown(
        title="The deeper network contains the shallower one: training errors of "
        + " and ".join(f"{error:.2f} %" for error in errors),
        says=DEEPER.format(layers=layers, afresh=afresh(layers)) + rows,
        facts=(MEASURED, f"error: {TRAINING_IMAGES:,} training images", f"logits: {BATCH} images"),
        sources=sources([subject], deepening.training_images()),
    )


def logits_apart(shallow: LoadedNetwork, deep: Entry, live: bool) -> Stepping[Difference]:
    """What deepening a network changes."""
    return deepening.logits_apart.steps(shallow.network, deep, live=live)


def error_deepened(shallow: LoadedNetwork, deep: Entry) -> Stepping[float]:
    """The training error of a network that is deepened, %."""
    return deepening.error_deepened.steps(shallow.network, deep)


def afresh(layers: int) -> str:
    """What training from fresh weights comes to, where the project has done it."""
    errors = {depth: mean_train_error(runs) for depth, runs in family("plain").items()}
    return AFRESH.format(layers=layers, deep=errors[layers], shallow=errors[20]) if layers in errors else ""


@recipe()
def deepened(learning_rate: float = 0.05) -> Shown:
    """The recorded race of plain20, deepened, beside a fresh network. Raises InputError for a rate that was not tried."""
    races = {rate: bundled(name)[0] for rate, name in DEEPENED.items()}
    race, records = races[one_of("learning_rate", DEEPENED, learning_rate)]
    ends = {rate: (end.left.train_error_pct, end.right.train_error_pct) for rate, (_, (*_, end)) in races.items()}
    title = "plain56 after {} steps: {:.1f} % training error where it began as plain20, {:.1f} % where it began afresh"
    title = title.format(race.steps, *ends[learning_rate])
    tried = "; ".join(
        f"at a rate of {rate:g}{', as planned,' if rate == 0.05 else ', tried after that,'} it comes to {left:.1f} % "
        f"against {right:.1f} %"
        for rate, (left, right) in ends.items()
    )
    return Shown(
        title=title,
        draw=partial(race_by_step, records, (race.left, race.right)),
        says=f"The deepened network begins as good as plain20. Trained on, {tried}.",
        formula=UNDONE,
        caption=SQUARES_ARE_DEEPENED,
        alt=title,
        facts=(
            PRECOMPUTED,
            "500 training and 500 test images",
            f"seed {race.seed}",
            f"learning rate {learning_rate:g}",
        ),
        sources=(f"{race.left} and {race.right}",),
    )


def identities() -> Answer:
    """Stacks that are to do nothing."""
    attempts = identity.bundled()
    found = identity.best(attempts)
    plain, small, whole = (
        np.array([each.errors[-1] for each in found[arm, 20]])
        for arm in (Arm("plain"), Arm("basic", 0.1), Arm("basic", 1.0))
    )
    nothing = [each for each in attempts if each.arm == Arm("basic", 0.0)]
    orders = difference(list(np.log10(plain)), list(np.log10(small)))
    still = max(max(each.errors[0], each.gradient_norm) for each in nothing)
    measured = [
        Measurement(
            "20 blocks, plain against residual of scale 0.1",
            "orders of magnitude of the error",
            *orders,
            WELCH,
            orders[0] >= 1,
        ),
        Measurement(
            "20 blocks, residual of scale 1 against plain",
            "relative error",
            *difference(list(whole), list(plain)),
            WELCH,
            bool(whole.mean() >= plain.mean()),
        ),
        Measurement("residual of scale 0", "largest first error and gradient", still, None, None, "", still == 0),
    ]
    notes = "errors at 20 blocks: " + ", ".join(
        f"{arm.title} {np.mean([each.errors[-1] for each in found[arm, 20]]):.2g}" for arm in identity.ARMS
    )
    return measured, notes, error_by_blocks(attempts, LIGHT)


def contained() -> Answer:
    """A shallow network inside a deeper one, and that one trained on."""
    plain20, plain56 = NETWORKS["fashion-plain20"], trainable("plain", 56)
    shallow = load(plain20).network
    frozen, live = (deepening.logits_apart(shallow, plain56, live=live).in_train for live in (False, True))
    rise = deepening.error_deepened(shallow, plain56) - deepening.error_deepened(shallow, plain20)
    measured = [
        Measurement(
            "plain20 and itself with 56 layers",
            "difference of the logits in train mode, frozen norms",
            frozen,
            None,
            None,
            "",
            frozen <= 1e-5,
        ),
        Measurement("plain20 and itself with 56 layers", "the same with live norms", live, None, None, "", live > 0.01),
        Measurement(
            "plain20 and itself with 56 layers",
            "difference of the training errors, points",
            rise,
            None,
            None,
            "",
            rise == 0,
        ),
    ]
    notes = []
    for rate, name in race.DEEPENED.items():
        deep, fresh = last_errors(race.bundled(name))
        expected = all(one - other <= -5 for one, other in zip(deep, fresh, strict=True))
        what = f"training error after 500 steps at a learning rate of {rate:g}, points"
        measured.append(Measurement("deepened against fresh", what, *difference(deep, fresh), WELCH, expected))
        notes.append(f"at {rate:g}: deepened {listed(deep)}, fresh {listed(fresh)}")
    notes.append(
        "at 0.05 the frozen norms do not hold the growing stream and the loss explodes; 0.01 was tried after that was seen"
    )
    chosen, records = race.bundled(race.DEEPENED[0.01])[0]
    return measured, "; ".join(notes), race_by_step(records, (chosen.left, chosen.right), LIGHT)


QUESTIONS: tuple[Question, ...] = (
    (identity.PLAN, "learning_identity", identities),
    (deepening.PLAN, "learning_identity", contained),
)
