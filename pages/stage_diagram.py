"""What is a residual network made of? The stages, every block, and what is inside one."""

import streamlit as st

from resnet_viz.recipes import stage_diagram as recipes
from resnet_viz.recipes.shown import Shown
from resnet_viz.recipes.subject import Subject
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.ask import ask, show
from resnet_viz.web.kit.card import chip, draw
from resnet_viz.web.kit.parts import HE_2015, choosing_strip, question, secondary
from resnet_viz.web.session import Visit, choices, visit

OF_PLAIN = "Choose a block to open it. There is no shortcut: what a layer drops is lost.", f"the control of {HE_2015}"
OF_RESIDUAL = "Choose a block to open it. A shortcut runs past every branch.", f"after {HE_2015}"
HIGHLIGHT = "Draw the blocks strong, or the shortcuts that run past their branches."
THIS, BESIDE = "this network", "the one beside it"
MAPS_OF = "The same block and image, in either network."


def view(now: Visit) -> None:
    whole = [each.without_lesion() for each in now.subjects]
    subject = whole[0].without_image()
    question(now, "What is a residual network made of?", *(OF_PLAIN if subject.is_plain else OF_RESIDUAL))
    with st.container(border=True):
        block = choosing_strip(now, ask(recipes.stages, subject))
    with st.container(border=True):
        title = st.container()
        with secondary("Settings"):
            highlight = settings.one_of("highlight", "Highlight", recipes.HIGHLIGHTS, "blocks", HIGHLIGHT)
        if stages := ask(recipes.stages, subject, highlight=highlight, block=block):
            title.header(stages.title, anchor=False)
            draw(stages, words=False, on_select=open_clicked)
    with st.container(border=True):
        if wiring := ask(recipes.wiring, subject, block=block):
            st.header(wiring.title, anchor=False)
        left, right = st.columns([1, 1.2])
        if wiring:
            with left:
                draw(wiring, words=False)
        with right:
            maps = show_maps(whole, block)
        if maps:
            st.caption(maps.caption)
            chip(*maps.facts)
    with st.container(border=True):
        show(recipes.every_block, subject)


def show_maps(whole: list[Subject], block: str) -> Shown | None:
    """What the image looks like inside the block; returns the last of the four, whose caption and chip hold for all."""
    of = whole[0]
    if whole[1:] and settings.one_of("maps_of", "Feature maps of", [THIS, BESIDE], THIS, MAPS_OF) == BESIDE:
        of = whole[1]
    answers = {tensor: ask(recipes.maps, of, block=block, tensor=tensor) for tensor in recipes.TENSORS}
    for place, (tensor, shown) in zip([*st.columns(2), *st.columns(2)], answers.items(), strict=True):
        if shown and shown.draw:
            with place:
                draw(shown, f"maps_{tensor}", foot=False)
    return shown


def open_clicked() -> None:
    """Look inside the block that was clicked in the diagram."""
    chosen = choices()
    if points := st.session_state["stages"]["selection"]["points"]:
        chosen.block[chosen.network] = points[0]["customdata"][0]
        chosen.sequence += 1


view(visit())
