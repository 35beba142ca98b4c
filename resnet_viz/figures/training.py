"""How training histories look: error by epoch, several ways to train, several seeds of each; norms at each block by step."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from .palette import Palette, named_above, named_blocks, short_number, styled, superscript
from .plot import Plot

__all__ = [
    "History",
    "band",
    "difference_sentence",
    "epoch_step",
    "error_by_epoch",
    "log_colours",
    "norms_by_step",
    "norms_sentence",
    "whiskers",
]

History = Mapping[str, Any]


def error_by_epoch(arms: Mapping[str, Sequence[History]], palette: Palette, which: str = "test_error_pct") -> Plot:
    """Error after each epoch on a log axis: the mean over the seeds as a line, from the least to the largest as a band.

    ``arms``: the histories (as checkpoints/ holds them) of each way to train, by its name.
    """
    plot = Plot()
    colours = [palette.ink, *palette.stages]
    symbols = ("circle", "square", "diamond", "cross", "triangle-up")
    for (name, histories), colour, symbol in zip(arms.items(), colours, symbols, strict=False):
        errors = np.array([[epoch[which] for epoch in history["epochs"]] for history in histories])
        epochs = list(range(1, errors.shape[1] + 1))
        if len(errors) > 1:
            plot.add(
                "scatter",
                **band(epochs, errors),
                opacity=0.2,
                fillcolor=colour,
                showlegend=False,
                name=f"{name}, range",
            )
        plot.add(
            "scatter",
            x=epochs,
            y=errors.mean(0),
            name=f"{name} ({len(errors)} seed{'s' if len(errors) > 1 else ''})",
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 7, "symbol": symbol},
            hovertemplate="epoch %{x}: %{y:.2f} %<extra>" + name + "</extra>",
        )
    plot.x_axis("epoch", dtick=epoch_step(arms), showgrid=False)
    plot.y_axis("test error, %, log scale", type="log", tickvals=[5, 7, 10, 20, 50, 100])
    return named_above(styled(plot, palette, 340))


def epoch_step(arms: Mapping[Any, Sequence[History]]) -> int:
    """How many epochs lie between two ticks: each has one in a short training, every fifth in a long one."""
    longest = max(len(history["epochs"]) for histories in arms.values() for history in histories)
    return 1 if longest <= 12 else 5


def difference_sentence(way: str, difference: tuple[float, float, float]) -> str:
    """What a difference in error (points, with its 95 % interval) shows, and what it leaves open. Markdown."""
    points, low, high = difference
    shown = (
        f"no difference could be shown; up to {high:.1f} points more error are compatible with these runs"
        if low < 0 < high
        else "a difference beyond that between seeds"
    )
    return f"**{way}**: {points:+.2f} points (95 % interval {low:+.2f} to {high:+.2f}): {shown}."


def band(epochs: Sequence[int], errors: np.ndarray) -> dict[str, Any]:
    """From the least to the largest of the seeds, as the area of a scatter. ``errors``: (seeds, epochs)."""
    outline = {"x": [*epochs, *epochs[::-1]], "y": [*errors.max(0), *errors.min(0)[::-1]]}
    return outline | {"fill": "toself", "mode": "none", "hoverinfo": "skip"}


def whiskers(values: Sequence[Sequence[float]]) -> dict[str, Any]:
    """From the least to the largest of the seeds, around their mean, as the error bars of a scatter: a row for each point."""
    means = [np.mean(each) for each in values]
    return {
        "array": [max(each) - mean for each, mean in zip(values, means, strict=True)],
        "arrayminus": [mean - min(each) for each, mean in zip(values, means, strict=True)],
        "thickness": 1,
    }


def norms_by_step(
    steps: np.ndarray, norms: np.ndarray, blocks: Sequence[str], places: Sequence[str], palette: Palette
) -> Plot:
    """A norm at each block (from below) at each recorded step (to the right), on a log scale of colours. Where there is no number,
    nothing is drawn; 0 has the colour of the least.

    ``steps``: (steps,); ``norms``: (steps, blocks), not all of them NaN or 0; ``places``: of the blocks in their model.
    """
    logs = np.log10(np.where(norms == 0, norms[norms > 0].min(), norms)).T
    names = [
        escape(block if place in ("", block) else f"{block} ({place})")
        for block, place in zip(blocks, places, strict=True)
    ]
    plot = Plot()
    plot.add(
        "heatmap",
        x=steps,
        z=logs,
        **log_colours(np.nanmin(logs), np.nanmax(logs), palette),
        text=[[f"{name}: {value:.3g}" for value in row] for name, row in zip(names, norms.T, strict=True)],
        hovertemplate="step %{x:,}, %{text}<extra></extra>",
        hoverongaps=False,
    )
    named = named_blocks(blocks)
    plot.x_axis("step", showgrid=False)
    plot.y_axis("block, the first at the bottom", tickvals=named, ticktext=[blocks[i] for i in named], showgrid=False)
    return styled(plot, palette, 380, lines=13)


def norms_sentence(steps: np.ndarray, norms: np.ndarray, quantity: str) -> str:
    """What a norm is at the first block and at the last, when recording began and when it ended. Markdown. As ``norms_by_step``."""
    parts = [
        f"**{short_number(norms[row, 0])} and {short_number(norms[row, -1])}** at step {steps[row]:,}"
        for row in dict.fromkeys((0, len(steps) - 1))
        if np.isfinite(norms[row, [0, -1]]).all()
    ]
    return f"{quantity}, at the first block and at the last: {'; '.join(parts)}." if parts else ""


def log_colours(low: float, high: float, palette: Palette) -> dict[str, Any]:
    """The colours of a heat map of decimal logarithms, and their scale, which names powers of ten, or what they are made of where it
    spans less than two."""
    ticks = np.arange(np.ceil(low), np.floor(high) + 1)
    names = ["10" + superscript(int(tick)) for tick in ticks]
    if len(ticks) < 2:
        ticks = np.unique([low, (low + high) / 2, high])
        names = [short_number(10**tick) for tick in ticks]
    return {
        "zmin": low,
        "zmax": high,
        "colorscale": palette.colormap,
        "colorbar": {
            "title": {"text": "norm", "side": "right", "font": {"size": palette.small, "color": palette.muted}},
            "tickvals": ticks,
            "ticktext": names,
            "tickfont": {"size": palette.small, "color": palette.muted},
            "thickness": 8,
            "outlinewidth": 0,
        },
    }
