"""Which blocks matter? Four measures beside each other, and the images that one block matters most for."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from resnet_viz.experiments.attribution import IMAGES, MOST_BLOCKS, PERMUTATIONS, PLAN, Importance, joined, shapley
from resnet_viz.figures.bars import relative_bars
from resnet_viz.figures.importance import agreement_title, correlation_matrix, importance_by_block, importance_sentences
from resnet_viz.recipes.shown import Shown
from resnet_viz.web import cached, settings, snippets
from resnet_viz.web.card import card, chip, show
from resnet_viz.web.gallery import pictures
from resnet_viz.web.parts import choosing_strip, in_steps, plan_note, question
from resnet_viz.web.session import LARGEST_SEED, visit

MEASURES = {"deletion, nats": "true_deletion", "first order, nats": "first_order", "|F(x)| / |x|": "branch_size"}
SHAPLEY, MOST = "Shapley value, nats", 8
PART = 20  # images at once; after each the page can show how far it is
FORMULA = (r"L(g_i = 0) - L(g = 1);\quad -\frac{\partial L}{\partial g_i};\quad "
           r"\varphi_i = \mathrm{E}_\pi [L(\pi \text{ before } i) - L(\pi \text{ up to } i)]")  # fmt: skip
now = visit()
loaded, blocks = now.loaded, list(now.loaded.network.blocks)
sample = now.images.limit(IMAGES)
labels, measured = now.labels(sample), f"{len(sample)} images"
question(now, "Which blocks matter?", "Four measures of how much a block matters, the fourth at the press of a button, and how far they agree.",
         "[Captum](https://captum.ai); Shapley values after [Castro et al., 2009](https://doi.org/10.1016/j.cor.2008.04.004)")  # fmt: skip
with cached.timed() as spent, st.spinner("Measuring every block ..."):
    measures = {title: cached.importance(loaded, sample, labels, name) for title, name in MEASURES.items()}
    beside = {
        f"in {each.title}, nats": cached.importance(each, sample, labels, "true_deletion") for each in now.networks[1:]
    }
with st.container(border=True):
    rises = dict(zip(blocks, measures["deletion, nats"].mean, strict=True))
    chosen = choosing_strip(now, Shown(bars=relative_bars(rises, "nats more loss", 3), bars_title="bars: rise of the mean loss when this block alone is deleted"))  # fmt: skip
with st.container(border=True):
    exact, seed = len(blocks) <= MOST_BLOCKS, 0
    steps: list[Callable[[], Any]]
    combine: Callable[[list[Any]], Importance]
    key: tuple[int, ...]
    if exact:
        parts = [range(start, min(start + PART, len(sample))) for start in range(0, len(sample), PART)]
        steps = [partial(cached.shapley_exact, loaded, sample.subset(list(part)), tuple(labels[index] for index in part)) for part in parts]  # fmt: skip
        combine, how, key = joined, f"exact, all {2 ** len(blocks):,} subsets of the blocks", ()
    else:
        seed = settings.number("shapley_seed", "Seed of the permutations", 0, LARGEST_SEED, 0, slider=False, help="The same seed draws the same orders of the blocks.")  # fmt: skip
        steps = [partial(cached.shapley_permutation, loaded, sample, labels, number, seed) for number in range(PERMUTATIONS)]  # fmt: skip
        combine, how, key = shapley, f"{PERMUTATIONS} permutations, seed {seed}", (seed,)

    def so_far(done: list[Any]) -> None:
        show(partial(importance_by_block, blocks, {f"{SHAPLEY}, {len(done)} of {len(steps)} parts": combine(done)}, now.palette))

    asked = settings.flag("shapley")  # stands in the link, so that a reload shows them again
    with cached.timed() as spent_more:
        drawn = in_steps(("shapley", loaded.identity, sample.digest, labels, *key), "Add Shapley values", steps, ask_first=not asked, show=so_far)  # fmt: skip
    settings.set_flag("shapley", drawn is not None)
    if drawn:
        measures[SHAPLEY], spent = combine(drawn), spent_more
    title, says = cached.kept(importance_sentences)(blocks, measures)
    facts = [measured, *([f"Shapley values {how}"] if drawn else []), *spent]
    python = snippets.importance(
        len(sample), {**MEASURES, **({SHAPLEY: "shapley_exact" if exact else "shapley"} if drawn else {})}, PERMUTATIONS, seed, now.networks
    )
    if beside:
        says += f" {now.networks[1].title} without {chosen}: {next(iter(beside.values())).mean[blocks.index(chosen)]:+.2f} nats."
    card(now, "importance", partial(importance_by_block, blocks, measures, now.palette, beside), "measured", "± one standard error", *facts, title=title, says=says, formula=FORMULA, alt=f"{title}. {says}",
         of=now.networks, images=sample, python=python, caption=("" if sample.labels is not None else "These images have no labels: the loss is computed against the predicted classes. ") + "A bar: how much the mean loss rises without the block, by each measure; the size of the branch does not measure a loss, "
         "but is often taken for importance. The first order sees only the slope at the intact network. A Shapley value below 0: putting the block back raises the loss, on average over the orders. "
         "Whiskers: one standard error, over the images" + ("." if exact else "; for Shapley values, over the permutations."))  # fmt: skip
    card(now, "agreement", partial(correlation_matrix, list(measures), list(measures.values()), now.palette), "measured", *facts, title=agreement_title(list(measures.values())),
         formula=r"\rho = \mathrm{corr}(\mathrm{rank}\,a, \mathrm{rank}\,b)", images=sample, python=snippets.agreement(python),
         alt="Rank correlations of the measures.", caption="1: the same order of blocks; 0: unrelated; −1: the reverse.")  # fmt: skip
    plan_note(PLAN)
with st.container(border=True):
    st.header(f"The images that {chosen} matters most for", anchor=False)
    if now.images.labels is None:
        st.markdown(f"{now.images.title}: they have no labels, so no image has a loss.")
    else:
        with st.spinner("Deleting the block for every image ..."), cached.timed() as spent:
            rise = cached.losses(loaded, now.images, now.gates([chosen])) - cached.losses(
                loaded, now.images, loaded.intact
            )
        worst = np.argsort(-rise, kind="stable")[:MOST]
        pictures(now.images, [int(i) for i in worst], [f"{now.images.names[i].split(',')[0]}: +{rise[i]:.1f} nats" for i in worst])
        st.markdown(f"Without it the loss rises for {100 * np.mean(rise > 0):.0f} % of {len(rise):,} images; over all of them by {np.mean(rise):.2f} nats on average.")  # fmt: skip
        chip("measured", f"{len(rise):,} images", *spent)
