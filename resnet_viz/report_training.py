"""The report's questions about training, answered from what the bundled networks have left: histories, races, stacks."""

from collections.abc import Sequence

import numpy as np

from .experiments import deepening, identity, race
from .experiments.identity import Arm
from .experiments.race import Race, Record
from .experiments.training import difference
from .figures.identity import error_by_blocks
from .figures.palette import LIGHT
from .figures.race import error_by_step
from .findings import Answer, Measurement
from .networks.zoo import NETWORKS, load, trainable
from .recipes.verdict import WELCH


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
    plain20, plain56 = NETWORKS["fashion-plain20"], trainable("plain", 56)
    shallow = load(plain20).network
    frozen, live = (deepening.logits_apart(shallow, plain56, live=live).in_train for live in (False, True))
    rise = deepening.error_deepened(shallow, plain56) - deepening.error_deepened(shallow, plain20)
    measured = [
        Measurement("plain20 and itself with 56 layers", "difference of the logits in train mode, frozen norms", frozen, None, None, "", frozen <= 1e-5),
        Measurement("plain20 and itself with 56 layers", "the same with live norms", live, None, None, "", live > 0.01),
        Measurement("plain20 and itself with 56 layers", "difference of the training errors, points", rise, None, None, "", rise == 0),
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


RACE_QUESTIONS = ((race.PLAN, "live_training", raced),)
IDENTITY_QUESTIONS = ((identity.PLAN, "learning_identity", identities), (deepening.PLAN, "learning_identity", contained))
