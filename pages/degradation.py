"""Do more layers make a plain network worse? Training and test error of plain and residual networks, from their histories."""

import streamlit as st

from resnet_viz.experiments.degradation import LONGER_PLAN, PLAN
from resnet_viz.recipes import degradation as recipes
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.ask import show
from resnet_viz.web.kit.parts import HE_2015, plan_note, question

WHAT_TO_SEE = (
    "Read the dashed lines first: they are errors on the very images that the network is trained on. The curves are of the "
    "bundled networks, whichever network is chosen."
)
WHICH = "Which plain network, and the residual one beside it."


def view() -> None:
    question(None, PLAN.question, WHAT_TO_SEE, f"after {HE_2015}, figures 1, 4 and 6")
    with st.container(border=True):
        show(recipes.errors_by_epoch)
        show(recipes.errors_by_depth)
        plan_note(PLAN)
    with st.container(border=True):
        show(recipes.trained_longer)
        plan_note(LONGER_PLAN)
    with st.container(border=True):
        depth = settings.one_of("depth", "Layers", ["20", "32", "56"], "56", help=WHICH)
        show(recipes.gradients_by_epoch, depth=int(depth))
    with st.container(border=True):
        show(recipes.four_stages)
    with st.container(border=True):
        show(recipes.published)


view()
