"""Files of weights that somebody brings: which network of the table each is, and with which classes and shortcuts."""

import re
from dataclasses import replace
from pathlib import Path

from safetensors import safe_open

from ...errors import InputError
from ..fitting import Misfit, Weights, blocks_in, classes_in, keeping, layers_in, weights_in
from ..weights import WEIGHT_SUFFIXES, is_safetensors, read
from .table import (
    NETWORKS,
    TRAINABLE,
    Entry,
    architecture,
    block_names,
    cut_entry,
    entry_of,
    names_in,
    with_classes,
    with_shortcuts,
)

__all__ = ["local_entries", "read_as"]

FEW = 3  # of what is left out, that are named


def local_entries(place: Path) -> tuple[list[Entry], list[str]]:
    """A row for each file of weights at ``place`` (a file, or a folder of them): the row of the table that it fits, under
    the name 'fashion-resnet56:FILE' (cut as it says of itself, if it does); and a sentence for each file that cannot be
    read or fits no network of the table.

    Raises InputError where there is no such file at all.
    """
    files = sorted(path for path in place.iterdir() if is_of_weights(path)) if place.is_dir() else [place]
    if not files:
        raise InputError(f"{place} holds no file of weights; expected {', '.join(WEIGHT_SUFFIXES)}.")
    entries: dict[str, Entry] = {}
    faults = []
    for path in files:
        try:
            entry = entry_in(path)
        except InputError as error:
            faults.append(str(error))
            continue
        name, others = entry.name, 1
        while entry.name in entries:  # best.pth beside best.ckpt
            others += 1
            entry = replace(entry, name=f"{name}-{others}")
        entries[entry.name] = entry
    return [*entries.values()], faults


def is_of_weights(path: Path) -> bool:
    """Whether a file's name says that it holds weights; hidden files are what systems leave beside others."""
    return path.name.lower().endswith(WEIGHT_SUFFIXES) and not path.name.startswith(".") and path.is_file()


def entry_in(path: Path) -> Entry:
    """The row of a file's own. Raises InputError where it cannot be read or fits no network of the table."""
    content = read(path)
    if told_cut(path):
        return read_as(table_row(path), path, content)[0]
    found = blocks_in(content)
    if not found:
        raise InputError(f"{path} holds no state dict; expected names with tensors.")
    rows = [*named_in(path), *NETWORKS.values()]
    likely = [row for row in rows if {*block_names(row)} in found]
    if not any(found):
        likely = [row for row in rows if (theirs := names_in(row)[1]) and any(map(theirs.issubset, layers_in(content)))]
    fitting: list[tuple[Entry, Weights]] = []
    refusals: list[tuple[Entry, Misfit]] = []
    for row in likely or [row for row in rows if set().union(*found) > {*block_names(row)}]:
        try:
            fitting.append(read_as(row, path, content))
        except Misfit as error:
            refusals.append((row, error))
    if fitting:
        entry, weights = fitting[0]
        for other, others in fitting[1:]:
            if (others.keys, others.prefix) != (weights.keys, weights.prefix):
                raise InputError(
                    f"{path} holds weights of {entry.name} and of {other.name}; keep one: {keeping(weights, path)}."
                )
        return replace(
            entry,
            name=f"{entry.name.removesuffix('-v2')}:{short_name(path)}",
            weights=str(path.resolve()),
            provenance=f"your file {entry.provenance}",
            licence="yours",
            published_error_pct=None,
        )
    told = "its names are of other blocks, or of none"
    if refusals:
        row, misfit = min(refusals, key=lambda each: each[1].entries)
        told = f"the nearest is {row.name}, but for {misfit.differences}"
    raise InputError(f"{path} fits no network of the table: {told}; give weights of a network of the table.")


