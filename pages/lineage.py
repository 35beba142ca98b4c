"""Where else does the highway run? A residual network beside a highway network, an LSTM and a Transformer."""

import streamlit as st

from resnet_viz.experiments.lineage import FORGET_PLAN, LESION_PLAN, NORM_PLAN
from resnet_viz.recipes import lineage as recipes
from resnet_viz.web.kit.ask import show
from resnet_viz.web.kit.parts import plan_note, question

WHAT_TO_SEE = (
    "A residual network is not alone: the same figures of a network with gated shortcuts, of one that reads an image row by row, and "
    "of a Transformer. The four are fixed, whichever network is chosen."
)
SOURCE = (
    "after [Srivastava et al., 2015](https://arxiv.org/abs/1507.06228), "
    "[Hochreiter and Schmidhuber, 1997](https://doi.org/10.1162/neco.1997.9.8.1735) and "
    "[Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)"
)


def view() -> None:
    question(None, "Where else does the highway run?", WHAT_TO_SEE, SOURCE)
    with st.container(border=True):
        show(recipes.formulas)
    for compared in (recipes.gradient, recipes.path_lengths, recipes.deletions, recipes.distance):
        with st.container(border=True):
            show(compared)
    with st.container(border=True):
        show(recipes.lesions)
        show(recipes.transform_gates)
        plan_note(LESION_PLAN)
    with st.container(border=True):
        show(recipes.gradient_in_time)
        show(recipes.forget_gates)
        show(recipes.steps_deleted)
        plan_note(FORGET_PLAN)
    with st.container(border=True):
        show(recipes.norms)
        show(recipes.attention_and_mlp)
        show(recipes.lens)
        plan_note(NORM_PLAN)


view()
