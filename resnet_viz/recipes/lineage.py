"""Where else does the highway run? A residual network beside a highway network, an LSTM and a Transformer."""

from collections.abc import Generator, Mapping
from functools import partial

import numpy as np
from scipy import stats

from ..experiments import deletion, early_stop, influence, lineage
from ..experiments.deletion import Sweep, known, label_array
from ..experiments.lineage import (
    EARLY,
    FORGET_PLAN,
    HARMLESS,
    LATE,
    LESION_PLAN,
    LITTLE,
    MUCH,
    NORM_PLAN,
    SEEDS,
)
from ..experiments.paths import GradientByLength, gradient_by_length
from ..experiments.stepwise import Stepping, finished
from ..experiments.trace import stream_gradient_norms
from ..figures import lineage as figures
from ..figures.deletion import sweep_caption, sweep_errors, sweep_sentence
from ..figures.lesion_studies import error_by_stop, stop_sentence
from ..figures.lineage import Line
from ..figures.palette import LIGHT, short_number
from ..findings import Answer, Measurement, Question
from ..networks.images import ImageSet
from ..networks.zoo import NETWORKS, LoadedNetwork
from . import measures
from .shown import MEASURED, Shown, Steps, counted, recipe
from .verdict import BACKWARD_IMAGES, CHANCE, IMAGES, bootstrapped, lesion_set, network

__all__ = [
    "attention_and_mlp",
    "deletions",
    "distance",
    "forget_gates",
    "formulas",
    "gradient",
    "gradient_in_time",
    "lens",
    "lesions",
    "norms",
    "path_lengths",
    "steps_deleted",
    "transform_gates",
]

FAMILIES = ("fashion-resnet56", "fashion-highway50", "fashion-lstm", "fashion-vit")
HIGHWAYS = ("fashion-highway50", "fashion-highway50-plain")
RECURRENT = ("fashion-lstm", "fashion-lstm-forget0", "fashion-rnn")
TRANSFORMERS = ("fashion-vit", "fashion-vit-postnorm")
OTHERS = (*HIGHWAYS, *RECURRENT, *TRANSFORMERS)
PICTURED = 30  # images whose gates are drawn, and
EACH = 3  # of each class
PASSES = 2  # for an image: what is left behind a stop are shortcuts
DEPTH, STEP, LAYER = "place in the network, from the first block (0) to the last (1)", "time step", "layer"
BY_SEED = "95 %, Student's t over 3 seeds"
GRADIENT = (
    r"\left\lVert \frac{\partial L}{\partial x_l} \right\rVert \Big/ "
    r"\left\lVert \frac{\partial L}{\partial x_n} \right\rVert"
)
RELATIVE = "gradient, relative to the last block"
FORMULAS = r"""
| network | one block, or step | its shortcut | on the way back |
|---|---|---|---|
| ResNet | $y = x + F(x)$ | the identity | $\frac{dy}{dx} = I + \frac{dF}{dx}$: past the branches nothing is multiplied, but a ReLU follows each sum |
| highway network | $y = (1 - T(x))\,x + T(x)\,H(x)$ | gated | $\frac{dy}{dx} = \mathrm{diag}(1 - T) + \dots$: past $n$ blocks $\prod_l (1 - T_l)$, as much as the gates let through |
| LSTM | $c' = f\,c + i \tanh(\cdot),\ h' = o \tanh(c')$ | gated, in time | $\frac{dc'}{dc} = \mathrm{diag}(f) + \dots$: past $n$ steps $\prod_t f_t$; a forget bias of 1 begins with $f = 0.73$, of 0 with $f = 0.5$ |
| Transformer, pre-norm | $y = x + F(\mathrm{norm}(x))$ | the identity | $\frac{dy}{dx} = I + \frac{dF}{dx}$, with nothing after the sum |
| Transformer, post-norm | $y = \mathrm{norm}(x + F(x))$ | the identity, and a norm after the sum | $\frac{dy}{dx} = J_{\mathrm{norm}} \left(I + \frac{dF}{dx}\right)$: every norm is on the way |

Where the gate of a shortcut is itself made of the stream, it is held fixed on the shortcut, and what comes back through it counts to
the branch: so the gradients of all paths still add up to the true one.
"""
IN_MEMORY = (
    "Of the LSTM, the gradient in its memory, the cell and the hidden state side by side; a block is a time step."
)
MEMORIES = (
    "The gradient in the memory before each step: of an LSTM the cell and the hidden state side by side, of the plain network the "
    "hidden state. "
)
LENGTHS = (
    "How much of the gradient (of the norms by length) comes through paths that take at most this share of all branches. Most paths "
    "take about half of them, so a line that is high at the left says that the short ones carry it."
)
RISES = "A block of the Transformer is attention or an MLP, one of the LSTM the reading of one row of the image."
TURNS = (
    "1 − the cosine of the stream that enters a block and the stream that leaves it (where the shape changes, of what leaves it with and "
    "without its branch). The memory of the LSTM is empty before the first step, which the cosine calls 0."
)
GATES = (
    "Each row is one image, three of each class. 0: the layer hands on what it is given, on average over its 64 units; 1: it replaces "
    "it. Where a column changes from row to row, the way through the network depends on the image."
)
CLOSED = "The transform gates of one layer at a time are closed, so that it hands on its input; the plain twin's layers are skipped. "
DASHED = "Filled: trained; hollow, dashed: untrained, seed 0."
SKIPPED = "The network does not read one row of the image: what it remembers stays as it was. "
CARRIED = f"The mean over the 64 units and {BACKWARD_IMAGES} images. 1: the cell state is kept as it is; 0: it is forgotten. {DASHED}"
TWO_BRANCHES = "Solid: attention, dashed and hollow: MLP. Only this branch is left out; a norm after the sum stays."
THE_HEAD = (
    "The head, made for the last stream, reads the stream after each block (the “logit lens”). Behind a stop the post-norm network "
    "still passes its later norms."
)


