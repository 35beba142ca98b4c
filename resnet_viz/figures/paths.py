"""How the paths of a residual network look: unravelled one by one, and counted by length beside the gradient they carry."""

import math
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from scipy import stats

from ..experiments import paths as computed
from ..experiments.path_lengths import ORDERS, PathLengths
from ..experiments.paths import GradientByLength, carrying_range, share_of_paths
from .palette import LARGEST, Palette, log_axis, named_above, power_of_two, round_step, slim, styled, superscript
from .plot import Plot, grid

__all__ = [
    "Path",
    "all_paths",
    "count_times_norm",
    "length_by_depth",
    "length_sentences",
    "lengths_by_stage",
    "path_name",
    "product_sentence",
    "share_by_length",
    "stage_sentence",
    "unravelled",
]

Path = tuple[bool, ...]


def all_paths(blocks: int) -> list[Path]:
    """Every choice of branch (True) or shortcut (False) at each block, the shortest first."""
    return sorted(product((False, True), repeat=blocks), key=lambda path: (sum(path), [not taken for taken in path]))


def number_text(count: int) -> str:
    """'1,234', or of a number of more than 15 digits '2.7 × 10²⁹⁹'."""
    if count < 10**15:
        return f"{count:,}"
    exponent, rest = divmod(math.log10(count), 1)
    return f"{10**rest:.1f} × 10{superscript(int(exponent))}"


def path_name(path: Path, blocks: Sequence[str]) -> str:
    """'layer1.0 → layer1.2', or that no branch is taken."""
    taken = [block for block, branch in zip(blocks, path, strict=True) if branch]
    return " → ".join(taken) if taken else "no branch: shortcuts only"


