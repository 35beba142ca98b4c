"""How much gradient reaches the first block? Norms at each block, trained and untrained, residual beside plain."""

import numpy as np
import streamlit as st

from resnet_viz.experiments.paths import is_plain
from resnet_viz.figures.gradients import Series, along_blocks, span_sentence, stream_statistics
from resnet_viz.networks.zoo import LoadedNetwork, counterpart
from resnet_viz.web import cached
from resnet_viz.web.parts import chip, choosing_strip, question, show, untrained_note, visit
from resnet_viz.web.session import choices

BATCH = 32
QUANTITIES = {
    "stream": "stream_gradient_norm",
    "branch": "branch_gradient_norm",
    "parameters": "parameter_gradient_norm",
}
now = visit()
entry, loaded = now.loaded.entry, now.loaded
other = counterpart(entry)
seed = choices().untrained or 0

question("How much gradient reaches the first block?", "The shortcut hands the gradient back unchanged; the branch adds its own.",
         r"\frac{\partial L}{\partial x} = \frac{\partial L}{\partial y}\left(I + \frac{\partial F}{\partial x}\right)",
         "after [He et al., 2015](https://arxiv.org/abs/1512.03385) and [2016](https://arxiv.org/abs/1603.05027)")  # fmt: skip
untrained_note(now)
strip = st.container(border=True)
with st.container(horizontal=True, vertical_alignment="bottom"):
    several = min(BATCH, len(now.images))
    batch = st.segmented_control(
        "Images", ["this image", f"{several} images"], default=f"{several} images", key="gradient_images", required=True
    )
    what = st.segmented_control(
        "Gradient of the loss with respect to",
        list(QUANTITIES),
        default="stream",
        key="gradient_quantity",
        required=True,
    )
    scale = st.segmented_control(
        "Scale", ["absolute", "relative to the last block"], default="absolute", key="gradient_scale", required=True
    )
images = now.image if batch == "this image" else now.images.limit(several)
labels = now.labels(images)


def line(network: LoadedNetwork, name: str, *, hollow: bool = False) -> Series:
    """The chosen gradient norm of one network at each block."""
    trace = cached.traced(network, images, labels)
    values = getattr(trace, QUANTITIES[what])
    values = values if scale == "absolute" else values / values[-1]
    return Series(name, trace.blocks, values, is_plain(network.network), hollow)


def role(network: LoadedNetwork) -> str:
    return "plain" if is_plain(network.network) else "residual"


unit = "L2 norm, mean over images" if what != "parameters" else "L2 norm over the block's parameters"
axis = unit if scale == "absolute" else "relative to the last block"
trained = [loaded] if loaded.trained else []
if loaded.trained and other is not None and other.weights is not None:
    trained.append(cached.network(other))
with strip:
    trace = cached.traced(loaded, images, labels)
    logs = np.log10(np.maximum(trace.stream_gradient_norm, 1e-30))
    shares = (logs - logs.min() + 0.15) / (np.ptp(logs) + 0.15)
    bars = {block: (float(share), f"gradient norm {value:.3g}")
            for block, share, value in zip(trace.blocks, shares, trace.stream_gradient_norm, strict=True)}  # fmt: skip
    block = choosing_strip(now, bars, "bars: norm of the gradient entering the block's stream, log scale")
    position = trace.blocks.index(block)
    st.markdown(f"**{block}**: stream {trace.stream_gradient_norm[position]:.3g}, branch {trace.branch_gradient_norm[position]:.3g}, "
                f"parameters {trace.parameter_gradient_norm[position]:.3g}; |F(x)| / |x| = {trace.branch_to_stream[position]:.2f}.")  # fmt: skip

if trained:
    with st.container(border=True):
        with cached.timed() as spent:
            lines = [line(network, network.entry.name) for network in trained]
        st.subheader("Trained: back from the last block to the first, the gradient " +
                     "; in the ".join([f"{span_sentence(lines[0])} ({role(trained[0])})",
                                       *[f"{role(network)} network it {span_sentence(each)}" for network, each in zip(trained[1:], lines[1:], strict=True)]]),
                     anchor=False)  # fmt: skip
        show(along_blocks(lines, axis, now.palette), "trained", "Gradient norm at each block, trained networks.")
        chip("measured", f"{len(images)} images", "cross-entropy", *spent)

with st.container(border=True):
    with cached.timed() as spent:
        entries = [entry] + ([other] if other is not None else [])
        rows = [(cached.network(each, seed, norm), norm) for norm in (True, False) for each in entries]
        lines = [
            line(network, f"{role(network)}, {'BN' if norm else 'no BN'}", hollow=not norm) for network, norm in rows
        ]
    st.subheader("Untrained: what the first training step would see", anchor=False)
    st.markdown(" ".join(f"**{each.name}**: {span_sentence(each)}." for each in lines))
    show(along_blocks(lines, axis, now.palette), "untrained", "Gradient norm at each block, untrained networks.")
    st.caption("With batch norm the untrained plain network's gradient does not simply fade, as He et al. say themselves: batch norm keeps "
               "its signals alive. Its difficulty is not a vanished gradient. Statistics of the batch norms were set by one pass over fixed images.")  # fmt: skip
    chip("measured", f"{len(images)} images", f"**untrained**, seed {seed}", *spent)

with st.container(border=True):
    st.subheader("What the stream carries", anchor=False)
    shown = trained or [rows[0][0]]
    traces = [(network, cached.traced(network, images, labels)) for network in shown]

    def panel(field: str) -> list[Series]:
        return [
            Series(network.title, each.blocks, getattr(each, field), is_plain(network.network))
            for network, each in traces
        ]

    show(stream_statistics([("mean", panel("stream_mean")), ("deviation", panel("stream_deviation")),
                            ("share of zeros", panel("stream_zeros")), ("|F(x)| / |x|", panel("branch_to_stream"))], now.palette),
         "statistics", "Mean, deviation, share of zeros of the stream, and size of the branch against it, at each block.")  # fmt: skip
    st.caption("Where |F(x)| / |x| is small, a block only refines what the stream already holds. Coloured: " + shown[0].title +
               (f"; grey squares: {shown[1].title}." if len(shown) > 1 else "."))  # fmt: skip
    chip("measured", f"{len(images)} images")
