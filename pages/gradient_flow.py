"""How much gradient reaches the first block? Norms at each block, trained and untrained, residual beside plain."""

from typing import Any

import streamlit as st

from resnet_viz.recipes import gradient_flow as recipes
from resnet_viz.recipes import shattered_gradients
from resnet_viz.recipes.subject import Subject
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.ask import ask, show
from resnet_viz.web.kit.norms_file import opened_norms
from resnet_viz.web.kit.parts import HE_2015, HE_2016, can_be_untrained, choosing_strip, page_named, question
from resnet_viz.web.session import Visit, choices, visit

ABSOLUTE, RELATIVE = "absolute", "relative to the last block"
OF_PLAIN = "Without a shortcut the layers alone pass the gradient on."
OF_RESIDUAL = "The shortcut hands back what the {activation} after the sum lets through; the branch adds its own."
OF_PREACTIVATION = (
    "No ReLU stands on the shortcut: where the shape stays the same, it hands the gradient back unchanged; "
    "the branch adds its own."
)
WHAT = "The stream that enters a block, the output of its branch, or its parameters."
OWN_TRAINING = (
    '**Your own training:** put `with resnet_viz.watch(model, "norms.jsonl"):` around its loop, and open the file here.'
)
WHICH_NORM = "The loss's gradient, the stream that enters a block, or the branch's output relative to it."
SCALE = "Confident predictions shrink all norms; relative ones leave that out."


def view(now: Visit) -> None:
    subjects, seed = [each.without_lesion() for each in now.subjects], choices().untrained or 0
    subject = subjects[0]
    source = f"the control of {HE_2015}" if subject.is_plain else f"after {HE_2015} and {HE_2016}"
    question(now, "How much gradient reaches the first block?", what_to_do(subject), source)
    strip = st.container(border=True)
    with st.container(border=True):
        of_set = [each.without_image() for each in subjects]
        untrained = [each.untrained(seed) if each.entry.can_be_built else each for each in of_set]
        show(shattered_gradients.cosines, *untrained, ask_first=subject.images.labels is None)
        st.page_link(page_named("shattered_gradients"), icon=":material/arrow_forward:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        images = settings.images_of_pass(now, recipes.BATCH, several=True)
        gradient = settings.one_of(
            "gradient", "Gradient of the loss with respect to", list(recipes.FORMULAS), "stream", help=WHAT
        )
        scale = settings.one_of("scale", "Scale", [ABSOLUTE, RELATIVE], ABSOLUTE, help=SCALE)
    with strip:
        block = choosing_strip(now, ask(recipes.at_block, subject, images=images))
        if at_block := ask(recipes.at_block, subject, block=block, images=images):
            st.markdown(at_block.says)
    curves: dict[str, Any] = {"images": images, "gradient": gradient, "relative": scale == RELATIVE}
    with st.container(border=True):
        if can_be_untrained(subject):
            show(recipes.untrained, subject, **curves, seed=seed)
        show(recipes.growth, seed=seed)
        st.page_link(page_named("which_shortcut"), icon=":material/arrow_forward:")
    if subject.network.trained:
        with st.container(border=True):
            show(recipes.trained, *subjects, **curves)
    with st.container(border=True):
        show(recipes.statistics, *subjects, images=images)
    with st.container(border=True):
        show_training()


def show_training() -> None:
    """Norms at each block by step, of a training that came with the project, or of the visitor's own."""
    figure = st.container()
    st.markdown(OWN_TRAINING)
    norms = opened_norms()
    recorded = {recipes.QUANTITIES[name][0]: name for name in (norms.values if norms else recipes.QUANTITIES)}
    with figure:
        norm = settings.one_of("norm", "Norm of", list(recorded), next(iter(recorded)), help=WHICH_NORM)
        show(recipes.norms_by_step, norms=norms, quantity=recorded[norm])


def what_to_do(subject: Subject) -> str:
    """What the shortcuts of this network do to the gradient."""
    if subject.is_plain:
        return OF_PLAIN
    activations = sorted({block.activation for block in subject.description.blocks if block.activation})
    return OF_RESIDUAL.format(activation=" or ".join(activations)) if activations else OF_PREACTIVATION


view(visit())
