"""What if the network stopped here? The answer after each number of blocks, for one image and for a set."""

from dataclasses import replace
from functools import partial

import numpy as np

from ..experiments import early_stop
from ..experiments.deletion import Sweep, known, label_array
from ..experiments.early_stop import Probed
from ..experiments.paths import is_plain
from ..experiments.stepwise import share_of
from ..figures import lesion_studies as figures
from ..figures.bars import relative_bars
from ..figures.palette import LIGHT
from ..findings import Answer, Measurement, Question
from ..networks.datasets import FASHION_MNIST, bundled_fashion
from . import measures
from .shown import MEASURED, Shown, Steps, no_error, recipe, rows_of, sources
from .subject import Subject
from .verdict import CHANCE, CONTROL, IMAGES, RESIDUAL, bootstrapped, lesion_set, network

__all__ = ["by_stop", "error_by_stop", "probes"]

PASSES = 2  # for an image: what is left behind a stop are shortcuts
STOPPED = r"g = (1, \dots, 1, 0, \dots, 0)"
LIKELIEST = "The five classes that come out likeliest at some block."
ALL_CLASSES = "All {count} classes."
PROBE = r"\min_W \tfrac{1}{m} \sum_{j=1}^{m} \lVert W \bar h_j - y_j \rVert^2 + \lambda \lVert W \rVert^2"
NOT_CALIBRATED = " The head was trained on the last stream only, so its earlier answers are not calibrated."
A_HIGH_ERROR = (
    "At the right end the network is whole; where the line is flat there, the last blocks change the error little. A high "
    "error does not prove that the class cannot be read there: the head was made for the last stream."
)
SEE_PROBES = " A linear probe fitted to each stream reads the class early, in a plain network too: see the next figure."
THE_GAP = (
    "Filled: the network's own head; hollow: a linear probe of the stream there, ridge regression of the class on the mean of each "
    "channel, fitted to the {training}. Whiskers: 95 % intervals. What a probe reads is there already; where the head is wrong on "
    "much more, the answer stands in the stream, but not yet in the basis that the head reads."
)
NO_TRAINING_IMAGES = "A probe needs labelled training images, which are bundled for fashion-* networks only."


@recipe()
def by_stop(subject: Subject, block: str = "") -> Shown:
    """What the image would be taken for if the network stopped after a block (the last), and the likeliest classes after each.

    Raises InputError for a block that does not exist.
    """
    blocks, classes = subject.blocks, subject.entry.classes
    found = measures.over_image(early_stop.probabilities_by_stop, subject.loaded, subject.image)
    stopped, label = subject.block(block), int(found[-1].argmax())
    said = found[blocks.index(stopped) + 1]
    title = f"Stopped after {stopped}, it would say {classes[said.argmax()]} ({said.max():#.3g})"
    end = ", as at the end" if said.argmax() == label else f"; at the end {classes[label]}"
    title += ": that is the end" if stopped == blocks[-1] else f"{end} ({found[-1].max():#.3g})"
    shares = {name: 100 * float(value) for name, value in zip(blocks, found[1:, label], strict=True)}
    return Shown(
        title=title,
        draw=partial(figures.class_probabilities_by_stop, classes, found),
        formula=STOPPED,
        caption=(LIKELIEST if len(classes) > 5 else ALL_CLASSES.format(count=len(classes)))
        + (NOT_CALIBRATED if subject.network.trained and subject.entry.can_be_built else ""),
        alt=title,
        facts=(MEASURED, "1 image"),
        sources=sources([subject], subject.image),
        bars=relative_bars(shares, f"% {classes[label]}", least=100),
        bars_title=f"bars: probability of {classes[label]} if it stopped after this block",
    )


@recipe("Stop after every block")
def error_by_stop(*subjects: Subject) -> Steps:
    """The error of the set in each network, stopped after each number of blocks."""
    images = subjects[0].images
    if images.labels is None:
        return Shown(says=no_error(subjects[0]))
    networks = [each.loaded for each in subjects]
    swept = yield from measures.swept_in_parts(early_stop.stop_everywhere, networks, images, PASSES)
    rows = rows_of(subjects, swept)
    says = "  \n".join(f"**{name}**: {figures.stop_sentence(swept)}" for name, swept, _ in rows)
    return Shown(
        title="The error, stopped after each block",
        draw=partial(figures.error_by_stop, rows, subjects[0].chance_pct),
        says=says,
        formula=STOPPED,
        caption=A_HIGH_ERROR + (SEE_PROBES if can_be_probed(subjects[0]) else ""),
        alt=says,
        facts=(MEASURED, f"{len(images):,} images"),
        sources=sources(subjects, images),
    )


