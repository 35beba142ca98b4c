"""What is a residual network made of? The stages, every block, and what is inside one."""

import pandas as pd
import streamlit as st

from resnet_viz.figures.diagram import block_wiring, feature_maps, shortcut_reason, stage_diagram
from resnet_viz.web import cached
from resnet_viz.web.parts import chip, choosing_strip, question, relative_bars, show, untrained_note, visit
from resnet_viz.web.session import choices

now = visit()
entry, description = now.loaded.entry, now.description

question("What is a residual network made of?", "Choose a block to open it. The wire runs past every branch.",
         r"y = x + F(x)", "after [He et al., 2015](https://arxiv.org/abs/1512.03385)")  # fmt: skip
untrained_note(now)
with st.container(border=True):
    bars = relative_bars({block.name: block.params for block in description.blocks}, "parameters", 0)
    chosen = choosing_strip(now, bars, "bars: parameters of the block")


def open_clicked() -> None:
    points = st.session_state["stage_diagram"]["selection"]["points"]
    if points:
        choices().block[entry.name] = points[0]["customdata"][0]
        sequences = st.session_state["block_sequences"]
        sequences[entry.name] = sequences.get(entry.name, 0) + 1


with st.container(border=True):
    st.subheader(
        f"{entry.name}: {description.layers} layers in {len(now.loaded.network.stage_sizes())} stages", anchor=False
    )
    highlight = st.segmented_control("Highlight", ["the circuit", "the wire"], default="the circuit", key="highlight", required=True,
                                     help="The wire is the shortcut; the circuit is the block that includes it.")  # fmt: skip
    stem, head = cached.stem_and_head(entry)
    st.plotly_chart(stage_diagram(description, stem, head, highlight, chosen, now.palette), theme=None, key="stage_diagram",
                    on_select=open_clicked, selection_mode="points", config={"displayModeBar": False},
                    alt=f"The stages of {entry.name}; the same facts stand in the table below.")  # fmt: skip
    st.caption(
        "Solid arcs: identity shortcuts, the stream as it is. Dotted arcs: the shape changes, so the shortcut must change it too."
    )
    if entry.family == "fashion" and len(now.loaded.network.stage_sizes()) == 3:
        st.caption("He et al. 2015, section 4.2, on Fashion-MNIST: 28 × 28 grey images and a stem of stride 2 (maps of 14, 7, 4), where the paper had "
                   "32 × 32 colour images and stride 1 (maps of 32, 16, 8).")  # fmt: skip
    elif entry.family == "fashion":
        st.caption(
            "The paper's four stages at a quarter of their widths, for 28 × 28 grey images: a 3x3 stem of stride 2 and no max pool, where the paper has 7x7 and a max pool."
        )
    chip("computed from the model")

part = next(block for block in description.blocks if block.name == chosen)
with st.container(border=True):
    st.subheader(f"Inside {chosen}: a {part.kind} block", anchor=False)
    wiring, maps = st.columns([1, 1.2])
    with wiring:
        show(
            block_wiring(part, cached.branch_layers(entry, chosen), now.palette),
            "wiring",
            f"The layers of {chosen} and its shortcut.",
        )
        st.caption(
            f"{shortcut_reason(part)} · {part.params:,} parameters · {part.macs / 1e6:.2f} M multiply-adds for one image"
        )
    with maps, cached.timed() as spent:
        inside = cached.block_maps(now.loaded, now.image, chosen)
        pictures = {
            "stream in, x": inside.stream_in,
            "branch, F(x)": inside.branch,
            "shortcut": inside.shortcut,
            "stream out, y": inside.stream_out,
        }
        drawn = [(title, values) for title, values in pictures.items() if values is not None]
        for cell, (title, values) in zip([*st.columns(2), *st.columns(2)], drawn, strict=False):
            with cell:
                st.markdown(f"**{title}**")
                show(feature_maps(title, values, now.palette), f"maps_{title}", f"Feature maps: {title}.")
    st.caption(f"The first 16 channels for this image ({now.image.names[0]}). The sum of branch and shortcut"
               + (", after a ReLU, is the stream out." if not part.kind.startswith("preactivation") else " is the stream out.")
               if part.shortcut != "none" else "The first 16 channels for this image. A plain block has no shortcut: what the branch drops is gone.")  # fmt: skip
    chip("measured", "1 image", now.loaded.weights, *spent)

with st.container(border=True):
    st.subheader("The family", anchor=False)
    with cached.timed() as spent:
        rows = cached.family(entry.family)
    st.dataframe(
        pd.DataFrame(rows), hide_index=True,
        column_config={
            "multiply-adds, M": st.column_config.NumberColumn(format="localized"),
            "parameters": st.column_config.NumberColumn(format="localized"),
            "in convolutions": st.column_config.NumberColumn(format="localized"),
            "in head": st.column_config.NumberColumn(format="localized"),
        },
    )  # fmt: skip
    st.caption("Parameters and multiply-adds (for one image of the network's own size) are recomputed from the models. Errors: published ones as their "
               "sources report them (ImageNet: top-1 on the validation set; CIFAR-10: test set); fashion-*: measured by this project on 10,000 test images.")  # fmt: skip
    chip("computed from the models", *spent)
    with st.expander("Every block as a table"):
        st.dataframe(
            pd.DataFrame([{"block": block.name, "kind": block.kind, "shortcut": shortcut_reason(block), "in": " × ".join(map(str, block.in_shape)),
                           "out": " × ".join(map(str, block.out_shape)), "parameters": block.params, "multiply-adds": block.macs}
                          for block in description.blocks]), hide_index=True,
        )  # fmt: skip
