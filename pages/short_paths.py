"""Are the long paths needed for training? Networks trained on all paths and on short ones, three seeds each."""

import streamlit as st

from resnet_viz.experiments.short_paths import MATCHED_PLAN, PLAN
from resnet_viz.recipes import short_paths as recipes
from resnet_viz.web.kit.ask import show
from resnet_viz.web.kit.parts import VEIT, plan_note, question

WHAT_TO_SEE = (
    "The same network, trained on all paths or on short ones only. The curves are of the bundled networks, whichever "
    "network is chosen."
)
REPRODUCED = "Reproduced by `python -m resnet_viz train {} --seed S`, with {}."


def view() -> None:
    question(None, "Are the long paths needed for training?", WHAT_TO_SEE, f"after {VEIT}, section 4.3")
    with st.container(border=True):
        show(recipes.matched_blocks)
        plan_note(MATCHED_PLAN)
        st.caption(REPRODUCED.format("fashion-resnet56", "`--blocks-per-batch 13`"))
    with st.container(border=True):
        show(recipes.short_paths)
        plan_note(PLAN)
        st.caption(REPRODUCED.format("fashion-resnet20", "`--blocks-per-batch 4` or `--longest-path 4`"))


view()
