"""How much damage can a network take? Many blocks deleted at random, or blocks that change places."""

import streamlit as st

from resnet_viz.experiments.lesion_studies import PLANS, RANDOM, REORDER
from resnet_viz.recipes import lesion_studies as recipes
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.ask import show
from resnet_viz.web.kit.parts import VEIT, choosing_strip, plan_note, question, secondary
from resnet_viz.web.session import LARGEST_SEED, Visit, visit

KINDS = {"delete at random": RANDOM, "swap places": REORDER}
WHAT_TO_DO = "Delete ever more blocks at random, or let blocks of equal shape change places."
LESION = "Skip random blocks, or exchange random pairs within a stage."
DRAWS = "How often each number is drawn anew."
SEED = "The same seed draws the same blocks."


def view(now: Visit) -> None:
    question(now, "How much damage can it take?", WHAT_TO_DO, f"after {VEIT}, figure 5")
    with st.container(border=True):
        choosing_strip(now)
        with secondary("Settings"), st.container(horizontal=True, vertical_alignment="bottom"):
            kind = KINDS[settings.one_of("study", "Lesion", list(KINDS), "delete at random", LESION)]
            draws = settings.number("draws", "Draws for each number", 1, recipes.MOST_DRAWS, 5, DRAWS)
            seed = settings.number("draw_seed", "Seed of the draws", 0, LARGEST_SEED, 0, SEED, slider=False)
    with st.container(border=True):
        whole = [each.without_lesion().without_image() for each in now.subjects]
        show(recipes.study, *whole, kind=kind, draws=draws, seed=seed)
        plan_note(PLANS[kind])


view(visit())
