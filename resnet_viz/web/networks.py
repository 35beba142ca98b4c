"""The networks that a visitor may choose."""

import os
from functools import cache
from pathlib import Path

from ..errors import InputError
from ..networks import zoo
from ..networks.zoo import Entry
from .session import state


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
