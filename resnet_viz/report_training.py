"""The report's questions about training, answered from what the bundled networks have left: histories, races, stacks."""



from .experiments import race
from .experiments.training import difference
from .figures.palette import LIGHT
from .figures.race import error_by_step
from .findings import Answer, Measurement
from .recipes.verdict import WELCH, last_errors, listed


def raced() -> Answer:
    """A plain beside a residual network from the first step."""
    races = race.bundled(race.RECORDED)
    plain, residual = last_errors(races)
    expected = all(one - other >= 10 for one, other in zip(plain, residual, strict=True))
    measured = [Measurement("plain56 against resnet56", "training error after 500 steps, points", *difference(plain, residual), WELCH, expected)]  # fmt: skip
    notes = f"plain56 {listed(plain)}, resnet56 {listed(residual)}, for seeds 0, 1 and 2"
    return measured, notes, error_by_step(races[0][1], (races[0][0].left, races[0][0].right), LIGHT)


RACE_QUESTIONS = ((race.PLAN, "live_training", raced),)