def unravelled(blocks: Sequence[str], chosen: int, palette: Palette) -> Plot:
    """Every path through a run of blocks, one a line: a square where it takes the branch, a bare line where the shortcut."""
    paths = all_paths(len(blocks))
    plot = Plot()
    for row, path in enumerate(paths):
        strong = row == chosen
        plot.add(
            "scatter",
            x=[-0.6, len(blocks) - 0.4],
            y=[row, row],
            mode="lines",
            hoverinfo="skip",
            line={"color": palette.ink if strong else palette.line, "width": 3 if strong else 1.5},
        )
        taken = [index for index, branch in enumerate(path) if branch]
        plot.add(
            "scatter",
            x=taken,
            y=[row] * len(taken),
            mode="markers",
            hoverinfo="skip",
            marker={
                "symbol": "square",
                "size": 15,
                "color": [palette.stage(blocks[index]) for index in taken],
                "line": {"color": palette.ink, "width": 2 if strong else 0},
            },
        )
    plot.add(
        "scatter",
        x=[column for _ in paths for column in range(len(blocks))],
        y=[row for row in range(len(paths)) for _ in blocks],
        mode="markers",
        marker={"size": 16, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=[(row, path_name(path, blocks)) for row, path in enumerate(paths) for _ in blocks],
        hovertemplate="%{customdata[1]}<extra></extra>",
    )
    lengths = [sum(path) for path in paths]
    plot.x_axis(
        side="top",
        tickvals=list(range(len(blocks))),
        ticktext=list(blocks),
        range=[-1, len(blocks) - 0.3],
        showgrid=False,
    )
    firsts = [lengths.index(length) for length in range(len(blocks) + 1)]
    ticktext = [f"length {length}" for length in range(len(blocks) + 1)]
    plot.y_axis(autorange="reversed", tickvals=firsts, ticktext=ticktext, showgrid=False)
    return styled(plot, palette, 60 + 19 * len(paths), lines=len(paths)).update(clickmode="event+select")


def length_sentences(exact: GradientByLength) -> tuple[str, str]:
    """A title that compares the paths that carry the gradient with all paths, and a sentence with the ranges of both."""
    count = len(exact.paths) - 1
    low, high = carrying_range(exact.mean_norms)
    share = 100 * share_of_paths(exact.paths, low, high)
    middle = stats.binom.interval(0.95, count, 0.5)
    length, half = exact.mean_length, count / 2
    than = "shorter than" if length < 0.9 * half else "longer than" if length > 1.1 * half else "about as long as"
    return (
        f"The paths that carry the gradient are {than} the average path: {length:.1f} branches against {half:g}",
        f"Lengths of {low} to {high} branches hold 95 % of the summed norms and {share:.2g} % of the {power_of_two(count)} paths; "
        f"95 % of the paths have {middle[0]:.0f} to {middle[1]:.0f} branches.",
    )


def share_by_length(
    exact: GradientByLength, palette: Palette, beside: tuple[str, GradientByLength] | None = None
) -> Plot:
    """Two sets of bars over the path length: the share of all paths (grey) and the share of the gradient.

    ``beside``: the title and the gradient of another network of as many blocks, drawn as hollow circles.
    """
    paths, norms = exact.paths, exact.mean_norms
    total = sum(paths)
    lengths = list(range(len(paths)))
    shares = [100 * (count / total) for count in paths]
    gradient = 100 * norms / norms.sum()
    plot = Plot()
    plot.add(
        "bar",
        x=lengths,
        y=shares,
        name="share of the paths, %",
        marker={"color": palette.plain, "opacity": 0.75},
        width=0.9,
        customdata=[number_text(count) for count in paths],
        hovertemplate="length %{x}: %{customdata} paths, %{y:.2f} % of all<extra></extra>",
    )
    plot.add(
        "bar",
        x=lengths,
        y=gradient,
        name="share of the gradient, %",
        marker={"color": palette.stages[0]},
        width=0.55,
        hovertemplate="length %{x}: %{y:.2f} % of the gradient<extra></extra>",
    )
    others = 100 * beside[1].mean_norms / beside[1].mean_norms.sum() if beside else gradient[:0]
    if beside:
        plot.add(
            "scatter",
            x=lengths,
            y=others,
            name=f"share of the gradient, {beside[0]}, %",
            mode="lines+markers",
            line={"color": palette.ink, "width": 1, "dash": "dot"},
            marker={
                "size": slim(6, len(lengths)),
                "color": palette.background,
                "line": {"color": palette.ink, "width": slim(1.2, len(lengths))},
            },
            hovertemplate="length %{x}: %{y:.2f} % of the gradient<extra>" + beside[0] + "</extra>",
        )
    top = max(*shares, *gradient, *others)
    first, last = carrying_range(norms)
    line = {"color": palette.ink, "width": 2}
    plot.shape("line", x0=first - 0.5, x1=last + 0.5, y0=top * 1.12, y1=top * 1.12, line=line)
    plot.note(f"95 % of the gradient: {first} to {last}", (first + last) / 2, top * 1.21)
    marks = [("■ gradient", palette.stages[0]), ("■ paths", palette.muted)]
    if beside:
        marks.insert(0, (f"○ gradient, {beside[0]}", palette.ink))
    for above, (text, colour) in enumerate(marks):
        label_above(plot, above, text, palette, colour)
    plot.update(barmode="overlay")
    plot.x_axis("path length: number of branches taken", showgrid=False, range=[-0.8, len(paths) - 0.2])
    plot.y_axis("share, %", range=[0, top * 1.32])
    return styled(plot, palette, 322 + 16 * len(marks), top=8 + 16 * len(marks))


def add_single_paths(plot: Plot, panel: int, lengths: Sequence[int], sampled: np.ndarray, palette: Palette) -> None:
    """The norms of sampled paths, those above 0, as hollow circles over their lengths."""
    points = [(length, value) for length in lengths for value in sampled[length] if value > 0]
    plot.add(
        "scatter",
        panel,
        x=[x for x, _ in points],
        y=[y for _, y in points],
        name="one path",
        mode="markers",
        marker={
            "size": slim(5, len(lengths)),
            "color": palette.background,
            "line": {"color": palette.ink, "width": slim(1.2, len(lengths))},
        },
        hovertemplate="one path of length %{x}: %{y:.3g}<extra></extra>",
    )


def label_above(plot: Plot, line: int, text: str, palette: Palette, colour: str, panel: str = "paper") -> None:
    """What is what, at the right above a figure or one panel of it; line 0 is the lowest."""
    where = {
        "xref": "paper",
        "yref": panel,
        "xanchor": "right",
        "yanchor": "bottom",
        "yshift": 2 + (palette.small + 4) * line,
    }
    plot.note(text, 1, 1, font={"color": colour}, **where)


def count_times_norm(exact: GradientByLength, sampled: np.ndarray, palette: Palette) -> Plot:
    """Veit et al. 2016 (arXiv:1605.06431), figure 6, in three panels over one axis of lengths: how many paths there are,
    the norm of single ones, and the product of both beside the exact share of the gradient.

    ``sampled``: (n + 1, samples), as ``sampled_path_norms`` gives them.
    """
    lengths = [length for length, count in enumerate(exact.paths) if count]
    counts = [exact.paths[length] for length in lengths]
    plot = grid(3, vertical_gap=0.085, shared=True)
    plot.add(
        "scatter",
        x=lengths,
        y=[float(count) if count < LARGEST else np.nan for count in counts],
        name="number of paths",
        mode="lines+markers",
        line={"color": palette.plain, "width": 1.5},
        marker={"size": slim(5, len(lengths))},
        customdata=[number_text(exact.paths[length]) for length in lengths],
        hovertemplate="length %{x}: %{customdata} paths<extra></extra>",
    )
    add_single_paths(plot, 2, lengths, sampled, palette)
    plot.add(
        "bar",
        3,
        x=lengths,
        y=100 * computed.count_times_norm(exact.paths, sampled)[lengths],
        name="number × norm, share, %",
        width=0.8,
        marker={"color": palette.plain, "opacity": 0.75},
        hovertemplate="length %{x}: %{y:.2f} % of number × norm<extra></extra>",
    )
    gradient = exact.mean_norms[lengths]
    plot.add(
        "scatter",
        3,
        x=lengths,
        y=100 * gradient / gradient.sum(),
        name="share of the gradient, exact, %",
        mode="lines+markers",
        line={"color": palette.stages[0], "width": 1.5},
        marker={"size": slim(5, len(lengths))},
        hovertemplate="length %{x}: %{y:.2f} % of the gradient<extra></extra>",
    )
    plot.y_axis("number of paths", 1, **log_axis(counts))
    plot.y_axis("norm of one path", 2, **log_axis(sampled[lengths]))
    plot.y_axis("share, %", 3, rangemode="tozero")
    plot.x_axis(showgrid=False, range=[-0.8, len(exact.paths) - 0.2])
    plot.x_axis("path length: number of branches taken", 3)
    label_above(plot, 1, "■ number × norm", palette, palette.muted, "y3 domain")
    label_above(plot, 0, "─ gradient, exact", palette, palette.stages[0], "y3 domain")
    return styled(plot, palette, 560, lines=18)


def product_sentence(exact: GradientByLength, sampled: np.ndarray) -> str:
    """Where the number of paths times the norm of one is largest in this sample, how much of it hangs on a single path, and
    where the exact gradient is largest."""
    peak = int(computed.count_times_norm(exact.paths, sampled).argmax())
    alone = 100 * computed.largest_path_share(exact.paths, sampled)
    branches = "branch" if peak == 1 else "branches"
    return (
        f"The number of paths times the norm of one is largest at {peak} {branches} in this sample, where a single "
        f"sampled path makes up {alone:.0f} % of the product, summed over all lengths; the exact gradient is largest at {exact.mean_norms.argmax()}"
    )


def stage_sentence(stages: Mapping[str, GradientByLength]) -> str:
    """The stages in which the gradient takes most branches, as far as the numbers that are told differ."""
    told = {stage: f"{exact.mean_length:.1f}" for stage, exact in stages.items()}
    most = max(told.values(), key=float)
    longest = [stage for stage, length in told.items() if length == most]
    if len(longest) == len(told):
        return f"Within {'each' if len(told) > 1 else 'its only'} stage, the gradient takes {most} branches on average"
    return f"Within the stages, the gradient takes most branches in {' and '.join(longest)}: {most} on average"


def lengths_by_stage(stages: Mapping[str, GradientByLength], palette: Palette) -> Plot:
    """The share of the gradient by the number of branches taken within each stage, a line in the stage's colour.

    ``stages``: 'layer1' -> ``gradient_by_length(..., stage='layer1')``.
    """
    plot = Plot()
    for above, (stage, exact) in enumerate(reversed(list(stages.items()))):
        lengths, norms = np.flatnonzero(exact.paths), exact.mean_norms
        plot.add(
            "scatter",
            x=lengths,
            y=(100 * norms / norms.sum())[lengths],
            name=stage,
            mode="lines+markers",
            line={"color": palette.stage(stage), "width": 1.5},
            marker={"size": slim(6, len(lengths))},
            hovertemplate="%{x} branches: %{y:.2f} % of the gradient<extra>" + stage + "</extra>",
        )
        text = f"─ {stage}: {exact.mean_length:.1f} of {len(exact.paths) - 1} branches on average"
        label_above(plot, above, text, palette, palette.stage(stage))
    longest = max(len(exact.paths) for exact in stages.values())
    plot.x_axis(
        "branches taken within the stage", showgrid=False, range=[-0.5, longest - 0.5], dtick=round_step(longest / 12)
    )
    plot.y_axis("share of the gradient, %", rangemode="tozero")
    return styled(plot, palette, 282 + 16 * len(stages), top=10 + 16 * len(stages), lines=5 + len(stages))


def length_by_depth(found: Sequence[PathLengths], palette: Palette) -> Plot:
    """The mean length of the paths that carry the gradient over the number of blocks, both on log axes, beside that of all paths; a
    mark for each network, with its interval over the images, filled where it is untrained, and a line through the means of the
    seeds."""
    plot = Plot()
    layers = {each.blocks: each.depth for each in sorted(found, key=lambda each: each.blocks)}
    blocks = list(layers)
    plot.add(
        "scatter",
        x=[blocks[0], blocks[-1]],
        y=[blocks[0] / 2, blocks[-1] / 2],
        mode="lines",
        name="all paths: half of the blocks",
        line={"color": palette.muted, "width": 1.5, "dash": "dash"},
        hovertemplate="%{x} blocks: %{y} branches<extra>all paths</extra>",
    )
    for (kind, order), colour in zip(ORDERS.items(), (palette.ink, palette.stages[0]), strict=True):
        for trained in (False, True):
            these = [each for each in found if each.kind == kind and (each.seed is None) == trained]
            known = sorted({each.blocks for each in these})
            means = [np.mean([each.mean_length for each in these if each.blocks == count]) for count in known]
            name = f"{order}, {'trained' if trained else 'untrained'}"
            line = {"color": colour, "width": 1.5, "dash": "dot" if trained else "solid"}
            plot.add(
                "scatter",
                x=known,
                y=means,
                mode="lines",
                name=name,
                line=line,
                hoverinfo="skip",
            )
            plot.add(
                "scatter",
                x=[each.blocks for each in these],
                y=[each.mean_length for each in these],
                mode="markers",
                name=name,
                showlegend=False,
                error_y={
                    "array": [each.high - each.mean_length for each in these],
                    "arrayminus": [each.mean_length - each.low for each in these],
                    "color": colour,
                    "thickness": 1,
                },
                marker={"symbol": "circle-open" if trained else "circle", "size": 7, "color": colour},
                text=[f"{each.depth} layers" for each in these],
                hovertemplate="%{text}: %{y:.1f} of %{x} branches<extra>" + name + "</extra>",
            )
    names = [f"{count}<br>{depth}" for count, depth in layers.items()]
    plot.x_axis("blocks, below them layers", type="log", tickvals=blocks, ticktext=names, showgrid=False)
    lengths = [each.mean_length for each in found]
    plot.y_axis("mean length, branches", **log_axis(np.array([*lengths, blocks[-1] / 2])))
    return named_above(styled(plot, palette, 380, top=60))
