"""Do more layers make a plain network worse? Training and test error of plain and residual networks, from their histories."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from resnet_viz.experiments.degradation import (
    DEPTHS,
    LONGER_EPOCHS,
    LONGER_PLAN,
    MILESTONES,
    PLAN,
    PUBLISHED,
    History,
    compared,
    mean_train_error,
    trained_longer,
)
from resnet_viz.experiments.training import Schedule, histories
from resnet_viz.figures.degradation import errors_by_depth, errors_by_epoch, gradients_by_epoch
from resnet_viz.networks.zoo import CHECKPOINTS, NETWORKS
from resnet_viz.web import cached, settings, snippets
from resnet_viz.web.card import card, chip
from resnet_viz.web.parts import HE_2015, plan_note, question
from resnet_viz.web.session import visit

IMAGES = ("60,000 training and 10,000 test images", "by epoch: on 10,000 training images")
now = visit()
question(None, PLAN.question, "Read the dashed lines first: they are errors on the very images that the network is trained on. "
         "The curves are of the bundled networks, whichever network is chosen.", f"after {HE_2015}, figures 1, 4 and 6")  # fmt: skip
families = {kind: cached.histories_by_depth(kind) for kind in DEPTHS}
plain, residual = families.values()


def sentence(name: str, deep: Sequence[History], shallow: Sequence[History]) -> str:
    """What depth did to one kind of network."""
    parts = [f"{what} {value:+.2f} points ({low:+.2f} to {high:+.2f})" for what, (value, low, high) in compared(deep, shallow).items()]  # fmt: skip
    return f"**{name}, 56 layers against 20** (in brackets 95 % intervals): " + ", ".join(parts) + "."


with st.container(border=True):
    title = (f"Training error: plain20 {mean_train_error(plain[20]):.1f} %, plain56 {mean_train_error(plain[56]):.1f} %; "
             f"resnet20 {mean_train_error(residual[20]):.1f} %, resnet56 {mean_train_error(residual[56]):.1f} % (means of 3 seeds)")  # fmt: skip
    says = "  \n".join([sentence("Plain", plain[56], plain[20]), sentence("Residual", residual[56], residual[20])])
    card(now, "errors_by_epoch", partial(errors_by_epoch, families, now.palette), "precomputed", *IMAGES, "Welch 95 % over 3 seeds", title=title, says=says, alt=f"{title}. {says}",
         formula=r"\text{degradation: } L_\text{train}(\text{deep}) > L_\text{train}(\text{shallow})", origin=PLAN.networks, python=snippets.DEGRADATION,
         caption="Dashed: training images, solid: test images; bands: from the best to the worst of three seeds (no band: a single seed). If the deep plain network "
         "overfitted, its dashed line would lie low. It lies high.")  # fmt: skip
    card(now, "errors_by_depth", partial(errors_by_depth, families, now.palette), "precomputed", *IMAGES[:1], "3 seeds for 20 and 56 layers, 1 for the others", title="It is not overfitting",
         formula=r"\text{gap} = \text{test error} - \text{training error}", alt="Errors and their gap over depth; the same numbers stand above and in the CSV.", origin=PLAN.networks,
         python=snippets.ERRORS_BY_DEPTH, caption="Left: with depth, both errors of the plain networks rise, those of the residual ones do not. Right: the gap between test and "
         "training error of the plain networks does not grow with depth: what fails is the training. There is no plain network of 110 layers here.")  # fmt: skip
    plan_note(PLAN)
longer, missing = trained_longer()
if longer:
    with st.container(border=True):
        ends = ", ".join(f"{kind}{depth} {families[kind][depth][0]['train_error_pct']:.1f} / {runs[0]['train_error_pct']:.1f} %"
                         for kind, by_depth in longer.items() for depth, runs in by_depth.items())  # fmt: skip
        spread = max(np.ptp([run["train_error_pct"] for run in runs]) for by_depth in families.values() for runs in by_depth.values())
        says = f"Training error at the end of 10 / {LONGER_EPOCHS} epochs: {ends}." + (f" Not trained yet: {', '.join(missing)}." if missing else "")
        card(now, "trained_longer", partial(errors_by_epoch, longer, now.palette), "precomputed", *IMAGES, "seed 0", title="Does it stay when they are trained three times as long?", says=says, alt=says,
             formula=r"\text{30 epochs, one cycle of the learning rate}", origin=f"{', '.join(f'{kind}{depth}' for kind, runs in longer.items() for depth in runs)}, {LONGER_EPOCHS} epochs",
             python=snippets.TRAINED_LONGER, caption=f"One run each, so no band; after 10 epochs, the seeds of one network differ by up to {spread:.1f} points.")  # fmt: skip
        plan_note(LONGER_PLAN)
with st.container(border=True):
    depth = settings.one_of("depth", "Layers", ["20", "32", "56"], "56", help="Which plain network, and the residual one beside it.")  # fmt: skip
    pair = {f"{kind}{depth}": families[kind][int(depth)][0] for kind in DEPTHS}
    card(now, "gradients_by_epoch", partial(gradients_by_epoch, pair, now.palette), "precomputed", "500 training images", "seed 0", title="The gradient while they are trained",
         formula=r"\left\| \partial L / \partial x_i \right\|", alt="The gradient norm at each block after each epoch, plain beside residual.", origin=" and ".join(pair),
         python=snippets.gradients_by_epoch(int(depth)), caption="A column is an epoch, a row a block, the first at the bottom. With batch norm the gradient of the plain network does not vanish; it is "
         "often the larger one, and uneven; yet it learns slowly: a large gradient does not mean fast learning.")  # fmt: skip
with st.container(border=True):
    four = {kind: {34: histories(NETWORKS[f"fashion-{kind}34"], Schedule(), CHECKPOINTS)} for kind in DEPTHS}
    errors = ", ".join(f"{kind}34 {runs[34][0]['train_error_pct']:.1f} / {runs[34][0]['test_error_pct']:.1f} %" for kind, runs in four.items())  # fmt: skip
    card(now, "four_stages", partial(errors_by_epoch, four, now.palette), "precomputed", *IMAGES, "1 seed", title="The four-stage pair of 34 layers", says=f"Training / test error: {errors}.",
         formula=r"y = F(x) \quad\text{against}\quad y = x + F(x)", alt=errors, origin="fashion-plain34 and fashion-resnet34", python=snippets.FOUR_STAGES,
         caption="The layout of the ImageNet networks, narrowed: stages of 3, 4, 6 and 3 blocks.")  # fmt: skip
with st.container(border=True):
    st.header("What was published", anchor=False)
    st.markdown("\n".join(f"- **{figure}**: {text}" for figure, text in MILESTONES))
    st.dataframe(pd.DataFrame(PUBLISHED, columns=["network", "images and protocol", "error, %", "source"]), hide_index=True)
    chip("published", "10-crop: the mean answer over ten crops of each image; one crop gives a higher error")
