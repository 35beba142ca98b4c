"""How much does each block change the stream? By block, against the harm of deleting it, in size, and down the loss."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy import stats

from ..experiments import deletion, influence
from ..experiments.influence import DESCENT_PLAN, IMAGES, PREDICTION_PLAN, RESPONSE_PLAN, Harm, Influence
from ..experiments.stepwise import Stepping, finished
from ..figures import influence as figures
from ..figures.bars import relative_bars
from ..figures.gradients import Series, names_at_markers, stream_statistics
from ..figures.importance import correlation_text
from ..figures.palette import LIGHT
from ..findings import Answer, Measurement, Question
from ..networks.images import ImageSet
from ..networks.zoo import LoadedNetwork
from . import measures, verdict
from .shown import MEASURED, Shown, Steps, counted, no_error, recipe, rows_of, sources
from .subject import Subject

__all__ = ["change", "descent", "harm", "responses", "responses_by_depth"]

BUNDLED = {
    "residual": {20: "fashion-resnet20", 56: "fashion-resnet56", 110: "fashion-resnet110"},
    "plain": {20: "fashion-plain20", 56: "fashion-plain56"},
}
INTERVAL = "95 % over images"
OVER_IMAGES = "Whiskers: 95 % intervals over the images."
QUANTITIES = {"cosine": "cosine", "|F(x)| / |x|": "branch_to_stream", "|y| / |x|": "growth"}
CHANGE = r"\cos(x, y),\ \lVert F(x) \rVert / \lVert x \rVert,\ \lVert y \rVert / \lVert x \rVert"
INFLUENCE = r"1 - \cos(x, y)"
DEVIATION = r"\sigma(F(x))"
DESCENT = r"\cos\left(F(x),\ -\frac{\partial L}{\partial x}\right)"
COMPARED = (
    "$x$ enters the block, $y$ leaves it. The cosine compares $y$ with what leaves the block when its branch is deleted: $x$ "
    "itself, unless layers on that way, such as a projection, change it. The two ratios are to the norm of $x$ itself."
)
OF_PLAIN = " In a plain block $y = F(x)$, so its two ratios are the same."
WHAT_A_POINT_IS = (
    "A point is a block; in a residual network those whose deletion does the most harm, if it does any, are named, three at most. "
    "If influence were all that counts, the points would rise from left to right."
)
RESPONSES = (
    "The response is what the branch puts out, before the addition; in a plain block, before its last ReLU. He et al. draw what "
    "every layer puts out, here it is the whole branch."
)
OF_BATCH_NORM = (
    " Where a branch ends in a batch norm, as in original and plain blocks (in pre-activation blocks it ends in a convolution), "
    "the norm's factors set how far its channels spread, whatever comes in."
)
BY_DEPTH = "Grey: plain; the others: residual. The deeper the network, the fuller its line. One training of each."
DOWNHILL = (
    "Above 0, a small step along the branch lowers the loss of the image. Blocks that change the shape of the stream are left "
    "out, since their branch and the gradient have different shapes. In so many dimensions a random step would have a cosine "
    "near 0."
)
ONE_PLAIN = (
    "In a plain block the branch replaces the stream and adds nothing to it, so there is no step to compare with the "
    "gradient."
)


@recipe("Follow the stream through every block")
def change(*subjects: Subject, block: str = "") -> Steps:
    """How far each block of each network turns the stream, how large its branch is, and how the stream grows.

    ``block``: the one (the first) that is told of. Raises InputError for a block that does not exist.
    """
    subject, images = subjects[0], subjects[0].sample(IMAGES)
    name = subject.block(block or subject.blocks[0])
    found = yield from measured([each.loaded for each in subjects], images)
    panels = {
        what: [series(each, subject, getattr(values, field)) for each, values in zip(subjects, found, strict=True)]
        for what, field in QUANTITIES.items()
    }
    by_block = found[0].importance.mean
    most, least = (subject.blocks[place] for place in (by_block.argmax(), by_block.argmin()))
    title = f"The stream turns most at {most} (influence {by_block.max():.3f}), least at {least} ({by_block.min():.3f})"
    of_block = []
    for place, each in enumerate(subjects):
        told = figures.change_sentence({what: lines[place] for what, lines in panels.items()}, name)
        of_block.append(f"**{each.title}**, {name}: {told}.")
    return Shown(
        title=title,
        draw=partial(stream_statistics, list(panels.items())),
        says="  \n".join(of_block),
        formula=CHANGE,
        caption=f"{names_at_markers(panels['cosine'])} {OVER_IMAGES} {COMPARED}"
        + (OF_PLAIN if any(each.is_plain for each in subjects) else ""),
        alt=f"Cosine, size of the branch, and growth of the stream at each block. {title}.",
        facts=(MEASURED, counted(images), INTERVAL),
        sources=sources(subjects, images),
        bars=relative_bars(dict(zip(subject.blocks, by_block, strict=True)), "influence", 3),
        bars_title="bars: influence, 1 − cosine of the stream that enters the block and the stream that leaves it",
    )


@recipe("Delete every block in turn")
def harm(*subjects: Subject) -> Steps:
    """The influence of each block against the rise in error over the set when that block alone is deleted, in each network."""
    images, few = subjects[0].images, subjects[0].sample(IMAGES)
    if images.labels is None:
        return Shown(says=no_error(subjects[0]))
    networks = [each.loaded for each in subjects]
    found = yield from measured(networks, few)
    passes = len(subjects[0].blocks) / 2  # as on the page of single deletions, so that it is measured once
    swept = yield from measures.swept_in_parts(deletion.sweep, networks, images, passes)
    harms = [Harm.of(*each) for each in zip(found, swept, strict=True)]
    told = [figures.correlation_sentence(each) for each in harms]
    says = "; ".join(f"**{each.title}** {sentence}" for each, sentence in zip(subjects, told, strict=True))
    return Shown(
        title=f"Influence and harm: rank correlation {correlation_text(harms[0].correlation)}",
        draw=partial(figures.harm_by_influence, rows_of(subjects, harms)),
        says=f"Spearman's rank correlation: {says}.",
        formula=INFLUENCE,
        caption=WHAT_A_POINT_IS,
        alt=f"The rise in error without each block over its influence. {says}.",
        facts=(MEASURED, f"influence: {counted(few)}", f"rise in error: {len(images):,} images"),
        sources=sources(subjects, images),
    )


@recipe("Measure every response")
def responses(*subjects: Subject) -> Steps:
    """The standard deviation of each block's response in each network, by block and sorted by size."""
    images = subjects[0].sample(IMAGES)
    found = yield from measured([each.loaded for each in subjects], images)
    lines = [
        Series(each.title, tuple(each.blocks), values.response_deviation(), each.is_plain, each is not subjects[0])
        for each, values in zip(subjects, found, strict=True)
    ]
    says = "; ".join(f"**{line.name}** {np.median(line.values):.3f}" for line in lines)
    return Shown(
        title=f"{subjects[0].title}: the median response has a standard deviation of {np.median(lines[0].values):.3f}",
        draw=partial(figures.responses, lines),
        says=f"Median over the blocks: {says}.",
        formula=DEVIATION,
        caption=f"{names_at_markers(lines)} {RESPONSES}"
        + (OF_BATCH_NORM if any(influence.last_factors(each.loaded.network).size for each in subjects) else ""),
        alt=f"The standard deviation of each block's response. Median: {says}.",
        facts=(MEASURED, counted(images)),
        sources=sources(subjects, images),
    )


