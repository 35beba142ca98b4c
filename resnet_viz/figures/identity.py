"""How learning the identity looks: the error by step at one depth, and by depth at the end."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..experiments.identity import ARMS, Arm, Attempt, best
from .palette import Palette, log_axis, named_above, short_number, styled
from .plot import Plot
from .training import whiskers

__all__ = ["depth_sentence", "error_by_blocks", "error_by_step", "identity_sentence"]

FLOOR = 1e-7  # an error of exactly 0 is drawn here
SYMBOLS = {"plain": "square", "basic": "circle", "preactivation-basic": "diamond"}
DASHES = {None: "solid", 1.0: "solid", 0.1: "dash", 0.0: "dot"}


def error_by_step(attempts: Sequence[Attempt], blocks: int, palette: Palette) -> Plot:
    """The relative error after each step, stacks of one number of blocks, each at its best learning rate; the mean of the
    seeds on a log axis, as long as all of them have gone on. An error of exactly 0 is drawn at 1e-7."""
    plot = Plot()
    for (arm, its_blocks), tried in best(attempts).items():
        if its_blocks == blocks:
            together = min(len(each.errors) for each in tried)
            errors = np.mean([each.errors[:together] for each in tried], 0)
            rate = tried[0].learning_rate
            plot.add(
                "scatter",
                x=tried[0].steps[:together],
                y=np.maximum(errors, FLOOR),
                name=arm.title,
                mode="lines",
                **look(arm, palette),
                hovertemplate="step %{x}: %{y:.2g}<extra>" + f"{arm.title}, learning rate {rate:g}</extra>",
            )
    plot.x_axis("training steps", showgrid=False, rangemode="tozero")
    return log_errors(plot, palette)


def error_by_blocks(attempts: Sequence[Attempt], palette: Palette) -> Plot:
    """The relative error at the end over the number of blocks, each stack at its best learning rate; the mean of the seeds,
    whiskers from the least to the largest."""
    plot = Plot()
    found = best(attempts)
    depths = sorted({blocks for _, blocks in found})
    for arm in ARMS:
        tried = {
            blocks: [each.errors[-1] for each in its] for (its_arm, blocks), its in found.items() if its_arm == arm
        }
        if tried:
            means = np.array([np.mean(last) for last in tried.values()])
            plot.add(
                "scatter",
                x=[depths.index(blocks) for blocks in tried],
                y=np.maximum(means, FLOOR),
                name=arm.title,
                mode="lines+markers",
                error_y=whiskers(list(tried.values())),
                hovertemplate="%{x} blocks: %{y:.2g}<extra>" + arm.title + "</extra>",
                **look(arm, palette),
            )
    plot.x_axis("blocks", tickvals=list(range(len(depths))), ticktext=depths, showgrid=False)
    return log_errors(plot, palette)


def depth_sentence(attempts: Sequence[Attempt]) -> str:
    """'From 1 to 50 blocks the error grows: plain, 0.28 → 0.68; residual, scale 0.1: ...', of those given and asked about."""
    found = best(attempts)
    first, last = min(blocks for _, blocks in found), max(blocks for _, blocks in found)
    parts = []
    for arm in (arm for arm in (Arm("plain"), Arm("basic", 1.0), Arm("basic", 0.1)) if (arm, last) in found):
        ends = [float(np.mean([each.errors[-1] for each in found[arm, blocks]])) for blocks in (first, last)]
        parts.append(f"{arm.title}, {short_number(ends[0])} → {short_number(ends[1])}")
    return f"From {first} to {last} blocks the error grows: {'; '.join(parts)}"


def identity_sentence(attempts: Sequence[Attempt], blocks: int) -> str:
    """What the stacks of one depth came to, by name."""
    parts = []
    for (arm, its_blocks), tried in best(attempts).items():
        if its_blocks == blocks:
            start = (
                " from the start, and so is its gradient"
                if not tried[0].errors[0] and not tried[0].gradient_norm
                else ""
            )
            parts.append(f"{arm.title}: {short_number(float(np.mean([each.errors[-1] for each in tried])))}{start}")
    return f"Error at the end: {'; '.join(parts)}."


def look(arm: Arm, palette: Palette) -> dict[str, Any]:
    """Colour by kind, dashes by scale."""
    colour = {"plain": palette.plain, "basic": palette.ink, "preactivation-basic": palette.stem}[arm.kind]
    return {
        "line": {"color": colour, "width": 2, "dash": DASHES[arm.scale]},
        "marker": {"symbol": SYMBOLS[arm.kind], "size": 8, "color": colour},
    }


def log_errors(plot: Plot, palette: Palette) -> Plot:
    values = [value for line in plot.data for value in line["y"]]
    plot.y_axis("relative error, log scale", **log_axis(values))
    return named_above(styled(plot, palette, 400, lines=14))
