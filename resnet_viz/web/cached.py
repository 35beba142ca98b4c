"""Results kept between reruns and shared by all visitors: keyed by content, bounded, and never changed afterwards."""

import json
import os
from collections.abc import Callable
from functools import cache, wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from torch import Tensor

from ..engine import kept as engine
from ..errors import InputError
from ..networks import zoo
from ..networks.description import Description, describe
from ..networks.images import open_photo
from ..networks.zoo import Entry
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


@kept
def history(name: str) -> dict[str, Any] | None:
    """The training history that lies beside a bundled network's weights."""
    path = CHECKPOINTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.is_file() else None
    return found


