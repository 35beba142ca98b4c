"""A view as a link: page, network, image, lesion and settings in a query short enough for a QR code, and back.

A query holds only what differs from the defaults. One that this session did not write itself (an opened link, Back,
Forward) is applied; one that it wrote is left alone.
"""

import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

import streamlit as st

from ..networks.zoo import DEFAULT_NETWORK, block_names
from . import cached
from .session import BUNDLED, ITSELF, LARGEST_SEED, NOTHING, TWIN, Choices, change_lesion, choices

READABLE = 24  # characters of ranges that a person may want to read
LATE = 1.0  # seconds
LONGEST_QUERY = 2000  # characters of an incoming query; a longer one is none of this app's
PARAMETERS = ("network", "seed", "beside", "image", "block", "deleted", "gate")
Value = TypeVar("Value")
Query = dict[str, str]


def blocks_code(positions: Collection[int]) -> str:
    """Positions of blocks as ranges, '0-2.5', or where there are many of them as a hexadecimal mask, 'x27'."""
    ranges: list[list[int]] = []
    for position in sorted(positions):
        if ranges and ranges[-1][1] == position - 1:
            ranges[-1][1] = position
        else:
            ranges.append([position, position])
    as_ranges = ".".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges)
    as_mask = f"x{sum(1 << position for position in positions):x}"
    return as_ranges if len(as_ranges) <= max(READABLE, len(as_mask)) else as_mask


def blocks_of_code(code: str, count: int) -> list[int]:
    """The positions that a code stands for, in order. Raises ValueError for a damaged one, or one with other blocks."""
    if re.fullmatch(r"x[0-9a-f]+", code):
        mask = int(code[1:], 16)
        positions = [position for position in range(mask.bit_length()) if mask >> position & 1]
    else:
        pairs = [[whole_number(end, count - 1) for end in part.split("-")] for part in code.split(".")]
        positions = sorted({position for pair in pairs for position in range(pair[0], pair[-1] + 1)})
    if not positions or positions[-1] >= count:
        raise ValueError(code)
    return positions


def whole_number(text: str, largest: int) -> int:
    """A number from 0 to ``largest``; ValueError for any other text."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) > largest:
        raise ValueError(text)
    return int(text)


def one_of(table: Mapping[str, Value]) -> Callable[[str], Value]:
    """A row of a table by its name; ValueError for any other text."""

    def parse(text: str) -> Value:
        if text not in table:
            raise ValueError(text)
        return table[text]

    return parse


def query_of(page: str, chosen: Choices) -> Query:
    """The query that restores on this page what is chosen. A visitor's own images are not in it."""
    default = Choices()
    blocks, lesion = block_names(cached.networks()[chosen.network]), chosen.lesion(chosen.network)
    block = chosen.block.get(chosen.network, blocks[0])
    parts = {
        "network": chosen.network if chosen.network != default.network else "",
        "seed": "" if chosen.untrained is None else str(chosen.untrained),
        "beside": chosen.beside.replace(", ", "-") if chosen.beside != default.beside else "",
        "image": str(chosen.position) if chosen.position != default.position else "",
        "block": str(blocks.index(block)) if block != blocks[0] else "",
        "deleted": blocks_code([blocks.index(name) for name in lesion.blocks]) if lesion.blocks else "",
        "gate": f"{lesion.gate:g}" if lesion.gate else "",
    }
    return {name: text for name, text in parts.items() if text} | chosen.settings.get(page, {})


def apply(query: Query, page: str, chosen: Choices) -> list[str]:
    """Choose what a query says, and the defaults where it says nothing. Returns a sentence for what was not understood."""
    if sum(len(name) + len(text) for name, text in query.items()) > LONGEST_QUERY:
        return ["it is too long to be one of this app's; nothing of it was used"]
    faults: list[str] = []

    def read(name: str, parse: Callable[[str], Value], default: Value, expected: str) -> Value:
        try:
            return parse(query[name]) if name in query else default
        except ValueError:
            faults.append(f"{name} = {query[name][:40]!r} was not used; expected {expected}")
            return default

    def gate(text: str) -> float:
        if not re.fullmatch(r"[01]|0?\.\d{1,4}", text, re.ASCII):
            raise ValueError(text)
        return float(text)

    networks = cached.networks()
    comparisons = {name.replace(", ", "-"): name for name in (ITSELF, NOTHING, *networks)}
    entry = read("network", one_of(networks), networks[DEFAULT_NETWORK], "the name of a network in the list")
    chosen.beside = read("beside", one_of(comparisons), TWIN, "a network, itself-untrained or nothing")
    blocks, images = block_names(entry), len(cached.images(entry))
    last = len(blocks) - 1
    chosen.network, chosen.source = entry.name, BUNDLED
    chosen.untrained = read("seed", lambda text: whole_number(text, LARGEST_SEED), None, f"0 to {LARGEST_SEED}")
    position = min(Choices().position, images - 1)
    chosen.position = read("image", lambda text: whole_number(text, images - 1), position, f"0 to {images - 1}")
    chosen.block[entry.name] = blocks[read("block", lambda text: whole_number(text, last), 0, f"0 to {last}")]
    chosen.sequence += 1
    none: list[int] = []
    positions = read(
        "deleted", lambda text: blocks_of_code(text, len(blocks)), none, f"positions from 0 to {last}: 0-2.5"
    )
    if (deleted := [blocks[position] for position in positions]) != chosen.lesion(entry.name).blocks:
        change_lesion(entry.name, deleted)
    chosen.lesion(entry.name).gate = read("gate", gate, 0.0, "0 to 1")
    chosen.settings[page] = {name: text for name, text in query.items() if name not in PARAMETERS}
    chosen.unread = set(chosen.settings[page])
    return faults


@dataclass(frozen=True)
class Written:
    """The query that this session wrote last, on which page and when, and the one in the address bar before it."""

    page: str
    query: Query
    before: Query
    at: float


def receive(page: str) -> list[str]:
    """Apply the address bar's query if this session did not write it: an opened link, Back or Forward."""
    query, written = st.query_params.to_dict(), st.session_state.get("written_query")
    if written is None:
        return take(query, page)
    if written.page != page:  # a page that is reached without a query: everything chosen stays
        return take(query, page) if query else []
    # The query comes with what the visitor does, as the browser had it then. Of two quick clicks, the second may still
    # bring the query from before the first one.
    has_acted = query_of(page, choices()) != written.query
    is_late = query == written.before and time.monotonic() - written.at < LATE
    return [] if query == written.query or has_acted or is_late else take(query, page)


def forget() -> None:
    """Let the next query be applied whatever it is: also an empty one, which stands for the defaults."""
    st.session_state.pop("written_query", None)


def take(query: Query, page: str) -> list[str]:
    """Apply a query and remember it as this session's own."""
    st.session_state["written_query"] = Written(page, query, query, time.monotonic())
    return apply(query, page, choices())


def send(page: str) -> None:
    """Write the query of what is chosen: in one call, and only when it is another, since each call adds to the history."""
    query, shown = query_of(page, choices()), st.query_params.to_dict()
    written = st.session_state.get("written_query")
    if query != shown:
        st.query_params.from_dict(query)
    if written is None or (written.page, written.query) != (page, query):
        st.session_state["written_query"] = Written(page, query, shown, time.monotonic())