def short(name: str) -> str:
    """'resnet56'."""
    return name.removeprefix("fashion-")


def of(name: str, untrained: int | None = None) -> LoadedNetwork:
    """A bundled network, or an untrained one."""
    return measures.network(NETWORKS[name], untrained)


def labels_of(images: ImageSet) -> list[int]:
    return [int(label) for label in known(label_array(images))]


def gradient_norms(name: str, untrained: int | None = None) -> np.ndarray:
    """The norm of the gradient in the stream that enters each block, relative to the last one's, (blocks,)."""
    images = lesion_set().limit(BACKWARD_IMAGES)
    norms = measures.over_batch(stream_gradient_norms, of(name, untrained), images, labels_of(images))
    return np.array(norms) / norms[-1]


def by_length(name: str) -> Stepping[GradientByLength]:
    """The exact gradient of a bundled network by path length."""
    images = lesion_set().limit(BACKWARD_IMAGES)
    return measures.batch_in_steps(gradient_by_length, network(name), images, labels_of(images))


def swept(name: str) -> Stepping[Sweep]:
    """Each block of a bundled network deleted in turn."""
    loaded = network(name)
    return measures.swept(deletion.sweep, loaded, lesion_set(), len(loaded.network.blocks) / 2)


def traced(wanted: list[tuple[str, int | None]]) -> Generator[float, None, list[np.ndarray]]:
    """``gradient_norms`` of several networks; yields how much is measured."""
    found = []
    for name, untrained in wanted:
        found.append(gradient_norms(name, untrained))
        yield len(found) / len(wanted)
    return found


def read_from(*names: str) -> tuple[str, ...]:
    """Which networks, with which weights."""
    return tuple(f"{name}, {network(name).weights}, weights {network(name).digest[:12]}" for name in names)


