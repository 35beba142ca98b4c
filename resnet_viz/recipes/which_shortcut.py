"""Which shortcut? What comes back along other kinds of shortcut, and what training makes of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import InputError
from ..experiments import path_lengths, shortcuts
from ..experiments.shortcuts import (
    DEEP,
    DEEP_KINDS,
    DEPTH,
    DEPTHS,
    EPOCHS,
    GRADIENT_PLAN,
    IMAGES,
    KINDS,
    ORDERS,
    RECORDED,
    SEEDS,
    SHORTCUTS,
    TRAINING_PLAN,
    AlongShortcuts,
)
from ..experiments.training import difference
from ..figures import paths as path_figures
from ..figures import shortcuts as figures
from ..figures.palette import LIGHT, short_number
from ..figures.shortcuts import Errors, left_text
from ..findings import Answer, Measurement, Question
from .shown import PRECOMPUTED, Shown, one_of, recipe
from .verdict import mean_interval

__all__ = ["GROUPS", "along_blocks", "by_depth", "errors", "kinds", "thousand_layers"]

GROUPS = {"shortcuts": SHORTCUTS, "orders of activation": {"identity": SHORTCUTS["identity"], **ORDERS}}
PRODUCT = (
    r"\frac{\partial L}{\partial x_0} = \Big(\prod_{i=0}^{n-1} J_{s_i}^\top a_i'\Big)\frac{\partial L}{\partial x_n}"
    r" + \text{all paths through a branch}"
)
GATE = r"g = \sigma(Wx + b)"
BLOCK_BY_BLOCK = (
    "Read from right to left, as the gradient runs. $J_s$: the derivative of the shortcut, its factor held fixed; $a'$: that of what "
    "follows the sum. Left: a line that stays level loses nothing. Where the shape changes, every second pixel is taken, and every network "
    "loses some; in the original order the ReLU after each sum takes more. Where a line ends, less than 10⁻¹² is left, or nothing: at "
    "each place some ReLU on the way was closed. Right: all paths together. In most kinds the branches make up for it, and more; an exclusive "
    "gate and ReZero begin with hardly any branch."
)
DEEPER = (
    f"A small circle: {DEPTHS[0]} layers, a square: {DEPTHS[1]}, a diamond: {DEPTHS[2]}. Left: where a mark moves left with depth, factors multiply up. "
    "No shortcut: nothing comes back along it. Dropout acts in training alone, and is an identity here. The table, by layers, has the product of "
    "the mean factors on the shortcuts, too, one a block (110 layers; what follows the sum not counted): where factors differ from "
    "place to place, or a ReLU or batch norm follows, more is lost than they say."
)
TRAINED = (
    "Circles: seeds, the bar: their mean; dotted: the identity's mean. The two sides are different tasks: here Fashion-MNIST, {depth} layers, "
    "{epochs} epochs, the error on the training images; there CIFAR-10, 110 layers, a whole training, the test error, the median of "
    "five runs. Compare the order of the kinds, not the numbers. The paper's gates begin at the biases given here; ReZero is not of that "
    "paper."
)
THOUSAND = (
    "The network of He et al. 2016: 333 bottleneck blocks, 111 a stage; here a quarter as wide as theirs, and never trained, so this is what "
    "training would begin with. Coloured: how much of the gradient comes through paths of so many branches (○ original order); grey: "
    "how many of the 2³³³ paths have that length. Both orders begin alike: the gradient at the first block is by far the larger one, and "
    "the two distributions lie on each other; what the paper shows is a difference in training."
)
TRAINED_DEEP = "Trained on CIFAR-10, the paper reports a test error of 7.61 % for the original order and 4.92 % for full pre-activation."
NOT_YET = "Not trained yet: {names}. Make them with `python -m resnet_viz shortcuts`."
MISSING = "{file} is missing; make it with: python -m resnet_viz {command}."


def mean_of(found: Sequence[AlongShortcuts]) -> AlongShortcuts:
    """The mean of the seeds."""
    return AlongShortcuts(
        *(np.mean([getattr(each, name) for each in found], 0) for name in ("alone", "whole", "factors"))
    )


def untrained(depth: int) -> dict[str, AlongShortcuts]:
    """What was recorded of the untrained networks of a depth, mean of the seeds, by kind. Raises InputError where nothing was."""
    recorded = shortcuts.recorded()
    found = {name: mean_of(recorded[name, depth]) for name in KINDS if (name, depth) in recorded}
    if not found:
        raise InputError(MISSING.format(file=RECORDED, command="shortcut-gradients"))
    return found


@recipe()
def kinds() -> Shown:
    """What each kind of block puts out."""
    lines = [f"- **{kind.title}**: ${kind.formula}$" for kind in KINDS.values()]
    return Shown(
        title="The blocks",
        says="\n".join(lines),
        formula=GATE,
        caption="Branch $F$ and its initial weights are the same; where the order of activation is not given, a ReLU follows the sum. The 1x1 "
        "convolution has a batch norm behind it, as option C has.",
    )


@recipe()
def along_blocks(group: str = "shortcuts", depth: int = DEPTH) -> Shown:
    """The gradient along the shortcuts alone, block by block, beside the whole, of untrained networks: mean of the seeds.

    ``group``: one of GROUPS. Raises InputError for another one, or another depth than those of DEPTHS.
    """
    wanted = GROUPS[one_of("group", list(GROUPS), group)]
    of_depth = untrained(one_of("depth", DEPTHS, depth))
    found = {wanted[name].title: of_depth[name] for name in wanted}
    title = f"{depth} layers, untrained: {ends(found)}"
    return Shown(
        title=title,
        draw=partial(figures.along_blocks, found),
        formula=PRODUCT,
        caption=BLOCK_BY_BLOCK,
        alt=title,
        facts=(PRECOMPUTED, f"{IMAGES} images", f"mean of {len(SEEDS)} seeds", "exact"),
        sources=(f"{GRADIENT_PLAN.networks}, Fashion-MNIST",),
    )


def ends(found: Mapping[str, AlongShortcuts]) -> str:
    """Which of several kinds of shortcut leave most and least of the gradient."""
    left = {title: float(each.alone[0]) for title, each in found.items() if each.factors.any()}
    least, most = min(left.values()), max(left.values())
    titles = {value: ", ".join(title for title, each in left.items() if each == value) for value in (least, most)}
    return (
        f"along the shortcuts alone {left_text(most)} of the gradient is left with {titles[most]}, "
        f"{left_text(least)} with {titles[least]}"
    )


@recipe()
def by_depth() -> Shown:
    """What is left of the gradient at the first block, by number of layers, of every kind of block, untrained."""
    of_depths = {depth: untrained(depth) for depth in DEPTHS}
    found = {kind.title: {depth: of_depths[depth][name] for depth in DEPTHS} for name, kind in KINDS.items()}
    deep = {title: its[DEEP] for title, its in found.items()}
    title = f"{DEEP} layers, untrained: {ends(deep)}"
    rows = [
        {
            "kind": name,
            "product of the mean factors": ""
            if np.isnan(its[DEEP].factors).any()
            else short_number(its[DEEP].factors.prod()),
            **{f"along the shortcuts, {depth}": left_text(each.alone[0]) for depth, each in its.items()},
            **{f"whole, {depth}": short_number(each.whole[0]) for depth, each in its.items()},
        }
        for name, its in found.items()
    ]
    return Shown(
        title=title,
        draw=partial(figures.by_depth, found),
        formula=PRODUCT,
        caption=DEEPER,
        alt=title,
        facts=(PRECOMPUTED, f"{IMAGES} images", f"mean of {len(SEEDS)} seeds", "exact"),
        sources=(f"{GRADIENT_PLAN.networks}, Fashion-MNIST",),
        rows=tuple(rows),
    )


@recipe()
def errors() -> Shown:
    """The training error of every kind of block that has been trained, with its seeds, beside what He et al. 2016 published."""
    found = shortcuts.trained()
    of_kinds = [Errors(kind, train_errors(found.get(name, ()))) for name, kind in KINDS.items()]
    done = {each.kind.title: float(np.mean(each.of_seeds)) for each in of_kinds if each.of_seeds}
    best = ", ".join(f"{title} {error:.1f} %" for title, error in sorted(done.items(), key=lambda pair: pair[1])[:3])
    says = f"Training error, least first: {best}." if done else ""
    if waiting := [each.kind.title for each in of_kinds if not each.of_seeds]:
        says += " " + NOT_YET.format(names=", ".join(waiting))
    if deep := deeper():
        says += f"  \n{deep}"
    rows = [
        {
            "kind": each.kind.title,
            "seeds": len(each.of_seeds),
            "training error, %": f"{np.mean(each.of_seeds):.2f}" if each.of_seeds else "",
            "test error, %": f"{np.mean([run['test_error_pct'] for run in found[name]]):.2f}" if each.of_seeds else "",
            "published, CIFAR-10, test, %": published_text(each.kind.published),
        }
        for name, each in zip(KINDS, of_kinds, strict=True)
    ]
    return Shown(
        title=f"After {EPOCHS} epochs, {DEPTH} layers: {comparison(done)}",
        draw=partial(figures.errors, of_kinds),
        says=says.strip(),
        caption=TRAINED.format(depth=DEPTH, epochs=EPOCHS),
        alt=says,
        facts=(
            PRECOMPUTED,
            "60,000 training and 10,000 test images",
            seeds_text([len(each.of_seeds) for each in of_kinds]),
        ),
        sources=(f"{TRAINING_PLAN.networks}, {EPOCHS} epochs",),
        rows=tuple(rows),
    )


@recipe()
def thousand_layers() -> Shown:
    """The gradient of the untrained networks of 1001 layers by the length of the paths that carry it, pre-activation beside the
    original order. Raises InputError where it was not recorded."""
    deepest = [each for each in path_lengths.recorded() if each.depth == path_lengths.DEEPEST and each.seed == 0]
    if len(deepest) < len(path_lengths.ORDERS):
        raise InputError(MISSING.format(file=path_lengths.RECORDED, command="path-lengths"))
    original, preactivation = sorted(deepest, key=lambda each: list(path_lengths.ORDERS).index(each.kind))
    grown = "; ".join(
        f"{path_lengths.ORDERS[each.kind]}: {short_number(each.first / each.last)} times as much at the first block as at the last, "
        f"paths of {each.mean_length:.1f} branches on average"
        for each in (preactivation, original)
    )
    _, says = path_figures.length_sentences(preactivation.by_length)
    return Shown(
        title=f"1001 layers: of 333 branches, the paths that carry the gradient take {preactivation.mean_length:.0f}",
        draw=partial(
            path_figures.share_by_length, preactivation.by_length, beside=("original order", original.by_length)
        ),
        says=f"Pre-activation: {says}  \nGradient: {grown}. {TRAINED_DEEP}",
        caption=THOUSAND,
        alt=says,
        facts=(
            PRECOMPUTED,
            f"{preactivation.images} images",
            "untrained, seed 0",
            f"exact within {preactivation.sum_relative_error:.0e}",
        ),
        sources=("fashion-preact1001 and fashion-resnet1001, untrained, seed 0",),
    )


def train_errors(runs: Sequence[Mapping[str, Any]]) -> list[float]:
    """On all training images, %, one for each seed."""
    return [run["train_error_pct"] for run in runs]


def comparison(done: Mapping[str, float]) -> str:
    """The identity beside the worst."""
    if len(done) < 2:
        return (
            "".join(f"training error {title} {error:.1f} %; " for title, error in done.items())
            + "most runs are still to be made"
        )
    worst = max(done, key=done.__getitem__)
    of_identity = f"identity {done['identity']:.1f} %, " if "identity" in done and worst != "identity" else ""
    return f"training error {of_identity}{worst} {done[worst]:.1f} %"


def deeper() -> str:
    """What was trained with more layers, in a sentence; '' where nothing was."""
    found = shortcuts.trained(DEEP)
    parts = [
        f"{KINDS[name].title} {np.mean(train_errors(found[name])):.1f} % ({count_text(len(found[name]))})"
        for name in DEEP_KINDS
        if name in found
    ]
    return f"With {DEEP} layers: {', '.join(parts)}." if parts else ""


def count_text(seeds: int) -> str:
    """'3 seeds'."""
    return f"{seeds} seed{'s' if seeds != 1 else ''}"


def seeds_text(counts: Sequence[int]) -> str:
    """'3 seeds each', '1 to 3 seeds'."""
    least, most = min(counts), max(counts)
    return f"{count_text(most)} each" if least == most else f"{least} to {most} seeds"


def published_text(error: float | None) -> str:
    """As the table says it: a failure, or nothing, where there is no number."""
    return "fails" if error is None else "" if np.isnan(error) else f"{error:.2f}"


def gradient_left() -> Answer:
    """What is left along the shortcuts alone, where something was expected of it."""
    recorded = shortcuts.recorded()

    def row(name: str, depth: int, expected: Callable[[float], bool]) -> Measurement:
        left = [float(each.alone[0]) for each in recorded[name, depth]]
        value, low, high = mean_interval(left) if np.ptp(left) else (left[0],) * 3
        what = f"{depth} layers: share of the gradient left along the shortcuts alone"
        bracket = f"95 %, Student's t over {len(left)} seeds"
        return Measurement(KINDS[name].title, what, value, low, high, bracket, expected(value))

    free = row("preactivation", DEEP, lambda value: value > 0.1)
    rows = [
        row("halved", DEPTH, lambda value: value < 1e-6),
        row("gated", DEPTH, lambda value: value < 1e-6),
        free,
        row("identity", DEEP, lambda value: value < free.value),
    ]
    of_depth = {name: mean_of(recorded[name, DEPTH]) for name in KINDS}
    notes = f"{DEPTH} layers, mean of the seeds, alone and whole: " + "; ".join(
        f"{KINDS[name].title} {left_text(each.alone[0])} and {short_number(each.whole[0])}"
        for name, each in of_depth.items()
    )
    found = {kind.title: {depth: mean_of(recorded[name, depth]) for depth in DEPTHS} for name, kind in KINDS.items()}
    return rows, notes, figures.by_depth(found, LIGHT)


WORSE = {"halved": 1.0, "gated": 1.0, "convolution": 1.0, "dropout": 1.0, "none": 5.0}  # at least, in points
ALIKE = {"rezero": 1.0, "opened": 1.0, "preactivation": 1.0}  # at most


def training_error() -> Answer:
    """Each kind of block that has been trained against the identity shortcut; with an interval where both have several seeds."""
    found = {name: train_errors(runs) for name, runs in shortcuts.trained().items()}
    rows = []
    for name in [*WORSE, *ALIKE]:
        if name not in found:
            continue
        seeds = min(len(found[name]), len(found["identity"]))
        value, low, high = float(np.mean(found[name]) - np.mean(found["identity"])), None, None
        if seeds > 1:
            value, low, high = difference(found[name], found["identity"])
        as_expected = value >= WORSE[name] if name in WORSE else value <= ALIKE[name]
        rows.append(
            Measurement(
                f"{KINDS[name].title} against identity",
                f"training error, points, {count_text(seeds)}",
                float(value),
                low,
                high,
                f"95 %, Welch over {seeds} seeds" if seeds > 1 else "",
                bool(as_expected),
            )
        )
    notes = "training error, mean of the seeds: " + ", ".join(
        f"{KINDS[name].title} {np.mean(errors):.2f} % ({count_text(len(errors))})" for name, errors in found.items()
    )
    if deep := deeper():
        notes += f"; {deep[0].lower()}{deep[1:-1]}"
    return rows, notes, figures.errors([Errors(kind, found.get(name, ())) for name, kind in KINDS.items()], LIGHT)


def can_be_compared() -> bool:
    """Whether each kind of which something was expected has been trained by now."""
    return shortcuts.trained().keys() >= {"identity", *WORSE, *ALIKE}


QUESTIONS: tuple[Question, ...] = (
    (GRADIENT_PLAN, "which_shortcut?figure=by_depth", gradient_left),
    *(((TRAINING_PLAN, "which_shortcut?figure=errors", training_error),) if can_be_compared() else ()),
)
