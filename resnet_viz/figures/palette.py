"""The visual language: the same colours for the same things in every figure, light and dark, and one style of axes."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from plotly.colors import get_colorscale, qualitative

from ..networks.network import stage_of, stage_sizes
from .plot import Plot, suffix

__all__ = [
    "DARK",
    "LARGEST",
    "LIGHT",
    "Palette",
    "height_of",
    "level",
    "log_axis",
    "name_level",
    "named_above",
    "named_blocks",
    "named_line",
    "power_of_two",
    "round_step",
    "shape_text",
    "short_number",
    "slim",
    "stage_axis",
    "styled",
]

TALLEST = 290  # pixels: with title and strip a screen of 720 lines is full
LINE = 1.3  # the height of a line, of that of its letters
LARGEST = sys.float_info.max  # numbers of paths may lie beyond
ROOMY = 200  # marks that stand beside each other in their full size
CLOSEST = 0.055  # of an axis of blocks: names of two that are closer would lie on each other
AROUND = 50  # pixels of height for the axis and its title
Scale = tuple[tuple[float, str], ...]
FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", sans-serif'


# Colour by colour, since plotly.js has others under these names.
CIVIDIS, RED_TO_BLUE = (tuple(map(tuple, get_colorscale(name))) for name in ("Cividis", "RdBu"))


@dataclass(frozen=True)
class Palette:
    """Colours by role. ``stages``: layer1 ... layer8, and the same again for more; from layer4 on, neighbours stay apart for
    colour-blind readers, too. ``ramp``: the part of the colour map that stands out on the background; ``diverging``: from red to
    blue, the middle as dark or light as the page. ``projector``: whether figures are read from the last row of a class, and stand
    on one screen with the strip."""

    stem: str
    stages: tuple[str, ...]
    plain: str
    ink: str
    muted: str
    line: str
    background: str
    panel: str
    colormap: Scale = CIVIDIS
    diverging: Scale = RED_TO_BLUE
    ramp: tuple[float, float] = (0.05, 0.75)
    projector: bool = False

    @property
    def text(self) -> int:
        """The size of letters, in pixels."""
        return 17 if self.projector else 13

    @property
    def small(self) -> int:
        """That of smaller ones."""
        return 16 if self.projector else 12

    @property
    def line_break(self) -> str:
        """Between two parts of a label, which stand in one line on a screen that is wide and low."""
        return ", " if self.projector else "<br>"

    def stage(self, block: str) -> str:
        """The colour of a block, or of a stage, by its name: 'layer3.2' -> the third stage's."""
        return self.stages[(int(stage_of(block).removeprefix("layer")) - 1) % len(self.stages)]


LIGHT = Palette(
    "#E08A00",
    ("#7E57C2", "#2E9E6B", "#C2384F", "#2F6FB7", "#805800", "#B52690", "#17500C", "#642864"),
    "#9AA3AF",
    "#1F2430",
    "#6B7280",
    "#D9DDE5",
    "#FFFFFF",
    "#F6F7F9",
)
DARK = Palette(
    "#F0A830",
    ("#A98BE0", "#56C793", "#E8697E", "#6BA3E3", "#DAD48C", "#D85CCB", "#A6F5B4", "#FFC8FA"),
    "#8A94A3",
    "#ECEFF4",
    "#A0A8B5",
    "#343B49",
    "#14171D",
    "#1C2028",
    diverging=((0, "#FFC9BC"), (0.25, "#B93A54"), (0.5, "#232833"), (0.75, "#2A67B0"), (1, "#B9DCFF")),
    ramp=(0.35, 1.0),
)


