"""What if the network stopped here? The answer after each number of blocks, for one image and for a set."""

import streamlit as st

from resnet_viz.experiments.early_stop import PLAN, REFINING_PLAN
from resnet_viz.recipes import early_stop as recipes
from resnet_viz.web.kit.ask import ask, show
from resnet_viz.web.kit.parts import VEIT, choosing_strip, plan_note, question
from resnet_viz.web.session import Visit, visit

STOPPING = (
    "All branches after a block are skipped; on its way to the head the stream passes only the later blocks' shortcuts."
)


def view(now: Visit) -> None:
    whole = [each.without_lesion() for each in now.subjects]
    question(now, "What if it stopped here?", STOPPING, f"a lesion in the way of {VEIT}")
    with st.container(border=True):
        block = choosing_strip(now, ask(recipes.by_stop, whole[0]))
        show(recipes.by_stop, whole[0], block=block)
    with st.container(border=True):
        show(recipes.error_by_stop, *(each.without_image() for each in whole))
        plan_note(PLAN)
    with st.container(border=True):
        show(recipes.probes, *(each.without_image() for each in whole))
        plan_note(REFINING_PLAN)


view(visit())
