"""How lesion studies look: error over the strength of the lesion, and what the curves say."""

from collections.abc import Sequence

import numpy as np

from ..experiments.deletion import Sweep, known, wilson_interval
from ..experiments.early_stop import Probed
from ..experiments.lesion_studies import REORDER, Study
from .deletion import intact_and_chance, wilson_bars
from .palette import Palette, level, name_level, named_above, named_line, slim, styled
from .plot import Plot, grid

__all__ = [
    "class_probabilities_by_stop",
    "error_by_stop",
    "errors_by_amount",
    "probe_errors",
    "probe_sentence",
    "stop_sentence",
    "study_sentences",
]

AMOUNTS = {REORDER: "Kendall's tau of the order, 1 is the network's own"}
DELETED = "blocks deleted"
HALF = 50.0  # per cent


def errors_by_amount(rows: Sequence[tuple[str, Study, bool]], chance_pct: float, palette: Palette) -> Plot:
    """Error over the amount: a dot for each draw, a line through the medians. ``rows``: title, study, whether plain."""
    plot = Plot()
    study = rows[0][1]
    for number, (title, each, plain) in reversed(list(enumerate(rows))):
        colour = palette.plain if plain else palette.stages[0]
        symbol = "square" if plain else "circle"
        hollow = palette.background if number and not plain else colour
        plot.add(
            "scatter",
            x=each.amounts,
            y=each.error_pct,
            name=f"{title}, each draw",
            showlegend=False,
            text=each.sweep.blocks,
            mode="markers",
            marker={
                "size": 6,
                "symbol": symbol,
                "color": hollow,
                "opacity": 0.45,
                "line": {"color": colour, "width": 1},
            },
            hovertemplate="%{y:.1f} %<br>%{text}<extra>" + title + "</extra>",
        )
        steps, amounts, middle, _, _ = each.medians()
        order = np.argsort(amounts)
        unit = "swaps" if each.kind == REORDER else "deleted"
        plot.add(
            "scatter",
            x=amounts[order],
            y=middle[order],
            name=f"{title}, median of the draws",
            text=[f"{step} {unit}" for step in steps[order]],
            mode="markers" if each.kind == REORDER else "lines+markers",
            line={"color": colour, "width": 2, "dash": "dot" if number and not plain else "solid"},
            marker={"size": 9, "symbol": symbol, "color": hollow, "line": {"color": colour, "width": 1.5}},
            hovertemplate="%{text}: median %{y:.1f} %<extra>" + title + "</extra>",
        )
    intact_and_chance(plot, known(study.sweep.error_pct), chance_pct, palette)
    plot.x_axis(AMOUNTS.get(study.kind, DELETED), showgrid=False)
    if study.kind == REORDER:
        plot.x_axis(autorange="reversed")
    plot.y_axis("error, %", range=[-3, 104], tickvals=[0, 25, 50, 75, 100])
    return named_above(styled(plot, palette, 360, right=90))


def spread(errors: np.ndarray) -> str:
    """'mean 47.6 %, median 50.4 %, the three worst 90 %, 90 %, 89 %'."""
    worst = ", ".join(f"{error:.0f} %" for error in np.sort(errors)[:-4:-1])
    return f"mean {errors.mean():.1f} %, median {np.median(errors):.1f} %, the three worst {worst}"


def study_sentences(study: Study) -> tuple[str, str]:
    """A title that answers, and a sentence with mean, median and the three worst lesions, with how smoothly the medians
    rise, and with the correlation."""
    steps, _, middle, _, _ = study.medians()
    correlation, draws = study.correlation(), len(study.steps) // len(steps)
    beyond = np.flatnonzero(middle > HALF)
    title = f"Up to {steps[-1]} random deletions, the error stays below {HALF:.0f} %"
    if known(study.sweep.error_pct) > HALF:
        title = f"Intact, it is wrong on {study.sweep.error_pct:.0f} % already"
    elif study.kind == REORDER:
        title = f"One random swap takes the error to {middle[0]:.0f} % (median of {draws})"
        if correlation < -0.8:
            title += "; the further from its own order, the higher"
    elif len(beyond):
        first = beyond[0]
        fewer = (
            f"; {steps[first - 1]} {'leaves' if steps[first - 1] == 1 else 'leave'} it at {middle[first - 1]:.0f} %"
            if first
            else ""
        )
        title = f"The error passes {HALF:.0f} % at {steps[first]} random deletion{'s' if steps[first] > 1 else ''}{fewer} (medians of {draws})"
    step, fall = study.largest_steps()
    unit = "swaps" if study.kind == REORDER else "deleted blocks"
    smooth = (
        ""
        if np.isnan(step)
        else f" From one number of {unit} to the next, the median goes up by at most {100 * step:.0f} % and down by at most {100 * fall:.0f} % of its whole rise."
    )
    what = "Kendall's tau" if study.kind == REORDER else "the number of deleted blocks"
    ranks = "" if np.isnan(correlation) else f" Spearman's correlation of the error with {what}: {correlation:.2f}."
    return (
        title,
        f"Over all {len(study.steps)} draws: {spread(study.error_pct)}.{smooth}{ranks}",
    )