def beside(
    values: Mapping[str, np.ndarray],
    title: str,
    says: str,
    formula: str,
    caption: str,
    images: int,
    quantity: str,
    *,
    places: str = DEPTH,
    log: bool = False,
) -> Shown:
    """The four families in one figure: a value at each place of each."""
    drawn = [
        Line(short(name), np.linspace(0, 1, len(found)), found, look)
        for look, (name, found) in enumerate(values.items())
    ]
    return Shown(
        title=title,
        draw=partial(figures.lines, drawn, places, quantity, log=log),
        says=says,
        formula=formula,
        caption=caption,
        alt=f"{title}. {says}",
        facts=(MEASURED, f"{images:,} images"),
        sources=read_from(*values),
    )


@recipe()
def formulas() -> Shown:
    """What each family's block computes, what its shortcut is, and what follows for the gradient."""
    return Shown(title="Four shortcuts: the identity, gated, gated in time, the identity", says=FORMULAS)


@recipe("Trace four networks")
def gradient() -> Steps:
    """The gradient in the stream that enters each block of the four families, relative to the last block."""
    norms = dict(zip(FAMILIES, (yield from traced([(name, None) for name in FAMILIES])), strict=True))
    told = "; ".join(f"**{short(name)}** {times(found[0])}" for name, found in norms.items())
    return beside(
        norms,
        "How much gradient reaches the first block",
        f"From the last block to the first: {told}.",
        GRADIENT,
        IN_MEMORY,
        BACKWARD_IMAGES,
        RELATIVE,
        log=True,
    )


@recipe("Add up the paths of four networks")
def path_lengths() -> Steps:
    """The exact gradient of the four families by path length, as a share of all up to each share of the branches."""
    found = yield from measures.one_after_the_other([by_length(name) for name in FAMILIES])
    shares = {
        name: np.cumsum(each.mean_norms) / each.mean_norms.sum() for name, each in zip(FAMILIES, found, strict=True)
    }
    told = "; ".join(
        f"**{short(name)}** {each.mean_length:.1f} of {len(each.paths) - 1}"
        for name, each in zip(FAMILIES, found, strict=True)
    )
    error = max(each.sum_relative_error for each in found)
    return beside(
        shares,
        "Most gradient comes through short paths"
        if short_everywhere(found)
        else "How long the paths are that carry it",
        f"Mean length of a path, in branches: {told}. The sum over the lengths is autograd's gradient to within {short_number(error)}.",
        r"\sum_{j \le k} \lVert d_j \rVert \Big/ \sum_j \lVert d_j \rVert",
        LENGTHS,
        BACKWARD_IMAGES,
        "share of the gradient, up to this length",
        places="length of the path, as a share of the blocks",
    )


def short_everywhere(found: list[GradientByLength]) -> bool:
    """Whether the mean path is shorter than half of the blocks in all of them, as most paths are."""
    return all(each.mean_length < (len(each.paths) - 1) / 2 for each in found)


@recipe("Delete every block of four networks")
def deletions() -> Steps:
    """The rise in error when each block of the four families is deleted in turn."""
    found = dict(
        zip(FAMILIES, (yield from measures.one_after_the_other([swept(name) for name in FAMILIES])), strict=True)
    )
    told = "; ".join(
        f"**{short(name)}** {np.median(each.rises):+.1f} ({each.error_pct:.1f} % intact)"
        for name, each in found.items()
    )
    return beside(
        {name: each.rises for name, each in found.items()},
        "What it costs to lose one block",
        f"Median over the blocks, in points: {told}.",
        r"y = x + g\,F(x),\ g = 0",
        RISES,
        len(lesion_set()),
        "rise in error, points",
    )


