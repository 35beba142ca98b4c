"""What if the network stopped here? The answer after each number of blocks, for one image and for a set."""

from functools import partial

from ..experiments import early_stop
from ..experiments.deletion import joined
from ..figures import lesion_studies as figures
from ..figures.bars import relative_bars
from ..figures.palette import short_number
from . import measures
from .layer_deletion import rows_of
from .shown import MEASURED, Shown, Steps, recipe, sources
from .subject import Subject

__all__ = ["by_stop", "error_by_stop"]

PART = 100  # images at once
STOPPED = r"g = (1, \dots, 1, 0, \dots, 0)"
LIKELIEST = "The five classes that come out likeliest at some block."
NOT_CALIBRATED = " The head was trained on the last stream only, so its earlier answers are not calibrated."
NO_LABELS = "{title}: they have no labels, so there is no error to measure."
A_HIGH_ERROR = (
    "At the right end the network is whole; where the line is flat there, the last blocks change the error little. A high "
    "error does not prove that the class cannot be read there: the head was made for the last stream. A linear probe fitted "
    "to each stream reads the class early, in a plain network too: see the last note below."
)


@recipe()
def by_stop(subject: Subject, block: str = "") -> Shown:
    """What the image would be taken for if the network stopped after a block (the last), and the likeliest classes after each.

    Raises InputError for a block that does not exist.
    """
    blocks, classes = subject.blocks, subject.entry.classes
    found = measures.over_image(early_stop.probabilities_by_stop, subject.loaded, subject.image)
    stopped, label = subject.block(block), int(found[-1].argmax())
    said = found[blocks.index(stopped) + 1]
    title = f"Stopped after {stopped}, it would say {classes[said.argmax()]} ({short_number(said.max())})"
    at_the_end = f"; at the end {classes[label]} ({short_number(found[-1].max())})"
    title += ": that is the end" if stopped == blocks[-1] else at_the_end
    shares = {name: 100 * float(value) for name, value in zip(blocks, found[1:, label], strict=True)}
    return Shown(
        title=title,
        draw=partial(figures.class_probabilities_by_stop, classes, found),
        formula=STOPPED,
        caption=LIKELIEST + (NOT_CALIBRATED if subject.loaded.trained else ""),
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
        return Shown(says=NO_LABELS.format(title=images.title))
    parts, done = images.parts(PART), []
    for part in parts:
        done.append([measures.over_set(early_stop.stop_everywhere, each.loaded, part) for each in subjects])
        yield len(done) / len(parts)
    rows = rows_of(subjects, [joined(of_network) for of_network in zip(*done, strict=True)])
    says = "  \n".join(f"**{name}**: {figures.stop_sentence(swept)}" for name, swept, _ in rows)
    return Shown(
        title="The error, stopped after each block",
        draw=partial(figures.error_by_stop, rows, subjects[0].chance_pct),
        says=says,
        formula=STOPPED,
        caption=A_HIGH_ERROR,
        alt=says,
        facts=(MEASURED, f"{len(images):,} images"),
        sources=sources(subjects, images),
    )
