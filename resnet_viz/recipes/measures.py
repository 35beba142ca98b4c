"""What several recipes need of a network, each computed once: kept by content, in turn, and never changed afterwards."""

import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor

from ..engine.kept import NETWORKS, digest_of, kept, key_of, steps_kept
from ..engine.tickets import result
from ..experiments import calibration, deletion, influence
from ..experiments.stepwise import Stepping, Stepwise, finished, share_of
from ..networks import zoo
from ..networks.description import Description, describe
from ..networks.device import device
from ..networks.images import ImageSet, open_photo
from ..networks.zoo import Entry, LoadedNetwork, NamedNetwork
from ..places import CHECKPOINTS

Result = TypeVar("Result")
Gates = tuple[float, ...]
FIRST_IMAGES = 200  # of a labelled set, shown at once: an error within seven points
PART = 60e9  # multiply-adds: what is kept of a set at once, one to two seconds of a core
WAY_BACK = 12_000  # pixels of a forward and backward pass: fifteen small images, or a large one
LEAST = 75_000  # pixels: 95 small images or a large one; of fewer, each would take longer


def network(entry: Entry, untrained: int | None = None, batch_norm: bool = True) -> LoadedNetwork:
    """A network that all share. Raises what ``zoo.load`` raises."""
    if not entry.can_be_built:  # it stays where it is, as long as somebody has its name
        return zoo.load(entry, untrained=untrained, batch_norm=batch_norm)
    key = "network", digest_of(entry, untrained, batch_norm)
    return NETWORKS.get(key, lambda: zoo.load(entry, untrained=untrained, batch_norm=batch_norm))


def loaded(named: NamedNetwork) -> LoadedNetwork:
    """The network that a name stands for, which all share. Raises what ``zoo.load`` raises."""
    return network(named.entry, named.seed, named.batch_norm)


def named(entry: Entry, untrained: int | None = None, batch_norm: bool = True) -> NamedNetwork:
    """What is known of a network without having it. Raises what ``zoo.load`` raises."""
    return result(_named, entry, untrained, batch_norm)


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


def own_photo(entry: Entry, name: str, photo: bytes) -> Tensor:
    """A visitor's own photo as a network sees it: uint8 (channels, crop, crop). Raises InputError if it is not one."""
    return result(_own_photo, entry, name, photo)


def _own_photo(entry: Entry, name: str, photo: bytes) -> Tensor:
    file = io.BytesIO(photo)
    file.name = name
    return entry.preprocessing.fit(open_photo(file))


def description_of_row(entry: Entry) -> Description:
    """Shapes, parameters and multiply-adds of each block of a network without weights."""
    return result(_description_of_row, entry)


def _description_of_row(entry: Entry) -> Description:
    return describe(zoo.architecture(entry), entry.preprocessing)


def history(name: str) -> dict[str, Any] | None:
    """The training history that lies beside a bundled network's weights."""
    return kept(_history, name)


def _history(name: str) -> dict[str, Any] | None:
    path = CHECKPOINTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def over_set(compute: Callable[..., Result], loaded: LoadedNetwork, images: ImageSet, *given: Any) -> Result:
    """What an experiment measures over a set: ``compute(network, preprocessing, images, *given)``."""
    return cast(Result, kept(_over_set, compute, loaded, images, *given))


def _over_set(compute: Callable[..., Result], loaded: LoadedNetwork, images: ImageSet, *given: Any) -> Result:
    return compute(loaded.network, loaded.entry.preprocessing, images, *given)


def over_batch(
    compute: Callable[..., Result],
    loaded: LoadedNetwork,
    images: ImageSet,
    labels: Sequence[int],
    *given: Any,
) -> Result:
    """What an experiment measures over images that go through the network together, against a class each:
    ``compute(network, inputs, labels, *given)``."""
    return cast(Result, kept(_over_batch, compute, loaded, images, tuple(labels), *given))


