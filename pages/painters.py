"""Do the blocks need their order? Stages in reverse, a block repeated, blocks side by side, or reset."""

import streamlit as st

from resnet_viz.experiments.painters import OWN_WEIGHTS, PARALLEL, PLANS, REINITIALISED, REPEATED, REVERSED
from resnet_viz.recipes import painters as recipes
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.ask import show
from resnet_viz.web.kit.parts import can_be_untrained, choosing_strip, plan_note, question, secondary
from resnet_viz.web.session import Visit, visit

WHAT_TO_DO = (
    "Like painters who pass a canvas on, the blocks work on one stream. Reverse them, repeat one, let several work at "
    "once, or let one forget what it has learned."
)
SOURCE = (
    "after [Sun et al., 2024](https://arxiv.org/abs/2407.09298), on Transformers, and "
    "[Zhang, Bengio and Singer, 2019](https://arxiv.org/abs/1902.01996)"
)
CHOOSE = "The block that you choose is repeated below; when all have been reset, bars show what that costs."
SEEDS = "How many sets of random weights each block gets, beside those of seed 0, from which it was trained."


def view(now: Visit) -> None:
    question(now, "Do the blocks need their order?", WHAT_TO_DO, SOURCE)
    whole = [each.without_lesion().without_image() for each in now.subjects]
    with st.container(border=True):
        strip = st.container()
        with secondary("Settings"):
            seeds = settings.number("seeds", "Seeds of random weights", 1, recipes.MOST_SEEDS, 2, SEEDS)
        with strip:
            block = choosing_strip(now, recipes.reinitialise.known(*whole, seeds=seeds), CHOOSE)
    with st.container(border=True):
        show(recipes.reverse, *whole)
        plan_note(PLANS[REVERSED])
    with st.container(border=True):
        show(recipes.repeat, *whole, block=block)
        plan_note(PLANS[REPEATED])
    with st.container(border=True):
        show(recipes.parallel, *whole)
        plan_note(PLANS[PARALLEL])
    with st.container(border=True):
        if can_be_untrained(now.subject):
            show(recipes.reinitialise, *whole, ask_first=True, seeds=seeds)
        plan_note(PLANS[REINITIALISED])
        plan_note(PLANS[OWN_WEIGHTS])


view(visit())
