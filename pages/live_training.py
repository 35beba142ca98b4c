"""Which of two networks learns faster? They are trained now, side by side, in a process of their own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from resnet_viz.experiments.race import PLAN, Race, Record
from resnet_viz.jobs.runs import Run
from resnet_viz.recipes import live_training as recipes
from resnet_viz.recipes.shown import Recipe, Shown
from resnet_viz.web.kit import races, settings
from resnet_viz.web.kit.card import draw
from resnet_viz.web.kit.parts import HE_2015, plan_note, question
from resnet_viz.web.kit.run_controls import controls, current, start_button, watch

WHAT_TO_DO = "Choose two, press start, and watch them take the same steps."


def view() -> None:
    question(None, "Which of two networks learns faster?", WHAT_TO_DO, f"after {HE_2015}, figures 4 and 6")
    if run := current(Race):
        settings.unseen(*races.FORM)
        watch(run, show_run)
    else:
        with st.container(border=True):
            start_button(races.choose())
        with st.container(border=True):
            show_recorded("Until you start one")
    plan_note(PLAN)


def show_run(run: Run[Race]) -> None:
    """A run as it stands."""
    with st.container(border=True):
        seen = controls(run, run.records[-1].step if run.records else 0, run.job.steps, "Step")
        races.take_along(run)
    with st.container(border=True):
        if records := tuple(seen.records):  # more may come any moment
            show_race(seen.job, records, live=True)
        else:
            show_recorded("Until it begins")


def show_recorded(until: str) -> None:
    """The race that came with the project."""
    st.caption(f"{until}, you see a race that was recorded earlier.")
    show_race(*recipes.recorded(), live=False)


def show_race(race: Race, records: Sequence[Record], *, live: bool) -> None:
    """A race at the step that the visitor looks at."""
    step = races.step_looked_at(race, [record.step for record in records])

    def answer(recipe: Recipe, **more: Any) -> Shown:
        so_far = replace(race, steps=records[-1].step)
        return recipe.live(records, race=so_far, step=step, **more) if live else recipe(step=step, **more)

    races.strips(race, [answer(recipes.race_deletions, side=side) for side in ("left", "right")])
    draw(answer(recipes.race_errors))
    draw(answer(recipes.race_gradients))


view()