def _over_batch(
    compute: Callable[..., Result], loaded: LoadedNetwork, images: ImageSet, labels: tuple[int, ...], *given: Any
) -> Result:
    return compute(loaded.network, loaded.inputs(images), torch.tensor(labels, device=device()), *given)


def over_image(compute: Callable[..., Result], loaded: LoadedNetwork, image: ImageSet, *given: Any) -> Result:
    """What an experiment finds in one image: ``compute(network, inputs, *given)``."""
    return cast(Result, kept(_over_image, compute, loaded, image, *given))


def _over_image(compute: Callable[..., Result], loaded: LoadedNetwork, image: ImageSet, *given: Any) -> Result:
    return compute(loaded.network, loaded.inputs(image), *given)


def set_in_steps(
    compute: Stepwise[..., Result], loaded: LoadedNetwork, images: ImageSet, *given: Any
) -> Stepping[Result]:
    """``over_set``, a step at a time."""
    steps = partial(compute.steps, loaded.network, loaded.entry.preprocessing, images, *given)
    return (yield from steps_kept(key_of(_over_set, compute, loaded, images, *given), steps))


def batch_in_steps(
    compute: Stepwise[..., Result], loaded: LoadedNetwork, images: ImageSet, labels: Sequence[int], *given: Any
) -> Stepping[Result]:
    """``over_batch``, a step at a time."""
    key = key_of(_over_batch, compute, loaded, images, tuple(labels), *given)
    targets = partial(torch.tensor, labels, device=device())
    return (yield from steps_kept(key, lambda: compute.steps(loaded.network, loaded.inputs(images), targets(), *given)))


def one_after_the_other(every: Sequence[Stepping[Result]]) -> Stepping[list[Result]]:
    """What several measurements return, each taken in steps."""
    found: list[Result] = []
    for steps in every:
        found.append((yield from share_of(steps, len(found), len(every))))
        yield len(found) / len(every)  # also of what is found
    return found


