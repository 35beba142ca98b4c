"""How the predictions of a class look: a histogram of numbers, a bar for each option of a choice, and what they say."""

from collections.abc import Sequence

import numpy as np

from .palette import Palette, short_number, styled
from .plot import Plot

__all__ = ["choice_bars", "number_histogram", "numbers_sentence"]

MOST_BINS = 12


def number_histogram(values: Sequence[float], unit: str, right: float | None, palette: Palette) -> Plot:
    """How many predicted about as much; a line at what is ``right``, once that may be seen."""
    counts, edges = np.histogram(values, min(MOST_BINS, max(1, len(set(values)))))
    plot = Plot()
    plot.add(
        "bar",
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=np.diff(edges) * 0.95,
        name="predictions",
        marker={"color": palette.stages[3]},
        customdata=np.stack([edges[:-1], edges[1:]], axis=1).tolist(),
        hovertemplate="%{customdata[0]:.4g} to %{customdata[1]:.4g}: %{y}<extra></extra>",
    )
    if right is not None:
        plot.vertical_line(right, line={"color": palette.ink, "width": 2, "dash": "dash"})
        text = f"right: {right:g} {unit}".strip()
        plot.note(text, right, 1, yref="y domain", xanchor="left", yanchor="top", xshift=4)
    plot.x_axis(f"predicted, {unit}" if unit else "predicted", showgrid=False)
    plot.y_axis("predictions", rangemode="tozero", dtick=max(1, round(int(counts.max()) / 4)))
    return styled(plot, palette, 220)


def choice_bars(counts: Sequence[tuple[str, int]], right: str, palette: Palette) -> Plot:
    """How many chose each option, in their order; the one that is ``right``, once that may be seen ('' before), is marked."""
    options = [f"✓ {option}" if option == right else option for option, _ in counts]
    plot = Plot()
    plot.add(
        "bar",
        orientation="h",
        x=[count for _, count in counts],
        y=options,
        name="predictions",
        text=[str(count) for _, count in counts],
        textposition="outside",
        cliponaxis=False,
        marker={
            "color": [palette.stages[3] if not right or option == right else palette.plain for option, _ in counts]
        },
        hovertemplate="%{y}: %{x}<extra></extra>",
    )
    plot.x_axis("predictions", rangemode="tozero", showticklabels=False, showgrid=False)
    plot.y_axis(autorange="reversed", showgrid=False)
    return styled(plot, palette, 60 + 36 * len(counts), right=30, lines=1.5 * len(counts))


def numbers_sentence(values: Sequence[float], unit: str) -> str:
    """The median of the predictions, and how far they reach."""
    low, median, high = (f"{short_number(each)} {unit}".strip() for each in np.quantile(values, [0, 0.5, 1]))
    return f"Half of the class predicts {median} or less; the predictions reach from {low} to {high}."
