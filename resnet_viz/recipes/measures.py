"""What several recipes need of a network, each computed once: kept by content, in turn, and never changed afterwards."""

import json
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor

from ..engine.kept import NETWORKS, digest_of, kept
from ..engine.turns import in_turn
from ..experiments import calibration, deletion
from ..networks import zoo
from ..networks.description import Description, describe
from ..networks.device import device
from ..networks.images import ImageSet
from ..networks.zoo import Entry, LoadedNetwork, NamedNetwork
from ..places import CHECKPOINTS

Result = TypeVar("Result")
Gates = tuple[float, ...]
FIRST_IMAGES = 200  # of a labelled set, shown at once: an error within seven points


def network(entry: Entry, untrained: int | None = None, batch_norm: bool = True) -> LoadedNetwork:
    """A network that all share. Raises what ``zoo.load`` raises."""
    key = "network", digest_of(entry, untrained, batch_norm)
    if (found := NETWORKS.find(key)) is None:
        with in_turn("network"):
            found = NETWORKS.get(key, lambda: zoo.load(entry, untrained=untrained, batch_norm=batch_norm))
    return found


def loaded(named: NamedNetwork) -> LoadedNetwork:
    """The network that a name stands for, which all share. Raises what ``zoo.load`` raises."""
    return network(named.entry, named.seed, named.batch_norm)


def named(entry: Entry, untrained: int | None = None, batch_norm: bool = True) -> NamedNetwork:
    """What is known of a network without having it. Raises what ``zoo.load`` raises."""
    return kept(_named, entry, untrained, batch_norm)


def _named(entry: Entry, untrained: int | None, batch_norm: bool) -> NamedNetwork:
    loaded = network(entry, untrained, batch_norm)
    described = describe(loaded.network, entry.preprocessing)
    return NamedNetwork(entry, loaded.seed, batch_norm, loaded.weights, loaded.digest, described)


