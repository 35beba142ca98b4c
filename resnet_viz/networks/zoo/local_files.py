"""Files of weights that somebody brings: which network of the table each fits."""

import re
from dataclasses import replace
from pathlib import Path

from safetensors import safe_open

from ...errors import InputError
from ..weights import faults_of, read_state, require_fit
from .table import NETWORKS, TRAINABLE, Entry, architecture, cut_entry, entry_of

__all__ = ["cut_in", "local_entries"]

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".th")


def local_entries(place: Path) -> tuple[list[Entry], list[str]]:
    """A row for each file of weights at ``place`` (a file, or a folder of them): the row of the table that it fits, under
    the name 'fashion-resnet56:FILE' (cut as it says of itself, if it does); and a sentence for each file that cannot be read or fits no network of the table.

    Raises InputError where there is no such file at all.
    """
    files = sorted(path for path in place.iterdir() if path.suffix in WEIGHT_SUFFIXES) if place.is_dir() else [place]
    if not files:
        raise InputError(f"{place} holds no file of weights; expected {', '.join(WEIGHT_SUFFIXES)}.")
    entries, faults = [], []
    for path in files:
        try:
            state = read_state(path)
        except InputError as error:
            faults.append(str(error))
            continue
        try:
            if row := cut_in(path):
                require_fit(architecture(row), state, path)
                entries.append(row)
                continue
        except InputError as error:
            faults.append(str(error))
            continue
        rows = [*named_in(path), *NETWORKS.values()]
        row = next((entry for entry in rows if not faults_of(architecture(entry), state)), None)
        if row is None:
            faults.append(
                f"{path} fits no network of the table; --checkpoint FILE of the command line says what differs."
            )
            continue
        name = f"{row.name.removesuffix('-v2')}:{short_name(path)}"
        provenance = f"your file {path.name}"
        entries.append(
            replace(
                row,
                name=name,
                weights=str(path.resolve()),
                provenance=provenance,
                licence="yours",
                published_error_pct=None,
            )
        )
    return entries, faults


def short_name(path: Path) -> str:
    """What a file is called in the list of networks."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", path.stem)[:40]


def cut_in(path: Path) -> Entry | None:
    """The row of a cut network that a file of this project's holds; None for any other file. Raises InputError for one that is
    cut from a network or of blocks that do not exist."""
    told = metadata(path)
    if not told.get("deleted"):
        return None
    try:
        row = entry_of(told.get("network", ""))
        deleted = [name.strip() for name in told["deleted"].split(",")]
        healed = told.get("healed", "")
        return cut_entry(row, deleted, short_name(path), path, healed if re.fullmatch(r"[0-9]{1,6}", healed) else "")
    except InputError as error:
        raise InputError(f"{path} says of itself what cannot be: {error}") from error


def named_in(path: Path) -> list[Entry]:
    """The row that a file of this project's says it is of, if it says so."""
    name = metadata(path).get("network", "")
    return [entry_of(name)] if name in NETWORKS or TRAINABLE.fullmatch(name) else []


def metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself; nothing, for other files."""
    if path.suffix != ".safetensors":
        return {}
    with safe_open(path, "pt") as file:
        return file.metadata() or {}
