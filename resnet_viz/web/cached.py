"""Results kept between reruns and shared by all visitors: keyed by content, bounded, and never changed afterwards."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache, wraps
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import streamlit as st
import torch
from scipy.special import softmax
from torch import Tensor

from ..errors import InputError
from ..experiments import (
    attribution,
    calibration,
    deepening,
    degradation,
    deletion,
    early_stop,
    identity,
    image_attribution,
    lesion_studies,
    paths,
    race,
    trace,
)
from ..experiments import strongest_paths as strongest
from ..experiments.attribution import Importance
from ..experiments.lesion_studies import Study
from ..experiments.strongest_paths import PathGradient, StrongestPaths
from ..networks import zoo
from ..networks.description import Description, Part, blank, branch_layers_of, describe
from ..networks.description import stem_and_head as stem_and_head_of
from ..networks.device import device
from ..networks.images import ImageSet, open_photo
from ..networks.zoo import Entry, LoadedNetwork
from .kept import Key, Store, digest_of
from .turns import in_turn

RESULTS = Store(128 * 2**20)
NETWORKS = Store(512 * 2**20)
FIRST_IMAGES = 200  # of a labelled set, shown at once: an error within seven points
version = cache(metadata.version)  # it parses a file
MEASURES = {
    measure.__name__: measure
    for measure in (attribution.true_deletion, attribution.first_order, attribution.branch_size)
}
Given = ParamSpec("Given")
Result = TypeVar("Result")
SPENT: ContextVar[list[float]] = ContextVar("seconds that the results used here took to compute")


def kept(compute: Callable[Given, Result]) -> Callable[Given, Result]:
    """Keep a function's results together with the seconds they took, which ``timed`` is told at every use."""

    @wraps(compute)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        def measured() -> tuple[Result, float]:
            started = time.perf_counter()
            return compute(*args, **kwargs), time.perf_counter() - started

        inside = SPENT.set([])  # what it computes by means of others is part of its own time
        try:
            result, seconds = RESULTS.get(key_of(compute, *args, **kwargs), measured)
        finally:
            SPENT.reset(inside)
        tell_spent(seconds)
        return result

    return call


