"""How deletions look: one image before and after, error over a set, every block in turn, class by class."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ..experiments.deletion import Lesion, Sweep, wilson_interval
from .palette import Palette, stage_axis, styled


def prediction_change(classes: Sequence[str], before: np.ndarray, after: np.ndarray, palette: Palette) -> go.Figure:
    """The five likeliest classes after the lesion on one axis: hollow intact, filled with the lesion. (classes,) each."""
    order = np.argsort(-np.maximum(after, before * 0.999), kind="stable")[:5][::-1]
    names = [classes[i] for i in order]
    figure = go.Figure()
    for name, i in zip(names, order, strict=True):
        figure.add_scatter(
            x=[0, 1], y=[name, name], mode="lines", line={"color": palette.line, "width": 1}, hoverinfo="skip"
        )
        change_line(figure, name, before[i], after[i], palette)
    hover = "%{y}: %{x:.3f}<extra>"
    figure.add_scatter(
        x=before[order],
        y=names,
        mode="markers",
        hovertemplate=hover + "intact</extra>",
        marker={"size": 12, "color": palette.background, "line": {"color": palette.ink, "width": 1.5}},
    )
    figure.add_scatter(
        x=after[order],
        y=names,
        mode="markers",
        hovertemplate=hover + "with the lesion</extra>",
        marker={"size": 11, "color": palette.ink},
    )
    for name, i in zip(names, order, strict=True):
        figure.add_annotation(x=1.04, y=name, text=f"{after[i]:.2f}", showarrow=False, xanchor="left")
    figure.update_xaxes(range=[-0.03, 1.18], tickvals=[0, 0.5, 1], title_text="probability", showgrid=False)
    figure.update_yaxes(showgrid=False)
    styled(figure, palette, 230)
    return figure.update_yaxes(tickfont={"size": 13, "color": palette.ink})


def change_line(figure: go.Figure, name: str, before: float, after: float, palette: Palette) -> None:
    """Join the dots of one class, before and after."""
    figure.add_scatter(
        x=[before, after], y=[name, name], mode="lines", line={"color": palette.ink, "width": 1.5}, hoverinfo="skip"
    )


def error_bars(rows: Sequence[tuple[str, Lesion, bool]], palette: Palette) -> go.Figure:
    """Error over the set, pale before and full after, with Wilson intervals. ``rows``: title, lesion, whether plain."""
    figure = go.Figure()
    for title, lesion, plain in reversed(rows):
        colour = palette.plain if plain else palette.ink
        for predictions, name, opacity in ((lesion.after, "after", 1.0), (lesion.before, "intact", 0.45)):
            wrong = int(np.sum(predictions != lesion.labels))
            error, (low, high) = 100 * wrong / lesion.images, wilson_interval(wrong, lesion.images)
            figure.add_bar(
                x=[error], y=[[title], [name]], orientation="h", width=0.68, marker={"color": colour, "opacity": opacity},
                error_x={"type": "data", "symmetric": False, "array": [high - error], "arrayminus": [error - low],
                         "color": palette.muted, "thickness": 1.2, "width": 3},
                hovertemplate=f"{title}, {name}: {error:.1f} % (95 % interval {low:.1f} to {high:.1f})<extra></extra>",
            )  # fmt: skip
            figure.add_annotation(x=high + 1.5, y=[title, name], text=f"{error:.1f} %", showarrow=False, xanchor="left")
    figure.update_xaxes(range=[0, 112], tickvals=[0, 25, 50, 75, 100], title_text="error, %")
    figure.update_yaxes(showgrid=False, showdividers=False)
    return styled(figure.update_layout(barmode="overlay"), palette, 60 + 62 * len(rows))


def sweep_errors(sweep: Sweep, plain: Sweep | None, chance_pct: float, palette: Palette) -> go.Figure:
    """Error (or, without labels, changed predictions) when each block in turn is deleted; the plain twin in grey squares."""
    labelled = sweep.labels is not None
    figure = go.Figure()

    def values(of: Sweep) -> list[float]:
        return [lesion.error_pct_after if labelled else lesion.changed_pct for lesion in of.lesions]  # type: ignore[misc]

    positions = list(range(len(sweep.blocks)))
    if plain is not None and len(plain.blocks) == len(sweep.blocks):
        figure.add_scatter(
            x=positions, y=values(plain), mode="lines+markers", line={"color": palette.plain, "width": 1.2},
            marker={"symbol": "square", "size": 6, "color": palette.plain}, text=plain.blocks,
            hovertemplate="%{text} deleted: %{y:.1f} %<extra>plain network</extra>",
        )  # fmt: skip
    error_bars = None
    if labelled:
        wrong = (sweep.predictions != sweep.labels).sum(1)
        intervals = [wilson_interval(int(count), len(sweep.intact)) for count in wrong]
        error_bars = {
            "type": "data", "symmetric": False, "color": palette.muted, "thickness": 1, "width": 0,
            "array": [high - value for (_, high), value in zip(intervals, values(sweep), strict=True)],
            "arrayminus": [value - low for (low, _), value in zip(intervals, values(sweep), strict=True)],
        }  # fmt: skip
    figure.add_scatter(
        x=positions, y=values(sweep), mode="markers", error_y=error_bars, text=sweep.blocks,
        marker={"size": 9, "color": [palette.stage(block) for block in sweep.blocks]},
        hovertemplate="%{text} deleted: %{y:.1f} %<extra></extra>",
    )  # fmt: skip
    if labelled:
        named_line(figure, sweep.error_pct or 0.0, f"intact {sweep.error_pct:.1f} %", palette.ink, "solid", palette)
        named_line(figure, chance_pct, f"chance {chance_pct:.0f} %", palette.muted, "dot", palette)
    stage_axis(figure, sweep.blocks)
    figure.update_yaxes(
        range=[-3, 104], tickvals=[0, 25, 50, 75, 100], title_text="error, %" if labelled else "changed predictions, %"
    )
    return styled(figure, palette, 300, right=90)


def named_line(figure: go.Figure, value: float, name: str, colour: str, dash: str, palette: Palette) -> None:
    """A horizontal line that carries its own name."""
    figure.add_hline(y=value, line={"color": colour, "width": 1, "dash": dash})
    figure.add_annotation(
        x=1.005,
        xref="paper",
        y=value,
        text=name,
        showarrow=False,
        xanchor="left",
        font={"size": 12, "color": palette.muted},
    )


def class_errors(classes: Sequence[str], lesion: Lesion, palette: Palette) -> go.Figure:
    """Error of each class, hollow intact and filled with the lesion, the most harmed on top."""
    before, after = lesion.error_pct_by_class(len(classes))
    order = np.argsort(after - before, kind="stable")
    names = [classes[i] for i in order]
    figure = go.Figure()
    for name, i in zip(names, order, strict=True):
        change_line(figure, name, before[i], after[i], palette)
    for values, fill, who in ((before, palette.background, "intact"), (after, palette.ink, "with the lesion")):
        figure.add_scatter(
            x=values[order],
            y=names,
            mode="markers",
            hovertemplate="%{y}: %{x:.0f} %<extra>" + who + "</extra>",
            marker={"size": 11, "color": fill, "line": {"color": palette.ink, "width": 1.5}},
        )
    figure.update_xaxes(range=[-3, 103], tickvals=[0, 25, 50, 75, 100], title_text="error, %")
    return styled(figure, palette, 60 + 26 * len(names))
