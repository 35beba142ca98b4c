"""How much gradient reaches the first block? Norms at each block, trained and untrained, residual beside plain."""

from dataclasses import dataclass
from functools import partial
from itertools import product

import streamlit as st

from resnet_viz.experiments.paths import is_plain
from resnet_viz.figures import gradients as figures
from resnet_viz.figures.bars import log_bars
from resnet_viz.figures.gradients import Series
from resnet_viz.networks.zoo import LoadedNetwork, counterpart, trainable
from resnet_viz.recipes.shown import Shown
from resnet_viz.web import cached, settings, snippets
from resnet_viz.web.card import card
from resnet_viz.web.parts import HE_2015, HE_2016, choosing_strip, in_steps, question
from resnet_viz.web.session import choices, visit

BATCH = 32
DEPTHS = (20, 56, 110)
ABSOLUTE, RELATIVE = "absolute", "relative to the last block"
PANELS = {
    "mean": "stream_mean",
    "deviation": "stream_deviation",
    "share of zeros": "stream_zeros",
    "|F(x)| / |x|": "branch_to_stream",
}
FORMULAS = {  # by what the gradient is taken with respect to; z is the sum, before the block's last activation
    "stream": r"z = x + F(x):\ \frac{\partial L}{\partial x} = \frac{\partial L}{\partial z}\left(I + \frac{\partial F}{\partial x}\right)\text{; plain, }z = F(x):\ "
              r"\frac{\partial L}{\partial x} = \frac{\partial L}{\partial z}\,\frac{\partial F}{\partial x}",
    "branch": r"z = x + F(x):\ \frac{\partial L}{\partial F} = \frac{\partial L}{\partial z}",
    "parameters": r"z = x + F(x):\ \frac{\partial L}{\partial \theta} = \frac{\partial L}{\partial z}\,\frac{\partial F}{\partial \theta}",
}  # fmt: skip
now = visit()
entry, loaded, seed = now.loaded.entry, now.loaded, choices().untrained or 0
preactivation = all(block.kind.startswith("preactivation") for block in loaded.network.blocks.values())
what_to_do, source = (
    ("Without a shortcut the layers alone pass the gradient on.", f"the control of {HE_2015}") if is_plain(loaded.network)
    else ("No ReLU stands on the shortcut: where the shape stays the same, it hands the gradient back unchanged; the branch adds its own.", f"after {HE_2015} and {HE_2016}") if preactivation
    else ("The shortcut hands back what the ReLU after the sum lets through; the branch adds its own.", f"after {HE_2015} and {HE_2016}"))  # fmt: skip
question(now, "How much gradient reaches the first block?", what_to_do, source)
strip = st.container(border=True)
with st.container(horizontal=True, vertical_alignment="bottom"):
    images = settings.images_of_pass(now, BATCH, several=True)
    what = settings.one_of("gradient", "Gradient of the loss with respect to", ["stream", "branch", "parameters"], "stream",
                           help="The stream that enters a block, the output of its branch, or its parameters.")  # fmt: skip
    scale = settings.one_of(
        "scale", "Scale", [ABSOLUTE, RELATIVE], ABSOLUTE, help="Confident predictions shrink all norms; relative ones leave that out."
    )
labels, measured = now.labels(images), f"{len(images)} image{'s' if len(images) > 1 else ''}"
axis = figures.axis_title(what, relative=scale == RELATIVE)


@dataclass(frozen=True)
class Row:
    """One network of a figure, and how it is drawn."""

    network: LoadedNetwork
    name: str
    hollow: bool = False
    crosses: bool = False


def line(row: Row) -> Series:
    """The chosen gradient norm of one network at each block."""
    trace = cached.traced(row.network, images, labels)
    norms = trace.gradient_norm(what, relative=scale == RELATIVE)
    return Series(row.name, trace.blocks, norms, is_plain(row.network.network), row.hollow, row.crosses)


