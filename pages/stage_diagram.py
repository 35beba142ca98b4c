"""What is a residual network made of? The stages, every block, and what is inside one."""

from functools import partial

import pandas as pd
import streamlit as st

from resnet_viz.experiments.paths import is_plain
from resnet_viz.figures.bars import relative_bars
from resnet_viz.figures.diagram import (
    block_wiring,
    built_like,
    feature_maps,
    shape_text,
    shortcut_reason,
    stage_diagram,
)
from resnet_viz.recipes.shown import Shown
from resnet_viz.web import cached, settings, snippets
from resnet_viz.web.card import card, chip
from resnet_viz.web.parts import HE_2015, choosing_strip, question
from resnet_viz.web.session import choices, visit

TENSORS = {"stream_in": "stream in, x", "branch": "branch, F(x)", "shortcut": "shortcut", "stream_out": "stream out, y"}
THIS, BESIDE = "this network", "the one beside it"
now = visit()
entry, loaded, description = now.loaded.entry, now.loaded, now.description
plain = is_plain(loaded.network)
what_to_do, source = (
    ("Choose a block to open it. There is no shortcut: what a layer drops is lost.", f"the control of {HE_2015}") if plain
    else ("Choose a block to open it. A shortcut runs past every branch.", f"after {HE_2015}"))  # fmt: skip
question(now, "What is a residual network made of?", what_to_do, source)
with st.container(border=True):
    bars = relative_bars({block.name: block.params for block in description.blocks}, "parameters", 0)
    chosen = choosing_strip(now, Shown(bars=bars, bars_title="bars: parameters of the block"))


def open_clicked() -> None:
    if points := st.session_state["stages"]["selection"]["points"]:
        choices().block[entry.name] = points[0]["customdata"][0]
        choices().sequence += 1


with st.container(border=True):
    st.header(f"{entry.name}: {description.layers} layers in {len(loaded.network.stage_sizes())} stages", anchor=False)
    highlight = settings.one_of("highlight", "Highlight", ["blocks", "shortcuts"], "blocks",
                                help="Draw the blocks strong, or the shortcuts that run past their branches.")  # fmt: skip
    figure = partial(stage_diagram, description, *cached.stem_and_head(entry), highlight, chosen, now.palette)
    arcs = (
        ""
        if plain
        else "Solid arcs: identity shortcuts, the stream as it is. Dotted arcs: the shape changes, so the shortcut must change it too. "
    )
    card(now, "stages", figure, "computed from the model", on_select=open_clicked, formula="y = F(x)" if plain else "y = x + F(x)", caption=arcs + built_like(entry.family, len(loaded.network.stage_sizes())),
         alt=f"The stages of {entry.name}; the same facts stand in the table below.", python=snippets.stages(highlight, chosen))  # fmt: skip

part = next(block for block in description.blocks if block.name == chosen)
with st.container(border=True):
    st.header(f"Inside {chosen}: a {part.kind} block", anchor=False)
    wiring, maps = st.columns([1, 1.2])
    with wiring:
        card(now, "wiring", partial(block_wiring, part, cached.branch_layers(entry, chosen), now.palette), "computed from the model", alt=f"The layers of {chosen} and its shortcut.",
             caption=f"{shortcut_reason(part)} · {part.params:,} parameters · {part.macs / 1e6:.2f} M multiply-adds for one image"
             + (" · the first block has no batch norm and ReLU of its own before its first convolution: the stem ends in them" if part.kind.startswith("pre") and chosen == "layer1.0" else ""))  # fmt: skip
    with maps:
        networks = [loaded]
        if (
            now.beside
            and settings.one_of(
                "maps_of", "Feature maps of", [THIS, BESIDE], THIS, "The same block and image, in either network."
            )
            == BESIDE
        ):
            networks.append(now.beside.loaded)
        with cached.timed() as spent:
            inside = cached.block_maps(networks[-1], now.image, chosen)
        for cell, (field, title) in zip([*st.columns(2), *st.columns(2)], TENSORS.items(), strict=True):
            if (values := getattr(inside, field)) is not None:
                with cell:
                    card(now, f"maps_{field}", partial(feature_maps, title, values, now.palette), says=f"**{title}**", alt=f"Feature maps: {title}.",
                         of=networks[-1:], python=snippets.maps(title, field, chosen, networks))  # fmt: skip
    after = "" if part.kind.startswith("preactivation") else ", after a ReLU,"
    st.caption("The first 16 channels for this image. " + ("A plain block has no shortcut: what the branch drops is lost." if part.shortcut == "none"
               else f"The sum of branch and shortcut{after} is the stream out."))  # fmt: skip
    chip("measured", "1 image", networks[-1].title, *spent)

with st.container(border=True):
    st.header("The family", anchor=False)
    with cached.timed() as spent:
        rows = cached.family(entry.family)
    numbers = {
        name: st.column_config.NumberColumn(format="localized")
        for name in ("multiply-adds, M", "parameters", "in convolutions", "in head")
    }
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, column_config=numbers | {"blocks": st.column_config.TextColumn(width=150)}
    )
    st.caption("Parameters and multiply-adds (for one image of the network's own size) are recomputed from the models. Errors: published ones as their "
               "sources report them (ImageNet: top-1 on the validation set; CIFAR-10: test set); fashion-*: measured by this project on 10,000 test images.")  # fmt: skip
    chip("computed from the models", *spent)
    with st.expander("Every block as a table"):
        st.dataframe(pd.DataFrame([{"block": block.name, "kind": block.kind, "shortcut": shortcut_reason(block), "in": shape_text(block.in_shape),
                                    "out": shape_text(block.out_shape), "parameters": block.params, "multiply-adds": block.macs} for block in description.blocks]),
                     hide_index=True, column_config={name: st.column_config.NumberColumn(format="localized") for name in ("parameters", "multiply-adds")})  # fmt: skip
