"""Deleting blocks: one image before and after, error over a labelled set, every block in turn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TypeVar, cast

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from ..errors import InputError
from ..networks.device import array_of
from ..networks.exactness import agree
from ..networks.folding import folded
from ..networks.images import AnyPreprocessing, ImageSet
from ..networks.network import ResidualNetwork
from ..networks.settled import require_settled
from ..progress import Progress, no_progress
from .loss import checked, finite, image_losses
from .stepwise import Stepping, in_batches, stepwise

__all__ = [
    "BATCH_SIZE",
    "Lesion",
    "Sweep",
    "Walk",
    "compared",
    "delete",
    "intact_streams",
    "joined",
    "known",
    "label_array",
    "labelled",
    "logits_of_each",
    "loss_of_each",
    "predict",
    "predict_each",
    "predicted",
    "probabilities",
    "probabilities_of_each",
    "read_walks",
    "sweep",
    "sweep_of",
    "walk_of",
    "wilson_interval",
]

COMPARED = 2  # images, of a set that may have to be taken in small parts
BATCH_SIZE = 128
DEVIATIONS = float(stats.norm.ppf(0.975))  # half of a 95 % interval
Known = TypeVar("Known")


@dataclass(frozen=True)
class Lesion:
    """What a lesion does to a set of images. ``before`` and ``after`` are predicted classes, int64 (images,)."""

    before: np.ndarray
    after: np.ndarray
    labels: np.ndarray | None

    @property
    def images(self) -> int:
        return len(self.before)

    @property
    def changed_pct(self) -> float:
        """The share of predictions that differ from the intact network's."""
        return percent(self.before != self.after)

    @property
    def error_pct_before(self) -> float | None:
        return None if self.labels is None else percent(self.before != self.labels)

    @property
    def error_pct_after(self) -> float | None:
        return None if self.labels is None else percent(self.after != self.labels)

    @property
    def rise(self) -> float:
        """The rise in error, in percentage points: counted, so that no rounding is left over."""
        labels = known(self.labels)
        return 100 * (int((self.after != labels).sum()) - int((self.before != labels).sum())) / self.images

    def rise_interval(self) -> tuple[float, float]:
        """95 % interval of the rise in error, in percentage points, paired by image.

        Agresti and Min 2005 (Statistics in Medicine 24, 729): a Wald interval with 1/2 added to each cell of the 2x2
        table, which stays honest where few images change; cut at +-100.
        """
        labels = known(self.labels)
        wrong_before, wrong_after = self.before != labels, self.after != labels
        broken = np.sum(~wrong_before & wrong_after) + 0.5
        mended = np.sum(wrong_before & ~wrong_after) + 0.5
        total = self.images + 2
        rise = (broken - mended) / total
        margin = DEVIATIONS * np.sqrt((broken + mended) / total - rise**2) / np.sqrt(total)
        return max(-100.0, 100 * float(rise - margin)), min(100.0, 100 * float(rise + margin))

    def error_pct_by_class(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The classes that the images show, in order, and the error of each before and after, in per cent."""
        labels = known(self.labels)
        shown = np.unique(labels)

        def of(predictions: np.ndarray) -> np.ndarray:
            return np.array([percent(predictions[labels == label] != label) for label in shown])

        return shown, of(self.before), of(self.after)


def percent(which: np.ndarray) -> float:
    """How many of a boolean array are true, in per cent: 72 of 1,000 are 7.2, not 7.199999999999999."""
    return 100 * int(which.sum()) / len(which)


def known(labelled: Known | None) -> Known:
    """The labels of a set that has them, or what comes of them. Raises ValueError otherwise."""
    if labelled is None:  # a comparison with None would count as an error
        raise ValueError("These images have no labels, so there is no error to measure.")
    return labelled


def wilson_interval(wrong: int, images: int) -> tuple[float, float]:
    """95 % Wilson interval of an error, in per cent. (scipy.stats.binomtest knows it, too, but first tests a hypothesis, in 1 ms.)"""
    share, square = wrong / images, DEVIATIONS**2 / images
    half = np.sqrt(square * (share * (1 - share) + square / 4))
    low, high = ((share + square / 2 + side) / (1 + square) for side in (-half, half))
    return max(0.0, 100 * float(low)), min(100.0, 100 * float(high))


@dataclass(frozen=True)
class Sweep:
    """Every block deleted in turn. ``predictions``: int64 (blocks, images); ``intact``: int64 (images,)."""

    blocks: tuple[str, ...]
    intact: np.ndarray
    predictions: np.ndarray
    labels: np.ndarray | None

    @cached_property
    def lesions(self) -> tuple[Lesion, ...]:
        """One for each block."""
        return tuple(Lesion(self.intact, predictions, self.labels) for predictions in self.predictions)

    @property
    def error_pct(self) -> float | None:
        """The intact network's."""
        return self.lesions[0].error_pct_before

    @cached_property
    def rises(self) -> np.ndarray:
        """The rise in error for each block deleted, in percentage points."""
        labels = known(self.labels)
        rises = (self.predictions != labels).sum(1) - (self.intact != labels).sum()
        return cast(np.ndarray, 100 * rises / len(labels))

    @property
    def errors(self) -> np.ndarray:
        """The error under each lesion, in per cent, (lesions,). Raises ValueError without labels."""
        return known(self.error_pct) + self.rises

    def worst(self, count: int = 3) -> list[tuple[str, float]]:
        """The blocks whose deletion raises the error most, if at all, with the error then in per cent: ``count`` at most."""
        order = np.argsort(-self.rises, kind="stable")[:count]
        return [(self.blocks[i], known(self.lesions[i].error_pct_after)) for i in order if self.rises[i] > 0]


def joined(parts: Sequence[Sweep]) -> Sweep:
    """Sweeps of one network over parts of a set, as one."""
    labels = [part.labels for part in parts if part.labels is not None]
    return Sweep(
        parts[0].blocks,
        np.concatenate([part.intact for part in parts]),
        np.concatenate([part.predictions for part in parts], axis=1),
        np.concatenate(labels) if labels else None,
    )


def predict(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    gates: Sequence[float] | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Predicted classes, int64 (images,), under the given gates (None: intact)."""
    gates = network.gates_without([]) if gates is None else gates
    read = read_each(network, preprocessing, images, [gates], predicted, batch_size=batch_size, progress=progress)
    return cast(np.ndarray, read[0])


def labelled(network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet) -> ImageSet:
    """The set with labels: its own, or where nobody knows them the classes that the intact network predicts."""
    if images.labels is not None:
        return images
    return replace(images, labels=torch.from_numpy(predict(network, preprocessing, images)))


def delete(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    gates: Sequence[float],
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Lesion:
    """Predictions over a set with the intact network and under ``gates``; what stands before the first gate is shared."""
    lesions = [network.gates_without([]), gates]
    before, after = read_each(
        network, preprocessing, images, lesions, predicted, batch_size=batch_size, progress=progress
    )
    return Lesion(before, after, label_array(images))


@stepwise
def sweep(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Stepping[Sweep]:
    """Delete every block in turn, over a set."""
    lesions = [network.gates_without([name]) for name in network.blocks]
    names = tuple(network.blocks)
    return (yield from sweep_of.steps(network, preprocessing, images, names, lesions, None, batch_size, progress))


@stepwise
def sweep_of(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    names: tuple[str, ...],
    lesions: Sequence[Sequence[float]],
    orders: Sequence[Sequence[int]] | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Stepping[Sweep]:
    """The predictions under each named lesion, beside those of the intact network: see ``predict_each``."""
    intact, *predictions = yield from predict_each.steps(
        network,
        preprocessing,
        images,
        [network.gates_without([]), *lesions],
        None if orders is None else [range(len(network.blocks)), *orders],
        batch_size,
        progress,
    )
    return Sweep(names, intact, np.stack(predictions), label_array(images))


@stepwise
def loss_of_each(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    lesions: Sequence[Sequence[float]],
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Stepping[np.ndarray]:
    """Each image's cross-entropy against its label under each lesion, in nats: float64 (lesions, images).

    Raises ValueError for a set without labels.
    """
    labels = known(images.labels)

    def loss(logits: Tensor, part: slice) -> Tensor:
        return image_losses(logits, labels[part])

    return (yield from read_each.steps(network, preprocessing, images, lesions, loss, None, batch_size, progress))


def probabilities_of_each(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet, lesions: Sequence[Sequence[float]]
) -> np.ndarray:
    """Class probabilities of a set under each lesion, (lesions, images, classes)."""
    return read_each(network, preprocessing, images, lesions, lambda logits, _: logits.softmax(1))


@stepwise
def logits_of_each(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet, lesions: Sequence[Sequence[float]]
) -> Stepping[np.ndarray]:
    """Logits of a set under each lesion, (lesions, images, classes); their largest are what ``predict_each`` gives."""
    copy = compared(folded(network), network, preprocessing, images)
    return (yield from read_each.steps(copy, preprocessing, images, lesions, lambda logits, _: logits))


@stepwise
def predict_each(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    lesions: Sequence[Sequence[float]],
    orders: Sequence[Sequence[int]] | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Stepping[np.ndarray]:
    """Predicted classes under each of many lesions, int64 (lesions, images).

    ``lesions``: the gates of each; ``orders``: the order of the blocks in each (None: their own). Batch norms are folded
    in a private copy, so predictions may differ from the whole forward pass only where two classes are closer than
    rounding. Raises as ``read_each`` does.
    """
    copy = compared(folded(network), network, preprocessing, images)
    return (yield from read_each.steps(copy, preprocessing, images, lesions, predicted, orders, batch_size, progress))


def compared(
    copy: ResidualNetwork, network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet
) -> ResidualNetwork:
    """The folded copy if its logits for the first images are the network's but for rounding, else the network itself: norms
    of tiny variances can blow rounding up. Raises InputError where the network does not agree with itself either."""
    inputs = preprocessing.inputs_of(network, images.pixels[:COMPARED])
    with torch.no_grad():
        expected = finite(network(inputs))
        if agree(copy(inputs), expected):
            return copy
        if not agree(network(inputs), expected):
            raise InputError(
                "The network must give an image the same output each time; got others: a layer draws at random."
            )
    return network


@stepwise
def read_each(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    lesions: Sequence[Sequence[float]],
    read: Callable[[Tensor, slice], Tensor],
    orders: Sequence[Sequence[int]] | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Stepping[np.ndarray]:
    """What ``read`` makes of the logits (batch, classes) of each part of the set, under each lesion: (lesions, images, ...).

    The stream up to the first changed block is shared by all lesions that begin there or later. Memory does not grow
    with the number of blocks. Raises InputError for a network that is not in eval mode and for labels that do not fit it,
    NotFinite where logits are not finite.
    """
    orders = orders or [range(len(network.blocks))] * len(lesions)
    walks = [walk_of(network, gates, order) for gates, order in zip(lesions, orders, strict=True)]
    return (yield from read_walks.steps(network, preprocessing, images, walks, read, batch_size, progress))


@dataclass(frozen=True)
class Walk:
    """A way through a network that leaves its own before the block at ``start``: ``to_the_end`` takes the stream there to the
    one that the head reads."""

    start: int
    to_the_end: Callable[[Tensor], Tensor]


def walk_of(network: ResidualNetwork, gates: Sequence[float], order: Sequence[int]) -> Walk:
    """The walk under some gates, in an order that may name a block more than once."""
    start = first_changed(gates, order)
    return Walk(start, partial(network.walk, gates=gates, start=start, order=order))


@stepwise
def read_walks(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    images: ImageSet,
    walks: Sequence[Walk],
    read: Callable[[Tensor, slice], Tensor],
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Stepping[np.ndarray]:
    """``read_each`` for walks of any kind: what ``read`` makes of the logits at the end of each, (walks, images, ...)."""
    require_settled(network)
    starts: list[list[int]] = [[] for _ in range(len(network.blocks) + 1)]
    for number, walk in enumerate(walks):
        starts[walk.start].append(number)

    @torch.no_grad()
    def compute(part: slice) -> Stepping[Tensor]:
        stream = network.enter(preprocessing.inputs_of(network, images.pixels[part]))
        rows: dict[int, Tensor] = {}
        for position, numbers in enumerate(starts):
            for number in numbers:
                logits = finite(network.logits(walks[number].to_the_end(stream)))
                if images.labels is not None:
                    checked(images.labels[part], logits)
                rows[number] = read(logits, part).cpu()
                done = part.start * len(walks) + len(rows) * (part.stop - part.start)
                progress(done, len(images) * len(walks))
                yield len(rows) / len(walks)
            stream = network.walk(stream, start=position, stop=position + 1)
        return torch.stack([rows[number] for number in range(len(walks))])

    found = yield from in_batches(compute, len(images), batch_size)
    return array_of(torch.cat([rows for _, rows in found], 1))


def predicted(logits: Tensor, _: slice) -> Tensor:
    """The class of the highest logit, int64 (batch,)."""
    return logits.argmax(1)


def intact_streams(network: ResidualNetwork, images: Tensor) -> list[Tensor]:
    """The n + 1 streams of the intact network, kept so that ``probabilities`` need not run what lies before a lesion.

    Raises InputError for a network that is not in eval mode."""
    require_settled(network)
    with torch.no_grad():
        return network.streams(images)


def probabilities(network: ResidualNetwork, streams: Sequence[Tensor], gates: Sequence[float]) -> np.ndarray:
    """Class probabilities (images, classes) under ``gates``, from the streams that the intact network left behind.

    ``streams``: of ``intact_streams``. Only what follows the first changed gate is run. Raises NotFinite where logits are
    not finite.
    """
    first = first_changed(gates)
    with torch.no_grad():
        logits = finite(network.logits(network.walk(streams[first], gates, start=first)))
        return array_of(logits.softmax(1))


def first_changed(gates: Sequence[float], order: Sequence[int] | None = None) -> int:
    """The first position in the walk whose gate is not 1 or which another block has taken (the number of gates, if none)."""
    walked = enumerate(order or range(len(gates)))
    return next((place for place, index in walked if gates[index] != 1 or index != place), len(gates))


def label_array(images: ImageSet) -> np.ndarray | None:
    """The labels of a set as an array, None where nobody knows them."""
    return None if images.labels is None else images.labels.numpy()