def is_kept(compute: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> bool:
    """Whether a ``kept`` function has its result for these."""
    return RESULTS.find(key_of(compute, *args, **kwargs)) is not None


def key_of(compute: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Key:
    """What the result of a ``kept`` function stands under."""
    return compute.__name__, digest_of(args, kwargs)


def tell_spent(seconds: float) -> None:
    """Add to the time that the block of code under ``timed`` is said to have taken."""
    SPENT.get([]).append(seconds)


@contextmanager
def timed_seconds() -> Iterator[list[float]]:
    """Collect the seconds that the results used inside took to compute, now or when they were first wanted."""
    seconds: list[float] = []
    outer = SPENT.set(seconds)
    try:
        yield seconds
    finally:
        SPENT.reset(outer)
    tell_spent(sum(seconds))


@contextmanager
def timed() -> Iterator[list[str]]:
    """After the block of code, the list says how long its results took to compute, as a chip says it."""
    said: list[str] = []
    with timed_seconds() as seconds:
        yield said
    said.append(f"{sum(seconds):.2f} s on {device().type.upper()}")


load = in_turn(zoo.load)


def network(entry: Entry, untrained: int | None = None, batch_norm: bool = True) -> LoadedNetwork:
    """A network that every session shares."""
    key = "network", digest_of(entry, untrained, batch_norm)
    return NETWORKS.get(key, lambda: load(entry, untrained=untrained, batch_norm=batch_norm))


@cache
def local_networks() -> tuple[dict[str, Entry], str]:
    """Rows for the files of weights given when the app was started (RESNET_VIZ_CHECKPOINTS), and what is wrong with them."""
    place = os.environ.get("RESNET_VIZ_CHECKPOINTS")
    try:
        entries, faults = zoo.local_entries(Path(place)) if place else ([], [])
    except (InputError, OSError) as error:
        entries, faults = [], [str(error)]
    return {entry.name: entry for entry in entries}, " ".join(faults)


def networks() -> dict[str, Entry]:
    """The table of networks, the files given at the start, and what this visitor has uploaded."""
    return zoo.NETWORKS | local_networks()[0] | st.session_state.get("uploaded_networks", {})


def images(entry: Entry) -> ImageSet:
    """The images that come with a network; looked for again each minute, since CIFAR-10 may be put in its place."""
    return images_at(entry, time.monotonic() // 60)


@lru_cache(maxsize=8)
def images_at(entry: Entry, _minute: float) -> ImageSet:
    return zoo.images_of(entry)


@kept
def fitted(entry: Entry, name: str, photo: bytes) -> Tensor:
    """A visitor's own photo as the network sees it. Raises InputError if it is not one."""
    file = BytesIO(photo)
    file.name = name
    return entry.preprocessing.fit(open_photo(file))


@kept
@in_turn
def description(loaded: LoadedNetwork) -> Description:
    return describe(loaded.network, loaded.entry.preprocessing)


@kept
@in_turn
def description_of_row(entry: Entry) -> Description:
    """Of a network without weights."""
    return describe(zoo.architecture(entry), entry.preprocessing)


@kept
@in_turn
def stem_and_head(entry: Entry) -> tuple[list[Part], list[Part]]:
    """The layers of a network's stem and head."""
    return stem_and_head_of(zoo.architecture(entry), entry.preprocessing)


@kept
@in_turn
def branch_layers(entry: Entry, block: str) -> list[Part]:
    """The layers of one block's branch."""
    network = zoo.architecture(entry)
    parts = {part.name: part for part in describe(network, entry.preprocessing).blocks}
    return branch_layers_of(network.blocks[block], blank(network, parts[block].in_shape))


@kept
def block_maps(loaded: LoadedNetwork, image: ImageSet, block: str) -> trace.BlockMaps:
    return trace.block_maps(loaded.network, loaded.inputs(image), block)


@kept
@in_turn
def family(name: str) -> list[dict[str, str | int | float | None]]:
    """A row of facts for each network of a family, recomputed from the models."""
    rows: list[dict[str, str | int | float | None]] = []
    for entry in zoo.NETWORKS.values():
        if entry.family == name:
            facts = describe(zoo.architecture(entry), entry.preprocessing)
            measured = history(entry.name)
            rows.append({
                "network": entry.name, "blocks": facts.blocks[0].kind, "layers": facts.layers, "parameters": facts.params,
                "in convolutions": facts.convolution_params, "in head": facts.head.params, "multiply-adds, M": round(facts.macs / 1e6, 1),
                "error, %": measured["test_error_pct"] if measured else entry.published_error_pct, "source": entry.provenance,
            })  # fmt: skip
    return rows


@kept
def history(name: str) -> dict | None:
    """The training history that lies beside a bundled network's weights."""
    path = zoo.CHECKPOINTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


@kept
def histories_by_depth(kind: str) -> dict[int, list[dict[str, Any]]]:
    """The bundled histories of 'plain' or 'resnet'."""
    return degradation.family(kind)


@kept
def recorded_stacks() -> list[identity.Attempt]:
    """The stacks that came with the project."""
    return identity.bundled()


@kept
def recorded_race(name: str) -> tuple[race.Race, list[race.Record]]:
    """A race that came with the project, of the first seed."""
    return race.bundled(name)[0]


@kept
def intact_streams(loaded: LoadedNetwork, image: ImageSet) -> list[Tensor]:
    """The streams that one image leaves in the intact network; nobody may write to them."""
    return deletion.intact_streams(loaded.network, loaded.inputs(image))


@kept
def probabilities(loaded: LoadedNetwork, image: ImageSet, gates: Sequence[float]) -> np.ndarray:
    """Class probabilities of one image under gates, (classes,)."""
    return deletion.probabilities(loaded.network, intact_streams(loaded, image), gates)[0]


@kept
def set_logits(loaded: LoadedNetwork, images: ImageSet, gates: Sequence[float]) -> np.ndarray:
    """The logits of a set under gates, (images, classes): from one pass come its error, what flips, and its calibration.

    The first images, spread evenly, are a part of their own, since a page shows them at once."""
    first = images.spread(FIRST_IMAGES)
    order = [*first, *sorted(set(range(len(images))) - set(first))]
    parts = [order[: len(first)], order[len(first) :]]
    logits = [logits_of_part(loaded, images.subset(part), gates) for part in parts if part]
    return np.concatenate(logits)[np.argsort(order)]


@kept
@in_turn
def logits_of_part(loaded: LoadedNetwork, images: ImageSet, gates: Sequence[float]) -> np.ndarray:
    """Logits under gates, (images, classes)."""
    return deletion.logits_of_each(loaded.network, loaded.entry.preprocessing, images, [gates])[0]


def predictions(loaded: LoadedNetwork, images: ImageSet, gates: Sequence[float]) -> np.ndarray:
    """Predicted classes of a set under gates, (images,)."""
    return set_logits(loaded, images, gates).argmax(1)


def before_and_after(loaded: LoadedNetwork, image: ImageSet, gates: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Class probabilities of one image in the intact network and under gates, (classes,) each."""
    return probabilities(loaded, image, loaded.intact), probabilities(loaded, image, gates)


def lesion(loaded: LoadedNetwork, images: ImageSet, gates: tuple[float, ...]) -> deletion.Lesion:
    """What gates do to a set."""
    before, after = (predictions(loaded, images, each) for each in (loaded.intact, gates))
    return deletion.Lesion(before, after, deletion.label_array(images))


@kept
@in_turn
def sweep(loaded: LoadedNetwork, images: ImageSet) -> deletion.Sweep:
    """Every block deleted in turn, over a set or a part of it."""
    return deletion.sweep(loaded.network, loaded.entry.preprocessing, images)


@kept
@in_turn
def random_deletions(loaded: LoadedNetwork, images: ImageSet, count: int, draws: int, seed: int) -> Study:
    """``count`` random blocks deleted, several draws."""
    return lesion_studies.random_deletions(loaded.network, loaded.entry.preprocessing, images, [count], draws, seed)


@kept
@in_turn
def random_swaps(loaded: LoadedNetwork, images: ImageSet, count: int, draws: int, seed: int) -> Study:
    """``count`` random pairs of blocks change places, several draws."""
    return lesion_studies.random_swaps(loaded.network, loaded.entry.preprocessing, images, [count], draws, seed)


@kept
@in_turn
def stops(loaded: LoadedNetwork, images: ImageSet) -> deletion.Sweep:
    """A set in the network stopped after each number of blocks."""
    return early_stop.stop_everywhere(loaded.network, loaded.entry.preprocessing, images)


@kept
@in_turn
def probabilities_by_stop(loaded: LoadedNetwork, image: ImageSet) -> np.ndarray:
    """Class probabilities of one image after each number of blocks."""
    return early_stop.probabilities_by_stop(loaded.network, loaded.inputs(image))


@kept
@in_turn
def importance(loaded: LoadedNetwork, images: ImageSet, labels: tuple[int, ...], measure: str) -> Importance:
    """A measure of experiments.attribution by its function's name."""
    return MEASURES[measure](loaded.network, loaded.inputs(images), label_tensor(labels))


@kept
@in_turn
def shapley_exact(loaded: LoadedNetwork, images: ImageSet, labels: tuple[int, ...]) -> Importance:
    """All subsets of the blocks."""
    return attribution.shapley_exact(loaded.network, loaded.inputs(images), label_tensor(labels))


@kept
@in_turn
def shapley_permutation(
    loaded: LoadedNetwork, images: ImageSet, labels: tuple[int, ...], number: int, seed: int
) -> np.ndarray:
    """One permutation of the blocks."""
    return attribution.shapley_permutation(loaded.network, loaded.inputs(images), label_tensor(labels), number, seed)


@kept
@in_turn
def losses(loaded: LoadedNetwork, images: ImageSet, gates: tuple[float, ...]) -> np.ndarray:
    """Each labelled image's loss under gates, (images,)."""
    return deletion.loss_of_each(loaded.network, loaded.entry.preprocessing, images, [gates])[0]


def reliability(loaded: LoadedNetwork, images: ImageSet, gates: tuple[float, ...]) -> calibration.Reliability:
    """Confidence against accuracy of a labelled set under gates."""
    probabilities = softmax(set_logits(loaded, images, gates), 1)
    return calibration.reliability(probabilities, deletion.known(deletion.label_array(images)))


@kept
def grad_cam(
    loaded: LoadedNetwork, image: ImageSet, label: int, gates: tuple[float, ...], block: str
) -> image_attribution.GradCam:
    """Where one image's evidence for a class lies at a block."""
    return image_attribution.grad_cam(loaded.network, loaded.entry.preprocessing, image, label, gates, block)


@kept
@in_turn
def integrated_gradients(
    loaded: LoadedNetwork, image: ImageSet, label: int, gates: tuple[float, ...]
) -> image_attribution.Integrated:
    """What each pixel of one image adds to the logit of a class."""
    return image_attribution.integrated_gradients(loaded.network, loaded.entry.preprocessing, image, label, gates)


@kept
@in_turn
def containment(shallow: LoadedNetwork, deep: Entry) -> deepening.Containment:
    """A trained plain network beside itself, deepened."""
    return deepening.containment(shallow.network, deep)


@kept
@in_turn
def gradient_growth(entry: Entry, seed: int, images: ImageSet) -> float:
    """How many times as large the stream's gradient is at the first block as at the last, untrained, over labelled images."""
    loaded = zoo.load(entry, untrained=seed)  # not kept: it is needed once
    norms = trace.stream_gradient_norms(loaded.network, loaded.inputs(images), deletion.known(images.labels))
    return norms[0] / norms[-1]


@kept
@in_turn
def traced(loaded: LoadedNetwork, images: ImageSet, labels: tuple[int, ...]) -> trace.Trace:
    """One forward and one backward pass over a batch."""
    return trace.trace(loaded.network, loaded.inputs(images), label_tensor(labels))


@kept
@in_turn
def gradient_by_length(
    loaded: LoadedNetwork, images: ImageSet, labels: tuple[int, ...], stage: str | None = None
) -> paths.GradientByLength:
    return paths.gradient_by_length(loaded.network, loaded.inputs(images), label_tensor(labels), stage=stage)


@kept
@in_turn
def sampled_path_norms(
    loaded: LoadedNetwork, images: ImageSet, labels: tuple[int, ...], samples: int, seed: int
) -> np.ndarray:
    return paths.sampled_path_norms(loaded.network, loaded.inputs(images), label_tensor(labels), samples, seed)


@kept
@in_turn
def strongest_paths(loaded: LoadedNetwork, image: ImageSet, label: int) -> StrongestPaths:
    """The strongest paths that a search finds for one image."""
    return strongest.strongest_paths(loaded.network, loaded.inputs(image), label_tensor((label,)))


@kept
def path_gradient(loaded: LoadedNetwork, image: ImageSet, label: int, takes_branch: tuple[bool, ...]) -> PathGradient:
    """The gradient of one image along one path."""
    return strongest.path_gradient(loaded.network, loaded.inputs(image), label_tensor((label,)), takes_branch)


@kept
@in_turn
def recall(loaded: LoadedNetwork, image: ImageSet, label: int) -> tuple[int, int]:
    """How many of the paths found are among the strongest of all, in a network of few blocks."""
    return strongest.recall(loaded.network, loaded.inputs(image), label_tensor((label,)))


def label_tensor(labels: tuple[int, ...]) -> Tensor:
    return torch.tensor(labels, device=device())
