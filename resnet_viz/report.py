"""The report: every question that a recipe's module asks, of the bundled networks, with what was expected and what came."""

import time
from importlib import import_module

from . import recipes
from .contents import CONTENTS
from .figures.plot import Plot
from .findings import Finding, Question
from .progress import Progress, no_progress

__all__ = ["report"]


def questions() -> list[Question]:
    """All of them, in the order of the contents; those of modules that no page has come last."""
    names = sorted(recipes.MODULES, key=lambda name: list(CONTENTS).index(name) if name in CONTENTS else len(CONTENTS))
    modules = [import_module(f"{recipes.__name__}.{name}") for name in names]
    return [question for module in modules for question in getattr(module, "QUESTIONS", ())]


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
