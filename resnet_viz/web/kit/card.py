"""A figure as a page shows it: with what it says, where its numbers come from, its files, and the Python that recomputes it."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from importlib.resources import files
from typing import Any

import pandas as pd
import streamlit as st

from ...citation import CITE
from ...recipes import recipe_named
from ...recipes.shown import Shown
from ..session import choices, palette, state, visit
from .drawing import Drawing, drawn

FILES = st.components.v2.component(
    "resnet_viz_files",
    html="<div class='files'></div>",
    css=(files(__package__) / "card.css").read_text(),
    js=(files(__package__) / "card.js").read_text(),
)
LOOKED_AT = "looked_at"
HEIGHTS: dict[str, int] = {}  # pixels of each recipe's figure, when it was last drawn for anybody
WIDTH = 84  # pixels of a small picture
SHORT_TEXT = 24  # characters


def draw(
    shown: Shown,
    key: str = "",
    *,
    words: bool = True,
    foot: bool = True,
    preview: bool = False,
    on_select: Callable[[], None] | None = None,
) -> None:
    """Show an answer: its title, the formula that its numbers follow, what it says, the figure, the caption that says what to
    see, and below it a chip with its files and its Python. The files (SVG, PNG, CSV) are made in the visitor's browser.

    ``key``: of the figure on this page; its recipe's name, unless the page asks the recipe twice. ``words``: whether its title
    and what it says are drawn, too; ``foot``: its caption and its chip, which several figures may share. ``preview``: a part of
    what is to come, without files. ``on_select``: called when a point is clicked.
    """
    key = key or shown.recipe.partition(".")[2]
    looked_at = not preview and key == state().looked_at
    with st.container(key=LOOKED_AT) if looked_at else nullcontext():
        draw_parts(shown, key, words, foot, preview, on_select)


def draw_parts(
    shown: Shown, key: str, words: bool, foot: bool, preview: bool, on_select: Callable[[], None] | None
) -> None:
    """All that a card holds, from the title down."""
    if shown.title and words:
        st.header(shown.title, anchor=False)
    if shown.formula and not choices().presenter:
        st.markdown(f"${shown.formula}$")
    if shown.says and words:
        st.markdown(shown.says)
    if shown.draw:
        show_figure(shown, None if preview else key, on_select)
    if shown.rows:
        show_table(pd.DataFrame(shown.rows))
    if shown.pictures:
        with st.container(horizontal=True):
            for each in shown.pictures:
                st.image(each.png, width=WIDTH, caption=each.caption, alt=each.alt)
    if shown.caption and foot:
        st.caption(shown.caption)
    if preview:
        chip(*shown.facts)
        return
    state().cards[key] = shown
    if shown.draw or shown.facts:
        show_foot(shown, key, shown.facts if foot else ())


def show_table(rows: pd.DataFrame) -> None:
    """A table: its numbers as the visitor's language writes them, its short texts in full (a browser measures the first rows
    alone)."""
    columns: dict[Any, Any] = {}
    for name, values in rows.items():
        longest = max(map(len, map(str, [name, *values])))
        if pd.api.types.is_numeric_dtype(values):
            columns[name] = st.column_config.NumberColumn(format="localized")
        elif longest <= SHORT_TEXT:
            columns[name] = st.column_config.TextColumn(width=20 + 7 * longest)
    st.dataframe(rows, hide_index=True, column_config=columns)


def show_figure(shown: Shown, key: str | None, on_select: Callable[[], None] | None) -> None:
    """The figure alone; a preview has no key."""
    assert shown.draw
    selection: dict[str, Any] = {"on_select": on_select, "selection_mode": "points"} if on_select else {}
    text, height = drawn(partial(shown.draw, palette=palette()))
    HEIGHTS[shown.recipe] = height
    alt = (shown.alt or shown.title or "What is known so far").replace("**", "")
    st.plotly_chart(
        Drawing(text), height=height, theme=None, key=key, config={"displayModeBar": False}, alt=alt, **selection
    )


def show_foot(shown: Shown, key: str, facts: Sequence[str]) -> None:
    """Where the numbers come from, the figure's files, and its Python; in the presenter view the formula, too."""
    colours = palette()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if facts:
            chip(*facts)
        if shown.formula and choices().presenter:
            with st.popover("Formula", type="tertiary"):
                st.markdown(f"${shown.formula}$")
        if not shown.draw:
            return
        data = {
            "figure": key,
            "name": f"{shown.of}-{key}" if shown.of else key,
            "title": shown.title,
            "provenance": provenance(shown),
            "background": colours.background,
            "ink": colours.muted,
        }
        FILES(key=f"{key}_files", data=data, width="content")
        if shown.python:
            with st.popover("Python", type="tertiary", help="The lines that recompute this figure with the library"):
                made_by = recipe_named(shown.recipe)
                st.code(f"{shown.python}\n\n\n{made_by.source}" if made_by else shown.python, language="python")


def chip(*facts: str) -> None:
    """Where the numbers above come from: measured, precomputed or schematic; on what; with which interval; in what time."""
    st.markdown(f":gray-badge[{' · '.join(facts)}]", width="content")


def provenance(shown: Shown) -> tuple[str, ...]:
    """What every exported file says of itself, in lines."""
    return *shown.sources, " · ".join(shown.facts).replace("**", ""), f"{visit().link} · {CITE}"
