"""How the predictions of a class look: a dot for each number, a bar for each option of a choice, and what they say."""

from collections.abc import Sequence

import numpy as np

from .palette import Palette, log_axis, short_number, styled
from .plot import Plot

__all__ = ["choice_bars", "number_dots", "numbers_sentence", "with_unit"]

COLUMNS = 48  # beside one another in a figure
DECADES = 2  # from which on the axis is logarithmic
ROW, REST = 16, 76  # pixels of a dot's row, and of what stands around them
FEWEST_ROWS, MOST_ROWS = 4, 16


def number_dots(values: Sequence[float], unit: str, right: float | None, palette: Palette) -> Plot:
    """A dot for each prediction, those of about the same number above one another; a line at what is ``right``, once that may
    be seen. Positive numbers of several orders of magnitude stand on a log axis."""
    known = [*values, *([] if right is None else [right])]
    low, high = min(known), max(known)
    log = low > 0 and high / low >= 10**DECADES
    place = np.log10 if log else np.asarray
    first, last = place([low, high])
    width = (last - first) / COLUMNS
    rows: list[int] = []
    column = -np.inf  # where the column that is being filled began
    for at in place(sorted(values)):
        fits = bool(rows) and at - column <= width
        rows.append(rows[-1] + 1 if fits else 1)
        column = column if fits else at
    plot = Plot()
    plot.add(
        "scatter",
        mode="markers",
        x=sorted(values),
        y=rows,
        name="predictions",
        cliponaxis=False,
        marker={"size": 11, "color": palette.stages[3]},
        hovertemplate="%{x:.4g}<extra></extra>",
    )
    top = max(FEWEST_ROWS, *rows)
    if right is not None:
        plot.vertical_line(right, line={"color": palette.ink, "width": 2, "dash": "dash"})
        late = place(right) > (first + last) / 2
        at = float(place(right))  # as a note's place is said on a log axis
        plot.note(
            f"right: {with_unit(f'{right:g}', unit)}",
            at,
            1,
            yref="y domain",
            xanchor="right" if late else "left",
            yanchor="bottom",
        )
    margin = 2 * width or 0.1 * max(1.0, abs(last))
    scale = log_axis(np.asarray(known)) if log else {}
    plot.x_axis(
        f"predicted, {unit}" if unit else "predicted", showgrid=False, range=[first - margin, last + margin], **scale
    )
    plot.y_axis(range=[0, top + 0.7], visible=False)
    return styled(plot, palette, REST + ROW * min(top, MOST_ROWS), top=26)


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
    low, median, high = (with_unit(short_number(each), unit) for each in np.quantile(values, [0, 0.5, 1]))
    if low == high:
        return f"All predictions so far: {low}."
    return f"Half of the class predicts {median} or less; the predictions reach from {low} to {high}."


def with_unit(number: str, unit: str) -> str:
    """'11.3 %', '144-fold', '27'."""
    return f"{number}{unit}" if unit.startswith("-") else f"{number} {unit}".strip()
