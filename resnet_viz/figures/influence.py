"""How what the blocks change looks: influence against harm, and the sizes of their responses."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..experiments.influence import Harm
from .gradients import Series, add_line
from .importance import correlation_text
from .palette import Palette, log_axis, named_above, slim, stage_axis, styled
from .plot import Plot, grid

__all__ = [
    "change_sentence",
    "correlation_sentence",
    "cosine_sentence",
    "descent_by_block",
    "harm_by_influence",
    "responses",
    "responses_by_depth",
]

NAMED = 3  # blocks of the most harm, if they do any, that carry their names; not in a plain network, where all do about the same
DASHES = ("dot", "dash", "solid")  # the shallowest network first


def harm_by_influence(rows: Sequence[tuple[str, Harm, bool]], palette: Palette) -> Plot:
    """The rise in error without a block over its influence, on a log axis, a panel for each network. ``rows``: title, values,
    whether plain."""
    plot = grid(len(rows), vertical_gap=0.16)
    for panel, (title, harm, plain) in enumerate(rows, start=1):
        rises = harm.rise.mean
        worst = [] if plain else np.argsort(-rises, kind="stable")[:NAMED].tolist()
        named = [number for number in worst if rises[number] > 0]
        plot.add(
            "scatter",
            panel,
            x=harm.influence.mean,
            y=rises,
            name=title,
            mode="markers+text",
            text=[block if number in named else "" for number, block in enumerate(harm.blocks)],
            textposition="middle left",
            textfont={"size": palette.small, "color": palette.muted},
            cliponaxis=False,
            customdata=list(harm.blocks),
            marker={
                "symbol": "square" if plain else "circle",
                "size": slim(9, len(harm.blocks)),
                "color": [palette.plain if plain else palette.stage(block) for block in harm.blocks],
            },
            hovertemplate="%{customdata}: influence %{x:.3f}, %{y:+.1f} points<extra>" + title + "</extra>",
        )
        plot.x_axis(f"{title}: influence, 1 − cosine", panel, layer="below traces", **log_axis(harm.influence.mean))
        plot.y_axis("rise in error,<br>points", panel, rangemode="tozero", nticks=5)
    return styled(plot, palette, 260 * len(rows), lines=8 * len(rows))


def responses(lines: Sequence[Series], palette: Palette) -> Plot:
    """The standard deviation of each block's response: by block, and below it the same values sorted by size."""
    plot = grid(2, vertical_gap=0.2)
    for line in lines:
        order = np.argsort(-line.values, kind="stable")
        ranked = replace(line, blocks=tuple(line.blocks[place] for place in order), values=line.values[order])
        add_line(plot, line, palette, 1)
        add_line(plot, ranked, palette, 2)
    stage_axis(plot, lines[0].blocks)
    plot.x_axis("sorted, the largest first", 2, tickvals=[], range=[-0.7, len(lines[0].blocks) - 0.3])
    plot.y_axis("standard deviation", rangemode="tozero", nticks=5)
    return styled(plot, palette, 440, lines=14)


def responses_by_depth(found: Mapping[str, Mapping[int, np.ndarray]], palette: Palette) -> Plot:
    """The same of networks of several depths, by block and sorted: kind ('residual', 'plain') -> layers -> a value a block."""
    depths = sorted({depth for by_depth in found.values() for depth in by_depth})
    plot = grid(2, vertical_gap=0.2)
    for kind, by_depth in found.items():
        for depth, values in by_depth.items():
            title = f"{kind}, {depth} layers"
            for panel, shown in enumerate((values, np.sort(values)[::-1]), start=1):
                plot.add(
                    "scatter",
                    panel,
                    x=np.arange(1, len(values) + 1),
                    y=shown,
                    name=title,
                    mode="lines",
                    showlegend=panel == 1,
                    line={
                        "color": palette.plain if kind == "plain" else palette.ink,
                        "width": 1.8,
                        "dash": DASHES[depths.index(depth)],
                    },
                    hovertemplate="%{x}: %{y:.3g}<extra>" + title + "</extra>",
                )
    plot.x_axis("block", 1, showgrid=False)
    plot.x_axis("block, sorted, the largest first", 2, showgrid=False)
    plot.y_axis("standard deviation", rangemode="tozero", nticks=5)
    return named_above(styled(plot, palette, 480, top=60, lines=17))


def descent_by_block(lines: Sequence[Series], palette: Palette) -> Plot:
    """The cosine of each branch with the negative gradient, above 0 where it lowers the loss."""
    plot = Plot()
    for line in lines:
        add_line(plot, line, palette)
    stage_axis(plot, lines[0].blocks)
    plot.y_axis("cosine with −∂L/∂x", zeroline=True, zerolinecolor=palette.muted, rangemode="tozero")
    return styled(plot, palette, 300)


def cosine_sentence(mean: float, margin: float) -> str:
    """'+0.111 ± 0.011', without the half of the interval where it is NaN; 'undefined' where the mean is."""
    if np.isnan(mean):
        return "undefined, since each of these blocks changes the stream's shape"
    return f"{mean:+.3f}" + ("" if np.isnan(margin) else f" ± {margin:.3f}")


def change_sentence(lines: Mapping[str, Series], block: str) -> str:
    """'cosine 0.970 ± 0.002, ...' of one block: what is measured -> its values, with the half of their intervals."""
    told = []
    for what, line in lines.items():
        place = line.blocks.index(block)
        margin = "" if line.margin is None or np.isnan(line.margin[place]) else f" ± {line.margin[place]:.3f}"
        told.append(f"{what} {line.values[place]:.3f}{margin}")
    return ", ".join(told)


def correlation_sentence(harm: Harm) -> str:
    """'0.52 (95 % over 27 blocks: 0.10 to 0.81)'; 'undefined' where all blocks do the same harm."""
    low, high = harm.interval
    interval = (
        f" (95 % over {len(harm.blocks)} blocks: {low:.2f} to {high:.2f})" if np.isfinite([low, high]).all() else ""
    )
    return f"{correlation_text(harm.correlation)}{interval}"
