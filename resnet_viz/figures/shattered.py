"""How gradients on the input look along a line between two images: their likeness by place and by depth, and as pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..experiments.shattered import POINTS, Shattering
from .image_attribution import framed
from .palette import Palette, named_above, styled
from .pictures import flat
from .plot import Plot, grid

__all__ = ["SHOWN", "ByDepth", "Line", "cosine_by_depth", "cosines_along", "gradient_pictures"]

SHOWN = 5  # gradients as pictures, neighbours in the middle of the line


@dataclass(frozen=True)
class Line:
    """What was found along the line in one network."""

    title: str
    found: Shattering
    plain: bool = False
    trained: bool = False


@dataclass(frozen=True)
class ByDepth:
    """The mean cosines of one kind of network, one or several for each number of layers."""

    title: str
    cosines: Mapping[int, Sequence[float]]
    plain: bool = False
    batch_norm: bool = True
    trained: bool = False


def cosines_along(lines: Sequence[Line], palette: Palette) -> Plot:
    """The cosine of each pair of neighbours along the line; those of trained networks dotted."""
    plot = Plot()
    for line in lines:
        cosines = line.found.cosines
        plot.add(
            "scatter",
            x=np.arange(len(cosines)) / (POINTS - 1),
            y=cosines,
            name=line.title,
            mode="lines",
            line={
                "color": palette.plain if line.plain else palette.ink,
                "width": 1.5,
                "dash": "dot" if line.trained else "solid",
            },
            hovertemplate="%{y:.2f}<extra>" + line.title + "</extra>",
        )
    plot.x_axis("from the first image to the second", tickvals=[0, 0.5, 1], showgrid=False)
    plot.y_axis("cosine of neighbouring gradients", range=[-0.35, 1.05], tickvals=[0, 0.5, 1])
    return named_above(styled(plot, palette, 300, top=40))


def gradient_pictures(lines: Sequence[Line], palette: Palette) -> Plot:
    """Neighbouring gradients in the middle of the line, a row for each network, each picture on a scale of its own."""
    start = (POINTS - SHOWN) // 2
    titles = [f"point {start + number + 1}" for number in range(SHOWN)]
    names = [line.title.split("-", 1)[-1].replace(" (untrained)", "<br>untrained") for line in lines]
    plot = grid(len(lines), SHOWN, horizontal_gap=0.015, vertical_gap=0.05, titles=titles, row_titles=names)
    for row, line in enumerate(lines):
        for column in range(SHOWN):
            picture = flat(line.found.gradients[start + column].sum(0, keepdims=True))[0]
            top = float(np.abs(picture).max()) or 1.0
            plot.add(
                "heatmap",
                row * SHOWN + column + 1,
                z=picture,
                zmin=-top,
                zmax=top,
                colorscale=palette.diverging,
                showscale=False,
                name=line.title,
                hovertemplate="%{z:.3g}<extra></extra>",
            )
    framed(plot, len(lines), palette, picture.shape)
    plot.layout["margin"]["r"] = 40  # for titles of two lines
    return plot


def cosine_by_depth(lines: Sequence[ByDepth], palette: Palette) -> Plot:
    """The mean cosine by depth: a line for each kind of network, the values of several seeds as marks."""
    plot = Plot()
    for line in lines:
        colour, bare = palette.plain if line.plain else palette.ink, not line.batch_norm
        means = [float(np.mean(values)) for values in line.cosines.values()]
        marks = [(depth, value) for depth, values in line.cosines.items() for value in values]
        symbol = ("x" if bare else "square" if line.plain else "circle") + ("-open" if line.trained else "")
        dash = "dot" if bare else "dash" if line.trained else "solid"
        plot.add(
            "scatter",
            x=list(line.cosines),
            y=means,
            name=line.title,
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": dash},
            hoverinfo="skip",
            showlegend=True,
        )
        plot.add(
            "scatter",
            showlegend=False,
            x=[depth for depth, _ in marks],
            y=[value for _, value in marks],
            name=line.title,
            mode="markers",
            marker={"symbol": symbol, "size": 8, "color": colour, "line": {"width": 1.5, "color": colour}},
            hovertemplate="%{x} layers: %{y:.2f}<extra>" + line.title + "</extra>",
        )
    depths = sorted({depth for line in lines for depth in line.cosines})
    plot.x_axis("layers", tickvals=depths, showgrid=False)
    plot.y_axis("mean cosine of neighbouring gradients", range=[-0.1, 1.05], tickvals=[0, 0.5, 1])
    return named_above(styled(plot, palette, 340, top=40))