@recipe("Follow the stream through four networks")
def distance() -> Steps:
    """How far each block of the four families turns the stream."""
    images = lesion_set().limit(influence.IMAGES)
    asked = [measures.influence_in_steps(network(name), images) for name in FAMILIES]
    found = yield from measures.one_after_the_other(asked)
    turned = {name: each.importance.mean for name, each in zip(FAMILIES, found, strict=True)}
    told = "; ".join(f"**{short(name)}** {np.median(each):.3f}" for name, each in turned.items())
    return beside(
        turned,
        "How far a block is from doing nothing",
        f"Median over the blocks: {told}.",
        r"1 - \cos(x, y)",
        TURNS,
        influence.IMAGES,
        "influence, 1 − cosine",
        log=True,
    )


@recipe()
def transform_gates() -> Shown:
    """The mean transform gate of each layer of the highway network, for some images."""
    (name, _), images = HIGHWAYS, lesion_set()
    labels = known(label_array(images))
    chosen = images.subset([int(at) for label in np.unique(labels) for at in np.flatnonzero(labels == label)[:EACH]])
    gates = 1 - measures.over_image(lineage.carries, network(name), chosen)
    by_layer, blocks = gates.mean(0), list(network(name).network.blocks)
    open_layers = int((by_layer > 0.5).sum())
    names = [network(name).entry.classes[label] for label in labels_of(chosen)]
    title = f"The transform gates are open most at {blocks[by_layer.argmax()]} (mean {by_layer.max():.2f})"
    says = (
        f"Mean over the layers {by_layer.mean():.2f}; {open_layers} of {len(by_layer)} layers replace more than half of the "
        f"stream. At the start of training it is {1 / (1 + np.exp(3)):.2f} in every layer. Standard deviation over the images, "
        f"mean of the layers: {gates.std(0).mean():.3f}."
    )
    return Shown(
        title=title,
        draw=partial(figures.gates_by_image, gates, blocks, names),
        says=says,
        formula=r"T(x) = \sigma(W_T x + b_T)",
        caption=GATES,
        alt=f"{title}. {says}",
        facts=(MEASURED, counted(chosen)),
        sources=read_from(name),
    )


@recipe("Delete every layer in turn")
def lesions() -> Steps:
    """The error of the highway network and its plain twin when each layer in turn is deleted."""
    return sweeps_of(
        HIGHWAYS,
        (yield from measures.one_after_the_other([swept(name) for name in HIGHWAYS])),
        "The highway network without one of its layers",
        CLOSED,
    )


def sweeps_of(names: tuple[str, ...], found: list[Sweep], title: str, caption: str) -> Shown:
    """The error of some networks when each block in turn is deleted."""
    rows = [(short(name), each, "plain" in name or "rnn" in name) for name, each in zip(names, found, strict=True)]
    says = "  \n".join(f"**{name}** ({each.error_pct:.1f} % intact): {loss_of(each)}" for name, each, _ in rows)
    return Shown(
        title=title,
        draw=partial(sweep_errors, rows, CHANCE),
        says=says,
        formula=r"g_l = 0",
        caption=caption + sweep_caption(rows),
        alt=f"{title}. {says}",
        facts=(MEASURED, f"{len(lesion_set()):,} images"),
        sources=read_from(*names),
    )


def loss_of(sweep: Sweep) -> str:
    """What the deletions of a sweep cost, if there is something to lose."""
    return sweep_sentence(sweep) if has_learned(sweep) else "it has learned nothing, so it has nothing to lose."


def has_learned(sweep: Sweep) -> bool:
    """Whether the intact network is better than a guess, by a point or more."""
    return known(sweep.error_pct) < CHANCE - 1


def untrained_and_trained(names: tuple[str, ...]) -> list[tuple[str, int | None]]:
    """Each network trained, and with the initial weights of seed 0."""
    return [(name, untrained) for name in names for untrained in (None, 0)]


