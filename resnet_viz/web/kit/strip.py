"""The network strip: stem, blocks by stage, head, to look at and to press. The browser draws it (strip.js)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import streamlit as st

from ...figures.palette import Palette, shape_text
from ...networks.description import Description
from ..session import if_shown

HERE = Path(__file__).parent
STRIP = st.components.v2.component(
    "resnet_viz_strip",
    html="""<div class="strip"><svg role="group"></svg>
      <div class="words"><p class="bars"></p><p class="told" aria-live="off"></p></div></div>""",
    css=(HERE / "strip.css").read_text(),
    js=(HERE / "strip.js").read_text(),
)


def network_strip(
    description: Description,
    chosen: Sequence[str],
    sequence: int,
    palette: Palette,
    *,
    key: str,
    mode: Literal["delete", "select"],
    bars: Mapping[str, tuple[float, str]] | None = None,
    bars_title: str = "",
    deleted: Sequence[str] = (),
    gate: float = 0.0,
    on_change: Callable[[], None],
) -> None:
    """Draw the strip; a click, Enter or Space on a block puts it into ``chosen`` or takes it out, with Shift a run of blocks.

    ``mode``: 'delete' (any number of blocks, drawn hollow and struck out) or 'select' (one block, drawn outlined; blocks in
    ``deleted`` are drawn as deleted ones); with a ``gate`` above 0 they are drawn as scaled, not as deleted. ``bars``: for
    each block a share 0 ... 1, or -1 ... 1, of the longest bar, and what it says; a block without one has no bar. The
    browser sends the whole set with a sequence number as ``st.session_state[key]["choice"]`` = {"mask": "0100...",
    "sequence": 7}; an echo older than what the visitor has clicked since is ignored there. Which stages are folded is
    known to the browser alone.
    """
    bars = bars or {}
    stages = {block.stage: block.out_shape for block in description.blocks}
    positions = {stage: position for position, stage in enumerate(stages)}

    def mask(names: Sequence[str]) -> str:
        marked = set(names)
        return "".join("1" if block.name in marked else "0" for block in description.blocks)

    STRIP(
        key=key,
        data={
            "mode": mode,
            "mask": mask(chosen),
            "deleted": mask(deleted),
            "gate": gate,
            "sequence": sequence,
            "bars_title": bars_title,
            "colours": {
                "stem": palette.stem,
                "ink": palette.ink,
                "muted": palette.muted,
                "line": palette.line,
                "background": palette.background,
            },
            "stages": [
                {"name": stage, "colour": palette.stage(stage), "shape": shape_text(shape)}
                for stage, shape in stages.items()
            ],
            "blocks": [
                {
                    "name": block.name,
                    "origin": block.origin,
                    "stage": positions[block.stage],
                    "shortcut": block.shortcut,
                    "bar": bars[block.name][0] if block.name in bars else None,
                    "says": bars[block.name][1] if block.name in bars else "",
                }
                for block in description.blocks
            ],
        },
        on_choice_change=if_shown(key, on_change),
    )
