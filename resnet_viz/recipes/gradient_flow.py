"""How much gradient reaches the first block? Norms at each block, trained and untrained, residual beside plain."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from ..engine.kept import kept_in_steps
from ..errors import InputError
from ..experiments import trace
from ..experiments.deletion import known
from ..experiments.norms import BLOCKS, LAYERS, SUMS, Norms
from ..experiments.stepwise import Stepping, share_of
from ..experiments.trace import Trace
from ..figures import gradients as figures
from ..figures import training as figures_of_training
from ..figures.bars import log_bars
from ..figures.gradients import Series
from ..findings import Answer, Measurement, Question
from ..networks import zoo
from ..networks.images import ImageSet
from ..networks.network import block_indices
from ..networks.zoo import Entry, counterpart, has_batch_norm, trainable
from ..places import CHECKPOINTS
from . import measures
from .shown import MEASURED, PRECOMPUTED, Shown, Steps, counted, one_of, recipe, sources
from .subject import Subject
from .verdict import IMAGES, batch, bootstrapped, lesion_set

__all__ = ["at_block", "growth", "norms_by_step", "statistics", "trained", "untrained"]

BATCH = 32
DEPTHS = (20, 56, 110)
FORMULAS = {  # by what the gradient is taken with respect to; z is the sum, before the block's last activation
    "stream": (
        r"z = x + F(x):\ \frac{\partial L}{\partial x} = \frac{\partial L}{\partial z}"
        r"\left(I + \frac{\partial F}{\partial x}\right)\text{; plain, }z = F(x):\ "
        r"\frac{\partial L}{\partial x} = \frac{\partial L}{\partial z}\,\frac{\partial F}{\partial x}"
    ),
    "branch": r"z = x + F(x):\ \frac{\partial L}{\partial F} = \frac{\partial L}{\partial z}",
    "parameters": (
        r"z = x + F(x):\ "
        r"\frac{\partial L}{\partial \theta} = \frac{\partial L}{\partial z}\,\frac{\partial F}{\partial \theta}"
    ),
}
ZEROS = "share of zeros"
PANELS = {
    "mean": "stream_mean",
    "deviation": "stream_deviation",
    ZEROS: "stream_zeros",
    "|F(x)| / |x|": "branch_to_stream",
}
WITHOUT_BATCH_NORM = (
    "BN: with batch norm, its statistics set by one pass over fixed images; ×: without. He et al. themselves say that "
    "batch norm keeps a plain network's signals from vanishing. With it, the plain network's gradient does not vanish: "
    "it grows, and the more so the deeper the network is."
)
WHICH_GROW = (
    f"Whichever network is chosen, these are the residual and plain networks of {', '.join(map(str, DEPTHS))} layers that this "
    "project builds for Fashion-MNIST."
)
STATISTICS = (
    "Mean, deviation, share of zeros of the stream leaving each block, and the size of its branch against the stream "
    "entering it."
)
QUANTITIES = {  # what is recorded in a training: what it is called, and its formula
    "stream_gradient_norm": ("gradient of the stream", r"\left\| \partial L / \partial x_i \right\|"),
    "parameter_gradient_norm": ("gradient of the parameters", r"\left\| \partial L / \partial \theta_i \right\|"),
    "stream_norm": ("stream", r"\left\| x_i \right\|"),
    "branch_to_stream": ("branch relative to stream", r"\lVert F(x) \rVert / \lVert x \rVert"),
}
EXAMPLE, OF_EXAMPLE = CHECKPOINTS / "norms-resnet56.jsonl", "one epoch of fashion-resnet56"  # python -m docs.norms
IN_YOURS = "recorded in your training"
MOST_COLUMNS = 400
STEPS_AND_BLOCKS = "A column is a recorded step, a row a block, the first at the bottom."
FOUND = {
    BLOCKS: "",
    SUMS: "The blocks are the sums on the model's stream.",
    LAYERS: "The model's forward could not be followed: its blocks are the layers of its longest lists.",
}
LITTLE_CHANGED = "Where |F(x)| / |x| is small, a block changes little of what the stream already holds."


@dataclass(frozen=True)
class Row:
    """One network of a figure, and how it is drawn."""

    network: Subject
    name: str
    hollow: bool = False
    crosses: bool = False


@recipe()
def at_block(subject: Subject, block: str = "", images: int = BATCH) -> Shown:
    """The norms of the gradient at one block (the first); its bars: at each block, of the stream that enters it.

    ``images``: 1 for the image alone, else so many of the set. Raises InputError for a block that does not exist.
    """
    (position,) = block_indices(subject.blocks, [block or subject.blocks[0]])
    batch = subject.batch(images)
    found = measures.over_batch(trace.trace, subject.loaded, batch, subject.labels(batch))
    weights = "trained" if subject.network.trained and subject.entry.can_be_built else subject.network.weights
    return Shown(
        says=f"{figures.block_sentence(found, position)} ({subject.entry.name}, {weights}; {counted(batch)})",
        facts=(MEASURED, counted(batch)),
        sources=sources([subject], batch),
        bars=log_bars(dict(zip(found.blocks, found.stream_gradient_norm, strict=True)), "gradient norm"),
        bars_title="bars: norm of the gradient entering the block's stream, log scale",
    )


@recipe("Trace the untrained networks")
def untrained(
    subject: Subject, images: int = BATCH, gradient: str = "stream", relative: bool = False, seed: int = 0
) -> Steps:
    """The gradient at each block before training: residual and plain, with and without batch norm.

    ``gradient``: with respect to 'stream', 'branch' or 'parameters'; ``relative``: to its norm at the last block;
    ``seed``: of the initial weights; ``images``: as in ``at_block``. Raises InputError for another gradient.
    """
    entries = [each for each in (subject.entry, counterpart(subject.entry)) if each]
    kinds = [each for each in product((True, False), entries) if not each[0] or has_batch_norm(each[1])]
    rows = []
    for batch_norm, entry in kinds:
        network = subject.beside(measures.named(entry, seed, batch_norm))
        name = f"{'plain' if network.is_plain else 'residual'} with{'' if batch_norm else 'out'} BN"
        rows.append(Row(network, name, crosses=not batch_norm))
        yield len(rows) / (2 * len(kinds))
    shown = yield from share_of(along_blocks(subject, rows, images, gradient, relative), 1, 2)
    title, facts = "Untrained: what the first training step would see", (*shown.facts, f"**untrained**, seed {seed}")
    return replace(shown, title=title, caption=WITHOUT_BATCH_NORM, facts=facts)


@recipe("Trace untrained networks of other depths")
def growth(seed: int = 0) -> Steps:
    """How many times as large the gradient is at the first block as at the last: untrained, by depth.

    ``seed``: of the initial weights.
    """
    entries = list(product(("resnet", "plain"), DEPTHS))
    images = measures.images(trainable(*entries[0])).limit(BATCH)
    times: list[float] = []
    for kind, depth in entries:
        grown = kept_in_steps(growth_of, trainable(kind, depth), seed, images)
        times.append((yield from share_of(grown, len(times), len(entries))))
        yield len(times) / len(entries)
    found = {
        "residual": dict(zip(DEPTHS, times[: len(DEPTHS)], strict=True)),
        "plain": dict(zip(DEPTHS, times[len(DEPTHS) :], strict=True)),
    }
    says = figures.growth_sentence(found)
    return Shown(
        title="Untrained, with batch norm: how much the gradient grows",
        draw=partial(figures.growth_by_depth, found),
        says=says,
        formula=FORMULAS["stream"],
        caption=WHICH_GROW,
        alt=says,
        facts=(MEASURED, counted(images), f"**untrained**, seed {seed}"),
        sources=(f"untrained residual and plain networks of {', '.join(map(str, DEPTHS))} layers, Fashion-MNIST",),
    )


def growth_of(entry: Entry, seed: int, images: ImageSet) -> Stepping[float]:
    """The growth in one untrained network, over labelled images."""
    loaded = zoo.load(entry, untrained=seed)  # not kept: it is needed once
    yield 0.5
    norms = trace.stream_gradient_norms(loaded.network, loaded.inputs(images), known(images.labels))
    return norms[0] / norms[-1]


@recipe("Trace the trained networks")
def trained(*subjects: Subject, images: int = BATCH, gradient: str = "stream", relative: bool = False) -> Steps:
    """The gradient at each block of each network as it is; settings as in ``untrained``."""
    rows = [Row(each, each.title, hollow=each is not subjects[0]) for each in subjects]
    shown = yield from along_blocks(subjects[0], rows, images, gradient, relative)
    title = "Trained" if subjects[0].entry.can_be_built else "As it was handed over"
    return replace(shown, title=title, facts=(*shown.facts, "cross-entropy"))


@recipe("Trace the networks")
def statistics(*subjects: Subject, images: int = BATCH) -> Steps:
    """What the stream carries at each block of each network; ``images`` as in ``at_block``."""
    traces = yield from traced(subjects[0], subjects, images)
    panels = [
        (
            title,
            [
                Series(each.title, found.blocks, getattr(found, field), each.is_plain, hollow=each is not subjects[0])
                for each, found in zip(subjects, traces, strict=True)
            ],
        )
        for title, field in PANELS.items()
    ]
    batch = subjects[0].batch(images)
    zeros = "; ".join(f"**{line.name}** {100 * np.median(line.values):.1f} %" for line in dict(panels)[ZEROS])
    return Shown(
        title="What the stream carries",
        draw=partial(figures.stream_statistics, panels),
        says=f"Zeros in the stream, median of the blocks: {zeros}.",
        formula=r"\lVert F(x) \rVert / \lVert x \rVert",
        caption=f"{figures.names_at_markers(panels[0][1])} {LITTLE_CHANGED}",
        alt=STATISTICS,
        facts=(MEASURED, counted(batch)),
        sources=sources(subjects, batch),
    )


@recipe()
def norms_by_step(norms: Norms | None = None, quantity: str = "stream_gradient_norm") -> Shown:
    """A norm at each block of somebody's network while it was trained, by step, as ``resnet_viz.watch`` has recorded it.

    ``norms``: what a file holds; None: an example that came with the project. ``quantity``: one of QUANTITIES. Raises InputError
    for one that was not recorded.
    """
    how, whose = (IN_YOURS, "your training") if norms else (PRECOMPUTED, OF_EXAMPLE)
    norms = norms or Norms.read(EXAMPLE)
    found = norms.values[one_of("quantity", list(norms.values), quantity)]
    (name, formula), stride = QUANTITIES[quantity], -(-len(norms.steps) // MOST_COLUMNS)
    steps, drawn = norms.steps[::stride], found[::stride]
    says = figures_of_training.norms_sentence(norms.steps, found, name.capitalize())
    told = [STEPS_AND_BLOCKS, FOUND[norms.found]]
    if stride > 1:
        told.append(f"Of {stride} recorded steps one is drawn.")
    if not np.isfinite(drawn).all():
        told.append("Where it is empty, no gradient came, or no finite number.")
    return Shown(
        title=f"{whose}, step by step".capitalize(),
        draw=partial(figures_of_training.norms_by_step, steps, drawn, norms.blocks, norms.places),
        says=says,
        formula=formula,
        caption=" ".join(filter(None, told)),
        alt=f"{name.capitalize()} at each block by step. {says}",
        facts=(how, f"{len(norms.steps):,} recorded steps, {norms.steps[0]:,} to {norms.steps[-1]:,}"),
        sources=(f"{norms.model}, {Path(norms.file).name}",),
    )


def along_blocks(
    subject: Subject, rows: Sequence[Row], images: int, gradient: str, relative: bool
) -> Generator[float, None, Shown]:
    """A gradient norm at each block of each network, over the images of a subject."""
    if gradient not in FORMULAS:
        raise InputError(f"Gradient must be with respect to one of {', '.join(FORMULAS)}; got {gradient!r}.")
    traces = yield from traced(subject, [row.network for row in rows], images)
    lines = [
        Series(
            row.name,
            found.blocks,
            found.gradient_norm(gradient, relative=relative),
            row.network.is_plain,
            row.hollow,
            row.crosses,
        )
        for row, found in zip(rows, traces, strict=True)
    ]
    says, batch = "; ".join(f"**{each.name}**: {figures.span_sentence(each)}" for each in lines), subject.batch(images)
    return Shown(
        draw=partial(figures.along_blocks, lines, figures.axis_title(gradient, relative=relative)),
        says=f"From the last block back to the first, {says}. {figures.conclusion(lines)}",
        formula=FORMULAS[gradient],
        alt=says,
        facts=(MEASURED, counted(batch)),
        sources=sources([row.network for row in rows], batch),
    )


def traced(subject: Subject, networks: Sequence[Subject], images: int) -> Generator[float, None, list[Trace]]:
    """A forward and a backward pass in each network, over the images of a subject and against their classes."""
    batch = subject.batch(images)
    labels, traces = subject.labels(batch), []
    for each in networks:
        traces.append(measures.over_batch(trace.trace, each.loaded, batch, labels))
        yield len(traces) / len(networks)
    return traces


def free() -> Answer:
    """How much of the stream is cut to zero on its way, with and without a ReLU after the sum."""
    measured = []
    for name in ("fashion-resnet56", "fashion-resnet110", "fashion-preact56", "fashion-preact110"):
        network, inputs, labels = batch(name, len(lesion_set()))
        zeros = trace.zeros_of_each(network, inputs)

        def median(chosen: np.ndarray, zeros: np.ndarray = zeros) -> float:
            return float(100 * np.median(zeros[chosen].mean(0)))

        value = median(np.arange(len(labels)))
        expected = value < 1 if "preact" in name else value > 20
        interval = bootstrapped(median, len(labels))
        measured.append(
            Measurement(name, "zeros in the stream, median of the blocks, %", value, *interval, IMAGES, expected)
        )
    return measured, "", None


QUESTIONS: tuple[Question, ...] = (
    (trace.FREE_PLAN, "gradient_flow?network=fashion-preact56&beside=fashion-resnet56", free),
)
