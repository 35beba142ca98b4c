"""How shortcuts look beside each other: what comes back along them by block and by depth, and the errors of trained networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..experiments.shortcuts import AlongShortcuts, Kind
from .palette import Palette, log_axis, named_above, short_number, styled, superscript
from .plot import Plot, grid

__all__ = ["Errors", "along_blocks", "by_depth", "errors", "left_text"]

FLOOR = 1e-12  # of a log axis: what lies below is drawn there
BELOW = f"below 10{superscript(-12)}"
DASHES = ("solid", "dash", "dot")
SYMBOLS = ("circle-open", "square-open", "diamond-open", "circle")
ROW = 24  # pixels
FAILS = 105.0  # where a failure stands, in per cent


@dataclass(frozen=True)
class Errors:
    """The training errors of the seeds of one kind of block, %, and what was published of it."""

    kind: Kind
    of_seeds: Sequence[float]


def left_text(share: float) -> str:
    """'0.32', or that it is less than can be drawn."""
    return "0" if share == 0 else short_number(share)


def along_blocks(found: Mapping[str, AlongShortcuts], palette: Palette) -> Plot:
    """Two panels over the blocks: the gradient along the shortcuts alone and the whole, each relative to the last stream's; a line
    for each kind of block, by its title."""
    plot = grid(columns=2, horizontal_gap=0.1, titles=["along the shortcuts alone", "the whole gradient"])
    colours = [palette.ink, *palette.stages]
    for number, (title, each) in enumerate(found.items()):
        for panel, norms in enumerate((each.alone, each.whole), start=1):
            plot.add(
                "scatter",
                panel,
                x=list(range(len(norms))),
                y=np.where(norms < FLOOR, np.nan, norms),
                name=title,
                mode="lines",
                showlegend=panel == 1,
                legendgroup=title,
                line={"color": colours[number % len(colours)], "width": 2, "dash": DASHES[number % len(DASHES)]},
                hovertemplate="block %{x}: %{y:.3g}<extra>" + title + "</extra>",
            )
    norms = np.concatenate([each.alone for each in found.values()])
    plot.x_axis("block, the loss at the right", showgrid=False)
    plot.y_axis("relative to the last stream", 1, **log_axis(norms[norms >= FLOOR]))
    plot.y_axis("", 2, **log_axis(np.concatenate([each.whole for each in found.values()])))
    return named_above_titles(styled(plot, palette, 420, top=110, lines=12))


def by_depth(found: Mapping[str, Mapping[int, AlongShortcuts]], palette: Palette) -> Plot:
    """Two panels, a row for each kind of block: what is left at the first block along the shortcuts alone, and of the whole gradient;
    a mark for each number of layers."""
    plot = grid(columns=2, horizontal_gap=0.06, titles=["along the shortcuts alone", "the whole gradient"], shared=True)
    titles, depths = list(found), sorted({depth for each in found.values() for depth in each})
    for depth, symbol in zip(depths, SYMBOLS, strict=False):
        for panel, name in enumerate(("alone", "whole"), start=1):
            values = np.array([getattr(each[depth], name)[0] for each in found.values()])
            plot.add(
                "scatter",
                panel,
                x=np.maximum(values, FLOOR) if panel == 1 else np.where(values > 0, values, np.nan),
                y=titles,
                mode="markers",
                name=f"{depth} layers",
                showlegend=panel == 1,
                marker={"symbol": symbol, "size": 5 + 4 * depths.index(depth), "color": palette.ink},
                text=[left_text(value) for value in values],
                hovertemplate="%{y}, " + f"{depth} layers" + ": %{text}<extra></extra>",
            )
    ticks = [10.0**exponent for exponent in range(-12, 1, 3)]
    names = [BELOW, *(short_number(tick).replace("1.0 × ", "") for tick in ticks[1:])]
    plot.x_axis("", 1, type="log", tickvals=ticks, ticktext=names, showgrid=True)
    plot.x_axis("", 2, **log_axis(np.array([each.whole[0] for its in found.values() for each in its.values()])))
    plot.y_axis("", 1, autorange="reversed", showgrid=True)
    return named_above_titles(styled(plot, palette, 110 + ROW * len(titles), top=70, lines=len(titles)))


def errors(rows: Sequence[Errors], palette: Palette) -> Plot:
    """Two panels, a row for each kind of block: the training error of each seed and their mean, and what was published."""
    titles = [each.kind.title for each in rows]
    plot = grid(columns=2, horizontal_gap=0.06, titles=["measured here", "published"], shared=True)
    marks = [(title, error) for title, each in zip(titles, rows, strict=True) for error in each.of_seeds]
    means = [float(np.mean(each.of_seeds)) if each.of_seeds else None for each in rows]
    plot.add(
        "scatter",
        x=[error for _, error in marks],
        y=[title for title, _ in marks],
        mode="markers",
        name="a seed",
        marker={"symbol": "circle-open", "size": 9, "color": palette.ink},
        hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
    )
    plot.add(
        "scatter",
        x=means,
        y=titles,
        mode="markers",
        name="their mean",
        marker={"symbol": "line-ns-open", "size": 14, "color": palette.ink, "line": {"width": 2}},
        hovertemplate="%{y}, mean: %{x:.2f} %<extra></extra>",
    )
    published = [each.kind.published for each in rows]
    plot.add(
        "scatter",
        2,
        x=[FAILS if error is None else error for error in published],
        y=titles,
        mode="markers",
        name="He et al. 2016",
        marker={
            "symbol": ["x" if error is None else "diamond" for error in published],
            "size": 9,
            "color": palette.stem,
        },
        text=["fails" if error is None else f"{error:.2f} %" for error in published],
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    ticks = [5, 7, 10, 15, 20, 30, 50]
    plot.x_axis("training error, %, log scale", 1, type="log", tickvals=ticks, range=[np.log10(4.5), np.log10(95)])
    plot.x_axis(
        "test error, %, log scale", 2, type="log", tickvals=[*ticks, FAILS], ticktext=[*map(str, ticks), "fails"]
    )
    plot.y_axis("", 1, autorange="reversed", showgrid=True, categoryorder="array", categoryarray=titles)
    if means[0] is not None:
        plot.vertical_line(means[0], line={"color": palette.muted, "width": 1, "dash": "dot"})
    return named_above_titles(styled(plot, palette, 110 + ROW * len(titles), top=70, lines=len(titles)))


def named_above_titles(plot: Plot) -> Plot:
    """Name the lines above the titles of the panels."""
    named_above(plot).layout["legend"]["y"] = 1.08
    return plot
