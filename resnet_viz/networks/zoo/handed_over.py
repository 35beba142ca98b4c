"""Networks of one's own, handed over as they are: under a name, with images, for recipes and the app."""

import hashlib
import re
import weakref
from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError
from ..adapt import adapt, independent, require_module
from ..datasets import Dataset
from ..description import describe
from ..device import device
from ..images import AsGiven, ImageSet, Preprocessing, check_inputs, check_pixels
from ..network import ResidualNetwork
from .loading import HANDED_OVER, LoadedNetwork, NamedNetwork
from .table import NETWORKS, TRAINABLE, Entry

__all__ = ["hand_over"]

MOST_BYTES = 64 * 2**20  # of images: the app keeps them in a folder of a few times that
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
NUMBERS = count(1)


def hand_over(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    name: str = "",
) -> NamedNetwork:
    """Make a network of one's own known, as it is now, with images to try it on: for ``Subject.of``, and so for every recipe.

    ``model``: one that ``adapt`` takes, or a ResidualNetwork. A copy is kept on ``device()``, in eval mode, for as long as what is
    returned; what becomes of the model itself is not seen. ``images``: floating, (images, channels, ...) as the model takes them,
    64 MiB at most; or with a ``preprocessing`` uint8 (images, channels, height, width), 0 ... 255, which also lets visitors of the app
    bring photos. ``labels``: int64 (images,); if None, the classes that the network predicts stand in for them. ``classes``: their
    names, if None 'class 0' ... ``name``: what it is called, letters, digits and '_.-'; the model's class if ''.

    Raises what ``adapt`` raises, and InputError for images, labels, names or a name other than these.
    """
    name = name or re.sub(r"[^A-Za-z0-9_.-]", "-", type(model).__name__)
    if not NAME.fullmatch(name) or name in NETWORKS or TRAINABLE.fullmatch(name):
        raise InputError(
            "Name must begin with a letter or digit, have up to 40 letters, digits and '_.-', and be none of the bundled networks'; "
            f"got {name!r}: give another name."
        )
    require_module(model)
    if preprocessing is None and torch.is_tensor(images) and images.dtype == torch.uint8:
        raise InputError(
            "Images of uint8 need a preprocessing: give Preprocessing(resize, crop, mean, std), or normalise them."
        )
    (check_pixels if preprocessing else check_inputs)(images)
    given = ImageSet(
        f"{len(images):,} images given with {name}",
        images.detach().cpu(),
        labels.detach().cpu() if torch.is_tensor(labels) else labels,
        tuple(f"image {position}" for position in range(len(images))),
        normalised=preprocessing is None,
    )
    if given.pixels.nbytes > MOST_BYTES:
        fitting = len(given) * MOST_BYTES // given.pixels.nbytes
        raise InputError(
            f"Images must take {MOST_BYTES // 2**20} MiB at most; got {given.pixels.nbytes / 2**20:.0f} MiB: give the first {fitting:,}."
        )
    how = preprocessing or AsGiven(tuple(images.shape[1:]))
    network = adapted(model, how.normalise(given.pixels[:2])).to(device())
    with torch.no_grad():
        outputs = network(how.inputs_of(network, given.pixels[:1])).shape[1]
    names = tuple(map(str, classes)) if classes is not None else tuple(f"class {index}" for index in range(outputs))
    if isinstance(classes, str) or len(set(names)) < len(names):
        raise InputError(f"Classes must be a list of names, each of them once; got {classes!r}.")
    if len(names) != outputs:
        raise InputError(f"Classes must be {outputs:,}, one for each output of the network; got {len(names):,} names.")
    if given.labels is not None and given.labels.max() >= outputs:
        raise InputError(f"Labels must be 0 to {outputs - 1}, one of the network's classes; got {given.labels.max()}.")
    digest = f"{digest_of_weights(network)}-{next(NUMBERS)}"
    entry = Entry(
        name,
        Dataset(given.title, names, partial(the_same, given), partial(unknown, name)),
        partial(unknown, name),
        digest,
        how,
        "handed over by your program",
        "yours",
        blocks=tuple(network.blocks),
    )
    loaded = LoadedNetwork(entry, network, "as handed over", digest)
    named = NamedNetwork(entry, None, True, loaded.weights, digest, describe(network, how))
    HANDED_OVER[digest] = loaded
    weakref.finalize(named, HANDED_OVER.pop, digest, None)
    return named


def adapted(model: nn.Module, images: Tensor) -> ResidualNetwork:
    """A copy of a network, in eval mode, walked block by block."""
    copy = independent(model).eval()
    return copy if isinstance(copy, ResidualNetwork) else adapt(copy, images.to(next(copy.parameters(), images)))


def digest_of_weights(network: nn.Module) -> str:
    """The first 16 digits of the SHA-256 of all weights and statistics, with their names."""
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy())
    return found.hexdigest()[:16]


def the_same(images: ImageSet) -> ImageSet:
    return images


def unknown(name: str, *_: Any, **__: Any) -> Any:
    raise InputError(f"{name} was handed over; it cannot be built anew or be had untrained.")
