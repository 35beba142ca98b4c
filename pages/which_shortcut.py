"""Which shortcut? Other kinds of shortcut, and other orders of activation, in one network."""

import streamlit as st

from resnet_viz.experiments.shortcuts import DEPTH, DEPTHS, GRADIENT_PLAN, TRAINING_PLAN
from resnet_viz.recipes import which_shortcut as recipes
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.ask import show
from resnet_viz.web.kit.parts import HE_2016, page_named, plan_note, question

WHAT_TO_SEE = (
    "One network, in which only the shortcut changes, or the place of batch norm and ReLU. What does each do to the gradient, and to "
    "training? The curves are of these networks, whichever network is chosen."
)
GROUP = "Other shortcuts, or other places for batch norm and ReLU."
LAYERS = "6n + 2: three stages of n blocks of two layers."
BOTH = {"network": "fashion-preact1001", "beside": "fashion-resnet1001"}
DEEPEST = (
    ("path_unrolling", "Follow every path through 1001 layers yourself", BOTH),
    ("gradient_flow", "Look at the gradient at each of its 333 blocks", BOTH),
    ("path_unrolling", "How the paths grow with depth", {"figure": "length_by_depth"}),
)
REPRODUCED = "Reproduced by `python -m resnet_viz {}`."


def view() -> None:
    question(
        None,
        "Which shortcut lets the gradient through?",
        WHAT_TO_SEE,
        f"after He et al., {HE_2016}, tables 1 and 2, figures 2 and 4",
    )
    with st.container(border=True):
        with st.container(horizontal=True):
            group = settings.one_of("group", "Change", list(recipes.GROUPS), "shortcuts", help=GROUP)
            depth = settings.one_of("depth", "Layers", list(map(str, DEPTHS)), str(DEPTH), help=LAYERS)
        show(recipes.along_blocks, group=group, depth=int(depth))
    with st.container(border=True):
        show(recipes.by_depth)
        plan_note(GRADIENT_PLAN)
        st.caption(REPRODUCED.format("shortcut-gradients"))
    with st.container(border=True):
        show(recipes.errors)
        plan_note(TRAINING_PLAN)
        st.caption(REPRODUCED.format("shortcuts"))
    with st.container(border=True):
        show(recipes.thousand_layers)
        for name, label, query in DEEPEST:
            st.page_link(page_named(name), label=label, icon=":material/arrow_forward:", query_params=query)
    with st.container(border=True):
        show(recipes.kinds)


view()