@recipe("Measure networks of other depths")
def responses_by_depth() -> Steps:
    """The responses of the bundled residual networks of 20, 56 and 110 layers and plain ones of 20 and 56."""
    names = [name for by_depth in BUNDLED.values() for name in by_depth.values()]
    networks, images = [verdict.network(name) for name in names], verdict.lesion_set().limit(IMAGES)
    found = dict(zip(names, (yield from measured(networks, images)), strict=True))
    sizes = {
        kind: {depth: found[name].response_deviation() for depth, name in by_depth.items()}
        for kind, by_depth in BUNDLED.items()
    }
    medians = {
        kind: ", ".join(f"{np.median(values):.3f} at {depth} layers" for depth, values in by_depth.items())
        for kind, by_depth in sizes.items()
    }
    says = "; ".join(f"**{kind}** {told}" for kind, told in medians.items())
    return Shown(
        title="Do responses shrink with depth?",
        draw=partial(figures.responses_by_depth, sizes),
        says=f"Median over the blocks: {says}.",
        formula=DEVIATION,
        caption=BY_DEPTH,
        alt=f"The standard deviation of the responses of five networks. Median: {says}.",
        facts=(MEASURED, counted(images)),
        sources=tuple(f"{each.entry.name}, {each.weights}, weights {each.digest[:12]}" for each in networks),
    )


