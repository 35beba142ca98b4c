"""How much does each block change the stream? Its influence, beside the harm of deleting it, its size, and the gradient."""

import streamlit as st

from resnet_viz.experiments.influence import DESCENT_PLAN, PREDICTION_PLAN, RESPONSE_PLAN
from resnet_viz.recipes import block_influence as recipes
from resnet_viz.web.kit.ask import ask, show
from resnet_viz.web.kit.parts import HE_2015, choosing_strip, plan_note, question
from resnet_viz.web.session import Visit, visit

COMPARE = "Compare the stream that enters a block with the stream that leaves it: how far has it turned, and which way?"
SOURCE = (
    f"after {HE_2015}, [Jastrzebski et al., 2018](https://arxiv.org/abs/1710.04773) and "
    "[Men et al., 2024](https://arxiv.org/abs/2403.03853)"
)


def view(now: Visit) -> None:
    subjects = [each.without_lesion().without_image() for each in now.subjects]
    question(now, "How much does each block change the stream?", COMPARE, SOURCE)
    with st.container(border=True):
        block = choosing_strip(now, ask(recipes.change, *subjects))
        show(recipes.change, *subjects, block=block)
    with st.container(border=True):
        show(recipes.harm, *subjects)
        plan_note(PREDICTION_PLAN)
    with st.container(border=True):
        show(recipes.responses, *subjects)
        show(recipes.responses_by_depth, ask_first=True)
        plan_note(RESPONSE_PLAN)
    with st.container(border=True):
        show(recipes.descent, *subjects)
        plan_note(DESCENT_PLAN)


view(visit())
