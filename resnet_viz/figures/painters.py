"""How it looks when blocks are reversed, repeated, stood side by side, or reset to initial weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..experiments.deletion import Lesion, Sweep, known
from ..experiments.painters import Reset
from .deletion import intact_and_chance, wilson_bars
from .palette import Palette, level, name_level, named_blocks, slim, stage_axis, styled
from .plot import Plot, grid

__all__ = ["Line", "errors_by_count", "errors_by_stage", "reset_errors", "reset_sentence", "rises_sentence"]

ERROR_AXIS: Mapping[str, Any] = {"range": [-3, 104], "tickvals": [0, 25, 50, 75, 100]}


@dataclass(frozen=True)
class Line:
    """The errors of a network by a count. ``counts``: (m,), from 2, since 1 is the intact network; ``sweep``: m
    lesions; ``hollow``: drawn with hollow marks; ``beside``: whether it is not the network looked at."""

    name: str
    counts: Sequence[int]
    sweep: Sweep
    plain: bool = False
    hollow: bool = False
    beside: bool = False


def errors_by_stage(rows: Sequence[tuple[str, Sweep, bool]], chance_pct: float, palette: Palette) -> Plot:
    """The error with each stage changed, and with all of them. ``rows``: title, a sweep whose lesions are named by
    stages, whether plain; the first is the network looked at."""
    plot = Plot()
    stages = rows[0][1].blocks
    for number, (title, swept, plain) in reversed(list(enumerate(rows))):
        colours = [
            palette.plain if plain else palette.stage(name) if name.startswith("layer") else palette.ink
            for name in swept.blocks
        ]
        plot.add(
            "scatter",
            x=[stages.index(name) + 0.12 * number for name in swept.blocks],  # two at chance stand beside each other
            y=swept.errors,
            name=title,
            text=swept.blocks,
            mode="markers",
            error_y=wilson_bars(swept, palette),
            marker={
                "symbol": "square" if plain else "circle",
                "size": 11,
                "color": palette.background if number and not plain else colours,
                "line": {"color": colours, "width": 1.5},
            },
            hovertemplate="%{text} reversed: %{y:.1f} %<extra>" + title + "</extra>",
        )
    intact_and_chance(plot, known(rows[0][1].error_pct), chance_pct, palette)
    named = named_blocks(stages)
    plot.x_axis(tickvals=named, ticktext=[stages[i] for i in named], showgrid=False, range=[-0.5, len(stages) - 0.5])
    plot.y_axis("error, %", **ERROR_AXIS)
    return styled(plot, palette, 280, right=90)


def errors_by_count(panels: Mapping[str, Sequence[Line]], counted: str, chance_pct: float, palette: Palette) -> Plot:
    """The error over a count, a panel for each place in the network ('layer2' or 'layer2.4'), all on one scale.
    ``counted``: what the count is. The first line of the first panel is the network looked at."""
    gap = min(0.03, 0.3 / len(panels))
    plot = grid(columns=len(panels), horizontal_gap=gap, titles=list(panels), shared=True)
    looked_at = next(iter(panels.values()))[0].sweep
    for panel, (place, lines) in enumerate(panels.items(), start=1):
        for line in reversed(lines):
            colour = palette.plain if line.plain else palette.ink if line.beside else palette.stage(place)
            swept = line.sweep
            from_intact = Sweep(
                ("intact", *swept.blocks),
                swept.intact,
                np.concatenate([swept.intact[None], swept.predictions]),
                swept.labels,
            )
            plot.add(
                "scatter",
                panel,
                x=[1, *line.counts],
                y=from_intact.errors,
                name=line.name,
                text=from_intact.blocks,
                mode="lines+markers",
                error_y=wilson_bars(from_intact, palette),
                line={"color": colour, "width": 1.5, "dash": "dot" if line.hollow else "solid"},
                marker={
                    "symbol": "square" if line.plain else "circle",
                    "size": 8,
                    "color": palette.background if line.hollow else colour,
                    "line": {"color": colour, "width": 1.5},
                },
                hovertemplate="%{text}: %{y:.1f} %<extra>" + line.name + "</extra>",
            )
        ticks = sorted({count for line in lines for count in (1, *line.counts)})
        plot.x_axis(
            "", panel, type="log", tickvals=spaced(ticks), ticktext=list(map(str, spaced(ticks))), showgrid=False
        )
        level(plot, panel, known(looked_at.error_pct), palette.ink, "solid")
        level(plot, panel, chance_pct, palette.muted, "dot")
    name_level(plot, 1, known(looked_at.error_pct), "intact", palette)
    name_level(plot, 1, chance_pct, "chance", palette)
    plot.x_axis(counted, (len(panels) + 1) // 2)
    plot.y_axis(**ERROR_AXIS)
    plot.y_axis("error, %", 1)
    return styled(plot, palette, 300, top=28, right=60)


def spaced(ticks: Sequence[int]) -> list[int]:
    """Those of some counts that can stand side by side on a narrow log axis."""
    shown = [ticks[-1]]
    for tick in reversed(ticks[:-1]):
        if shown[-1] / tick >= 1.45:
            shown.append(tick)
    return shown[::-1]


def reset_errors(rows: Sequence[tuple[str, Reset, bool]], chance_pct: float, palette: Palette) -> Plot:
    """The error with each block reset to the initial weights of seed 0 (filled) and of other seeds (diamonds: the
    mean, with whiskers from the least to the largest), beside that with it deleted (hollow): a panel for each
    network."""
    plot = grid(len(rows), vertical_gap=0.1, shared=True)
    blocks = rows[0][1].deleted.blocks
    for panel, (title, found, plain) in enumerate(rows, start=1):
        colours = [palette.plain if plain else palette.stage(block) for block in blocks]
        errors, mean = found.errors_of_others, found.errors_of_others.mean(0)
        of_seeds = {
            "type": "data",
            "symmetric": False,
            "color": palette.muted,
            "thickness": slim(1, len(blocks)),
            "width": 0,
            "array": errors.max(0) - mean,
            "arrayminus": mean - errors.min(0),
        }
        symbol = "square" if plain else "circle"
        shown = [
            ("deleted", found.deleted.errors, symbol, palette.background, wilson_bars(found.deleted, palette)),
            ("with weights of other seeds", mean, "diamond", colours, of_seeds),
            ("with weights of seed 0", found.own.errors, symbol, colours, wilson_bars(found.own, palette)),
        ]
        for what, values, mark, fill, whiskers in shown:
            plot.add(
                "scatter",
                panel,
                x=list(range(len(blocks))),
                y=values,
                name=f"{title}, {what}",
                text=blocks,
                mode="markers",
                error_y=whiskers,
                marker={
                    "symbol": mark,
                    "size": slim(8, len(blocks)),
                    "color": fill,
                    "line": {"color": colours, "width": slim(1.5, len(blocks))},
                },
                hovertemplate=f"%{{text}} {what}: %{{y:.1f}} %<extra>{title}</extra>",
            )
        plot.y_axis(f"{title},<br>error, %", panel, **ERROR_AXIS)
        intact = known(found.deleted.error_pct)
        level(plot, panel, intact, palette.ink, "solid")
        level(plot, panel, chance_pct, palette.muted, "dot")
        name_level(plot, panel, intact, f"intact {intact:.1f} %", palette)
        name_level(plot, panel, chance_pct, "chance", palette)
    stage_axis(plot, blocks)
    return styled(plot, palette, 60 + 190 * len(rows), right=90, lines=7 * len(rows))


def rises_sentence(lesions: Mapping[str, Lesion]) -> str:
    """'layer1 +60.1 points (95 % +57.0 to +63.0), layer2 ...': the rise in error and its interval, paired by image."""
    told = []
    for name, lesion in lesions.items():
        low, high = lesion.rise_interval()
        told.append(f"{name} {lesion.rise:+.1f} points (95 % {low:+.1f} to {high:+.1f})")
    return ", ".join(told)


def reset_sentence(found: Reset) -> str:
    """What the typical block costs with initial weights and when it is deleted, and which are worst with random
    ones."""
    own, others, deleted = (np.median(rises) for rises in (found.own.rises, found.rises_of_others, found.deleted.rises))
    worst = np.argsort(-found.rises_of_others, kind="stable")[:3]
    named = ", ".join(f"{found.deleted.blocks[i]} ({found.rises_of_others[i]:+.1f})" for i in worst)
    return (
        f"with the initial weights of seed 0 the median block costs {own:+.1f} points, with those of other seeds "
        f"{others:+.1f}, deleted {deleted:+.1f}; the three worst with those of other seeds: {named}"
    )