@recipe("Compare every branch with the gradient")
def descent(*subjects: Subject) -> Steps:
    """The cosine of each branch with the negative gradient of the loss, in those of the networks that are residual."""
    residual, images = [each for each in subjects if not each.is_plain], subjects[0].sample(IMAGES)
    if not residual:
        return Shown(title="A plain block takes no step", says=ONE_PLAIN)
    found = yield from measured([each.loaded for each in residual], images)
    lines = [series(each, residual[0], values.descent) for each, values in zip(residual, found, strict=True)]
    late = [late_descent(values) for values in found]
    told = [figures.cosine_sentence(*each) for each in late]
    says = "; ".join(f"**{each.title}** {sentence}" for each, sentence in zip(residual, told, strict=True))
    return Shown(
        title=f"{residual[0].title}: mean cosine in the last third of the blocks {figures.cosine_sentence(late[0][0], np.nan)}",
        draw=partial(figures.descent_by_block, lines),
        says=f"Mean over the last third of the blocks (95 % over images): {says}.",
        formula=DESCENT,
        caption=f"{names_at_markers(lines)} {OVER_IMAGES} {DOWNHILL}",
        alt=f"The cosine of each branch with the negative gradient. {says}.",
        facts=(MEASURED, counted(images), INTERVAL),
        sources=sources(residual, images),
    )


def measured(networks: Sequence[LoadedNetwork], images: ImageSet) -> Stepping[list[Influence]]:
    """What each block of each network changes, over labelled images."""
    return measures.one_after_the_other([measures.influence_in_steps(each, images) for each in networks])


def margin_of(by_image: np.ndarray) -> np.ndarray:
    """Half of the 95 % interval (Student's t) of the mean over the images, which come first; NaN for a single image."""
    if len(by_image) == 1:
        return np.full(by_image.shape[1:], np.nan)
    return np.asarray(stats.t.ppf(0.975, len(by_image) - 1) * stats.sem(by_image))


def series(of: Subject, first: Subject, by_image: np.ndarray) -> Series:
    """The means over the images, (images, n), as a line with their intervals."""
    blocks, margin = tuple(of.blocks), margin_of(by_image)
    return Series(of.title, blocks, by_image.mean(0), of.is_plain, of is not first, margin=margin)


