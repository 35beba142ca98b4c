"""Why is it hard to learn to do nothing? Stacks that are to give back their input, and a network deepened by identities."""

import streamlit as st

from resnet_viz.experiments import deepening, identity
from resnet_viz.experiments.identity import ARMS, LEARNING_RATES, Stacks
from resnet_viz.jobs.runs import Run
from resnet_viz.recipes import learning_identity as recipes
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.ask import show
from resnet_viz.web.kit.card import draw
from resnet_viz.web.kit.parts import HE_2015, page_named, plan_note, question
from resnet_viz.web.kit.run_controls import controls, current, start_button, watch
from resnet_viz.web.session import LARGEST_SEED, choices

FEW, ALL_KINDS = "plain and scale 0.1", "all seven kinds"
WHAT_TO_SEE = "Stacks of blocks, and nothing else, are trained to give back the image that they are given."
KINDS = "Residual and pre-activation ones with a branch that starts small, or all that were trained."
SEVEN = "Seven kinds are trained, each with three learning rates."
SEED = "Of the initial weights and of the batches."
ALL_STACKS = (
    f"{recipes.ALL} stacks: {len(ARMS)} kinds, each with {len(LEARNING_RATES)} learning rates, of which the best is "
    "drawn."
)
DEEP = "Layers of the plain network that begins as plain20."
RATE = "0.05 was planned; 0.01 was tried after that failed."
RACE = {"left_kind": "plain20,-deepened", "right_kind": "plain", "learning_rate": "0.01"}


def view() -> None:
    question(None, identity.PLAN.question, WHAT_TO_SEE, f"after {HE_2015}, section 3.1")
    with st.container(border=True):
        show_recorded()
    with st.container(border=True):
        st.header("Train them now", anchor=False)
        if run := current(Stacks):
            settings.unseen("stack", "stack_steps", "stack_seed")
            watch(run, show_run)
        else:
            start_button(choose())
    with st.container(border=True):
        show_deepened()


def show_recorded() -> None:
    """The stacks that came with the project."""
    all_kinds = settings.one_of("kinds", "Stacks", [FEW, ALL_KINDS], FEW, help=KINDS) == ALL_KINDS
    show(recipes.identity_blocks, all_kinds=all_kinds)
    depths = list(map(str, identity.DEPTHS))
    blocks = settings.one_of("blocks", "Blocks", depths, "20", help="How many blocks the stack has.")
    show(recipes.identity_steps, blocks=int(blocks), all_kinds=all_kinds)
    plan_note(identity.PLAN)


def choose() -> Stacks:
    """The controls of stacks that have not been started."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        blocks = settings.number("stack", "Blocks of a stack", 1, 50, 5, help=SEVEN)
        steps = settings.number("stack_steps", "Steps", 20, 200, 100, help="Of 64 images each.")
        seed = settings.number("stack_seed", "Seed", 0, LARGEST_SEED, 0, slider=False, help=SEED)
    return Stacks(blocks, steps, seed)


def show_run(run: Run[Stacks]) -> None:
    """The stacks trained so far."""
    seen = controls(run, len(run.records), recipes.ALL, "Stack")
    st.caption(ALL_STACKS)
    if records := tuple(seen.records):  # more may come any moment
        job = {"blocks": seen.job.blocks, "steps": seen.job.steps, "seed": seen.job.seed}
        draw(recipes.trained_stacks.live(records, **job, count=len(records)))


def show_deepened() -> None:
    """plain20 made deeper, and trained on."""
    layers = settings.one_of("deep", "Deepened to", ["32", "56", "110"], "56", help=DEEP)
    show(recipes.containment, layers=int(layers))
    rate = settings.one_of("rate", "Learning rate", ["0.05", "0.01"], "0.05", help=RATE)
    show(recipes.deepened, learning_rate=float(rate))
    race = choices().carried_to(RACE | {"left_depth": layers, "right_depth": layers})
    st.page_link(page_named("live_training"), label="Race them now", icon=":material/arrow_forward:", query_params=race)
    plan_note(deepening.PLAN)


view()
