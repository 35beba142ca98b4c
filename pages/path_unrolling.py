"""Which paths carry the gradient? The exact gradient by path length, and the unravelled view of a run of blocks."""

import streamlit as st

from resnet_viz.experiments import path_lengths
from resnet_viz.experiments.paths import LENGTH_PLAN
from resnet_viz.recipes import path_unrolling as recipes
from resnet_viz.recipes.subject import Subject
from resnet_viz.web.kit import parts, settings
from resnet_viz.web.kit.ask import ask, show
from resnet_viz.web.kit.card import draw
from resnet_viz.web.session import LARGEST_SEED, Visit, visit

BATCH = 8
OF_PLAIN = "Without shortcuts there is one path."
OF_RESIDUAL = "Each block doubles the number of paths: they lead through its branch, or past it."
SAMPLES = "Drawn at random; each is a circle in the figure below."
RUN = "The run begins at the block chosen in the strip; every further block doubles the paths."


def view(now: Visit) -> None:
    subject = now.subject.without_lesion()
    plain = subject.is_plain
    source = f"the control of {parts.VEIT}" if plain else f"after {parts.VEIT}"
    parts.question(now, "Which paths carry the gradient?", OF_PLAIN if plain else OF_RESIDUAL, source)
    with st.container(border=True):
        start = parts.choosing_strip(now, hint="" if plain else "the run further below begins at the chosen block")
    if plain:
        show(recipes.share_by_length, subject.without_image())
        return
    with st.container(border=True):
        show_lengths(now, subject)
        parts.plan_note(LENGTH_PLAN)
    with st.container(border=True):
        unravel(subject.without_image(), start)
    with st.container(border=True):
        show(recipes.length_by_depth)
        parts.plan_note(path_lengths.PLAN)


def show_lengths(now: Visit, subject: Subject) -> None:
    """The exact gradient by path length, and single paths beside it."""
    with parts.secondary("Settings"), st.container(horizontal=True, vertical_alignment="bottom"):
        images = settings.images_of_pass(now, BATCH, several=False)
        samples = settings.number("samples", "Sampled paths for each length", 1, 20, 5, SAMPLES)
        seed = settings.number(
            "sample_seed", "Seed of the samples", 0, LARGEST_SEED, 0, "Another seed draws other paths.", slider=False
        )
    beside = [now.beside.without_lesion()] if now.beside and not now.beside.is_plain else []
    if lengths := ask(recipes.share_by_length, subject, *beside, images=images):
        draw(lengths)
        show(recipes.count_times_norm, subject, images=images, samples=samples, seed=seed)
        show(recipes.lengths_by_stage, subject, images=images)


def unravel(subject: Subject, start: str) -> None:
    """Every path through a run of blocks, drawn one by one."""
    longest = min(recipes.LONGEST_RUN, len(subject.blocks))
    run = settings.number("run", "Blocks in the run", 1, longest, min(3, longest), RUN)
    last, half = 2**run - 1, 2 ** (run - 1)
    path = settings.number(
        "path", f"Path, by its row: 0 to {last}", 0, last, half, "Or click a path in the figure.", slider=False
    )

    def choose_path() -> None:
        if points := st.session_state["unravelled"]["selection"]["points"]:
            settings.set_value("path", points[0]["customdata"][0], half)

    show(recipes.unravelled, subject, start=start, run=run, path=path, on_select=choose_path)


view(visit())