def show_lines(key: str, title: str, rows: list[Row], facts: list[str], python: str, caption: str = "") -> None:
    """Curves of several networks and what they say."""
    with cached.timed() as spent:
        steps = [partial(line, row) for row in rows]
        lines = in_steps(
            (key, *(row.network.identity for row in rows), images.digest, labels, what, scale),
            f"Trace the {key} networks",
            steps,
        )
    if lines is None:
        return
    says = "; ".join(f"**{each.name}**: {figures.span_sentence(each)}" for each in lines)
    card(now, key, partial(figures.along_blocks, lines, axis, now.palette), "measured", measured, *facts, *spent, title=title, formula=FORMULAS[what], alt=says,
         says=f"From the last block back to the first, {says}. {figures.conclusion(lines)}", caption=caption, python=python,
         of=[row.network for row in rows], images=images)  # fmt: skip


def show_growth() -> None:
    """Untrained networks of several depths, residual and plain, whatever network is chosen."""
    with cached.timed() as spent:
        entries = [trainable(kind, depth) for kind in ("resnet", "plain") for depth in DEPTHS]
        sample = cached.images(entries[0]).limit(BATCH)
        steps = [partial(cached.gradient_growth, each, seed, sample) for each in entries]
        ratios = in_steps(("growth", seed, sample.digest), "Trace untrained networks of other depths", steps)
    if ratios is None:
        return
    growth = {"residual": dict(zip(DEPTHS, ratios[: len(DEPTHS)], strict=True)), "plain": dict(zip(DEPTHS, ratios[len(DEPTHS) :], strict=True))}
    says = figures.growth_sentence(growth)
    card(now, "growth", partial(figures.growth_by_depth, growth, now.palette), "measured", f"{BATCH} images", f"**untrained**, seed {seed}", *spent,
         title="Untrained, with batch norm: how much the gradient grows", says=says, alt=says, formula=FORMULAS["stream"],
         origin=f"untrained residual and plain networks of {', '.join(map(str, DEPTHS))} layers, Fashion-MNIST", python=snippets.gradient_growth(seed, DEPTHS, BATCH))  # fmt: skip


with strip:
    trace = cached.traced(loaded, images, labels)
    bars = log_bars(dict(zip(trace.blocks, trace.stream_gradient_norm, strict=True)), "gradient norm")
    position = trace.blocks.index(
        choosing_strip(now, Shown(bars=bars, bars_title="bars: norm of the gradient entering the block's stream, log scale"))
    )
    weights = "trained" if loaded.trained else loaded.weights
    st.markdown(f"{figures.block_sentence(trace, position)} ({loaded.entry.name}, {weights}; {measured})")
with st.container(border=True):
    other = counterpart(entry)
    rows = []
    for norm, each in product((True, False), [entry] + ([other] if other else [])):
        network = cached.network(each, seed, norm)
        name = f"{'plain' if is_plain(network.network) else 'residual'} with{'' if norm else 'out'} BN"
        rows.append(Row(network, name, crosses=not norm))
    python = snippets.untrained_gradients(seed, what, scale == RELATIVE, now.python_of(images)) if other else ""
    show_lines("untrained", "Untrained: what the first training step would see", rows, [f"**untrained**, seed {seed}"], python,
               "BN: with batch norm, its statistics set by one pass over fixed images; ×: without. He et al. themselves say that batch norm keeps a plain "
               "network's signals from vanishing. With it, the plain network's gradient does not vanish: it grows, and the more so the deeper the network is.")  # fmt: skip
    show_growth()
shown = now.networks
if loaded.trained:
    with st.container(border=True):
        rows = [Row(network, network.title, hollow=network is not loaded) for network in shown]
        python = snippets.gradients(shown, what, scale == RELATIVE, now.python_of(images))
        show_lines("trained", "Trained", rows, ["cross-entropy"], python)
with st.container(border=True):
    with cached.timed() as spent:
        traces = [(network, cached.traced(network, images, labels)) for network in shown]
    panels = [(title, [Series(network.title, each.blocks, getattr(each, field), is_plain(network.network), network is not loaded)
                       for network, each in traces]) for title, field in PANELS.items()]  # fmt: skip
    card(now, "statistics", partial(figures.stream_statistics, panels, now.palette), "measured", measured, *spent, title="What the stream carries", formula=r"\lVert F(x) \rVert / \lVert x \rVert",
         alt="Mean, deviation, share of zeros of the stream leaving each block, and the size of its branch against the stream entering it.",
         caption=f"{figures.names_at_markers(panels[0][1])} Where |F(x)| / |x| is small, a block changes little of what the stream already holds.",
         of=shown, images=images, python=snippets.statistics(shown, PANELS, now.python_of(images)))  # fmt: skip
