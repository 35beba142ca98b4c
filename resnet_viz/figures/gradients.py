"""How gradients and streams look along the blocks: lines over one shared axis of blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..experiments.trace import Trace
from .palette import Palette, height_of, log_axis, short_number, slim, stage_axis, styled
from .plot import Plot, grid

__all__ = [
    "Series",
    "add_line",
    "along_blocks",
    "axis_title",
    "block_sentence",
    "conclusion",
    "growth_by_depth",
    "growth_sentence",
    "names_at_markers",
    "span_sentence",
    "stream_statistics",
]

FLAGGED = 100  # a gradient that fades or grows by more than this factor from the last block to the first is named


@dataclass(frozen=True)
class Series:
    """One line: a value for each block. ``plain`` draws grey squares; ``hollow``, for the network beside, empty markers on a
    dotted line; ``crosses``, for one without batch norm, crosses on a dashed line. ``margin``: half of each value's interval,
    for whiskers."""

    name: str
    blocks: tuple[str, ...]
    values: np.ndarray
    plain: bool = False
    hollow: bool = False
    crosses: bool = False
    margin: np.ndarray | None = None


def along_blocks(series: Sequence[Series], quantity: str, palette: Palette, *, height: int = 340) -> Plot:
    """Positive values over the blocks on a log axis, each line named at its end."""
    plot = Plot()
    for line in series:
        add_line(plot, line, palette)
    stage_axis(plot, series[0].blocks)
    end_labels(plot, series, palette, height)
    plot.y_axis(quantity, **log_axis(np.concatenate([line.values for line in series])))
    return styled(plot, palette, height, right=max(112, 8 * max(len(line.name) for line in series)))


def add_line(plot: Plot, line: Series, palette: Palette, panel: int = 1) -> None:
    """Draw one series, its markers in the stage colours (a plain network's in grey squares)."""
    colours = [palette.plain if line.plain else palette.stage(block) for block in line.blocks]
    whiskers = {
        "type": "data",
        "array": line.margin,
        "color": palette.muted,
        "thickness": slim(1, len(line.blocks)),
        "width": 0,
    }
    plot.add(
        "scatter",
        panel,
        **({} if line.margin is None else {"error_y": whiskers}),
        x=list(range(len(line.blocks))),
        y=np.where(np.isfinite(line.values), line.values, np.nan),
        name=line.name,
        mode="lines+markers",
        cliponaxis=False,
        line={
            "color": palette.plain if line.plain else palette.muted,
            "width": 1.2,
            "dash": "dot" if line.hollow else "dash" if line.crosses else "solid",
        },
        marker={
            "symbol": "x" if line.crosses else "square" if line.plain else "circle",
            "size": slim(7, len(line.blocks)),
            "color": palette.background if line.hollow else colours,
            "line": {"color": colours, "width": slim(1.5, len(line.blocks))},
        },
        text=line.blocks,
        hovertemplate="%{text}: %{y:.3g}<extra>" + line.name + "</extra>",
    )


def end_labels(plot: Plot, series: Sequence[Series], palette: Palette, height: int) -> None:
    """Name each line at its right end, pushed apart where they would overlap."""
    usable = [
        (np.log10(line.values[-1]), line) for line in series if np.isfinite(line.values[-1]) and line.values[-1] > 0
    ]
    everything = np.concatenate([line.values for line in series])
    everything = np.log10(everything[np.isfinite(everything) & (everything > 0)])
    if not usable:
        return
    gap = (palette.small + 5) * max(np.ptp(everything), 0.5) / (height_of(palette, height) - 60)
    previous = -np.inf
    for value, line in sorted(usable, key=lambda pair: pair[0]):
        previous = max(value, previous + gap)
        font = {"size": palette.small, "color": palette.muted if line.plain else palette.ink}
        plot.note(line.name, len(line.blocks) - 0.5, previous, xanchor="left", font=font)


def stream_statistics(panels: Sequence[tuple[str, Sequence[Series]]], palette: Palette) -> Plot:
    """Small panels above one another over the same axis of blocks, each with its own linear scale."""
    plot = grid(len(panels), vertical_gap=0.09, shared=True)
    for panel, (title, lines) in enumerate(panels, start=1):
        for line in lines:
            add_line(plot, line, palette, panel)
        plot.y_axis(title, panel, rangemode="tozero", nticks=4)
        if not any(line.values.any() for line in lines):
            plot.y_axis(title, panel, range=[0, 1])
    stage_axis(plot, panels[0][1][0].blocks)
    return styled(plot, palette, 150 * len(panels), lines=sum(max(4.6, len(title) / 2.6) for title, _ in panels))


def span_sentence(line: Series) -> str:
    """'from layer4.2 back to layer1.0 it grows 12-fold', as measured."""
    ratio = line.values[0] / line.values[-1] if line.values[-1] else np.nan
    if not np.isfinite(ratio) or ratio == 0:
        return "overflows or vanishes altogether"
    if 1 / 1.2 < ratio < 1.2:
        return f"stays the same (factor {ratio:.2f})"
    return f"grows {short_number(ratio)}-fold" if ratio > 1 else f"fades {short_number(1 / ratio)}-fold"


def axis_title(what: str, *, relative: bool) -> str:
    """The quantity on the axis, for Trace.gradient_norm."""
    if relative:
        return "relative to the last block"
    return "L2 norm over the parameters" if what == "parameters" else "L2 norm, mean over images"


def block_sentence(trace: Trace, position: int) -> str:
    """The norms of the gradient at one block."""
    return (
        f"Gradient norms at **{trace.blocks[position]}**: stream {trace.stream_gradient_norm[position]:.3g}, branch {trace.branch_gradient_norm[position]:.3g}, "
        f"parameters {trace.parameter_gradient_norm[position]:.3g}; |F(x)| / |x| = {trace.branch_to_stream[position]:.2f}."
    )


def conclusion(lines: Sequence[Series]) -> str:
    """What the curves say together, from the ratio of the norms at the first and the last block of each."""
    names = {line.name: line.values[0] / line.values[-1] if line.values[-1] else 0.0 for line in lines}
    fading = [name for name, ratio in names.items() if ratio < 1 / FLAGGED]
    growing = [name for name, ratio in names.items() if ratio > FLAGGED or not np.isfinite(ratio)]
    sentences = []
    if fading:
        sentences.append(f"It fades more than {FLAGGED}-fold in: {', '.join(fading)}.")
    if growing:
        sentences.append(f"It grows more than {FLAGGED}-fold in: {', '.join(growing)}.")
    how = f"fade or grow more than {FLAGGED}-fold."
    return " ".join(sentences) or (f"In none does it {how}" if len(lines) > 1 else f"It does not {how}")


def growth_by_depth(growth: Mapping[str, Mapping[int, float]], palette: Palette) -> Plot:
    """How many times as large the gradient is at the first block as at the last, by kind ('plain', 'residual') and depth."""
    plot = Plot()
    for kind, by_depth in growth.items():
        colour, symbol, side = (
            (palette.plain, "square", "top") if kind == "plain" else (palette.ink, "circle", "bottom")
        )
        plot.add(
            "scatter",
            x=list(by_depth),
            y=list(by_depth.values()),
            name=kind,
            mode="lines+markers+text",
            textposition=f"{side} center",
            text=[short_number(times) for times in by_depth.values()],
            line={"color": colour, "width": 1.5},
            marker={"symbol": symbol, "size": 9, "color": colour},
            cliponaxis=False,
            hovertemplate="%{x} layers: %{text}-fold<extra>" + kind + "</extra>",
        )
        depth, last = list(by_depth.items())[-1]
        plot.note(kind, depth, np.log10(last), xanchor="left", xshift=34)
    times = np.array([list(by_depth.values()) for by_depth in growth.values()])
    depths = list(next(iter(growth.values())))
    plot.x_axis("layers", tickvals=depths, range=[0, 1.08 * max(depths)], showgrid=False)
    plot.y_axis("first block / last block", **log_axis(times), range=[0, np.log10(times.max()) + 1])
    return styled(plot, palette, 280, right=90)


def growth_sentence(growth: Mapping[str, Mapping[int, float]]) -> str:
    """'From the last block to the first: at 56 layers residual 26.6-fold, plain 3,210-fold; ...'."""
    parts = [
        f"at {depth} layers "
        + ", ".join(f"{kind} {short_number(by_depth[depth])}-fold" for kind, by_depth in growth.items())
        for depth in next(iter(growth.values()))
    ]
    return f"From the last block to the first: {'; '.join(parts)}."


def names_at_markers(lines: Sequence[Series]) -> str:
    """Which network is drawn how."""
    looks = {
        (True, True): "Hollow squares",
        (True, False): "Grey squares",
        (False, True): "Hollow",
        (False, False): "Coloured",
    }
    return " ".join(f"{looks[line.plain, line.hollow]}: {line.name}." for line in lines)
