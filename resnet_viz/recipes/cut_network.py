"""What is left of a network without its deleted blocks: its size, its error, healed by a short training, and as a file."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..engine.kept import kept_in_steps
from ..errors import InputError
from ..experiments import cut, deletion
from ..experiments.cut import Healing
from ..experiments.stepwise import Stepping, share_of
from ..figures.deletion import rise_sentence
from ..networks import cutting
from ..networks.datasets import FASHION_MNIST
from ..networks.description import Description, describe
from ..networks.images import ImageSet
from ..networks.zoo import LoadedNetwork, NamedNetwork
from . import measures
from .shown import MEASURED, Shown, Steps, recipe, sources
from .subject import Subject

__all__ = ["healed", "removal", "what_is_left"]

HEALING = Healing()
READ_IN = 20, 21  # reading the set takes about a twentieth of what training does
HEALED_ON = (
    "{steps} steps of {batch} of the {training:,} bundled training images, at a learning rate that falls from {rate:g} to 0. "
    "None of these images is among those on which the error is measured."
)
LEFT_OUT = (
    "What a gate of 0 leaves out for one pass is not there any more: the branches, with their weights. Shortcuts stay where they "
    "change the shape of the stream, and the predictions are those of the network with the gates at 0. Time: of a forward pass of "
    "{batch} image{s} (on a CPU the processor's time), taken in turn with the intact network's; the median of {pairs} pairs, and "
    "in brackets the least and the largest ({device})."
)


@recipe("Measure what is left without the deleted blocks")
def what_is_left(subject: Subject) -> Steps:
    """The network without its deleted blocks: its size, the time it takes and its error, beside the intact one's.

    Raises InputError where no block is deleted, or none is left.
    """
    loaded, images, deleted = subject.loaded, subject.images, some_deleted(subject)
    before = yield from share_of(measures.logits_in_steps(loaded, images, subject.intact), 0, 3)
    yield 1 / 3
    after = yield from share_of(measures.set_in_steps(cut.predict_without, loaded, images, deleted), 1, 3)
    yield 2 / 3
    timing = yield from share_of(measures.set_in_steps(cut.times, loaded, images, deleted), 2, 3)
    lesion = deletion.Lesion(before.argmax(1), after, deletion.label_array(images))
    size, size_left = subject.description, left_of(subject)
    rows = [
        counts("parameters", size.params, size_left.params),
        counts("multiply-adds, one image", size.macs, size_left.macs),
        row(
            "time of a forward pass",
            "1",
            f"{timing.ratio:.2f} ({min(timing.ratios):.2f} to {max(timing.ratios):.2f})",
            percent(timing.ratio),
        ),
    ]
    what = "this block" if len(deleted) == 1 else "these blocks"
    title = f"The network without {what}: {removed_pct(size, size_left):.1f} % fewer multiply-adds"
    if lesion.labels is not None:
        whole, rest = deletion.known(lesion.error_pct_before), deletion.known(lesion.error_pct_after)
        rows.append(row("error", f"{whole:.1f} %", f"{rest:.1f} %", rise_of(lesion)))
        title += f", {lesion.rise:+.1f} points of error"
    return Shown(
        title=title,
        says="" if lesion.labels is not None else f"{lesion.changed_pct:.0f} % of predictions change.",
        caption=LEFT_OUT.format(
            batch=timing.batch_size,
            s="s" if timing.batch_size > 1 else "",
            pairs=len(timing.ratios),
            device=timing.device,
        ),
        facts=(MEASURED, f"{len(images):,} images", *(["paired 95 %"] if lesion.labels is not None else [])),
        sources=sources([subject], images),
        rows=tuple(rows),
    )


@dataclass(frozen=True)
class Removal(Shown):
    """What deleting blocks saves and costs, with its numbers. ``removed_pct``: of the multiply-adds; ``rise``: of the error, in
    percentage points."""

    removed_pct: float = 0.0
    rise: float = 0.0


@recipe("Measure what the deletion saves and costs")
def removal(subject: Subject) -> Steps:
    """The multiply-adds that deleting the blocks removes, and the rise in error over the set, as a ``Removal``.

    Raises InputError where no block is deleted, or none is left, and for images without labels.
    """
    some_deleted(subject)
    if subject.images.labels is None:
        raise InputError(f"Images must have labels for an error to be measured; {subject.images.title} have none.")
    removed = removed_pct(subject.description, left_of(subject))
    lesion = yield from measures.lesion_in_steps(subject.loaded, subject.images, subject.gates)
    return Removal(
        title=f"{removed:.1f} % fewer multiply-adds, {lesion.rise:+.1f} points of error",
        says=rise_sentence(lesion),
        facts=(MEASURED, f"{lesion.images:,} images", "paired 95 %"),
        sources=sources([subject], subject.images),
        removed_pct=removed,
        rise=lesion.rise,
    )


class Healed(NamedTuple):
    """A cut network after its training: its file, and the classes that it predicts for a set, int64 (images,)."""

    file: bytes
    predictions: np.ndarray


@recipe(f"Heal it with {HEALING.steps} steps of training", stays=True)
def healed(subject: Subject) -> Steps:
    """The error of the network without its deleted blocks, before and after a short training, beside the intact one's.

    Raises InputError where no block is deleted, or none is left, and for a network that no training images are bundled for.
    """
    loaded, images, deleted = subject.loaded, subject.images, some_deleted(subject)
    training = cut.training_images(subject.entry)
    found = yield from share_of(kept_in_steps(heal, loaded, images, deleted, HEALING), 0, READ_IN[1] / READ_IN[0])
    lesion = yield from share_of(measures.lesion_in_steps(loaded, images, subject.gates), *READ_IN)
    after = deletion.Lesion(lesion.before, found.predictions, lesion.labels)
    errors = lesion.error_pct_before, lesion.error_pct_after, after.error_pct_after
    rises = "", rise_of(lesion), rise_of(after)
    return Shown(
        title=f"Healed: {lesion.rise:+.1f} → {after.rise:+.1f} points of error",
        caption=HEALED_ON.format(
            steps=HEALING.steps, batch=HEALING.batch_size, training=len(training), rate=HEALING.learning_rate
        ),
        facts=(MEASURED, f"{len(images):,} images", "paired 95 %"),
        sources=sources([subject], images),
        rows=tuple(
            {"network": name, "error": f"{deletion.known(error):.1f} %", "rise": rise}
            for name, error, rise in zip(("intact", "cut", "cut and healed"), errors, rises, strict=True)
        ),
    )


def heal(loaded: LoadedNetwork, images: ImageSet, deleted: tuple[str, ...], healing: Healing) -> Stepping[Healed]:
    """Cut a network, train what is left, and read a set with it."""
    left, preprocessing = cutting.cut(loaded.network, deleted), loaded.entry.preprocessing
    training = cut.heal.steps(left, preprocessing, cut.training_images(loaded.entry), healing)
    network = yield from share_of(measures.on_one_thread(training), 0, READ_IN[1] / READ_IN[0])
    predictions = yield from share_of(cut.predict_without.steps(network, preprocessing, images, ()), *READ_IN)
    return Healed(cut.weights_file(loaded, network, deleted, healing.steps), predictions)


def row(quantity: str, intact: str, left: str, change: str) -> dict[str, str]:
    return {"quantity": quantity, "intact": intact, "cut": left, "change": change}


def counts(quantity: str, intact: int, left: int) -> dict[str, str]:
    return row(quantity, f"{intact:,}", f"{left:,}", percent(left / intact))


def percent(share: float) -> str:
    """'-12.5 %', for what is 0.875 of what it was."""
    return f"{100 * (share - 1):+.1f} %"


def rise_of(lesion: deletion.Lesion) -> str:
    """'+1.3 points (+0.2 to +2.4)'."""
    low, high = lesion.rise_interval()
    return f"{lesion.rise:+.1f} points ({low:+.1f} to {high:+.1f})"


def left_of(subject: Subject) -> Description:
    """Shapes, parameters and multiply-adds of the network without its deleted blocks. Raises InputError where none is left."""
    return describe(cutting.cut(subject.loaded.network, deleted_blocks(subject)), subject.entry.preprocessing)


def removed_pct(whole: Description, left: Description) -> float:
    """The share of the multiply-adds that goes with the deleted blocks, in per cent."""
    return 100 * (1 - left.macs / whole.macs)


def can_be_cut(subject: Subject) -> bool:
    """Whether some of its blocks are deleted, and one is left; weights are worth a file once they are trained."""
    return subject.network.trained and 0 < len(deleted_blocks(subject)) < len(subject.blocks)


def can_be_healed(subject: Subject) -> bool:
    """Whether it can be cut, and there are images to train it on."""
    return can_be_cut(subject) and subject.entry.dataset == FASHION_MNIST


def some_deleted(subject: Subject) -> tuple[str, ...]:
    """The blocks whose gate is 0. Raises InputError where there are none."""
    if deleted := deleted_blocks(subject):
        return deleted
    raise InputError("At least one block must be deleted, with a gate of 0; got none: choose some.")


def deleted_blocks(subject: Subject) -> tuple[str, ...]:
    """The blocks whose gate is 0."""
    return tuple(name for name, gate in zip(subject.blocks, subject.gates, strict=True) if gate == 0)


def cut_file(network: NamedNetwork, deleted: tuple[str, ...]) -> bytes:
    """The safetensors file of a network without some of its blocks."""
    loaded = measures.loaded(network)
    return cut.weights_file(loaded, cutting.cut(loaded.network, deleted), deleted)


def healed_file(network: NamedNetwork, images: ImageSet, deleted: tuple[str, ...]) -> Stepping[bytes]:
    """The safetensors file of a network that was healed without some of its blocks, and judged on a set."""
    return (yield from kept_in_steps(heal, measures.loaded(network), images, deleted, HEALING)).file
