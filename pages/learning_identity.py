"""Why is it hard to learn to do nothing? Stacks that are to give back their input, and a network deepened by identities."""

from functools import partial

import streamlit as st

from resnet_viz.experiments import deepening, identity
from resnet_viz.experiments.degradation import mean_train_error
from resnet_viz.experiments.identity import LEARNING_RATES, TEST_IMAGES, Attempt, Stacks
from resnet_viz.experiments.race import DEEPENED
from resnet_viz.figures.identity import depth_sentence, error_by_blocks, error_by_step, identity_sentence
from resnet_viz.figures.race import error_by_step as race_by_step
from resnet_viz.networks.zoo import NETWORKS, trainable
from resnet_viz.web import cached, settings, snippets
from resnet_viz.web.card import card, chip
from resnet_viz.web.parts import HE_2015, page_named, plan_note, question
from resnet_viz.web.run_controls import controls, current, start_button, watch
from resnet_viz.web.runs import Run
from resnet_viz.web.session import LARGEST_SEED, visit

RATES = "best of the learning rates " + ", ".join(f"{rate:g}" for rate in LEARNING_RATES)
ALL = len(identity.ARMS) * len(LEARNING_RATES)
FEW, ALL_KINDS = "plain and scale 0.1", "all seven kinds"
now = visit()
question(None, identity.PLAN.question, "Stacks of blocks, and nothing else, are trained to give back the image that they are given.", f"after {HE_2015}, section 3.1")  # fmt: skip
AT_ZERO = ("where the residual stack is the identity before it has learned anything: its error is 0 already (drawn as the lowest line), "
           "and so is its gradient; on a task with something to learn, a branch that starts at 0 does learn")  # fmt: skip


def show_steps(attempts: list[Attempt], blocks: int, how: str, python: str) -> None:
    """The error as the stacks of one depth are trained."""
    seeds = len({each.seed for each in attempts})
    says, scales = identity_sentence(attempts, blocks), {each.arm.scale for each in attempts}
    lines = {None: "Solid: as usually initialised", 0.1: "dashed: scale 0.1", 0.0: "dotted: scale 0, " + AT_ZERO}
    card(now, f"identity_steps_{how}", partial(error_by_step, attempts, blocks, now.palette), how, f"{TEST_IMAGES} images", f"{seeds} seed{'s' if seeds > 1 else ''}", RATES,
         title=f"{blocks} block{'s' if blocks > 1 else ''} that should do nothing", says=says, formula=r"\| f(x) - x \| / \| x \|", alt=says, origin=f"stacks of {blocks} blocks of 16 channels",
         python=python, caption="; ".join(text for scale, text in lines.items() if scale in scales) + ".")  # fmt: skip


with st.container(border=True):
    kinds = settings.one_of("kinds", "Stacks", [FEW, ALL_KINDS], FEW, help="Residual and pre-activation ones with a branch that starts small, or all that were trained.")
    few = kinds == FEW
    known = [each for each in cached.recorded_stacks() if not few or each.arm.scale in (None, 0.1)]
    card(now, "identity_blocks", partial(error_by_blocks, known, now.palette), "precomputed", f"{TEST_IMAGES} images", "3 seeds", RATES, title=depth_sentence(known),
         formula=r"\text{plain: } F(x) = x;\quad \text{residual: } F(x) = 0", alt="The error at the end over the number of blocks.", origin="stacks of 1 to 50 blocks of 16 channels",
         python=snippets.identity_blocks(few), caption="A residual block that should do nothing only has to bring its branch to 0; a plain one has to learn a whole identity. Scale: the initial weight of the branch's last "
         "batch norm (pre-activation: a factor on its last convolution). Started as usual, at 1 (see all seven kinds), residual stacks of 10 blocks or more end worse than plain ones, since every branch has to be unlearned: "
         "what makes doing nothing easy is a shortcut beside a branch that starts small. Marks: the mean; whiskers: from the least to the largest of three seeds; an error of exactly 0 is drawn as the lowest line.")  # fmt: skip
    blocks = int(settings.one_of("blocks", "Blocks", list(map(str, identity.DEPTHS)), "20", help="How many blocks the stack has."))  # fmt: skip
    show_steps(known, blocks, "precomputed", snippets.identity_steps(blocks, few))
    plan_note(identity.PLAN)


def fresh_training(depth: int) -> str:
    """What training from fresh weights comes to at a depth, where the project has done it."""
    runs = cached.histories_by_depth("plain")
    errors = {each: mean_train_error(runs[each]) for each in (20, depth) if each in runs}
    if depth not in errors:
        return ""
    return f" Trained from fresh weights they do not get there: plain{depth} ends at {errors[depth]:.1f} % training error, plain20 at {errors[20]:.1f} % (all 60,000 training images)."


