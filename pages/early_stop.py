"""What if the network stopped here? The answer after each number of blocks, for one image and for a set."""

from functools import partial

import streamlit as st

from resnet_viz.experiments.early_stop import PLAN, REFINING_PLAN
from resnet_viz.experiments.paths import is_plain
from resnet_viz.figures.bars import relative_bars
from resnet_viz.figures.lesion_studies import class_probabilities_by_stop, error_by_stop, stop_sentence
from resnet_viz.figures.palette import short_number
from resnet_viz.recipes.shown import Shown
from resnet_viz.web import cached, snippets
from resnet_viz.web.card import card
from resnet_viz.web.parts import VEIT, choosing_strip, plan_note, question
from resnet_viz.web.session import visit

FORMULA = r"g = (1, \dots, 1, 0, \dots, 0)"
now = visit()
loaded, images, classes = now.loaded, now.images, now.loaded.entry.classes
blocks = list(loaded.network.blocks)
question(now, "What if it stopped here?", "All branches after a block are skipped; on its way to the head the stream passes only the later blocks' shortcuts.", f"a lesion in the way of {VEIT}")  # fmt: skip
with cached.timed() as spent:
    by_stop = cached.probabilities_by_stop(loaded, now.image)
with st.container(border=True):
    label = int(by_stop[-1].argmax())
    bars = {name: 100 * float(value) for name, value in zip(blocks, by_stop[1:, label], strict=True)}
    chosen = choosing_strip(now, Shown(bars=relative_bars(bars, f"% {classes[label]}", 1, least=100), bars_title=f"bars: probability of {classes[label]} if it stopped after this block"))  # fmt: skip
    walked = blocks.index(chosen) + 1
    said = by_stop[walked]
    title = f"Stopped after {chosen}, it would say {classes[int(said.argmax())]} ({short_number(said.max())})"
    title += (
        f"; at the end {classes[label]} ({short_number(by_stop[-1].max())})"
        if walked < len(blocks)
        else ": that is the end"
    )
    card(now, "by_stop", partial(class_probabilities_by_stop, classes, by_stop, now.palette), "measured", "1 image", *spent, title=title, formula=FORMULA, alt=title,
         caption="The five classes that come out likeliest at some block." + (" The head was trained on the last stream only, so its earlier answers are not calibrated." if loaded.trained else ""),
         python=snippets.BY_STOP)  # fmt: skip
with st.container(border=True):
    if images.labels is None:
        st.markdown(f"{images.title}: they have no labels, so there is no error to measure.")
    else:
        with st.spinner("Stopping after every block ..."), cached.timed() as spent:
            rows = [(each.title, cached.stops(each, images), is_plain(each.network)) for each in now.networks]
        says = "  \n".join(f"**{name}**: {stop_sentence(swept)}" for name, swept, _ in rows)
        chance = 100 - 100 / len(classes)
        card(now, "error_by_stop", partial(error_by_stop, rows, chance, now.palette), "measured", f"{len(images):,} images", *spent, title="The error, stopped after each block",
             says=says, formula=FORMULA, alt=says, caption="At the right end the network is whole; where the line is flat there, the last blocks change the error little. A high error does not prove that the class cannot be read there: the head was made for the last stream. A linear probe fitted to each stream reads the class early, in a plain network too: see the last note below.", of=now.networks, images=images, python=snippets.error_by_stop(now.networks, chance))  # fmt: skip
    plan_note(PLAN)
    plan_note(REFINING_PLAN)