def trained_lines(names: tuple[str, ...], found: list[np.ndarray]) -> list[Line]:
    """Values by block of ``untrained_and_trained``."""
    return [
        Line(
            short(name) + (", untrained" if untrained is not None else ""),
            np.arange(1, len(each) + 1),
            each,
            names.index(name),
            "solid" if untrained is None else "dash",
            plain=name == "fashion-rnn",
        )
        for (name, untrained), each in zip(untrained_and_trained(names), found, strict=True)
    ]


def along(names: tuple[str, ...], title: str, places: str, caption: str) -> Generator[float, None, Shown]:
    """The gradient at each block of some networks, untrained and trained."""
    drawn = trained_lines(names, (yield from traced(untrained_and_trained(names))))
    says = "; ".join(f"**{line.name}** {times(line.y[0])}" for line in drawn)
    return Shown(
        title=title,
        draw=partial(figures.lines, drawn, places, RELATIVE, log=True),
        says=f"From the last block to the first: {says}.",
        formula=GRADIENT,
        caption=caption,
        alt=f"{title}. {says}",
        facts=(MEASURED, f"{BACKWARD_IMAGES} images", "seed 0 of the untrained"),
        sources=read_from(*names),
    )


def times(ratio: float) -> str:
    """'grows 2.9-fold', 'fades 180-fold'."""
    return f"grows {short_number(ratio)}-fold" if ratio > 1 else f"fades {short_number(1 / ratio)}-fold"


@recipe("Trace the recurrent networks")
def gradient_in_time() -> Steps:
    """The gradient in the memory before each time step, in LSTMs of two forget biases and a plain recurrent network."""
    return (yield from along(RECURRENT, "How far back in time the gradient reaches", STEP, MEMORIES + DASHED))


@recipe("Skip every time step in turn")
def steps_deleted() -> Steps:
    """The error of the recurrent networks when each time step in turn is deleted."""
    return sweeps_of(
        RECURRENT,
        (yield from measures.one_after_the_other([swept(name) for name in RECURRENT])),
        "A recurrent network that does not read one row",
        SKIPPED,
    )


@recipe()
def forget_gates() -> Shown:
    """The forget gate at each time step of both LSTMs, untrained and trained."""
    names, images = RECURRENT[:2], lesion_set().limit(BACKWARD_IMAGES)
    found = [
        measures.over_image(lineage.carries, of(name, untrained), images).mean(0)
        for name, untrained in untrained_and_trained(names)
    ]
    drawn = trained_lines(names, found)
    says = "; ".join(
        f"**{line.name}** {line.y.mean():.2f} (their product {short_number(np.prod(line.y))})" for line in drawn
    )
    return Shown(
        title="The forget gate is the carry",
        draw=partial(figures.lines, drawn, STEP, "forget gate"),
        says=f"Mean over the steps: {says}.",
        formula=r"\prod_{t} f_t",
        caption=CARRIED,
        alt=f"The mean forget gate at each time step. {says}.",
        facts=(MEASURED, counted(images)),
        sources=read_from(*names),
    )


