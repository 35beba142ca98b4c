"""How gradients on the input look along a line between two images: their likeness by place and by depth, and as pictures."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..experiments.shattered import POINTS, Shattering
from .image_attribution import framed
from .palette import Palette, named_above, styled
from .plot import Plot, grid

__all__ = ["SHOWN", "cosine_by_depth", "cosines_along", "gradient_pictures"]

SHOWN = 5  # gradients as pictures, neighbours in the middle of the line
Lines = Mapping[str, Mapping[int, Sequence[float]]]


def cosines_along(rows: Sequence[tuple[str, Shattering, bool]], palette: Palette) -> Plot:
    """The cosine of each pair of neighbours along the line. ``rows``: title, gradients, whether plain; the trained ones dotted."""
    plot = Plot()
    for title, found, plain in rows:
        colour = palette.plain if plain else palette.ink
        plot.add(
            "scatter",
            x=np.arange(len(found.cosines)) / (POINTS - 1),
            y=found.cosines,
            name=title,
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": "solid" if "untrained" in title else "dot"},
            hovertemplate="%{y:.2f}<extra>" + title + "</extra>",
        )
    plot.x_axis("from the first image to the second", tickvals=[0, 0.5, 1], showgrid=False)
    plot.y_axis("cosine of neighbouring gradients", range=[-0.35, 1.05], tickvals=[0, 0.5, 1])
    return named_above(styled(plot, palette, 300, top=40))


def gradient_pictures(rows: Sequence[tuple[str, Shattering]], palette: Palette) -> Plot:
    """Neighbouring gradients in the middle of the line, a row for each network, each picture on a scale of its own."""
    start = (POINTS - SHOWN) // 2
    titles = [f"point {start + number + 1}" for number in range(SHOWN)]
    names = [name.split("-", 1)[-1].replace(" (untrained)", "<br>untrained") for name, _ in rows]
    plot = grid(len(rows), SHOWN, horizontal_gap=0.015, vertical_gap=0.05, titles=titles, row_titles=names)
    for row, (name, found) in enumerate(rows):
        for column in range(SHOWN):
            picture = found.gradients[start + column].sum(0)
            top = float(np.abs(picture).max()) or 1.0
            plot.add(
                "heatmap",
                row * SHOWN + column + 1,
                z=picture,
                zmin=-top,
                zmax=top,
                colorscale=palette.diverging,
                showscale=False,
                name=name,
                hovertemplate="%{z:.3g}<extra></extra>",
            )
    framed(plot, len(rows), palette)
    plot.layout["margin"]["r"] = 40  # for titles of two lines
    return plot


def cosine_by_depth(lines: Lines, palette: Palette) -> Plot:
    """The mean cosine by depth: a line for each kind of network, the values of several seeds as marks."""
    plot = Plot()
    for name, by_depth in lines.items():
        plain, bare, trained = "plain" in name, "without" in name, not name.startswith("untrained")
        colour = palette.plain if plain else palette.ink
        means = [float(np.mean(values)) for values in by_depth.values()]
        marks = [(depth, value) for depth, values in by_depth.items() for value in values]
        symbol = ("x" if bare else "square" if plain else "circle") + ("-open" if trained and not bare else "")
        dash = "dot" if bare else "dash" if trained else "solid"
        plot.add(
            "scatter",
            x=list(by_depth),
            y=means,
            name=name,
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
            name=name,
            mode="markers",
            marker={"symbol": symbol, "size": 8, "color": colour, "line": {"width": 1.5, "color": colour}},
            hovertemplate="%{x} layers: %{y:.2f}<extra>" + name + "</extra>",
        )
    depths = sorted({depth for by_depth in lines.values() for depth in by_depth})
    plot.x_axis("layers", tickvals=depths, showgrid=False)
    plot.y_axis("mean cosine of neighbouring gradients", range=[-0.1, 1.05], tickvals=[0, 0.5, 1])
    return named_above(styled(plot, palette, 340, top=40))
