"""The visual language: the same colours for the same things in every figure, light and dark, and one style of axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", sans-serif'


@dataclass(frozen=True)
class Palette:
    """Colours by role. ``stages``: layer1 ... layer4; ``ramp``: the part of the colour map that stands out on the background;
    ``diverging``: from red to blue, the middle as dark or light as the page."""

    stem: str
    stages: tuple[str, str, str, str]
    plain: str
    ink: str
    muted: str
    line: str
    background: str
    panel: str
    colormap: str = "Cividis"
    diverging: tuple[tuple[float, str], ...] | str = "RdBu"
    ramp: tuple[float, float] = (0.05, 0.75)

    def stage(self, block: str) -> str:
        """The colour of a block by its name: 'layer3.2' -> the third stage's."""
        return self.stages[int(block.split(".")[0].removeprefix("layer")) - 1]


LIGHT = Palette(
    "#E08A00",
    ("#7E57C2", "#2E9E6B", "#C2384F", "#2F6FB7"),
    "#9AA3AF",
    "#1F2430",
    "#6B7280",
    "#D9DDE5",
    "#FFFFFF",
    "#F6F7F9",
)
DARK = Palette(
    "#F0A830",
    ("#A98BE0", "#56C793", "#E8697E", "#6BA3E3"),
    "#8A94A3",
    "#ECEFF4",
    "#A0A8B5",
    "#343B49",
    "#14171D",
    "#1C2028",
    diverging=((0, "#FFC9BC"), (0.25, "#B93A54"), (0.5, "#232833"), (0.75, "#2A67B0"), (1, "#B9DCFF")),
    ramp=(0.35, 1.0),
)


def styled(
    figure: go.Figure, palette: Palette, height: int, *, top: int = 8, left: int = 8, right: int = 8, bottom: int = 8
) -> go.Figure:
    """Give a figure the common style: no fills, one font scale, light grid lines, no legend (labels stand on the data)."""
    figure.update_layout(
        height=height,
        margin={"l": left, "r": right, "t": top, "b": bottom},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": palette.ink},
        showlegend=False,
        hoverlabel={"font": {"family": FONT, "size": 13}},
        dragmode=False,
    )
    axis = {
        "gridcolor": palette.line,
        "linecolor": palette.line,
        "zeroline": False,
        "fixedrange": True,
        "tickfont": {"size": 12, "color": palette.muted},
        "title": {"font": {"size": 12, "color": palette.muted}},
        "automargin": True,
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def stage_axis(figure: go.Figure, blocks: Sequence[str]) -> None:
    """An axis of blocks that names the first of each stage."""
    starts = [i for i, block in enumerate(blocks) if block.endswith(".0")]
    figure.update_xaxes(
        tickvals=starts, ticktext=[blocks[i] for i in starts], showgrid=False, range=[-0.7, len(blocks) - 0.3]
    )


def log_axis(values: Sequence[int] | np.ndarray) -> dict[str, Any]:
    """A log axis with about five ticks: at whole decades, or at 1, 2, 5 where there are few; all in one size and written
    out, where Plotly writes 0.5 as a small 5."""
    positive = [float(value) for value in np.ravel(values) if 0 < value < np.inf] or [1.0]
    low, high = np.floor(np.log10(min(positive))), np.ceil(np.log10(max(positive)))
    step = max(1, np.ceil((high - low) / 5))
    steps = (1, 2, 5) if np.log10(max(positive) / min(positive)) < 2 else (1,)
    ticks = [digit * 10.0 ** float(exponent) for exponent in np.arange(low, high + 1, step) for digit in steps]
    return {"type": "log", "tickvals": ticks, "ticktext": [short_number(tick).replace("1.0 × ", "").replace(".0 ×", " ×") for tick in ticks]}


def named_above(figure: go.Figure) -> go.Figure:
    """Name the lines in a row above the figure, where labels on the data would lie on each other."""
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})


def named_line(
    figure: go.Figure, value: float, name: str, colour: str, dash: str, palette: Palette, anchor: str
) -> None:
    """A horizontal line that carries its own name."""
    figure.add_hline(y=value, line={"color": colour, "width": 1, "dash": dash})
    figure.add_annotation(
        x=1.005,
        xref="paper",
        y=value,
        text=name,
        showarrow=False,
        xanchor="left",
        yanchor=anchor,
        font={"size": 12, "color": palette.muted},
    )


def power_of_two(exponent: int) -> str:
    """16 -> '2¹⁶'."""
    return "2" + superscript(exponent)


def superscript(number: int) -> str:
    """-12 -> '⁻¹²'."""
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def short_number(value: float) -> str:
    """Three significant digits, with a power of ten where it is far from 1."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{superscript(int(exponent))}"