@recipe("Delete every branch in turn")
def attention_and_mlp() -> Steps:
    """The rise in error when the attention or the MLP of one layer is deleted, in both Transformers."""
    found = yield from measures.one_after_the_other([swept(name) for name in TRANSFORMERS])
    drawn = [
        Line(f"{short(name)}, {kind}", np.arange(1, len(each.rises) // 2 + 1), each.rises[first::2], look, dash)
        for look, (name, each) in enumerate(zip(TRANSFORMERS, found, strict=True))
        for first, kind, dash in ((0, "attention", "solid"), (1, "MLP", "dash"))
    ]
    says = "; ".join(f"**{line.name}** {np.median(line.y):+.1f}, at most {line.y.max():+.1f}" for line in drawn)
    return Shown(
        title="Without one attention, without one MLP",
        draw=partial(figures.lines, drawn, LAYER, "rise in error, points"),
        says=f"Rise in error, median over the layers, in points: {says}.",
        formula=r"g_l = 0",
        caption=TWO_BRANCHES,
        alt=f"The rise in error by layer. {says}.",
        facts=(MEASURED, f"{len(lesion_set()):,} images"),
        sources=read_from(*TRANSFORMERS),
    )


@recipe("Read every stream")
def lens() -> Steps:
    """The error of both Transformers when the head reads the stream after each block."""
    found = yield from measures.swept_in_parts(
        early_stop.stop_everywhere, [network(name) for name in TRANSFORMERS], lesion_set(), PASSES
    )
    rows = [(short(name), each, False) for name, each in zip(TRANSFORMERS, found, strict=True)]
    says = "  \n".join(f"**{name}**: {stop_sentence(each)}" for name, each, _ in rows)
    return Shown(
        title="What the head reads on the way",
        draw=partial(error_by_stop, rows, CHANCE),
        says=says,
        formula=r"g = (1, \dots, 1, 0, \dots, 0)",
        caption=THE_HEAD,
        alt=says,
        facts=(MEASURED, f"{len(lesion_set()):,} images"),
        sources=read_from(*TRANSFORMERS),
    )


@recipe("Trace both Transformers")
def norms() -> Steps:
    """The gradient at each block of a pre-norm and a post-norm Transformer, untrained and trained."""
    return (yield from along(TRANSFORMERS, "A norm within the branch, and a norm on the stream", "block", DASHED))


def rises_of(sweep: Sweep) -> np.ndarray:
    """The rise in the error of each image, in points: -100, 0 or 100, (blocks, images)."""
    labels = known(sweep.labels)
    rises: np.ndarray = 100 * ((sweep.predictions != labels).astype(float) - (sweep.intact != labels))
    return rises


def median_rise(name: str) -> tuple[float, float, float]:
    """The median over the blocks of the rise in error when one is deleted, in points, and its 95 % interval over the images."""
    found = finished(swept(name))
    rises = rises_of(found)

    def median(images: np.ndarray) -> float:
        return float(np.median(rises[:, images].mean(1)))

    return float(np.median(found.rises)), *bootstrapped(median, rises.shape[1])


def untrained_ratio(name: str) -> tuple[float, float, float]:
    """The gradient at the first block relative to the last of untrained networks: the geometric mean over the seeds, and its
    95 % interval (Student's t of the logarithms)."""
    logarithms = np.log([gradient_norms(name, seed)[0] for seed in SEEDS])
    interval = stats.ttest_1samp(logarithms, 0).confidence_interval()
    return float(np.exp(logarithms.mean())), float(np.exp(interval.low)), float(np.exp(interval.high))


def can_lose_a_layer() -> Answer:
    """Each layer of the highway network and of its plain twin deleted."""
    both = highway, plain = [finished(swept(name)) for name in HIGHWAYS]
    rises = rises_of(highway)
    images = rises.shape[1]

    def harmless(chosen: np.ndarray) -> float:
        return float((rises[:, chosen].mean(1) < HARMLESS).mean())

    share = harmless(np.arange(images))
    late = range(EARLY - 2, LATE - 1)  # the stem is layer 1
    worst = max(late, key=lambda block: highway.rises[block])
    most = float(highway.rises[worst])
    median, low, high = median_rise(HIGHWAYS[1])
    measured = [
        Measurement(
            HIGHWAYS[0],
            "share of the layers that cost less than a point",
            share,
            *bootstrapped(harmless, images),
            IMAGES,
            share >= 0.5,
        ),
        Measurement(
            HIGHWAYS[0],
            f"largest rise behind the layers {EARLY} to {LATE} ({highway.blocks[worst]}), points",
            most,
            *highway.lesions[worst].rise_interval(),
            IMAGES,
            most <= 5,
        ),
        Measurement(
            HIGHWAYS[1],
            "median rise when a layer is deleted, points",
            median,
            low,
            high,
            IMAGES,
            median > 50 or not has_learned(plain),
        ),
    ]
    rows = [(short(name), each, each is plain) for name, each in zip(HIGHWAYS, both, strict=True)]
    notes = "; ".join(f"{name}: intact {each.error_pct:.1f} %, {loss_of(each).rstrip('.')}" for name, each, _ in rows)
    return measured, notes, sweep_errors(rows, CHANCE, LIGHT)


def through_time() -> Answer:
    """The gradient through time, untrained and trained, and the rise in error without a time step."""
    untrained = [untrained_ratio(name) for name in RECURRENT]
    (lstm, *_), (old, *_), (plain, *_) = untrained
    trained = [float(gradient_norms(name)[0]) for name in RECURRENT]
    rises = [median_rise(name) for name in RECURRENT]
    faded = lstm > 1 / LITTLE, old < 1 / MUCH, plain < min(lstm, old)
    cost = rises[0][0] < 5, rises[1][0] < 5, rises[2][0] > max(rises[0][0], rises[1][0])
    what, without = (
        "gradient before the first step relative to the last",
        "median rise when a time step is deleted, points",
    )
    measured = [
        *(
            Measurement(f"{name}, untrained", what, *ratio, BY_SEED, right)
            for name, ratio, right in zip(RECURRENT, untrained, faded, strict=True)
        ),
        *(
            Measurement(f"{name}, trained", what, ratio, None, None, "", trained == sorted(trained, reverse=True))
            for name, ratio in zip(RECURRENT, trained, strict=True)
        ),
        *(
            Measurement(name, without, *rise, IMAGES, right)
            for name, rise, right in zip(RECURRENT, rises, cost, strict=True)
        ),
    ]
    errors = "; ".join(f"{short(name)} {finished(swept(name)).error_pct:.1f} %" for name in RECURRENT)
    found = [gradient_norms(name, seed) for name, seed in untrained_and_trained(RECURRENT)]
    figure = figures.lines(trained_lines(RECURRENT, found), STEP, RELATIVE, LIGHT, log=True)
    return measured, f"error of the trained networks, intact: {errors}", figure


def on_the_stream() -> Answer:
    """The gradient at the first block of both Transformers, untrained and trained, and the rise in error without a block."""
    pre, post = TRANSFORMERS
    untrained = {name: untrained_ratio(name) for name in TRANSFORMERS}
    trained = {name: float(gradient_norms(name)[0]) for name in TRANSFORMERS}
    rises = {name: median_rise(name) for name in TRANSFORMERS}
    what = "gradient at the first block relative to the last"
    less = untrained[post][0] < untrained[pre][0], trained[post] < trained[pre]
    measured = [
        *(Measurement(f"{name}, untrained", what, *untrained[name], BY_SEED, less[0]) for name in TRANSFORMERS),
        *(Measurement(f"{name}, trained", what, trained[name], None, None, "", less[1]) for name in TRANSFORMERS),
        *(
            Measurement(
                name,
                "median rise when a block is deleted, points",
                *rises[name],
                IMAGES,
                rises[pre][0] < 5 if name == pre else rises[post][0] > rises[pre][0],
            )
            for name in TRANSFORMERS
        ),
    ]
    swept_both = {name: finished(swept(name)) for name in TRANSFORMERS}
    notes = "; ".join(
        f"{short(name)}: intact {each.error_pct:.1f} %, median rise without attention {np.median(each.rises[::2]):+.1f}, without an "
        f"MLP {np.median(each.rises[1::2]):+.1f} points"
        for name, each in swept_both.items()
    )
    found = [gradient_norms(name, seed) for name, seed in untrained_and_trained(TRANSFORMERS)]
    return measured, notes, figures.lines(trained_lines(TRANSFORMERS, found), "block", RELATIVE, LIGHT, log=True)


QUESTIONS: tuple[Question, ...] = (
    (LESION_PLAN, "lineage", can_lose_a_layer),
    (FORGET_PLAN, "lineage", through_time),
    (NORM_PLAN, "lineage", on_the_stream),
)
