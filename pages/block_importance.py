"""Which blocks matter? Four measures beside each other, and the images that one block matters most for."""

from typing import Any

import streamlit as st

from resnet_viz.experiments.attribution import PLAN
from resnet_viz.recipes import block_importance as recipes
from resnet_viz.recipes.subject import Subject
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.ask import ask, show
from resnet_viz.web.kit.parts import choosing_strip, plan_note, question, secondary
from resnet_viz.web.session import LARGEST_SEED, Visit, visit

FOUR = "Four measures of how much a block matters, the fourth at the press of a button, and how far they agree."
SOURCE = "Shapley values after [Castro et al., 2009](https://doi.org/10.1016/j.cor.2008.04.004)"
SEED = "The same seed draws the same orders of the blocks."


def view(now: Visit) -> None:
    whole = [each.without_lesion().without_image() for each in now.subjects]
    question(now, "Which blocks matter?", FOUR, SOURCE)
    measured = ask(recipes.importance, *whole)
    with st.container(border=True):
        block = choosing_strip(now, measured)
    with st.container(border=True):
        if measured:
            show_measures(whole, block)
        else:
            settings.unseen("shapley", "shapley_seed")
        plan_note(PLAN)
    with st.container(border=True):
        show(recipes.most_harmed, whole[0], block=block)


def show_measures(whole: list[Subject], block: str) -> None:
    """The measures and how far they agree; Shapley values, which take long, are added when they are asked for."""
    seed: dict[str, Any] = {}  # exact values need none
    with secondary("Shapley values"):
        if not recipes.is_exact(whole[0]):
            label = "Seed of the permutations"
            seed["seed"] = settings.number("shapley_seed", label, 0, LARGEST_SEED, 0, SEED, slider=False)
        asked = settings.flag("shapley")  # stands in the link, so that a reload shows them again
        known = ask(recipes.shapley_values, whole[0], ask_first=not asked, **seed)
    settings.set_flag("shapley", known is not None)
    added = {"shapley": True, **seed} if known else {}
    show(recipes.importance, *whole, block=block, **added)
    show(recipes.agreement, whole[0], **added)


view(visit())
