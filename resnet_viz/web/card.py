"""A figure as a page shows it: with what it says, where its numbers come from, its files, and the Python that recomputes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any

import streamlit as st

from ..citation import CITE
from ..figures.plot import Plot
from ..networks.images import ImageSet
from ..networks.zoo import LoadedNetwork
from .drawing import Drawing, drawn
from .session import Visit

FILES = st.components.v2.component(
    "resnet_viz_files",
    html="<div class='files'></div>",
    css=(files(__package__) / "card.css").read_text(),
    js=(files(__package__) / "card.js").read_text(),
)


@dataclass(frozen=True)
class Card:
    """A figure of this page with all that belongs to it, as the export of the page needs it. Texts are Markdown.

    ``figure``: as JSON; ``pictures``: in place of a figure, data URIs with what each shows; ``origin``: what it was made from, where that is neither
    the visit's network nor its image.
    """

    key: str
    title: str
    formula: str
    says: str
    figure: str | None
    caption: str
    facts: tuple[str, ...]
    provenance: tuple[str, ...]
    python: str
    pictures: tuple[tuple[str, str], ...] = ()
    origin: str = ""


def card(
    visit: Visit,
    key: str,
    figure: partial[Plot],
    *facts: str,
    alt: str,
    title: str = "",
    formula: str = "",
    says: str = "",
    caption: str = "",
    python: str = "",
    of: Sequence[LoadedNetwork] = (),
    images: ImageSet | None = None,
    origin: str = "",
    on_select: Callable[[], None] | None = None,
) -> None:
    """Show the figure that ``figure`` draws (it is drawn once for all visitors): its title (an answer), the formula that its numbers follow, what it says, the caption that says what to see, and below it a chip.

    ``facts``: 'measured', 'precomputed' or 'schematic', on what, with which interval, in what time. ``alt``: the figure
    for those who cannot see it. ``formula``: LaTeX. ``of``, ``images``: the networks and images it was made from, where these are not the
    visit's own network and image; ``origin``: what it was made from, where that is neither. ``on_select``: called when a point is clicked. ``python``: the lines that make
    ``figure`` from what ``Visit.python`` loads. The files (SVG, PNG, CSV) are made in the visitor's browser.
    """
    if title:
        st.header(title, anchor=False)
    if formula:
        st.markdown(f"${formula}$")
    if says:
        st.markdown(says)
    text = drawn(figure)
    selection: dict[str, Any] = {"on_select": on_select, "selection_mode": "points"} if on_select else {}
    st.plotly_chart(
        Drawing(text), theme=None, key=key, config={"displayModeBar": False}, alt=alt.replace("**", ""), **selection
    )
    if caption:
        st.caption(caption)
    shown = Card(
        key,
        title,
        formula,
        says,
        text,
        caption,
        facts,
        provenance(visit, facts, of or [visit.loaded], images or visit.image, origin),
        visit.python(python) if python else "",
        origin=origin,
    )
    cards: list[Card] = st.session_state["cards"]
    cards[:] = [*(each for each in cards if each.key != key), shown]  # a part of the page may be drawn again by itself
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if facts:
            chip(*facts)
        FILES(
            key=f"{key}_files",
            data={"figure": key, "name": key if origin else f"{visit.loaded.entry.name}-{key}", "title": title, "provenance": shown.provenance,
                  "background": visit.palette.background, "ink": visit.palette.muted},
            width=158,
        )  # fmt: skip
        if python:
            with st.popover("Python", type="tertiary", help="The lines that recompute this figure with the library"):
                st.code(shown.python, language="python")


def show(figure: partial[Plot]) -> None:
    """A figure alone, under no fixed key: a part of what is to come."""
    st.plotly_chart(Drawing(drawn(figure)), theme=None, config={"displayModeBar": False})


def chip(*facts: str) -> None:
    """Where the numbers above come from: measured, precomputed or schematic; on what; with which interval; in what time."""
    st.markdown(f":gray-badge[{' · '.join(facts)}]", width="content")


def provenance(
    visit: Visit, facts: tuple[str, ...], networks: Sequence[LoadedNetwork], images: ImageSet, origin: str
) -> tuple[str, ...]:
    """What every exported file says of itself, in lines."""
    if origin:
        return origin, " · ".join(facts), f"{visit.link} · {CITE}"
    seen = images.names[0] if len(images) == 1 else images.title
    return (
        *(
            f"{each.entry.name}, {each.weights}" + (f", weights {each.digest[:12]}" if each.trained else "")
            for each in networks
        ),
        f"images: {seen} · {' · '.join(facts)}".replace("**", ""),
        f"{visit.link} · {CITE}",
    )
