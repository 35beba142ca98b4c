"""Do gradients shatter with depth? The gradient on the input along a line between two images."""

import streamlit as st

from resnet_viz.experiments.shattered import PLAN
from resnet_viz.recipes import shattered_gradients as recipes
from resnet_viz.web import parts, settings
from resnet_viz.web.ask import show
from resnet_viz.web.session import LARGEST_SEED, Visit, visit

SOURCE = "after [Balduzzi et al., 2017](https://arxiv.org/abs/1702.08591)"
WHAT_TO_DO = "Walk from one image to another in small steps: does the gradient at one step tell what it is at the next?"


OTHER = "The number of an image of the set."
SEED = "The same seed gives the same weights."


def view(now: Visit) -> None:
    parts.question(now, "Do gradients shatter with depth?", WHAT_TO_DO, SOURCE)
    subjects, last = [each.without_lesion() for each in now.subjects], len(now.subject.images) - 1
    default = 0 if now.subject.position else last  # a line needs two ends
    with st.container(horizontal=True):
        other = settings.number("other", "The line's other end", 0, last, default, OTHER, slider=False)
        seed = settings.number("line_seed", "Seed of the untrained networks", 0, LARGEST_SEED, 0, SEED, slider=False)
    if all(each.loaded.trained for each in subjects):
        subjects = [*(each.untrained(seed) for each in subjects), *subjects]
    with st.container(border=True):
        show(recipes.cosines, *subjects, other=other)
    with st.container(border=True):
        show(recipes.pictures, *subjects, other=other)
    with st.container(border=True):
        show(recipes.cosine_by_depth, ask_first=True, seed=seed)
        parts.plan_note(PLAN)


view(visit())
