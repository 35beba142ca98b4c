"""How the importance of blocks looks: four measures over one axis of blocks, their rank correlations, and calibration."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..experiments.attribution import Importance, interval_of, rank_correlation_interval, rank_correlations
from ..experiments.calibration import Reliability
from .palette import Palette, slim, stage_axis, styled
from .plot import Plot, grid

__all__ = [
    "agreement_title",
    "calibration_sentence",
    "correlation_matrix",
    "correlation_text",
    "importance_by_block",
    "importance_sentences",
    "reliability_diagram",
]


def importance_by_block(
    blocks: Sequence[str],
    measures: Mapping[str, Importance],
    palette: Palette,
    beside: Mapping[str, Importance] | None = None,
) -> Plot:
    """A panel for each measure (title -> values), bars with their standard errors in the stage colours; those of a network
    ``beside`` come last, in grey."""
    beside = beside or {}
    measures = {**measures, **beside}
    rows, columns = (2, -(-len(measures) // 2)) if palette.projector else (len(measures), 1)
    plot = grid(
        rows, columns, vertical_gap=0.25 if palette.projector else 0.06, horizontal_gap=0.1, shared=columns == 1
    )
    for panel, (title, measure) in enumerate(measures.items(), start=1):
        plot.add(
            "bar",
            panel,
            x=list(range(len(blocks))),
            y=measure.mean,
            name=title,
            text=list(blocks),
            textposition="none",
            width=0.75,
            marker={"color": palette.plain if title in beside else [palette.stage(block) for block in blocks]},
            error_y={
                "type": "data",
                "array": measure.standard_error,
                "arrayminus": measure.standard_error,
                "symmetric": False,
                "color": palette.muted,
                "thickness": slim(1, len(blocks)),
                "width": 0,
            },
            hovertemplate="%{text}: %{y:.3f} ± %{error_y.array:.3f}<extra>" + title + "</extra>",
        )
        plot.y_axis(title.replace(", ", ",<br>"), panel, nticks=4)
    plot.y_axis(zeroline=True, zerolinecolor=palette.line)
    stage_axis(plot, blocks)
    return styled(plot, palette, 120 * rows + 30, lines=5.6 * rows)


def correlation_matrix(titles: Sequence[str], measures: Sequence[Importance], palette: Palette) -> Plot:
    """Spearman's rank correlation of each measure with each, as numbers on the middle half of a diverging scale, where
    they can be read."""
    correlations = rank_correlations(list(measures))
    names = [title.split(",")[0] for title in titles]
    plot = Plot()
    plot.add(
        "heatmap",
        z=correlations,
        x=names,
        y=names,
        zmin=-2,
        zmax=2,
        colorscale=palette.diverging,
        reversescale=True,
        showscale=False,
        text=np.round(correlations, 2),
        texttemplate="%{text:.2f}",
        textfont={"size": palette.text + 1, "color": palette.ink},
        hovertemplate="%{y} with %{x}: %{z:.2f}<extra></extra>",
        name="Spearman's rank correlation",
    )
    plot.x_axis(side="top", showgrid=False)
    plot.y_axis(autorange="reversed", showgrid=False)
    return styled(plot, palette, 80 + 46 * len(names), lines=1.7 * len(names))


def importance_sentences(blocks: Sequence[str], measures: Mapping[str, Importance]) -> tuple[str, str]:
    """A title that names the blocks that matter most by the first measure, true deletion, and by the last where these are
    Shapley values; and how far the others agree with the first, with 95 % intervals and what these are drawn over."""
    (first, deletion), *others = measures.items()
    named = [(first, deletion), *((name, measure) for name, measure in others if name.startswith("Shapley"))]
    tops = [
        f"by {name.split(',')[0]}: {', '.join(blocks[i] for i in np.argsort(-measure.mean, kind='stable')[:3])}"
        for name, measure in named
    ]
    agreement = []
    for name, measure in others:
        value = rank_correlations([deletion, measure])[0, 1]
        low, high = rank_correlation_interval(deletion, measure)
        over = interval_of(measure)
        interval = f" (95 % over {over}: {low:.2f} to {high:.2f})" if np.isfinite([low, high]).all() else ""
        agreement.append(f"{name.split(',')[0]} {correlation_text(value)}{interval}")
    return f"Most important {'; '.join(tops)}", f"Rank correlation with {first.split(',')[0]}: {'; '.join(agreement)}."


def correlation_text(value: float) -> str:
    """'0.52'; 'undefined' where one of the two is the same for all blocks."""
    return "undefined" if np.isnan(value) else f"{value:.2f}"


def agreement_title(measures: Sequence[Importance]) -> str:
    """How far measures agree: the least and the largest rank correlation of two of them."""
    pairs = rank_correlations(list(measures))[np.triu_indices(len(measures), 1)]
    known = pairs[~np.isnan(pairs)]
    if not len(known):
        return "Do they agree? No rank correlation is defined, since the measures are the same for all blocks"
    return f"Do they agree? Rank correlations of {known.min():.2f} to {known.max():.2f}"


def reliability_diagram(rows: Sequence[tuple[str, Reliability, bool]], palette: Palette) -> Plot:
    """Accuracy over confidence, a point for each bin, its size by the number of images. ``rows``: name, values, hollow."""
    plot = Plot()
    plot.add(
        "scatter",
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": palette.muted, "width": 3},
        opacity=0.35,
        hoverinfo="skip",
        name="calibrated",
    )
    for name, values, hollow in rows:
        shown = values.images > 0
        plot.add(
            "scatter",
            x=values.confidence[shown],
            y=values.accuracy[shown],
            name=name,
            mode="lines+markers",
            customdata=values.images[shown],
            line={"color": palette.muted if hollow else palette.ink, "width": 1, "dash": "dot" if hollow else "solid"},
            marker={
                "size": 5 + 22 * np.sqrt(values.images[shown] / values.images.sum()),
                "color": palette.background if hollow else palette.ink,
                "line": {"color": palette.ink, "width": 1.5},
                "opacity": 1,
            },
            hovertemplate="confidence %{x:.2f}: right on %{y:.0%} of %{customdata} images<extra>" + name + "</extra>",
        )
    plot.x_axis("confidence (probability of the predicted class)", range=[-0.04, 1.06], tickvals=[0, 0.5, 1])
    plot.y_axis("share that is right", range=[-0.06, 1.08], tickvals=[0, 0.5, 1])
    return styled(plot, palette, 300)


def calibration_sentence(title: str, before: Reliability, after: Reliability) -> str:
    """How confident and how accurate a network is with the lesion, and what that does to its calibration."""
    gap = after.surplus
    says = (
        "overconfident" if gap > 0.02 else "underconfident" if gap < -0.02 else "about as confident as it is accurate"
    )
    return (
        f"With the lesion {title} is {says}: confidence {100 * after.mean_confidence:.1f} %, accuracy {100 * after.mean_accuracy:.1f} %; "
        f"calibration error {before.expected_calibration_error:.3f} → {after.expected_calibration_error:.3f}"
    )
