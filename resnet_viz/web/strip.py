"""The network strip: the blocks of a network in one line, to look at and to click. One SVG, built once."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import streamlit as st

from ..figures.palette import Palette
from ..networks.description import Description

HERE = Path(__file__).parent
STRIP = st.components.v2.component(
    "resnet_viz_strip", css=(HERE / "strip.css").read_text(), js=(HERE / "strip.js").read_text()
)


def network_strip(
    description: Description,
    chosen: Sequence[str],
    sequence: int,
    palette: Palette,
    *,
    key: str,
    mode: str,
    bars: Mapping[str, tuple[float, str]] | None = None,
    bars_title: str = "",
    on_change: Callable[[], None],
) -> None:
    """Draw the strip; a click, Enter or Space on a block puts it into ``chosen`` or takes it out.

    ``mode``: 'delete' (any number of blocks, drawn struck out) or 'select' (one block, drawn outlined). ``bars``: for each
    block a share 0 ... 1 and what it says. The browser sends the whole set with a sequence number as
    ``st.session_state[key]["choice"]`` = {"mask": "0100...", "sequence": 7}; an echo older than what the visitor has
    clicked since is ignored there.
    """
    bars = bars or {}
    STRIP(
        key=key,
        data={
            "mode": mode,
            "mask": "".join("1" if block.name in chosen else "0" for block in description.blocks),
            "sequence": sequence,
            "plain": description.blocks[0].shortcut == "none",
            "bars_title": bars_title,
            "colours": {"stem": palette.stem, "ink": palette.ink, "muted": palette.muted, "line": palette.line,
                        "background": palette.background},
            "stages": [
                {"name": stage, "colour": palette.stage(stage), "shape": f"{shape[0]} × {shape[1]}²"}
                for stage, shape in {block.stage: block.out_shape for block in description.blocks}.items()
            ],
            "blocks": [
                {"name": block.name, "stage": block.stage, "shortcut": block.shortcut,
                 "bar": bars.get(block.name, (0.0, ""))[0], "says": bars.get(block.name, (0.0, ""))[1]}
                for block in description.blocks
            ],
        },
        on_choice_change=on_change,
    )  # fmt: skip