def error_by_stop(rows: Sequence[tuple[str, Sweep, bool]], chance_pct: float, palette: Palette) -> Plot:
    """Error of a set when the network stops after k blocks. ``rows``: title, the sweep of all stops, whether plain."""
    plot = Plot()
    for number, (title, swept, plain) in reversed(list(enumerate(rows))):
        colour = palette.plain if plain else palette.stages[0]
        plot.add(
            "scatter",
            x=list(range(len(swept.blocks))),
            y=swept.errors,
            name=title,
            text=swept.blocks,
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": "dot" if number and not plain else "solid"},
            marker={
                "size": slim(7, len(swept.blocks)),
                "symbol": "square" if plain else "circle",
                "line": {"color": colour, "width": slim(1.5, len(swept.blocks))},
                "color": palette.background if number and not plain else colour,
            },
            hovertemplate="%{text}: %{y:.1f} %<extra>" + title + "</extra>",
        )
    named_line(plot, chance_pct, "chance", palette.muted, "dot", palette, "middle")
    plot.x_axis("blocks walked before the rest is skipped", showgrid=False)
    plot.y_axis("error, %", range=[-3, 104], tickvals=[0, 25, 50, 75, 100])
    return named_above(styled(plot, palette, 340, right=60))


def probe_errors(rows: Sequence[tuple[str, Probed, bool]], chance_pct: float, palette: Palette) -> Plot:
    """Error of the head and of a linear probe on each stream, a panel for each network. ``rows``: title, errors, whether
    plain."""
    plot = grid(columns=len(rows), horizontal_gap=0.04, titles=[title for title, _, _ in rows], shared=True)
    for panel, (title, found, plain) in enumerate(rows, start=1):
        colour = palette.plain if plain else palette.stages[0]
        for name, swept, fill in (("head", found.head, colour), ("probe", found.probe, palette.background)):
            plot.add(
                "scatter",
                panel,
                x=list(range(len(swept.blocks))),
                y=swept.errors,
                name=f"{title}, {name}",
                text=swept.blocks,
                mode="lines+markers",
                error_y=wilson_bars(swept, palette),
                line={"color": colour, "width": 1.5, "dash": "solid" if name == "head" else "dot"},
                marker={
                    "size": 7,
                    "symbol": "square" if plain else "circle",
                    "line": {"color": colour, "width": 1.5},
                    "color": fill,
                },
                hovertemplate=f"%{{text}}, {name}: %{{y:.1f}} %<extra>{title}</extra>",
            )
        level(plot, panel, chance_pct, palette.muted, "dot")
    name_level(plot, 1, chance_pct, "chance", palette)
    plot.x_axis("blocks walked", showgrid=False)
    plot.y_axis(range=[-3, 104], tickvals=[0, 25, 50, 75, 100])
    plot.y_axis("error, %", 1)
    return styled(plot, palette, 320, top=28, right=60)


def probe_sentence(found: Probed) -> str:
    """What the head and the probe are wrong on half way and at the end, with Wilson intervals."""
    last = len(found.head.blocks) - 1

    def error(swept: Sweep, walked: int) -> str:
        wrong, images = int((swept.predictions[walked] != swept.labels).sum()), len(swept.intact)
        low, high = wilson_interval(wrong, images)
        return f"{100 * wrong / images:.1f} % ({low:.1f} to {high:.1f})"

    half, end = ([error(swept, walked) for swept in (found.head, found.probe)] for walked in (last // 2, last))
    return (
        f"after {last // 2} of {last} blocks the head is wrong on {half[0]}, a probe on {half[1]}; at the end the head on "
        f"{end[0]}, a probe on {end[1]}."
    )


def stop_sentence(swept: Sweep) -> str:
    """How early the network could stop at a cost of less than 5 points, and what the first half alone would do."""
    count = len(swept.blocks) - 1
    rises = swept.rises
    needed = int(np.flatnonzero(rises >= 5).max(initial=-1)) + 1
    intact = known(swept.error_pct)
    if intact > HALF:
        return f"Intact, it is wrong on {intact:.0f} % already."
    return (
        f"It needs {needed} of its {count} blocks to stay within 5 points of its error of {intact:.1f} %; "
        f"stopped after {count // 2}, it is wrong on {intact + rises[count // 2]:.0f} %."
    )


def class_probabilities_by_stop(classes: Sequence[str], probabilities: np.ndarray, palette: Palette) -> Plot:
    """Probabilities of the five classes that are ever likeliest, over the number of blocks walked; (n + 1, classes)."""
    order = np.argsort(-probabilities.max(0), kind="stable")[:5]
    order = order[np.argsort(-probabilities[-1, order], kind="stable")]
    colours = [palette.ink, *palette.stages[:4]]
    dashes = ["solid", "dash", "dot", "dashdot", "longdash"]
    plot = Plot()
    for index, colour, dash in zip(order, colours, dashes, strict=False):
        plot.add(
            "scatter",
            x=list(range(len(probabilities))),
            y=probabilities[:, index],
            name=classes[index],
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": dash},
            marker={"size": 5},
            hovertemplate="after %{x} blocks: %{y:.2f}<extra>" + classes[index] + "</extra>",
        )
    plot.x_axis("blocks walked before the rest is skipped", showgrid=False)
    top = float(probabilities.max())  # far below 1 where there are many classes and nothing is known yet
    plot.y_axis("probability", range=[-0.03 * top, 1.05 * top], nticks=4)
    return named_above(styled(plot, palette, 340))