@recipe("Fit a probe to every stream")
def probes(*subjects: Subject) -> Steps:
    """The error of the set by the head of each network, stopped after each number of blocks, and by a linear probe of the
    stream there. Only for networks of Fashion-MNIST, of which training images are bundled."""
    images = subjects[0].images
    if not can_be_probed(subjects[0]):
        return Shown(title="A linear probe of each stream", says=NO_TRAINING_IMAGES)
    networks, training = [each.loaded for each in subjects], bundled_fashion("training")
    heads = yield from share_of(measures.swept_in_parts(early_stop.stop_everywhere, networks, images, PASSES), 0, 2)
    fitting = [measures.set_in_steps(early_stop.probe_everywhere, each, training, images) for each in networks]
    said = yield from share_of(measures.one_after_the_other(fitting), 1, 2)
    found = [
        Probed(head, replace(head, intact=classes[-1], predictions=classes))
        for head, classes in zip(heads, said, strict=True)
    ]
    rows = rows_of(subjects, found)
    half = len(subjects[0].blocks) // 2
    head, probe = found[0].head.errors[half], found[0].probe.errors[half]
    says = "  \n".join(f"**{name}**: {figures.probe_sentence(each)}" for name, each, _ in rows)
    return Shown(
        title=f"Half way the head is wrong on {head:.0f} %, a linear probe of the same stream on {probe:.0f} %",
        draw=partial(figures.probe_errors, rows, subjects[0].chance_pct),
        says=says,
        formula=PROBE,
        caption=THE_GAP.format(training=training.title),
        alt=says,
        facts=(MEASURED, f"{len(images):,} images", f"probes fitted to {len(training):,}", "Wilson 95 %"),
        sources=(*sources(subjects, images), f"probes: {training.title}"),
    )


def can_be_probed(subject: Subject) -> bool:
    """Whether there are images to fit a probe to, and labels to test it."""
    return subject.entry.dataset == FASHION_MNIST and subject.images.labels is not None


def stopped(name: str) -> Sweep:
    """The lesion set in a bundled network stopped after each number of blocks."""
    return measures.over_set(early_stop.stop_everywhere, network(name), lesion_set())


def early() -> Answer:
    """The last tenth of the blocks left out."""
    measured, rows = [], []
    for name in (*RESIDUAL, CONTROL):
        loaded, swept = network(name), stopped(name)
        count = len(loaded.network.blocks)
        walked = count - round(count / 10)
        plain, value = is_plain(loaded.network), float(swept.rises[walked])
        what = f"rise after {walked} of {count} blocks, points"
        measured.append(
            Measurement(
                name, what, value, *swept.lesions[walked].rise_interval(), IMAGES, value > 50 if plain else value < 5
            )
        )
        rows.append((name, swept, plain))
    notes = "; ".join(f"{name}: {figures.stop_sentence(swept)}" for name, swept, _ in rows)
    return measured, notes, figures.error_by_stop([rows[0], rows[2]], CHANCE, LIGHT)


def refining() -> Answer:
    """How the answer comes about on the way: what the head says of each stream, and what a linear probe does."""
    measured, notes = [], []
    training, labels = bundled_fashion("training"), known(label_array(lesion_set()))
    for name in (*RESIDUAL, CONTROL):
        loaded, plain = network(name), name == CONTROL
        wrong = stopped(name).predictions != labels
        blocks = len(wrong) - 1

        def error(chosen: np.ndarray, walked: int, wrong: np.ndarray = wrong) -> float:
            return float(100 * wrong[walked, chosen].mean())

        for walked, most in ((blocks // 2, 50), (round(3 * blocks / 4), 25)):
            value = error(np.arange(len(labels)), walked)
            interval = bootstrapped(partial(error, walked=walked), len(labels))
            if not plain:
                measured.append(
                    Measurement(
                        name,
                        f"error after {walked} of {blocks} blocks, %",
                        value,
                        *interval,
                        "95 %, images",
                        value <= most,
                    )
                )
            else:
                notes.append(f"{name}: error after {walked} of {blocks} blocks {value:.0f} %")

        def largest_fall(chosen: np.ndarray, wrong: np.ndarray = wrong) -> float:
            return early_stop.largest_fall(wrong[:, chosen].mean(1))

        if not plain:
            what, fall = "share of the fall at a single block, the largest", largest_fall(np.arange(len(labels)))
            interval = bootstrapped(largest_fall, len(labels))
            measured.append(Measurement(name, what, fall, *interval, "95 %, images", fall <= 0.25))
        probed = (
            early_stop.probe_everywhere(loaded.network, loaded.entry.preprocessing, training, lesion_set()) != labels
        )

        def lead(chosen: np.ndarray, half: np.ndarray = probed[blocks // 2], end: np.ndarray = probed[-1]) -> float:
            return float(100 * (half[chosen].mean() - end[chosen].mean()))

        value = lead(np.arange(len(labels)))
        expected = value > 10 if plain else value <= 10
        measured.append(
            Measurement(
                name,
                "error of a linear probe half way minus at the end, points",
                value,
                *bootstrapped(lead, len(labels)),
                "95 %, images",
                expected,
            )
        )
        errors = ", ".join(
            f"{100 * probed[walked].mean():.1f}"
            for walked in (0, blocks // 4, blocks // 2, round(3 * blocks / 4), blocks)
        )
        notes.append(
            f"{name}: error of a linear probe before the first block and after each quarter of the blocks {errors} %"
        )
    notes.append("what a probe can read is there early, in the plain network too; the head can read it late")
    return measured, "; ".join(notes), None


QUESTIONS: tuple[Question, ...] = (
    (early_stop.PLAN, "early_stop?network=fashion-resnet56", early),
    (early_stop.REFINING_PLAN, "early_stop?network=fashion-resnet56", refining),
)