def draw(run: Run[Stacks]) -> None:
    """The stacks trained so far."""
    seen = controls(run, len(run.records), ALL, "Stack")
    st.caption(f"{ALL} stacks: {len(identity.ARMS)} kinds, each with {len(LEARNING_RATES)} learning rates, of which the best is drawn.")
    if seen.records:
        show_steps(seen.records, seen.job.blocks, "measured", snippets.train_stacks(seen.job, len(seen.records)))


with st.container(border=True):
    st.header("Train them now", anchor=False)
    if run := current(Stacks):
        settings.unseen("stack", "stack_steps", "stack_seed")
        watch(run, draw)
    else:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            depth = settings.number("stack", "Blocks of a stack", 1, 50, 5, help="Seven kinds are trained, each with three learning rates.")  # fmt: skip
            steps = settings.number("stack_steps", "Steps", 20, 200, 100, help="Of 64 images each.")
            seed = settings.number("stack_seed", "Seed", 0, LARGEST_SEED, 0, slider=False, help="Of the initial weights and of the batches.")  # fmt: skip
        start_button(Stacks(depth, steps, seed))

with st.container(border=True):
    deep = int(settings.one_of("deep", "Deepened to", ["32", "56", "110"], "56", help="Layers of the plain network that begins as plain20.")) # fmt: skip
    with cached.timed() as spent, st.spinner("Deepening ..."):
        found = cached.containment(cached.network(NETWORKS["fashion-plain20"]), trainable("plain", deep))
    st.header(f"The deeper network contains the shallower one: training errors of {found.shallow_error_pct:.2f} % and {found.deep_error_pct:.2f} %", anchor=False)  # fmt: skip
    st.markdown(f"The trained plain20 is deepened to {deep} layers with layers that do nothing: Dirac convolutions, each followed by a batch norm whose scale and offset undo its normalisation. "
                f"So {deep} layers can do what 20 do.{fresh_training(deep)}\n\n| inserted batch norms | logits differ in eval mode | in train mode |\n|---|---|---|\n"
                + "\n".join(f"| {name} | {row.in_eval:.1e} | {row.in_train:.1e} |" for name, row in (("frozen", found.frozen), ("live", found.live))))  # fmt: skip
    chip("measured", f"error: {found.images:,} training images", f"logits: {deepening.BATCH} images", *spent)
    rate = float(settings.one_of("rate", "Learning rate", ["0.05", "0.01"], "0.05", help="0.05 was planned; 0.01 was tried after that failed."))  # fmt: skip
    race, records = cached.recorded_race(DEEPENED[rate])
    names, last = (race.left, race.right), records[-1]
    title = f"plain56 after {race.steps} steps: {last.left.train_error_pct:.1f} % training error where it began as plain20, {last.right.train_error_pct:.1f} % where it began afresh"
    says = "The deepened network begins as good as plain20. Trained on, " + "; ".join(
        f"at a rate of {each:g}{', as planned,' if each == 0.05 else ', tried after that,'} it comes to {ends.left.train_error_pct:.1f} % against {ends.right.train_error_pct:.1f} %"
        for each, name in DEEPENED.items() for ends in [cached.recorded_race(name)[1][-1]]) + "."  # fmt: skip
    card(now, "deepened", partial(race_by_step, records, names, now.palette), "precomputed", "500 training and 500 test images", f"seed {race.seed}", f"learning rate {rate:g}", title=title, says=says,
         formula=r"\gamma = \sqrt{\sigma^2 + \epsilon},\ \beta = \mu:\quad \text{BN}(x) = x", alt=title, origin=f"{race.left} and {race.right}", python=snippets.deepened(rate),
         caption="Squares: deepened; circles: the same depth from fresh initial weights. At 0.05 the values in the deepened network grow without bound within 20 steps, since its inserted batch norms are frozen "
         "and rescale nothing; it is then wrong on 90 %, no better than a guess. At 0.01 its training error stays far below that of the fresh network, which does not find in time what the other was given.")  # fmt: skip
    st.page_link(page_named("live_training"), label="Race them now", icon=":material/arrow_forward:",
                 query_params={"left_kind": "plain20,-deepened", "left_depth": str(deep), "right_kind": "plain", "right_depth": str(deep), "learning_rate": "0.01"})  # fmt: skip
    plan_note(deepening.PLAN)
