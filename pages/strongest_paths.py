"""Which single paths carry most? The strongest that a search finds, and any path picked by hand."""

from functools import partial

import streamlit as st

from resnet_viz.experiments.strongest_paths import PLAN
from resnet_viz.recipes import strongest_paths as recipes
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.ask import ask, show
from resnet_viz.web.kit.card import draw
from resnet_viz.web.kit.gallery import thumbnails
from resnet_viz.web.kit.parts import VEIT, choosing_strip, plan_note, question, secondary
from resnet_viz.web.session import Visit, visit

WHAT_TO_DO = "One image, its gradient taken apart into paths. Click one, or compose one of your own from branches."
BRANCHES = "The path takes these branches, and the shortcut at every other block."


def view(now: Visit) -> None:
    subjects = [each.without_lesion() for each in now.subjects]
    subject, blocks = subjects[0], subjects[0].blocks
    question(now, "Which single paths carry most?", WHAT_TO_DO, f"after {VEIT}")
    found = ask(recipes.strongest, *subjects)
    if not found:
        settings.unseen("branches")
        return
    paths = recipes.branches_of(subject)
    with st.container(border=True):
        choosing_strip(now, found)
    with st.container(border=True):
        with secondary("Settings"):
            taken = tuple(settings.blocks("branches", "Branches of the path", blocks, paths[0], help=BRANCHES))

        def choose_path() -> None:
            if points := st.session_state["strongest"]["selection"]["points"]:
                clicked = paths[points[0]["customdata"][0]]
                settings.set_value("branches", clicked, paths[0], partial(settings.code_of_blocks, options=blocks))

        show(recipes.strongest, *subjects, branches=taken, on_select=choose_path)
    with st.container(border=True):
        if path := ask(recipes.path_picture, subject, branches=taken):
            st.header(path.title, anchor=False)
            st.markdown(path.says)
        seen, gradient = st.columns([1, 2])
        seen.image(thumbnails(subject.image, [0], 220)[0], caption=subject.image.names[0], alt=subject.image.names[0])
        if path:
            with gradient:
                draw(path, words=False)
        plan_note(PLAN)


view(visit())