def images(entry: Entry) -> ImageSet:
    """The images that come with a network; looked for again each minute, since CIFAR-10 may be put in its place."""
    return images_at(entry, time.monotonic() // 60)


@lru_cache(maxsize=8)
def images_at(entry: Entry, _minute: float) -> ImageSet:
    return zoo.images_of(entry)


def description_of_row(entry: Entry) -> Description:
    """Shapes, parameters and multiply-adds of each block of a network without weights."""
    return kept(_description_of_row, entry)


def _description_of_row(entry: Entry) -> Description:
    return describe(zoo.architecture(entry), entry.preprocessing)


def history(name: str) -> dict[str, Any] | None:
    """The training history that lies beside a bundled network's weights."""
    return kept(_history, name, quick=True)


def _history(name: str) -> dict[str, Any] | None:
    path = CHECKPOINTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def over_set(
    compute: Callable[..., Result], loaded: LoadedNetwork, images: ImageSet, *given: Any, quick: bool = False
) -> Result:
    """What an experiment measures over a set: ``compute(network, preprocessing, images, *given)``."""
    return cast(Result, kept(_over_set, compute, loaded, images, *given, quick=quick))


def _over_set(compute: Callable[..., Result], loaded: LoadedNetwork, images: ImageSet, *given: Any) -> Result:
    return compute(loaded.network, loaded.entry.preprocessing, images, *given)


def over_batch(
    compute: Callable[..., Result],
    loaded: LoadedNetwork,
    images: ImageSet,
    labels: Sequence[int],
    *given: Any,
    quick: bool = False,
) -> Result:
    """What an experiment measures over images that go through the network together, against a class each:
    ``compute(network, inputs, labels, *given)``."""
    return cast(Result, kept(_over_batch, compute, loaded, images, tuple(labels), *given, quick=quick))


def _over_batch(
    compute: Callable[..., Result], loaded: LoadedNetwork, images: ImageSet, labels: tuple[int, ...], *given: Any
) -> Result:
    return compute(loaded.network, loaded.inputs(images), torch.tensor(labels, device=device()), *given)


def over_image(
    compute: Callable[..., Result], loaded: LoadedNetwork, image: ImageSet, *given: Any, quick: bool = False
) -> Result:
    """What an experiment finds in one image: ``compute(network, inputs, *given)``."""
    return cast(Result, kept(_over_image, compute, loaded, image, *given, quick=quick))


def _over_image(compute: Callable[..., Result], loaded: LoadedNetwork, image: ImageSet, *given: Any) -> Result:
    return compute(loaded.network, loaded.inputs(image), *given)


def swept_in_parts(
    compute: Callable[..., deletion.Sweep], networks: Sequence[LoadedNetwork], parts: Sequence[ImageSet]
) -> Generator[float, None, list[deletion.Sweep]]:
    """What a sweep measures over parts of a set, joined, in each network; yields how many of the parts are done."""
    done = []
    for part in parts:
        done.append([over_set(compute, each, part) for each in networks])
        yield len(done) / len(parts)
    return [deletion.joined(of_network) for of_network in zip(*done, strict=True)]


def intact_streams(loaded: LoadedNetwork, image: ImageSet) -> list[Tensor]:
    """The streams that one image leaves in the intact network; nobody may write to them."""
    return over_image(deletion.intact_streams, loaded, image, quick=True)


def probabilities(loaded: LoadedNetwork, image: ImageSet, gates: Gates) -> np.ndarray:
    """Class probabilities of one image under gates, (classes,)."""
    return kept(_probabilities, loaded, image, gates, quick=True)


def _probabilities(loaded: LoadedNetwork, image: ImageSet, gates: Gates) -> np.ndarray:
    return cast(np.ndarray, deletion.probabilities(loaded.network, intact_streams(loaded, image), gates)[0])


def logits(loaded: LoadedNetwork, images: ImageSet, gates: Gates) -> np.ndarray:
    """The logits of a set under gates, (images, classes): from one pass come its error, what flips, and its calibration.

    The first images, spread evenly, are a part of their own, since a page shows them at once.
    """
    first = images.spread(FIRST_IMAGES)
    order = [*first, *sorted(set(range(len(images))) - set(first))]
    parts = [order[: len(first)], order[len(first) :]]
    of_parts = [over_set(deletion.logits_of_each, loaded, images.subset(part), [gates])[0] for part in parts if part]
    return np.concatenate(of_parts)[np.argsort(order)]


def predicted(named: NamedNetwork, images: ImageSet) -> tuple[int, ...]:
    """The classes that a network sees in images."""
    return kept(_predicted, named, images)


def _predicted(named: NamedNetwork, images: ImageSet) -> tuple[int, ...]:
    return tuple(predictions(loaded(named), images, named.intact).tolist())


def predictions(loaded: LoadedNetwork, images: ImageSet, gates: Gates) -> np.ndarray:
    """Predicted classes of a set under gates, (images,)."""
    return cast(np.ndarray, logits(loaded, images, gates).argmax(1))


def lesion(loaded: LoadedNetwork, images: ImageSet, gates: Gates) -> deletion.Lesion:
    """What gates do to a set."""
    before, after = (predictions(loaded, images, each) for each in (loaded.intact, gates))
    return deletion.Lesion(before, after, deletion.label_array(images))


def reliability(loaded: LoadedNetwork, images: ImageSet, gates: Gates) -> calibration.Reliability:
    """Confidence against accuracy of a labelled set under gates."""
    probabilities = softmax(logits(loaded, images, gates), 1)
    return calibration.reliability(probabilities, deletion.known(deletion.label_array(images)))


def trained(
    steps: Iterable[Result | None], length: int, most: int | None = None
) -> Generator[float, None, list[Result]]:
    """What a training of about so many steps records, ``most`` records at most; yields how much of it is done.

    It runs on one thread, as the app's own trainings do: on another number the same steps round otherwise.
    """
    threads, records = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for done, record in enumerate(steps, start=1):
            if record is not None:
                records.append(record)
            if len(records) == most:
                break
            yield done / length
    finally:
        torch.set_num_threads(threads)
    return records