def styled(plot: Plot, palette: Palette, height: float, *, top: int = 8, right: int = 8, lines: float = 0) -> Plot:
    """Give a figure the common style: no fills, one font scale, light grid lines, no legend (labels stand on the data).

    ``height``, ``top``, ``right``: of the figure and its margins, in pixels, for letters of the usual size. ``lines``: of text above
    one another; they have room on a projector's screen, too, however tall the figure gets.
    """
    larger = palette.small / LIGHT.small
    axis = {
        "gridcolor": palette.line,
        "showline": True,
        "linecolor": palette.line,
        "zeroline": False,
        "fixedrange": True,
        "tickfont": {"size": palette.small, "color": palette.muted},
        "title": {"font": {"size": palette.small, "color": palette.muted}},
        "automargin": True,
    }
    return plot.update(
        height=height_of(palette, height, lines),
        margin={"l": 8, "r": right * larger, "t": top * larger, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": palette.text, "color": palette.ink},
        showlegend=False,
        hoverlabel={"font": {"family": FONT, "size": palette.text}},
        dragmode=False,
        colorway=qualitative.Plotly,  # of what has no colour of its own, as the label of an invisible point
        template={"layout": {"xaxis": axis, "yaxis": axis}},  # what a figure sets for its own axes comes before it
    )


def height_of(palette: Palette, height: float, lines: float = 0) -> int:
    """The height that ``styled`` gives a figure, in pixels."""
    if palette.projector:
        height = max(min(height, TALLEST), LINE * palette.text * lines + AROUND)
    return int(height)


def stage_axis(plot: Plot, blocks: Sequence[str]) -> None:
    """An axis of blocks that names the first of each stage, or of as many as there is room for."""
    named = named_blocks(blocks)
    plot.x_axis(tickvals=named, ticktext=[blocks[i] for i in named], showgrid=False, range=[-0.7, len(blocks) - 0.3])
    plot.x_axis(layer="below traces")  # or its line would strike out the marks at 0


def named_blocks(blocks: Sequence[str]) -> list[int]:
    """The positions of the blocks that an axis names: where stages begin, the longest first where there is no room for all; of one
    stage alone, some of its blocks."""
    starts = [i for i, block in enumerate(blocks) if i == 0 or stage_of(block) != stage_of(blocks[i - 1])]
    if len(starts) == 1:
        starts = list(range(0, len(blocks), round_step(len(blocks) / 8)))
    sizes, named = stage_sizes(blocks), list[int]()
    for start in sorted(starts, key=lambda start: -sizes[stage_of(blocks[start])]):
        if all(abs(start - other) >= CLOSEST * len(blocks) for other in named):
            named.append(start)
    return sorted(named)


def round_step(least: float) -> int:
    """The least of 1, 2, 5, 10, 20 ... that is not below a number."""
    decade = int(10 ** max(0, math.floor(math.log10(least))))
    return next(digit * decade for digit in (1, 2, 5, 10) if digit * decade >= least)


def slim(size: float, count: int) -> float:
    """The size of each of so many marks, or lines, beside each other: smaller where they would hide one another."""
    return round(size * min(1, math.sqrt(ROOMY / count)), 1)


def log_axis(values: Sequence[int] | np.ndarray) -> dict[str, Any]:
    """A log axis with about five ticks: at whole decades, at 1, 2, 5 where there are few, or at every digit within half of one;
    all in one size and written out, where Plotly writes 0.5 as a small 5."""
    positive = [float(value) for value in np.ravel(values) if 0 < value < LARGEST] or [1.0]
    low, high = np.floor(np.log10(min(positive))), np.ceil(np.log10(max(positive)))
    step = max(1, np.ceil((high - low) / 5))
    decades = np.log10(max(positive) / min(positive))
    digits = range(1, 10) if decades < 0.5 else (1, 2, 5) if decades < 2 else (1,)
    ticks = [digit * 10.0 ** float(exponent) for exponent in np.arange(low, high + 1, step) for digit in digits]
    return {
        "type": "log",
        "tickvals": ticks,
        "ticktext": [short_number(tick).replace("1.0 × ", "").replace(".0 ×", " ×") for tick in ticks],
    }


def named_above(plot: Plot) -> Plot:
    """Name the lines in a row above the figure, where labels on the data would lie on each other."""
    return plot.update(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})


def named_line(plot: Plot, value: float, name: str, colour: str, dash: str, palette: Palette, anchor: str) -> None:
    """A horizontal line that carries its own name."""
    plot.horizontal_line(value, line={"color": colour, "width": 1, "dash": dash})
    font = {"size": palette.small, "color": palette.muted}
    plot.note(name, 1.005, value, xref="paper", xanchor="left", yanchor=anchor, font=font)


def level(plot: Plot, panel: int, value: float, colour: str, dash: str) -> None:
    """A line across one panel."""
    across = {"x0": 0, "x1": 1, "xref": f"x{suffix(panel)} domain", "yref": f"y{suffix(panel)}"}
    plot.shape("line", y0=value, y1=value, line={"color": colour, "width": 1, "dash": dash}, **across)


def name_level(plot: Plot, panel: int, value: float, name: str, palette: Palette) -> None:
    """Its name, at the right of the figure."""
    font = {"size": palette.small, "color": palette.muted}
    plot.note(name, 1.005, value, xref="paper", yref=f"y{suffix(panel)}", xanchor="left", font=font)


def shape_text(shape: Sequence[int]) -> str:
    """The stream of an image: (64, 56, 56) -> '64 × 56²', (64, 8, 8, 8) -> '64 × 8³', else each size, as in '197 × 768'."""
    sides = shape[1:]
    if len(sides) > 1 and len(set(sides)) == 1 and sides[0] > 1:
        return f"{shape[0]} × {sides[0]}{superscript(len(sides))}"
    return " × ".join(map(str, shape))


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
