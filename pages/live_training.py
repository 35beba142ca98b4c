"""Which of two networks learns faster? They are trained now, side by side, in a process of their own."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

from resnet_viz.experiments.race import PLAN, RECORDED, Race, Record
from resnet_viz.figures.race import error_by_step, gradients_at
from resnet_viz.jobs.runs import Run
from resnet_viz.web import cached, races, settings, snippets
from resnet_viz.web.card import card
from resnet_viz.web.parts import HE_2015, plan_note, question
from resnet_viz.web.run_controls import controls, current, start_button, watch
from resnet_viz.web.session import visit

SAMPLES = "500 training and 500 test images"
now = visit()
question(None, "Which of two networks learns faster?", "Choose two, press start, and watch them take the same steps.", f"after {HE_2015}, figures 4 and 6")  # fmt: skip


def show(race: Race, records: Sequence[Record], how: str) -> None:
    """A race at the step that the visitor looks at."""
    names = race.left, race.right
    step = races.step_looked_at(race, [record.step for record in records])
    record = next(record for record in records if record.step == step)
    trained = None if how == "precomputed" else replace(race, steps=records[-1].step)
    blocks = races.strips(now, race, record)
    train, test = ([f"{getattr(each, which):.1f} %" for each in (record.left, record.right)] for which in ("train_error_pct", "test_error_pct"))  # fmt: skip
    title = f"After {step} steps: {names[0]} {train[0]}, {names[1]} {train[1]} training error"
    says = f"On test images: {test[0]} and {test[1]}."
    origin = f"{names[0]} and {names[1]}, {step} steps of {race.batch_size} images, learning rate {race.learning_rate:g}"
    card(now, "race_errors", partial(error_by_step, records, names, now.palette, step), how, SAMPLES, f"seed {race.seed}", title=title, says=says, origin=origin,
         formula=r"\theta \leftarrow \theta - \eta\,\nabla_\theta L", alt=f"{title}. {says}", python=snippets.race(trained, "error_by_step", step),
         caption="Hollow, dashed: on training images; filled: on test images, in eval mode. One percent is five images: small differences say nothing.")  # fmt: skip
    card(now, "race_gradients", partial(gradients_at, record, names, blocks, now.palette), how, "100 training images", f"seed {race.seed}", title=f"The gradient at each block after {step} steps",
         formula=r"\left\| \partial L / \partial x_i \right\|", alt="The gradient norm at each block of both networks.", origin=origin,
         python=snippets.race(trained, "gradients_at", step), caption="The first block is at the left. A large gradient does not mean fast learning: compare it with the errors above.")  # fmt: skip


def draw(run: Run[Race]) -> None:
    """A run as it stands."""
    with st.container(border=True):
        seen = controls(run, run.records[-1].step if run.records else 0, run.job.steps, "Step")
        races.take_along(run)
    with st.container(border=True):
        if seen.records:
            show(seen.job, seen.records, "measured")
        else:
            show_recorded("Until it begins")


def show_recorded(until: str) -> None:
    """A race that came with the project."""
    st.caption(f"{until}, you see a race that was recorded earlier.")
    show(*cached.recorded_race(RECORDED), "precomputed")


if run := current(Race):
    settings.unseen(*races.FORM)
    watch(run, draw)
else:
    with st.container(border=True):
        start_button(races.choose())
    with st.container(border=True):
        show_recorded("Until you start one")
plan_note(PLAN)