def read_as(row: Entry, path: Path, content: object) -> tuple[Entry, Weights]:
    """A row of the table as a file's ``content`` has it, and its weights: with the file's number of classes, its
    shortcuts and, if it says so of itself, cut. ``provenance``: the file's name, or what it is cut from, with what is
    not the row's.

    Classes of another number are called 'class 0' ..., or by FILE.classes.txt beside the file, a name a line. Raises
    Misfit for weights of another network, InputError for what cannot be.
    """
    if told_cut(path) and (cut_from := table_row(path)).name != row.of_table:
        raise InputError(f"{path} must be of {row.name}; got one cut from {cut_from.name}: give that network's name.")
    refusals: list[Misfit] = []
    for option, version in zip(("", "A", "B", "C"), with_shortcuts(row), strict=False):
        entry = cut_as_told(version, path) if told_cut(path) else replace(version, provenance=path.name)
        try:
            entry, weights = with_its_classes(entry, path, content)
        except Misfit as error:
            refusals.append(error)
            continue
        told = [entry.provenance, *([f"shortcuts of option {option}"] if option else [])]
        if entry.classes != row.classes:
            told.append(f"{len(entry.classes):,} classes")
        if weights.without:
            told.append(f"without {', '.join(weights.without[:FEW])}{' ...' if len(weights.without) > FEW else ''}")
        return replace(entry, provenance="; ".join(told)), weights
    raise min(refusals, key=lambda error: error.entries)


def with_its_classes(entry: Entry, path: Path, content: object) -> tuple[Entry, Weights]:
    """An entry with as many classes as the weights in a file tell apart, and these weights."""
    network = architecture(entry)
    count = classes_in(content, network) or len(entry.classes)
    classes = entry.classes if count == len(entry.classes) else tuple(f"class {index}" for index in range(count))
    if classes != entry.classes:
        network = architecture(with_classes(entry, classes))
    weights = weights_in(content, network, path)
    if count < 2:
        raise InputError(f"{path} must tell two classes or more apart; got {count}: train it with an output for each.")
    classes = class_names(path, count) or classes
    return entry if classes == entry.classes else with_classes(entry, classes), weights


def class_names(path: Path, count: int) -> tuple[str, ...]:
    """The names in the text file beside a file of weights, none where there is no such file. Raises InputError where it
    names another number of classes."""
    beside = path.with_name(f"{stem(path)}.classes.txt")
    if not beside.is_file():
        return ()
    names = tuple(line.strip() for line in beside.read_text("utf-8-sig", "replace").splitlines() if line.strip())
    if len(names) != count or len({*names}) != count:
        raise InputError(f"{beside} must name {count:,} classes, each on a line and once; got {len({*names}):,}.")
    return names


def stem(path: Path) -> str:
    """A file's name without what says that it holds weights: 'best' of best.pth.tar."""
    suffix = max((each for each in WEIGHT_SUFFIXES if path.name.lower().endswith(each)), key=len, default=path.suffix)
    return path.name.removesuffix(path.name[len(path.name) - len(suffix) :])


def short_name(path: Path) -> str:
    """What a file is called in the list of networks."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", stem(path))[:40]


def told_cut(path: Path) -> bool:
    """Whether a file of this project's says of itself that it holds a cut network."""
    return bool(metadata(path).get("deleted"))


def table_row(path: Path) -> Entry:
    """The row that a file of this project's says it is cut from. Raises InputError where there is no such network."""
    try:
        return entry_of(metadata(path).get("network", ""))
    except InputError as error:
        raise InputError(f"{path} says of itself what cannot be: {error}") from error


def cut_as_told(row: Entry, path: Path) -> Entry:
    """A row without the blocks that a file says it lacks. Raises InputError where these do not exist."""
    told = metadata(path)
    deleted, healed = [name.strip() for name in told["deleted"].split(",")], told.get("healed", "")
    try:
        return cut_entry(row, deleted, short_name(path), path, healed if re.fullmatch(r"[0-9]{1,6}", healed) else "")
    except InputError as error:
        raise InputError(f"{path} says of itself what cannot be: {error}") from error


def named_in(path: Path) -> list[Entry]:
    """The row that a file of this project's says it is of, if it says so."""
    name = metadata(path).get("network", "")
    return [entry_of(name)] if name in NETWORKS or TRAINABLE.fullmatch(name) else []


def metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself; nothing, for other files."""
    if not is_safetensors(path):
        return {}
    with safe_open(path, "pt") as file:
        return file.metadata() or {}
