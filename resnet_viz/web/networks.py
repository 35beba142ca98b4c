"""The networks that a visitor may choose."""

import hashlib
import os
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from ..errors import InputError
from ..networks import zoo
from ..networks.zoo import Entry
from .session import ITSELF, NOTHING, TWIN, state

HANDED_OVER: dict[str, Entry] = {}  # by the program that has opened this app, if one has
UPLOADS = tempfile.TemporaryDirectory(prefix="resnet_viz-")  # goes with the server


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
    """What the program that opened the app has handed over, the table of networks, the files given at the start, and what this
    visitor has uploaded."""
    return HANDED_OVER | zoo.NETWORKS | local_networks()[0] | state().uploaded_networks


def comparisons(entry: Entry, trained: bool) -> list[str]:
    """What may stand beside a network on every page: its twin with or without shortcuts, itself before training, nothing, or
    another whose blocks have the same names."""
    twin, own = zoo.counterpart(entry), list[str]()
    if trained and entry.can_be_built:
        own = [ITSELF] if twin is None or twin.weights is None else [TWIN, ITSELF]
    others = zoo.with_the_same_blocks(entry, networks().values())
    return [*own, NOTHING, *(row.name for row in others if TWIN not in own or row != twin)]


def add_weights(name: str, content: bytes, provenance: str = "") -> tuple[str, list[Entry]]:
    """Add a safetensors file to this visitor's networks; returns what is wrong with it, and its rows. ``provenance``: where
    the weights come from, if not from the visitor."""
    place = Path(UPLOADS.name) / hashlib.sha256(content).hexdigest()[:16]
    place.mkdir(exist_ok=True)
    path = place / f"{name}.safetensors"
    path.write_bytes(content)
    entries, told = zoo.local_entries(path)
    if provenance:
        entries = [replace(entry, provenance=provenance) for entry in entries]
    state().uploaded_networks.update({entry.name: entry for entry in entries})
    return " ".join(told), entries
