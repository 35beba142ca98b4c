"""Results kept between reruns and shared by all visitors: keyed by content, bounded, and never changed afterwards."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from torch import Tensor

from ..engine import kept as engine
from ..errors import InputError
from ..experiments import (
    trace,
)
from ..networks import zoo
from ..networks.description import Description, Part, blank, branch_layers_of, describe
from ..networks.description import stem_and_head as stem_and_head_of
from ..networks.device import device
from ..networks.images import ImageSet, open_photo
from ..networks.zoo import Entry, LoadedNetwork
from ..places import CHECKPOINTS
from ..recipes import measures
from .session import state

Given = ParamSpec("Given")
Result = TypeVar("Result")


def kept(compute: Callable[Given, Result]) -> Callable[Given, Result]:
    """Keep the results of a function that takes less than a twentieth of a second."""

    @wraps(compute)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        return engine.kept(compute, *args, quick=True, **kwargs)

    return call


def kept_in_turn(compute: Callable[Given, Result]) -> Callable[Given, Result]:
    """Keep the results of a function that takes longer."""

    @wraps(compute)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        return engine.kept(compute, *args, **kwargs)  # type: ignore[arg-type]

    return call


@contextmanager
def timed() -> Iterator[list[str]]:
    """After the block of code, the list says how long its results took to compute, as a chip says it."""
    said: list[str] = []
    with engine.timed() as seconds:
        yield said
    said.append(f"{sum(seconds):.2f} s on {device().type.upper()}")


network, images, images_at = measures.network, measures.images, measures.images_at
over_set, over_batch, probabilities, predictions = measures.over_set, measures.over_batch, measures.probabilities, measures.predictions
lesion, reliability, description, set_logits = measures.lesion, measures.reliability, measures.description, measures.logits
RESULTS, is_kept, FIRST_IMAGES = engine.RESULTS, engine.is_kept, measures.FIRST_IMAGES




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
    return zoo.NETWORKS | local_networks()[0] | state().uploaded_networks




@kept
def fitted(entry: Entry, name: str, photo: bytes) -> Tensor:
    """A visitor's own photo as the network sees it. Raises InputError if it is not one."""
    file = BytesIO(photo)
    file.name = name
    return entry.preprocessing.fit(open_photo(file))



@kept_in_turn
def description_of_row(entry: Entry) -> Description:
    """Of a network without weights."""
    return describe(zoo.architecture(entry), entry.preprocessing)


@kept_in_turn
def stem_and_head(entry: Entry) -> tuple[list[Part], list[Part]]:
    """The layers of a network's stem and head."""
    return stem_and_head_of(zoo.architecture(entry), entry.preprocessing)


@kept_in_turn
def branch_layers(entry: Entry, block: str) -> list[Part]:
    """The layers of one block's branch."""
    network = zoo.architecture(entry)
    parts = {part.name: part for part in describe(network, entry.preprocessing).blocks}
    return branch_layers_of(network.blocks[block], blank(network, parts[block].in_shape))


@kept
def block_maps(loaded: LoadedNetwork, image: ImageSet, block: str) -> trace.BlockMaps:
    return trace.block_maps(loaded.network, loaded.inputs(image), block)


@kept_in_turn
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
def history(name: str) -> dict[str, Any] | None:
    """The training history that lies beside a bundled network's weights."""
    path = CHECKPOINTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.is_file() else None
    return found