def late_descent(found: Influence) -> tuple[float, float]:
    """The mean cosine with the negative gradient over the last third of the blocks, and half of its 95 % interval over the
    images; NaN where each of these blocks changes the shape."""
    late = found.descent[:, 2 * len(found.blocks) // 3 :]
    kept = late[:, np.isfinite(late[0])]
    by_image = kept.mean(1) if kept.size else late[:, 0]
    return float(by_image.mean()), float(margin_of(by_image))


def of_bundled(name: str) -> Influence:
    """What the blocks of a bundled network change, over some of the lesion set."""
    return finished(measures.influence_in_steps(verdict.network(name), verdict.lesion_set().limit(IMAGES)))


def predicts() -> Answer:
    """Whether influence and harm put the blocks in the same order."""
    rows, notes, harms = [], [], []
    for name in verdict.RESIDUAL:
        loaded = verdict.network(name)
        passes = len(loaded.network.blocks) / 2
        swept = finished(measures.swept(deletion.sweep, loaded, verdict.lesion_set(), passes))
        harm = Harm.of(of_bundled(name), swept)
        rows.append(
            Measurement(
                name,
                "rank correlation of influence and rise in error",
                harm.correlation,
                *harm.interval,
                "95 %, blocks",
                harm.correlation > 0.5,
            )
        )
        order = np.argsort(-harm.influence.mean, kind="stable")
        top = ", ".join(
            f"{harm.blocks[place]} {harm.influence.mean[place]:.2f}, {harm.rise.mean[place]:+.1f} points"
            for place in order[:3]
        )
        notes.append(f"{name}: the most influential {top}; median influence {np.median(harm.influence.mean):.3f}")
        harms.append((name, harm, False))
    return rows, "; ".join(notes), figures.harm_by_influence(harms, LIGHT)


def smaller() -> Answer:
    """The median responses of two networks each, as a ratio."""
    found = {name: of_bundled(name) for by_depth in BUNDLED.values() for name in by_depth.values()}
    rows = []
    for one, other, most in (
        ("fashion-resnet20", "fashion-plain20", 0.8),
        ("fashion-resnet56", "fashion-plain56", 0.8),
        ("fashion-resnet56", "fashion-resnet20", 1),
        ("fashion-resnet110", "fashion-resnet56", 1),
    ):

        def ratio(images: np.ndarray, one: str = one, other: str = other) -> float:
            sizes = [np.median(found[name].response_deviation(images)) for name in (one, other)]
            return float(sizes[0] / sizes[1])

        value = ratio(np.arange(IMAGES))
        interval = verdict.bootstrapped(ratio, IMAGES)
        what = "ratio of the median responses"
        rows.append(Measurement(f"{one} to {other}", what, value, *interval, verdict.IMAGES, value < most))
    notes = []
    for name, values in found.items():
        factors = influence.last_factors(verdict.network(name).network)
        notes.append(
            f"{name}: median over the blocks {np.median(values.response_deviation()):.3f}, factors of the last batch norms "
            f"{factors.mean():.2f} with a standard deviation of {factors.std():.2f}"
        )
    notes.append("all factors began at 1: training has shrunk them, but hardly set them apart")
    notes.append("the intervals do not hold what another training would give")
    return rows, "; ".join(notes), None


def downhill() -> Answer:
    """The mean cosine with the negative gradient, late in the network; and early, for the notes."""
    rows, notes = [], []
    for name in (*verdict.RESIDUAL, "fashion-preact110"):
        found = of_bundled(name)
        value, margin = late_descent(found)
        what = "mean cosine with the negative gradient, last third"
        rows.append(Measurement(name, what, value, value - margin, value + margin, verdict.IMAGES, value > 0))
        by_block = found.descent.mean(0)
        thirds = ", ".join(f"{np.nanmean(third):+.3f}" for third in np.array_split(by_block, 3))
        known = np.isfinite(by_block)
        notes.append(f"{name}: mean of each third {thirds}; above 0 in {(by_block > 0).sum()} of {known.sum()} blocks")
    return rows, "; ".join(notes), None


QUESTIONS: tuple[Question, ...] = (
    (PREDICTION_PLAN, "block_influence?network=fashion-resnet56", predicts),
    (RESPONSE_PLAN, "block_influence?network=fashion-resnet56", smaller),
    (DESCENT_PLAN, "block_influence?network=fashion-resnet56", downhill),
)
