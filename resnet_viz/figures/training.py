"""How training histories look: error by epoch, several ways to train, several seeds of each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .palette import Palette, named_above, styled
from .plot import Plot

__all__ = ["History", "band", "difference_sentence", "epoch_step", "error_by_epoch", "whiskers"]

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
