"""Do gradients shatter with depth? The gradient on the input along a line between two images."""

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from itertools import product

import numpy as np
from scipy import stats

from ..engine.kept import kept_in_steps
from ..errors import InputError
from ..experiments import deletion
from ..experiments.shattered import DEPTHS, PAIRS, PARTS, PLAN, POINTS, SEEDS, Shattering, gradients_at
from ..experiments.stepwise import Stepping, finished, share_of
from ..experiments.training import difference
from ..figures import shattered as figures
from ..figures.shattered import ByDepth, Line
from ..findings import Answer, Measurement, Question
from ..networks import zoo
from ..networks.images import ImageSet
from ..networks.zoo import NETWORKS, Entry
from . import measures
from .shown import MEASURED, Shown, Steps, recipe, sources
from .subject import IMAGE, Subject, opening
from .verdict import WELCH

__all__ = ["cosine_by_depth", "cosines", "pictures"]

FORMULA = r"\cos(g_i, g_{i+1}),\quad g_i = \partial z_c / \partial x\text{ at }x = a + \tfrac{i}{127}(b - a)"
ALONG = (
    "$z_c$: the logit of {class_name}; $a$: {one}, $b$: {other}. Near 1, the gradient at a point tells what it "
    "is at the next one; near 0, it does not, as if it were white noise."
)
DOTTED = " Dotted: trained."
PICTURES = (
    "Each picture is the gradient at one point of the line, each neighbour 1/127 of the way further on, on a scale of its "
    "own. Where a row looks like the same picture five times, the gradient changes smoothly."
)
BY_DEPTH = (
    "Dots: residual; grey squares: plain; ×: without batch norm; hollow: trained (with batch norm; there is no trained "
    "plain network of 110 layers here). What was published, and what was expected of these networks, stands below."
)
UNTRAINED, BARE, TRAINED = "untrained", "untrained, without batch norm", "trained"


def line_of(subject: Subject, first: int | None, other: int) -> tuple[ImageSet, int]:
    """Two images of the set, and the class of the first (the predicted one, where nobody knows it)."""
    images = subject.images
    start = opening(images) if first is None else first
    if not 0 <= min(start, other) <= max(start, other) < len(images) or start == other:
        raise InputError(f"A line needs two images that differ, 0 to {len(images) - 1}; got {start} and {other}.")
    pair = images.subset([start, other])
    return pair, subject.labels(pair)[0]


def lines_in(subjects: Sequence[Subject], pair: ImageSet, label: int) -> Generator[float, None, list[Line]]:
    """The gradients along a line in each network; yields how much is measured."""
    found = []
    for done, each in enumerate(subjects):
        parts = []
        if not each.network.trained:  # it may have to be made
            assert each.loaded
            yield done / len(subjects)
        for part in range(PARTS):
            parts.append(measures.over_set(gradients_at, each.loaded, pair, label, part))
            yield (done * PARTS + part + 1) / (len(subjects) * PARTS)
        trained = each.network.trained and each.entry.can_be_built  # of one that was handed over nobody knows it
        found.append(Line(each.title, Shattering(np.concatenate(parts)), each.is_plain, trained))
    return found


@recipe("Follow the gradient along the line")
def cosines(*subjects: Subject, first: int | None = None, other: int = 0) -> Steps:
    """How alike neighbouring gradients are in each network, from image number ``first`` of the set (the one that the app opens
    with) to number ``other``.

    Raises InputError where the two are the same, or there are no such images.
    """
    pair, label = line_of(subjects[0], first, other)
    lines = yield from lines_in(subjects, pair, label)
    says = "; ".join(f"**{line.title}** {line.found.mean:.2f}" for line in lines)
    along = ALONG.format(class_name=subjects[0].entry.classes[label], one=pair.names[0], other=pair.names[1])
    return Shown(
        title=f"{subjects[0].title}: neighbouring gradients have a mean cosine of {lines[0].found.mean:.2f}",
        draw=partial(figures.cosines_along, lines),
        says=f"Mean cosine: {says}.",
        formula=FORMULA,
        caption=along + (DOTTED if any(line.trained for line in lines) else ""),
        alt=f"The cosine of neighbouring gradients along the line. {says}",
        facts=(MEASURED, f"1 line of {POINTS} points"),
        sources=sources(subjects, pair),
    )


@recipe("Follow the gradient along the line")
def pictures(*subjects: Subject, first: int | None = None, other: int = 0) -> Steps:
    """Neighbouring gradients in the middle of the line, as pictures. Raises InputError as ``cosines`` does."""
    pair, label = line_of(subjects[0], first, other)
    lines = yield from lines_in(subjects, pair, label)
    return Shown(
        title="The same gradients as pictures",
        draw=partial(figures.gradient_pictures, lines),
        caption=PICTURES,
        alt="Neighbouring gradients in the middle of the line, a row for each network.",
        facts=(MEASURED, f"{figures.SHOWN} of {POINTS} points"),
        sources=sources(subjects, pair),
    )


