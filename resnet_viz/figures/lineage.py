"""How networks of several families look beside each other: a line for each, and gates by layer and image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .palette import Palette, log_axis, named_above, slim, stage_axis, styled
from .plot import Plot

__all__ = ["Line", "gates_by_image", "lines"]

MARKS = ("circle", "square", "diamond", "triangle-up")
ROW = 15  # pixels for an image


@dataclass(frozen=True)
class Line:
    """Values ``y`` at places ``x``. ``look``: which colour and mark, 0 to 3; ``dash``: 'solid', 'dash' or 'dot'. ``plain``: of a
    network without shortcuts, in grey squares."""

    name: str
    x: np.ndarray
    y: np.ndarray
    look: int
    dash: str = "solid"
    plain: bool = False


def lines(drawn: Sequence[Line], places: str, quantity: str, palette: Palette, *, log: bool = False) -> Plot:
    """All of them over one axis of ``places``, named above the figure; ``log``: of ``quantity``."""
    plot = Plot()
    for line in drawn:
        colour = palette.plain if line.plain else palette.stages[line.look]
        hollow = line.dash != "solid"
        plot.add(
            "scatter",
            x=line.x,
            y=np.where(np.isfinite(line.y), line.y, np.nan),
            name=line.name,
            mode="lines+markers",
            line={"color": colour, "width": 1.5, "dash": line.dash},
            marker={
                "symbol": "square" if line.plain else MARKS[line.look],
                "size": slim(7, 4 * len(line.x)),
                "color": palette.background if hollow else colour,
                "line": {"color": colour, "width": 1.2},
            },
            hovertemplate="%{x:.3g}: %{y:.3g}<extra>" + line.name + "</extra>",
        )
    plot.x_axis(places, showgrid=False)
    values = np.concatenate([line.y for line in drawn])
    plot.y_axis(quantity, **(log_axis(values[np.isfinite(values)]) if log else {"rangemode": "tozero"}))
    return named_above(styled(plot, palette, 340, top=40))


def gates_by_image(gates: np.ndarray, blocks: Sequence[str], names: Sequence[str], palette: Palette) -> Plot:
    """The mean gate (images, blocks), 0 ... 1, as a picture: a row for each image, a column for each block."""
    plot = Plot()
    plot.add(
        "heatmap",
        z=gates,
        colorscale=palette.colormap,
        colorbar={
            "title": {"text": "gate", "side": "right", "font": {"size": palette.small, "color": palette.muted}},
            "thickness": 8,
            "outlinewidth": 0,
            "tickfont": {"size": palette.small, "color": palette.muted},
        },
        text=[[f"{name}, {block}" for block in blocks] for name in names],
        hovertemplate="%{text}: %{z:.2f}<extra></extra>",
    )
    stage_axis(plot, blocks)
    named = [row for row, name in enumerate(names) if row == 0 or names[row - 1] != name]
    plot.y_axis(tickvals=named, ticktext=[names[row] for row in named], showgrid=False, autorange="reversed")
    return styled(plot, palette, 60 + ROW * len(names), lines=len(named))
