"""The report's questions about training, answered from what the bundled networks have left: histories, races, stacks."""

from collections.abc import Callable, Sequence

import numpy as np

from .experiments import deepening, degradation, identity, race
from .experiments.identity import Arm
from .experiments.plan import Plan
from .experiments.race import Race, Record
from .experiments.training import difference
from .figures.degradation import errors_by_depth, errors_by_epoch
from .figures.identity import error_by_blocks
from .figures.palette import LIGHT
from .figures.race import error_by_step
from .findings import Answer, Measurement
from .networks.zoo import NETWORKS, load, trainable

WELCH = "95 %, Welch over 3 seeds"


def degraded() -> Answer:
    """Depth against training error, plain and residual."""
    families = {kind: degradation.family(kind) for kind in degradation.DEPTHS}
    measured = []
    for kind, runs in families.items():
        for what, (value, low, high) in degradation.compared(runs[56], runs[20]).items():
            if what == "training error":
                expected = value >= 2 and low > 0 if kind == "plain" else low <= 0
            elif what == "gap" and kind == "plain":
                expected = low <= 0
            else:
                continue
            measured.append(Measurement(f"{kind}56 against {kind}20", f"{what}, points", value, low, high, WELCH, expected))
    errors = {f"{kind}{depth}": np.mean([run["train_error_pct"] for run in its]) for kind, runs in families.items() for depth, its in runs.items()}  # fmt: skip
    notes = "training error, mean of the seeds: " + ", ".join(f"{name} {error:.1f} %" for name, error in errors.items())
    return measured, notes, errors_by_depth(families, LIGHT)


def trained_longer() -> Answer:
    """The same with three times the epochs, one run each."""
    families, _ = degradation.trained_longer()
    measured, notes = [], []
    for kind, runs in families.items():
        shallow, deep = (runs[depth][0]["train_error_pct"] for depth in degradation.LONGER_DEPTHS)
        rise = deep - shallow
        what = f"training error after {degradation.LONGER_EPOCHS} epochs, one run each, points"
        measured.append(Measurement(f"{kind}56 against {kind}20", what, rise, None, None, "", rise >= 1 if kind == "plain" else rise <= 0))
        before = degradation.family(kind)
        notes += [f"{kind}{depth} {before[depth][0]['train_error_pct']:.1f} / {runs[depth][0]['train_error_pct']:.1f} %" for depth in runs]
    said = f"training error after 10 / {degradation.LONGER_EPOCHS} epochs, seed 0: " + ", ".join(notes)
    return measured, said, errors_by_epoch(families, LIGHT)


def last_errors(races: Sequence[tuple[Race, Sequence[Record]]]) -> tuple[list[float], list[float]]:
    """The training errors of the left and the right network at the end, one for each seed."""
    left, right = zip(*((records[-1].left.train_error_pct, records[-1].right.train_error_pct) for _, records in races), strict=True)  # fmt: skip
    return list(left), list(right)


def said(errors: Sequence[float]) -> str:
    """'50.6, 39.4, 72.2 %'."""
    return ", ".join(f"{error:.1f}" for error in errors) + " %"


def raced() -> Answer:
    """A plain beside a residual network from the first step."""
    races = race.bundled(race.RECORDED)
    plain, residual = last_errors(races)
    expected = all(one - other >= 10 for one, other in zip(plain, residual, strict=True))
    measured = [Measurement("plain56 against resnet56", "training error after 500 steps, points", *difference(plain, residual), WELCH, expected)]  # fmt: skip
    notes = f"plain56 {said(plain)}, resnet56 {said(residual)}, for seeds 0, 1 and 2"
    return measured, notes, error_by_step(races[0][1], (races[0][0].left, races[0][0].right), LIGHT)


def identities() -> Answer:
    """Stacks that are to do nothing."""
    attempts = identity.bundled()
    found = identity.best(attempts)
    plain, small, whole = (np.array([each.errors[-1] for each in found[arm, 20]])
                           for arm in (Arm("plain"), Arm("basic", 0.1), Arm("basic", 1.0)))  # fmt: skip
    nothing = [each for each in attempts if each.arm == Arm("basic", 0.0)]
    orders = difference(list(np.log10(plain)), list(np.log10(small)))
    still = max(max(each.errors[0], each.gradient_norm) for each in nothing)
    measured = [
        Measurement("20 blocks, plain against residual of scale 0.1", "orders of magnitude of the error", *orders, WELCH, orders[0] >= 1),
        Measurement("20 blocks, residual of scale 1 against plain", "relative error", *difference(list(whole), list(plain)), WELCH, bool(whole.mean() >= plain.mean())),
        Measurement("residual of scale 0", "largest first error and gradient", still, None, None, "", still == 0),
    ]  # fmt: skip
    notes = "errors at 20 blocks: " + ", ".join(f"{arm.title} {np.mean([each.errors[-1] for each in found[arm, 20]]):.2g}" for arm in identity.ARMS)
    return measured, notes, error_by_blocks(attempts, LIGHT)


def contained() -> Answer:
    """A shallow network inside a deeper one, and that one trained on."""
    same = deepening.containment(load(NETWORKS["fashion-plain20"]).network, trainable("plain", 56))
    measured = [
        Measurement("plain20 and itself with 56 layers", "difference of the logits in train mode, frozen norms", same.frozen.in_train, None, None, "", same.frozen.in_train <= 1e-5),
        Measurement("plain20 and itself with 56 layers", "the same with live norms", same.live.in_train, None, None, "", same.live.in_train > 0.01),
        Measurement("plain20 and itself with 56 layers", "difference of the training errors, points", same.deep_error_pct - same.shallow_error_pct, None, None, "", same.deep_error_pct == same.shallow_error_pct),
    ]  # fmt: skip
    notes = []
    for rate, name in race.DEEPENED.items():
        deep, fresh = last_errors(race.bundled(name))
        expected = all(one - other <= -5 for one, other in zip(deep, fresh, strict=True))
        what = f"training error after 500 steps at a learning rate of {rate:g}, points"
        measured.append(Measurement("deepened against fresh", what, *difference(deep, fresh), WELCH, expected))
        notes.append(f"at {rate:g}: deepened {said(deep)}, fresh {said(fresh)}")
    notes.append("at 0.05 the frozen norms do not hold the growing stream and the loss explodes; 0.01 was tried after that was seen")
    chosen, records = race.bundled(race.DEEPENED[0.01])[0]
    return measured, "; ".join(notes), error_by_step(records, (chosen.left, chosen.right), LIGHT)


TRAINING_QUESTIONS: list[tuple[Plan, str, Callable[[], Answer]]] = [
    (degradation.PLAN, "degradation", degraded),
    *([] if degradation.trained_longer()[1] else [(degradation.LONGER_PLAN, "degradation", trained_longer)]),
    (race.PLAN, "live_training", raced),
    (identity.PLAN, "learning_identity", identities),
    (deepening.PLAN, "learning_identity", contained),
]