@recipe("Follow it in networks of other depths")
def cosine_by_depth(seed: int = 0) -> Steps:
    """The mean cosine of bundled residual and plain networks by depth: untrained, without batch norm, and trained."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    asked = list(product((UNTRAINED, BARE, TRAINED), ("residual", "plain"), DEPTHS))
    for number, (weights, kind, depth) in enumerate(asked, start=1):
        entry = zoo.trainable("resnet" if kind == "residual" else "plain", depth)
        if weights != TRAINED or entry.weights:
            untrained = None if weights == TRAINED else seed
            found.setdefault((weights, kind), {})[depth] = yield from share_of(
                kept_in_steps(cosine_in_steps, entry, untrained, weights != BARE), number - 1, len(asked)
            )
        yield number / len(asked)
    lines = [
        ByDepth(
            f"{weights}: {kind}",
            {depth: [cosine] for depth, cosine in cosines.items()},
            plain=kind == "plain",
            batch_norm=weights != BARE,
            trained=weights == TRAINED,
        )
        for (weights, kind), cosines in found.items()
    ]
    deep = {line.title: line.cosines[56][0] for line in lines}
    return Shown(
        title=f"At 56 layers, untrained: residual {deep['untrained: residual']:.2f}, plain {deep['untrained: plain']:.2f}",
        draw=partial(figures.cosine_by_depth, lines),
        says=f"Without batch norm: residual {deep[f'{BARE}: residual']:.2f}, plain {deep[f'{BARE}: plain']:.2f}. "
        f"Trained: residual {deep['trained: residual']:.2f}, plain {deep['trained: plain']:.2f}.",
        formula=FORMULA,
        caption=BY_DEPTH,
        alt="The mean cosine of neighbouring gradients over the number of layers.",
        facts=(MEASURED, f"1 line of {POINTS} points", f"seed {seed} of the untrained"),
        sources=("residual and plain networks of 20, 56 and 110 layers, Fashion-MNIST", f"images 0 and {IMAGE}"),
    )


def mean_cosine(entry: Entry, untrained: int | None, batch_norm: bool, ends: tuple[int, int] = (0, IMAGE)) -> float:
    """Of one network, along the line between two bundled images, for the class of the first."""
    return finished(cosine_in_steps(entry, untrained, batch_norm, ends))


def cosine_in_steps(
    entry: Entry, untrained: int | None, batch_norm: bool, ends: tuple[int, int] = (0, IMAGE)
) -> Stepping[float]:
    """``mean_cosine``, a step at a time."""
    loaded = zoo.load(entry, untrained=untrained, batch_norm=batch_norm)  # not kept: it is needed once
    yield 0.5
    pair = measures.images(entry).subset(list(ends))
    label, parts = int(deletion.known(pair.labels)[0]), []
    for part in range(PARTS):
        parts.append(gradients_at(loaded.network, entry.preprocessing, pair, label, part))
        yield 0.5 + len(parts) / (2 * PARTS)
    return Shattering(np.concatenate(parts)).mean


def verdict() -> Answer:
    """Untrained networks over seeds, trained ones over lines."""
    seeds: Mapping[str, Sequence[float]] = {
        f"{kind}56{'' if norm else ' without batch norm'}": [
            mean_cosine(zoo.trainable(kind, 56), seed, norm) for seed in SEEDS
        ]
        for kind, norm in product(("resnet", "plain"), (True, False))
    }
    apart = difference(seeds["resnet56"], seeds["plain56"])
    bare = difference(seeds["resnet56"], seeds["resnet56 without batch norm"])
    count = len(measures.images(NETWORKS["fashion-resnet56"]))
    ends = [(number * count // PAIRS, (number * count // PAIRS + count // 2) % count) for number in range(PAIRS)]
    residual, plain = (
        np.array([mean_cosine(NETWORKS[f"fashion-{name}56"], None, True, pair) for pair in ends])
        for name in ("resnet", "plain")
    )
    interval = stats.ttest_rel(plain, residual / 2).confidence_interval()
    short = float((plain - residual / 2).mean())
    rows = [
        Measurement("resnet56 minus plain56, untrained", "mean cosine", *apart, WELCH, apart[0] >= 0.5),
        Measurement("resnet56, untrained, with batch norm minus without", "mean cosine", *bare, WELCH, bare[0] > 0),
        Measurement(
            "plain56 minus half of resnet56, trained",
            "mean cosine",
            short,
            float(interval.low),
            float(interval.high),
            f"95 %, Student's t over {PAIRS} lines",
            short < 0,
        ),
    ]
    notes = "untrained, mean of the seeds: " + ", ".join(
        f"{name} {np.mean(values):.2f}" for name, values in seeds.items()
    )
    notes += f"; trained, mean of {PAIRS} lines: resnet56 {residual.mean():.2f}, plain56 {plain.mean():.2f}"
    return rows, notes, None


QUESTIONS: tuple[Question, ...] = ((PLAN, "shattered_gradients?network=fashion-resnet56", verdict),)
