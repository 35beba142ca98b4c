"""The report: every question that a recipe's module asks, of the bundled networks, with what was expected and what came."""

import time
from importlib import import_module

from . import recipes
from .contents import CONTENTS
from .experiments import attribution
from .figures import importance as importance_figures
from .figures.palette import LIGHT
from .figures.plot import Plot
from .findings import Answer, Finding, Measurement, Question
from .progress import Progress, no_progress
from .recipes.verdict import batch


def importance() -> Answer:
    """Four measures of importance, on the smaller networks."""
    measured, figure = [], None
    for name in ("fashion-resnet20", "fashion-resnet56"):
        settings = batch(name, attribution.IMAGES)
        deleted = attribution.true_deletion(*settings)
        if len(settings[0].blocks) <= attribution.MOST_BLOCKS:
            shapley = attribution.shapley_exact(*settings)
        else:
            drawn = [attribution.shapley_permutation(*settings, number) for number in range(attribution.PERMUTATIONS)]
            shapley = attribution.shapley(drawn)
        others = {"Shapley value, nats": shapley, "first order, nats": attribution.first_order(*settings),
                  "|F(x)| / |x|": attribution.branch_size(*settings)}  # fmt: skip
        for title, other in others.items():
            value = float(attribution.rank_correlations([other, deleted])[0, 1])
            expected = value > 0.7 if title.startswith("Shapley") else value < 0.7
            interval = attribution.rank_correlation_interval(other, deleted)
            bracket = f"95 %, {attribution.interval_of(other)}"
            what = f"{title.split(',')[0]} with deletion"
            measured.append(Measurement(name, what, value, *interval, bracket, expected))
        figure = importance_figures.importance_by_block(
            list(settings[0].blocks), {"deletion, nats": deleted, **others}, LIGHT
        )
    notes = (
        "Spearman's rank correlations over the blocks; Shapley values of fashion-resnet20 are exact, from all 512 subsets of its "
        f"blocks, those of fashion-resnet56 from {attribution.PERMUTATIONS} permutations"
    )
    return measured, notes, figure


PENDING = {
    "block_importance": ((attribution.PLAN, "block_importance?network=fashion-resnet20", importance),),
}  # fmt: skip


def questions() -> list[Question]:
    """All of them, in the order of the contents."""
    modules = [import_module(f"{recipes.__name__}.{name}") for name in CONTENTS if name in recipes.MODULES]
    by_module = {module.__name__.rpartition(".")[2]: getattr(module, "QUESTIONS", ()) for module in modules}
    return [question for name in CONTENTS for question in (by_module | PENDING).get(name, ())]


QUESTIONS = questions()


def report(progress: Progress = no_progress) -> tuple[list[Finding], list[Plot | None]]:
    """Ask every question of the bundled networks. Returns the findings and a figure for each that has one."""
    findings, figures = [], []
    for number, (plan, view, answer) in enumerate(QUESTIONS):
        progress(number, len(QUESTIONS))
        started = time.monotonic()
        measured, notes, figure = answer()
        findings.append(Finding(plan, view, tuple(measured), notes, round(time.monotonic() - started, 1)))
        figures.append(figure)
    progress(len(QUESTIONS), len(QUESTIONS))
    return findings, figures
