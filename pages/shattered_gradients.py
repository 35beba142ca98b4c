"""Do gradients shatter with depth? The gradient on the input along a line between two images."""

import streamlit as st

from resnet_viz.experiments.shattered import PLAN
from resnet_viz.recipes import shattered_gradients as recipes
from resnet_viz.web.kit import parts, settings
from resnet_viz.web.kit.ask import show
from resnet_viz.web.session import LARGEST_SEED, Visit, visit

SOURCE = "after [Balduzzi et al., 2017](https://arxiv.org/abs/1702.08591)"
WHAT_TO_DO = "Walk from one image to another in small steps: does the gradient at one step tell what it is at the next?"


ONE_END = "The number of an image of the set: the one chosen in the sidebar is told below its thumbnail."
SEED = "The same seed gives the same weights."


def view(now: Visit) -> None:
    parts.question(now, "Do gradients shatter with depth?", WHAT_TO_DO, SOURCE)
    subjects = [each.without_lesion().without_image() for each in now.subjects]
    position, last = subjects[0].position or 0, len(now.subject.images) - 1
    with parts.secondary("Settings"), st.container(horizontal=True):
        first = settings.number("first", "The line's one end", 0, last, position, ONE_END, slider=False)
        other = settings.number("other", "The line's other end", 0, last, 0, ONE_END, slider=False)
        seed = settings.number("line_seed", "Seed of the untrained networks", 0, LARGEST_SEED, 0, SEED, slider=False)
    if all(each.network.trained and each.entry.can_be_built for each in subjects):
        subjects = [*(each.untrained(seed) for each in subjects), *subjects]
    with st.container(border=True):
        show(recipes.cosines, *subjects, first=first, other=other)
    with st.container(border=True):
        show(recipes.pictures, *subjects, first=first, other=other)
    with st.container(border=True):
        show(recipes.cosine_by_depth, ask_first=True, seed=seed)
        parts.plan_note(PLAN)


view(visit())
