"""How deletions look: one image before and after, error over a set, every block in turn, class by class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..experiments.deletion import Lesion, Sweep, known, wilson_interval
from .palette import Palette, named_line, slim, stage_axis, styled
from .plot import Plot

__all__ = [
    "MOST_CLASSES",
    "class_errors",
    "error_bars",
    "intact_and_chance",
    "prediction_change",
    "rise_sentence",
    "seen_sentence",
    "set_sentence",
    "sweep_caption",
    "sweep_errors",
    "sweep_sentence",
    "wilson_bars",
]

MOST_CLASSES = 20  # that a figure has room for


def prediction_change(classes: Sequence[str], before: np.ndarray, after: np.ndarray, palette: Palette) -> Plot:
    """The five likeliest classes after the lesion on one axis: hollow intact, filled with the lesion. (classes,) each."""
    order = np.argsort(-np.maximum(after, before * 0.999), kind="stable")[:5][::-1]
    names = [classes[i] for i in order]
    plot = Plot()
    for name, i in zip(names, order, strict=True):
        plot.add(
            "scatter",
            x=[0, 1],
            y=[name, name],
            mode="lines",
            line={"color": palette.line, "width": 1},
            hoverinfo="skip",
        )
        change_line(plot, name, before[i], after[i], palette)
    hover = "%{y}: %{x:.3f}<extra>"
    plot.add(
        "scatter",
        x=before[order],
        y=names,
        name="intact",
        mode="markers",
        hovertemplate=hover + "intact</extra>",
        marker={"size": 12, "color": palette.background, "line": {"color": palette.ink, "width": 1.5}},
    )
    plot.add(
        "scatter",
        x=after[order],
        y=names,
        name="with the lesion",
        mode="markers",
        hovertemplate=hover + "with the lesion</extra>",
        marker={"size": 11, "color": palette.ink},
    )
    for name, i in zip(names, order, strict=True):
        plot.note(f"{after[i]:.2f}", 1, name, xref="paper", xanchor="left")
    plot.x_axis("probability", range=[-0.03, 1.05], tickvals=[0, 0.5, 1], showgrid=False)
    plot.y_axis(showgrid=False, tickfont={"size": palette.text, "color": palette.ink})
    return styled(plot, palette, 230, right=40)


def change_line(plot: Plot, name: str, before: float, after: float, palette: Palette) -> None:
    """Join the dots of one class, before and after."""
    plot.add(
        "scatter",
        x=[before, after],
        y=[name, name],
        mode="lines",
        line={"color": palette.ink, "width": 1.5},
        hoverinfo="skip",
    )


def error_bars(rows: Sequence[tuple[str, Lesion, bool]], palette: Palette) -> Plot:
    """Error over the set, pale before and full after, with Wilson intervals. ``rows``: title, lesion, whether plain.

    Where no prediction of any row has changed, only what is intact is drawn."""
    plot = Plot()
    gated = any(not np.array_equal(lesion.before, lesion.after) for _, lesion, _ in rows)
    for title, lesion, plain in reversed(rows):
        colour = palette.plain if plain else palette.ink
        shown = [(lesion.after, "after", 1.0), (lesion.before, "intact", 0.45)]
        for predictions, name, opacity in shown if gated else shown[1:]:
            wrong = int(np.sum(predictions != lesion.labels))
            error, (low, high) = 100 * wrong / lesion.images, wilson_interval(wrong, lesion.images)
            plot.add(
                "bar",
                x=[error],
                y=[[title], [name]],
                name=f"{title}, {name}",
                orientation="h",
                width=0.68,
                marker={"color": colour, "opacity": opacity},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [high - error],
                    "arrayminus": [error - low],
                    "color": palette.muted,
                    "thickness": 1.2,
                    "width": 3,
                },
                hovertemplate=f"{title}, {name}: {error:.1f} % (95 % interval {low:.1f} to {high:.1f})<extra></extra>",
            )
            plot.note(f"{error:.1f} %", high + 1.5, [title, name], xanchor="left")
    plot.x_axis("error, %", range=[0, 125], tickvals=[0, 25, 50, 75, 100])
    plot.y_axis(showgrid=False, showdividers=False)
    return styled(plot.update(barmode="overlay"), palette, 60 + (62 if gated else 31) * len(rows))


def sweep_errors(rows: Sequence[tuple[str, Sweep, bool]], chance_pct: float, palette: Palette) -> Plot:
    """Error (or, without labels, changed predictions) when each block in turn is deleted.

    ``rows``: title, sweep, whether plain; the first is the network looked at, whose intact error is named; a second one
    beside it is drawn in grey squares if it is plain, else in hollow circles.
    """
    sweep = rows[0][1]
    labelled = sweep.labels is not None
    plot = Plot()
    for number, (title, swept, plain) in reversed(list(enumerate(rows))):
        percents = [known(lesion.error_pct_after) if labelled else lesion.changed_pct for lesion in swept.lesions]
        colours = [palette.plain if plain else palette.stage(block) for block in swept.blocks]
        whiskers: dict[str, Any] = {"error_y": wilson_bars(swept, palette)} if labelled else {}
        plot.add(
            "scatter",
            x=list(range(len(swept.blocks))),
            y=percents,
            name=title,
            text=swept.blocks,
            mode="lines+markers" if plain else "markers",
            **whiskers,
            line={"color": palette.plain, "width": 1.2},
            marker={
                "symbol": "square" if plain else "circle",
                "size": slim(6 if plain else 9, len(swept.blocks)),
                "color": palette.background if number and not plain else colours,
                "line": {"color": colours, "width": slim(1.5, len(swept.blocks))},
            },
            hovertemplate="%{text} deleted: %{y:.1f} %<extra>" + title + "</extra>",
        )
    if labelled:
        intact_and_chance(plot, known(sweep.error_pct), chance_pct, palette)
    stage_axis(plot, sweep.blocks)
    quantity = "error, %" if labelled else "changed predictions, %"
    plot.y_axis(quantity, range=[-3, 104], tickvals=[0, 25, 50, 75, 100])
    return styled(plot, palette, 300, right=90)


def intact_and_chance(plot: Plot, intact_pct: float, chance_pct: float, palette: Palette) -> None:
    """The two errors that others are seen against, as lines with their names."""
    anchors = ["middle", "middle"]
    if (
        abs(intact_pct - chance_pct) < 7
    ):  # an untrained network is at chance: then the name of the lower line hangs below it
        anchors = ["top", "bottom"] if intact_pct <= chance_pct else ["bottom", "top"]
    named_line(plot, intact_pct, f"intact {intact_pct:.1f} %", palette.ink, "solid", palette, anchors[0])
    named_line(plot, chance_pct, f"chance {chance_pct:.0f} %", palette.muted, "dot", palette, anchors[1])


def sweep_caption(rows: Sequence[tuple[str, Sweep, bool]]) -> str:
    """What the marks of ``sweep_errors`` mean."""
    marks = [
        f"{'■ grey' if plain else '○' if number else '● in stage colours'}: {title}"
        for number, (title, _, plain) in enumerate(rows)
    ]
    return "; ".join(marks) + (". Whiskers: 95 % intervals." if rows[0][1].labels is not None else ".")


def wilson_bars(sweep: Sweep, palette: Palette) -> dict[str, Any]:
    """Error bars of a labelled sweep."""
    wrong, images = (sweep.predictions != sweep.labels).sum(1), len(sweep.intact)
    intervals = [(100 * count / images, *wilson_interval(int(count), images)) for count in wrong]
    return {
        "type": "data",
        "symmetric": False,
        "color": palette.muted,
        "thickness": slim(1, len(intervals)),
        "width": 0,
        "array": [high - error for error, _, high in intervals],
        "arrayminus": [error - low for error, low, _ in intervals],
    }


def class_errors(classes: Sequence[str], lesion: Lesion, palette: Palette) -> Plot:
    """Error of the classes that the images show, hollow intact and filled with the lesion, the most harmed on top; of more than
    MOST_CLASSES, those."""
    shown, before, after = lesion.error_pct_by_class()
    order = np.argsort(after - before, kind="stable")[-MOST_CLASSES:]
    names = [classes[shown[i]] for i in order]
    plot = Plot()
    for name, i in zip(names, order, strict=True):
        change_line(plot, name, before[i], after[i], palette)
    for values, fill, who in ((before, palette.background, "intact"), (after, palette.ink, "with the lesion")):
        plot.add(
            "scatter",
            x=values[order],
            y=names,
            name=who,
            mode="markers",
            hovertemplate="%{y}: %{x:.0f} %<extra>" + who + "</extra>",
            marker={"size": 11, "color": fill, "line": {"color": palette.ink, "width": 1.5}},
        )
    plot.x_axis("error, %", range=[-3, 103], tickvals=[0, 25, 50, 75, 100])
    return styled(plot, palette, 60 + 26 * len(names), lines=len(names))


def seen_sentence(classes: Sequence[str], before: np.ndarray, after: np.ndarray) -> str:
    """'Pullover → Coat (probability 0.61)', 'still Pullover (probability 0.98 → 0.61)', or 'Pullover (probability 0.98)' where
    nothing has changed; class probabilities (classes,) each."""
    was, becomes = int(before.argmax()), int(after.argmax())
    if was != becomes:
        return f"{classes[was]} → {classes[becomes]} (probability {after[becomes]:.2f})"
    if np.array_equal(before, after):
        return f"{classes[was]} (probability {after[was]:.2f})"
    return f"still {classes[was]} (probability {before[was]:.2f} → {after[was]:.2f})"


def rise_sentence(lesion: Lesion) -> str:
    """'+2.8 points, 95 % interval +1.4 to +4.2, paired by image.'"""
    low, high = lesion.rise_interval()
    return f"{lesion.rise:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, paired by image."


def sweep_sentence(sweep: Sweep) -> str:
    """Mean, median and the three worst of a sweep, or which few raise the error at all; without labels, how many predictions
    change."""
    if sweep.labels is None:
        return f"{np.mean([lesion.changed_pct for lesion in sweep.lesions]):.0f} % of predictions change on average; these images have no labels."
    worst = [f"{name} ({error:.1f} %)" for name, error in sweep.worst()]
    few = "the error rises only without " if worst else "no deletion raises the error"
    told = "the three worst, by error: " if len(worst) == 3 else few
    return (
        f"{sweep.rises.mean():+.1f} points on average, median {np.median(sweep.rises):+.1f}; {told}{', '.join(worst)}."
    )


def set_sentence(lesion: Lesion) -> str:
    """'1,000 images: 8.5 % → 11.3 % error', or that the network is intact where nothing has changed."""
    before, after = known(lesion.error_pct_before), known(lesion.error_pct_after)
    if np.array_equal(lesion.before, lesion.after):
        return f"{lesion.images:,} images: {before:.1f} % error"
    return f"{lesion.images:,} images: {before:.1f} % → {after:.1f} % error"
