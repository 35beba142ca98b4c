"""What happens when a block is deleted? One image, a labelled set, and every block in turn; another network beside it."""

import streamlit as st

from resnet_viz.experiments.calibration import PLAN
from resnet_viz.experiments.cut import PLAN as HEALING
from resnet_viz.experiments.lesion_studies import PLANS, SINGLE
from resnet_viz.recipes import cut_network
from resnet_viz.recipes import layer_deletion as recipes
from resnet_viz.recipes.subject import Subject
from resnet_viz.web.kit import parts, settings
from resnet_viz.web.kit.ask import ask, show
from resnet_viz.web.kit.card import draw
from resnet_viz.web.kit.cut_file import cut_download, healing
from resnet_viz.web.kit.gallery import thumbnails
from resnet_viz.web.session import Visit, visit
from resnet_viz.web.shell.contest import can_be_contested, contest_card, contest_here, offer_contest, place_of_contest

OF_PLAIN = "Click a block: its layers are skipped, and the signal is handed on as it is."
OF_RESIDUAL = "Click a block: its branch is skipped, and the signal takes the shortcut alone."
SEEN_AT = "A column of the figure above shows the stream that leaves this block."
TRY_THIS = (
    "**Try this.** Choose three blocks that do little harm one by one (short bars below the blocks of the strip), and "
    "predict what deleting all three will cost. Then delete them: do the harms add up?"
)


def view(now: Visit) -> None:
    subject, of_set = now.subject, [each.without_image() for each in now.subjects]
    whole = [each.without_lesion() for each in of_set]
    labelled = subject.images.labels is not None
    plain = subject.is_plain
    source = f"the control of {parts.VEIT}" if plain else f"after {parts.VEIT}"
    parts.question(now, "What happens when a block is deleted?", OF_PLAIN if plain else OF_RESIDUAL, source)
    sweep, seen = recipes.sweep.known(*whole), ask(recipes.prediction, *now.subjects)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.image(thumbnails(subject.image, [0], 96)[0], width=48, alt=subject.image.names[0])
            if seen:
                st.markdown(f"**{seen.title}**")
        parts.deleting_strip(now, sweep)
    contest = contest_here()
    place = place_of_contest() if contest else None
    left, right = st.columns([1, 1.5])
    with left.container(border=True):
        if seen:
            draw(seen)
    with right.container(border=True):
        error = ask(recipes.set_error, *of_set)
        if error:
            draw(error)
    if contest and place:  # below the strip, for who deletes looks here; asked when the error is known
        with place:
            contest_card(contest, of_set[0], measured=error is not None)
    with st.container(border=True):
        if sweep := ask(recipes.sweep, *whole, ask_first=not labelled):
            draw(sweep)
            parts.plan_note(PLANS[SINGLE])
    if labelled and not subject.lesioned:
        with st.container(border=True):
            st.markdown(TRY_THIS)
    elif labelled and error:  # by then all of it has been measured
        with st.container(border=True):
            show_consequences(of_set)
    with st.container(border=True):
        show_attribution(now)
    if cut_network.can_be_cut(subject):
        with st.container(border=True):
            show(cut_network.what_is_left, of_set[0], ask_first=True)
            if subject.entry.can_be_built:
                cut_download(of_set[0])
            if cut_network.can_be_healed(subject):
                healing(of_set[0])
            parts.plan_note(HEALING)
    if not contest and can_be_contested(subject):
        with st.container(border=True):
            offer_contest(subject)


def show_consequences(of_set: list[Subject]) -> None:
    """Class by class, prediction by prediction, and how sure each network is of them."""
    by_class, changed = st.columns([1, 1.3])
    with by_class:
        show(recipes.class_errors, of_set[0])
    with changed:
        show(recipes.changed_predictions, of_set[0])
    for place, each, key in zip(st.columns(len(of_set)), of_set, ("reliability", "reliability_beside"), strict=False):
        with place:
            show(recipes.reliability, each, key=key)
    parts.plan_note(PLAN)


def show_attribution(now: Visit) -> None:
    """Where in the image the evidence for its class lies, before and after."""
    subject = now.subject
    by_block, by_pixel = st.columns([1.3, 1])
    with by_block:
        place, block = st.container(), ""
        if blocks := recipes.mapped(subject):
            block = settings.block("seen_at", "Grad-CAM at the block", blocks, blocks[-1], help=SEEN_AT)
        with place:
            show(recipes.grad_cam, subject, block=block)
    with by_pixel:
        large = subject.images.labels is None  # such networks wait for a press
        show(recipes.integrated_gradients, subject, ask_first=large)


view(visit())