def parts_for(loaded: LoadedNetwork, images: ImageSet, passes: float) -> list[ImageSet]:
    """A set in the parts in which what takes so many forward passes for each image is kept: the same for all who measure it."""
    least = LEAST // images.pixels[0, 0].numel()
    size = max(1, least, int(PART / (kept(multiply_adds, loaded) * passes)))
    if size > deletion.BATCH_SIZE:  # whole batches
        return images.parts(size // deletion.BATCH_SIZE * deletion.BATCH_SIZE)
    count = -(-len(images) // size)
    return images.parts(-(-len(images) // count))


def multiply_adds(loaded: LoadedNetwork) -> int:
    """Of one image and forward pass."""
    return describe(loaded.network, loaded.entry.preprocessing).macs


def influence_in_steps(loaded: LoadedNetwork, images: ImageSet) -> Stepping[influence.Influence]:
    """What each block of a network changes, over labelled images, a part of them at a time."""
    parts = images.parts(max(1, WAY_BACK // images.pixels[0, 0].numel()))
    found = []
    for part in parts:
        labels = deletion.known(part.labels).tolist()
        found.append(over_batch(influence.influence, loaded, part, labels))
        yield len(found) / len(parts)
    return influence.joined(found)


def swept_in_parts(
    compute: Stepwise[..., deletion.Sweep], networks: Sequence[LoadedNetwork], images: ImageSet, passes: float
) -> Stepping[list[deletion.Sweep]]:
    """What a sweep of so many forward passes for each image measures over a set in each network, part by part."""
    return (yield from one_after_the_other([swept(compute, each, images, passes) for each in networks]))


def swept(
    compute: Stepwise[..., deletion.Sweep], loaded: LoadedNetwork, images: ImageSet, passes: float, *given: Any
) -> Stepping[deletion.Sweep]:
    """What a sweep measures in one network, the parts joined."""
    parts = [set_in_steps(compute, loaded, part, *given) for part in parts_for(loaded, images, passes)]
    return deletion.joined((yield from one_after_the_other(parts)))


def intact_streams(loaded: LoadedNetwork, image: ImageSet) -> list[Tensor]:
    """The streams that one image leaves in the intact network; nobody may write to them."""
    return over_image(deletion.intact_streams, loaded, image)


def probabilities(loaded: LoadedNetwork, image: ImageSet, gates: Gates) -> np.ndarray:
    """Class probabilities of one image under gates, (classes,)."""
    return kept(_probabilities, loaded, image, gates)


def _probabilities(loaded: LoadedNetwork, image: ImageSet, gates: Gates) -> np.ndarray:
    return cast(np.ndarray, deletion.probabilities(loaded.network, intact_streams(loaded, image), gates)[0])


def logits(loaded: LoadedNetwork, images: ImageSet, gates: Gates) -> np.ndarray:
    """The logits of a set under gates, (images, classes): from one pass come its error, what flips, and its calibration."""
    return finished(logits_in_steps(loaded, images, gates))


def logits_in_steps(loaded: LoadedNetwork, images: ImageSet, gates: Gates) -> Stepping[np.ndarray]:
    """``logits``, a step at a time. The first images, spread evenly, are a part of their own, since a page shows them at once."""
    first = images.spread(FIRST_IMAGES)
    rest = sorted(set(range(len(images))) - set(first))
    parts = [images.subset(first), *(parts_for(loaded, images.subset(rest), 1) if rest else [])]
    steps = [set_in_steps(deletion.logits_of_each, loaded, part, [gates]) for part in parts]
    of_parts = yield from one_after_the_other(steps)
    return np.concatenate([part[0] for part in of_parts])[np.argsort([*first, *rest])]


def predicted(named: NamedNetwork, images: ImageSet) -> tuple[int, ...]:
    """The classes that a network sees in images."""
    return result(_predicted, named, images)


def _predicted(named: NamedNetwork, images: ImageSet) -> tuple[int, ...]:
    return tuple(predictions(loaded(named), images, named.intact).tolist())


def predictions(loaded: LoadedNetwork, images: ImageSet, gates: Gates) -> np.ndarray:
    """Predicted classes of a set under gates, (images,)."""
    return cast(np.ndarray, logits(loaded, images, gates).argmax(1))


def lesion(loaded: LoadedNetwork, images: ImageSet, gates: Gates) -> deletion.Lesion:
    """What gates do to a set."""
    return finished(lesion_in_steps(loaded, images, gates))


def lesion_in_steps(loaded: LoadedNetwork, images: ImageSet, gates: Gates) -> Stepping[deletion.Lesion]:
    """``lesion``, a step at a time."""
    steps = [logits_in_steps(loaded, images, each) for each in (loaded.intact, gates)]
    before, after = yield from one_after_the_other(steps)
    return deletion.Lesion(before.argmax(1), after.argmax(1), deletion.label_array(images))


def reliability(loaded: LoadedNetwork, images: ImageSet, gates: Gates) -> calibration.Reliability:
    """Confidence against accuracy of a labelled set under gates."""
    probabilities = softmax(logits(loaded, images, gates), 1)
    return calibration.reliability(probabilities, deletion.known(deletion.label_array(images)))


def on_one_thread(steps: Stepping[Result]) -> Stepping[Result]:
    """Steps of a training, each on one thread, as the app's own trainings are: on another number the same steps round
    otherwise."""
    threads = torch.get_num_threads()
    try:
        while True:
            torch.set_num_threads(1)  # meanwhile something else may have been computed
            yield next(steps)
    except StopIteration as end:
        return cast(Result, end.value)
    finally:
        torch.set_num_threads(threads)


def trained(steps: Iterable[Result | None], length: int, most: int | None = None) -> Stepping[list[Result]]:
    """What a training of about so many steps records, ``most`` records at most; yields how much of it is done."""
    return (yield from on_one_thread(_trained(steps, length, most)))


def _trained(steps: Iterable[Result | None], length: int, most: int | None) -> Stepping[list[Result]]:
    records = []
    for done, record in enumerate(steps, start=1):
        if record is not None:
            records.append(record)
        if len(records) == most:
            break
        yield done / length
    return records
