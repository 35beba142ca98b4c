"""The pieces that pages are made of: the title that asks, figures with their provenance, the lesion's controls."""

from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

from ..networks.network import stage_of
from .session import Visit, change_lesion, choices, redo_lesion, undo_lesion
from .strip import network_strip

PAGES = Path(__file__).parents[2] / "pages"


def visit() -> Visit:
    """What this page works on, as the sidebar left it."""
    if "visit" not in st.session_state:
        # Until st.navigation has been called once in the server, Streamlit takes a folder named pages/ for its older kind
        # of app and runs a page by itself: so it is when the first request after the start is a link to a page.
        entry = st.Page(PAGES.parent / "app.py", default=True)
        st.navigation([entry, *(st.Page(path) for path in PAGES.glob("*.py"))], position="hidden")
        st.rerun()
    return st.session_state["visit"]


def question(title: str, what_to_do: str, formula: str, paper: str) -> None:
    """The page's title is its question; below it what to do, the formula and the paper."""
    st.title(title, anchor=False)
    st.markdown(f"{what_to_do} &ensp;${formula}$ &ensp;· {paper}")


def show(figure: go.Figure, key: str, alt: str) -> None:
    """A figure in the page's own style, with a text for those who cannot see it."""
    st.plotly_chart(figure, theme=None, key=key, config={"displayModeBar": False}, alt=alt)


def chip(*facts: str) -> None:
    """Where the numbers above come from: measured, precomputed or schematic; on what; with which interval; in what time."""
    st.markdown(f":gray-badge[{' · '.join(facts)}]")


def untrained_note(visit: Visit) -> None:
    """Say that the weights are random wherever they are."""
    if not visit.loaded.trained:
        st.warning(
            f"**{visit.loaded.title}: {visit.loaded.weights}.** Its predictions mean nothing; shapes, wiring and gradients are real."
        )


def choosing_strip(visit: Visit, bars: Mapping[str, tuple[float, str]] | None = None, bars_title: str = "") -> str:
    """The strip on a page that looks at one block; returns the chosen block's name, which every page shares."""
    name = visit.loaded.entry.name
    chosen = choices().block
    chosen.setdefault(name, next(iter(visit.loaded.network.blocks)))
    sequences: dict[str, int] = st.session_state.setdefault("block_sequences", {})

    def take() -> None:
        choice = st.session_state[key]["choice"]
        block = [block for block, bit in zip(visit.loaded.network.blocks, choice["mask"], strict=True) if bit == "1"]
        chosen[name], sequences[name] = block[0], choice["sequence"]

    key = f"choosing_strip_{name}"
    network_strip(visit.description, [chosen[name]], sequences.get(name, 0), visit.palette, key=key, mode="select",
                  bars=bars, bars_title=bars_title, on_change=take)  # fmt: skip
    return chosen[name]


def deleting_strip(visit: Visit, bars: Mapping[str, tuple[float, str]] | None, bars_title: str) -> list[str]:
    """The strip on which blocks are deleted, with its buttons; returns the deleted blocks in order."""
    name = visit.loaded.entry.name
    blocks = list(visit.loaded.network.blocks)
    lesion = choices().lesion(name)

    def take() -> None:
        choice = st.session_state[key]["choice"]
        change_lesion(
            name, [block for block, bit in zip(blocks, choice["mask"], strict=True) if bit == "1"], choice["sequence"]
        )

    key = f"deleting_strip_{name}"
    network_strip(visit.description, lesion.blocks, lesion.sequence, visit.palette, key=key, mode="delete",
                  bars=bars, bars_title=bars_title, on_change=take)  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Undo", icon=":material/undo:", disabled=not lesion.done, on_click=undo_lesion, args=(name,))
        st.button("Redo", icon=":material/redo:", disabled=not lesion.undone, on_click=redo_lesion, args=(name,))
        st.button("Restore all", disabled=not lesion.blocks, on_click=change_lesion, args=(name, []))
        with st.popover("Delete a stage"):
            for stage in visit.loaded.network.stage_sizes():
                st.button(stage, key=f"delete_{stage}", on_click=change_lesion,
                          args=(name, sorted({*lesion.blocks, *(block for block in blocks if stage_of(block) == stage)}, key=blocks.index)))  # fmt: skip
        lesion.gate = st.slider("Gate of the chosen blocks", 0.0, 1.0, lesion.gate, 0.05, help="0 deletes them, 1 leaves them intact.",
                                key=f"gate_{name}", width=330)  # fmt: skip
    return list(lesion.blocks)


def relative_bars(values: Mapping[str, float], unit: str, digits: int = 1) -> dict[str, tuple[float, str]]:
    """Values by block as bars of the strip: a share of the largest, and the value in words."""
    top = max([*values.values(), 0.0]) or 1.0
    return {name: (max(0.0, value) / top, f"{value:.{digits}f} {unit}") for name, value in values.items()}
