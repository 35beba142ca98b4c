"""Do more layers make a plain network worse? Training and test error of plain and residual networks, from their histories."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..experiments import degradation
from ..experiments.degradation import DEPTHS, LONGER_EPOCHS, MILESTONES, PLAN, History, compared, mean_train_error
from ..experiments.training import Schedule, histories
from ..figures import degradation as figures
from ..figures.degradation import Runs
from ..figures.palette import LIGHT
from ..findings import Answer, Measurement, Question
from ..networks.zoo import NETWORKS
from ..places import CHECKPOINTS
from .shown import PRECOMPUTED, Shown, one_of, recipe
from .verdict import WELCH

__all__ = ["errors_by_depth", "errors_by_epoch", "four_stages", "gradients_by_epoch", "published", "trained_longer"]

BOTH_SETS, BY_EPOCH = "60,000 training and 10,000 test images", "by epoch: on 10,000 training images"
DEGRADATION = r"\text{degradation: } L_\text{train}(\text{deep}) > L_\text{train}(\text{shallow})"
GAP = r"\text{gap} = \text{test error} - \text{training error}"
THIRTY_EPOCHS = r"\text{30 epochs, one cycle of the learning rate}"
GRADIENT = r"\left\| \partial L / \partial x_i \right\|"
PLAIN_OR_RESIDUAL = r"y = F(x) \quad\text{against}\quad y = x + F(x)"
DASHED_IS_TRAINING = (
    "Dashed: training images, solid: test images; bands: from the best to the worst of three seeds (no band: a single "
    "seed). If the deep plain network overfitted, its dashed line would lie low. It lies high."
)
NO_OVERFITTING = (
    "Left: with depth, both errors of the plain networks rise, those of the residual ones do not. Right: the gap between "
    "test and training error of the plain networks does not grow with depth: what fails is the training. There is no plain "
    "network of 110 layers here."
)
EPOCHS_AND_BLOCKS = (
    "A column is an epoch, a row a block, the first at the bottom. With batch norm the gradient of the plain network does "
    "not vanish; it is often the larger one, and uneven; yet it learns slowly: a large gradient does not mean fast learning."
)


@recipe()
def errors_by_epoch() -> Shown:
    """Training and test error after each epoch, by depth, plain beside residual."""
    families = by_depth()
    ends = [f"{kind}{depth} {mean_train_error(families[kind][depth]):.1f} %" for kind in DEPTHS for depth in (20, 56)]
    title = f"Training error: {ends[0]}, {ends[1]}; {ends[2]}, {ends[3]} (means of 3 seeds)"
    plain, residual = families.values()
    says = f"{sentence('Plain', plain[56], plain[20])}  \n{sentence('Residual', residual[56], residual[20])}"
    return Shown(
        title=title,
        draw=partial(figures.errors_by_epoch, families),
        says=says,
        formula=DEGRADATION,
        caption=DASHED_IS_TRAINING,
        alt=f"{title}. {says}",
        facts=(PRECOMPUTED, BOTH_SETS, BY_EPOCH, "Welch 95 % over 3 seeds"),
        sources=(PLAN.networks,),
    )


def by_depth() -> dict[str, Runs]:
    """The bundled histories of each kind of network, one for each seed, by depth."""
    return {kind: degradation.family(kind) for kind in DEPTHS}


def sentence(name: str, deep: Sequence[History], shallow: Sequence[History]) -> str:
    """What depth did to one kind of network."""
    parts = ", ".join(
        f"{what} {value:+.2f} points ({low:+.2f} to {high:+.2f})"
        for what, (value, low, high) in compared(deep, shallow).items()
    )
    return f"**{name}, 56 layers against 20** (in brackets 95 % intervals): {parts}."


@recipe()
def errors_by_depth() -> Shown:
    """Training and test error at the end, and their gap, over depth."""
    return Shown(
        title="It is not overfitting",
        draw=partial(figures.errors_by_depth, by_depth()),
        formula=GAP,
        caption=NO_OVERFITTING,
        alt="Errors and their gap over depth; the same numbers stand above and in the CSV.",
        facts=(PRECOMPUTED, BOTH_SETS, "3 seeds for 20 and 56 layers, 1 for the others"),
        sources=(PLAN.networks,),
    )


@recipe()
def trained_longer() -> Shown:
    """The errors by epoch of networks that were trained three times as long."""
    families, (longer, _) = by_depth(), degradation.trained_longer()
    ends = {
        f"{kind}{depth}": [each[0]["train_error_pct"] for each in (families[kind][depth], runs)]
        for kind, its in longer.items()
        for depth, runs in its.items()
    }
    errors = ", ".join(f"{name} {short:.1f} / {long:.1f} %" for name, (short, long) in ends.items())
    says = f"Training error at the end of 10 / {LONGER_EPOCHS} epochs: {errors}."
    of_seeds = [[run["train_error_pct"] for run in runs] for its in families.values() for runs in its.values()]
    spread = max(map(np.ptp, of_seeds))
    return Shown(
        title="Does it stay when they are trained three times as long?",
        draw=partial(figures.errors_by_epoch, longer),
        says=says,
        formula=THIRTY_EPOCHS,
        caption=f"One run each, so no band; after 10 epochs, the seeds of one network differ by up to {spread:.1f} points.",
        alt=says,
        facts=(PRECOMPUTED, BOTH_SETS, BY_EPOCH, "seed 0"),
        sources=(f"{', '.join(ends)}, {LONGER_EPOCHS} epochs",),
    )


@recipe()
def gradients_by_epoch(depth: int = 56) -> Shown:
    """The gradient at each block after each epoch, plain beside residual. Raises InputError unless both have that depth."""
    depth = one_of("depth", DEPTHS["plain"], depth)
    runs = {f"{kind}{depth}": of_depth[depth][0] for kind, of_depth in by_depth().items()}
    return Shown(
        title="The gradient while they are trained",
        draw=partial(figures.gradients_by_epoch, runs),
        formula=GRADIENT,
        caption=EPOCHS_AND_BLOCKS,
        alt="The gradient norm at each block after each epoch, plain beside residual.",
        facts=(PRECOMPUTED, "500 training images", "seed 0"),
        sources=(" and ".join(runs),),
    )


@recipe()
def four_stages() -> Shown:
    """The errors by epoch of networks of the layout that those for ImageNet have."""
    runs = {kind: histories(NETWORKS[f"fashion-{kind}34"], Schedule(), CHECKPOINTS) for kind in DEPTHS}
    ends = {f"{kind}34": its[0] for kind, its in runs.items()}
    errors = ", ".join(
        f"{name} {run['train_error_pct']:.1f} / {run['test_error_pct']:.1f} %" for name, run in ends.items()
    )
    return Shown(
        title="The four-stage pair of 34 layers",
        draw=partial(figures.errors_by_epoch, {kind: {34: its} for kind, its in runs.items()}),
        says=f"Training / test error: {errors}.",
        formula=PLAIN_OR_RESIDUAL,
        caption="The layout of the ImageNet networks, narrowed: stages of 3, 4, 6 and 3 blocks.",
        alt=errors,
        facts=(PRECOMPUTED, BOTH_SETS, BY_EPOCH, "1 seed"),
        sources=("fashion-plain34 and fashion-resnet34",),
    )


@recipe()
def published() -> Shown:
    """What the papers measured."""
    columns = "network", "images and protocol", "error, %", "source"
    return Shown(
        title="What was published",
        says="\n".join(f"- **{figure}**: {text}" for figure, text in MILESTONES),
        facts=("published", "10-crop: the mean answer over ten crops of each image; one crop gives a higher error"),
        sources=("errors published in papers and by torchvision",),
        rows=tuple(dict(zip(columns, row, strict=True)) for row in degradation.PUBLISHED),
    )


def degraded() -> Answer:
    """Depth against training error, plain and residual."""
    families = by_depth()
    measured = []
    for kind, runs in families.items():
        for what, (value, low, high) in compared(runs[56], runs[20]).items():
            if what == "training error":
                expected = value >= 2 and low > 0 if kind == "plain" else low <= 0
            elif what == "gap" and kind == "plain":
                expected = low <= 0
            else:
                continue
            measured.append(
                Measurement(f"{kind}56 against {kind}20", f"{what}, points", value, low, high, WELCH, expected)
            )
    errors = {f"{kind}{depth}": mean_train_error(its) for kind, runs in families.items() for depth, its in runs.items()}
    notes = "training error, mean of the seeds: " + ", ".join(f"{name} {error:.1f} %" for name, error in errors.items())
    return measured, notes, figures.errors_by_depth(families, LIGHT)


def longer() -> Answer:
    """The same with three times the epochs, one run each."""
    families, _ = degradation.trained_longer()
    measured, notes = [], []
    for kind, runs in families.items():
        shallow, deep = (runs[depth][0]["train_error_pct"] for depth in degradation.LONGER_DEPTHS)
        rise = deep - shallow
        what = f"training error after {degradation.LONGER_EPOCHS} epochs, one run each, points"
        measured.append(
            Measurement(
                f"{kind}56 against {kind}20", what, rise, None, None, "", rise >= 1 if kind == "plain" else rise <= 0
            )
        )
        before = degradation.family(kind)
        notes += [
            f"{kind}{depth} {before[depth][0]['train_error_pct']:.1f} / {runs[depth][0]['train_error_pct']:.1f} %"
            for depth in runs
        ]
    said = f"training error after 10 / {degradation.LONGER_EPOCHS} epochs, seed 0: " + ", ".join(notes)
    return measured, said, figures.errors_by_epoch(families, LIGHT)


QUESTIONS: tuple[Question, ...] = (
    (PLAN, "degradation", degraded),
    *(() if degradation.trained_longer()[1] else ((degradation.LONGER_PLAN, "degradation", longer),)),
)
