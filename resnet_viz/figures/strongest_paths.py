"""How the strongest single paths of an image look, drawn over the blocks."""

from collections.abc import Sequence

import numpy as np

from ..experiments.strongest_paths import StrongestPaths
from ..networks.network import stage_of
from .palette import Palette, short_number, slim, stage_axis, styled
from .plot import Plot

__all__ = ["MOST_ROWS", "branches_by_stage", "paths_on_blocks"]

MOST_ROWS = 24
MOST_NUMBERS = 40  # of blocks of a stage, in words


def branches_by_stage(path: np.ndarray, blocks: Sequence[str]) -> str:
    """'layer1.0, 3 · layer2.4': the blocks whose branch a path takes, by stage, or how many where they are many; or that it takes
    none."""
    taken: dict[str, list[str]] = {}
    for block, branch in zip(blocks, path, strict=True):
        if branch:
            taken.setdefault(stage_of(block), []).append(block.split(".")[1])
    return (
        " · ".join(
            f"{stage}.{', '.join(numbers)}" if len(numbers) <= MOST_NUMBERS else f"{len(numbers)} blocks of {stage}"
            for stage, numbers in taken.items()
        )
        or "no branch: shortcuts only"
    )


def paths_on_blocks(found: StrongestPaths, blocks: Sequence[str], chosen: int, palette: Palette) -> Plot:
    """The strongest paths, one a row, the strongest on top: a box where it takes the branch, a bare line where the shortcut.

    At most MOST_ROWS rows; ``chosen`` is a row from 0, drawn strong. At the right of each: its length and its share of the
    gradient. A click on a row returns its number as the first customdata.
    """
    paths, norms, shares = found.takes_branch[:MOST_ROWS], found.norms[:MOST_ROWS], 100 * found.shares[:MOST_ROWS]
    rows, columns = np.nonzero(paths)
    ranks = list(range(1, len(paths) + 1))
    every = 1 if len(paths) < 10 else 5  # which ranks the axis names
    plot = Plot()
    for rank, path, share in zip(ranks, paths, shares, strict=True):
        line = {"color": palette.ink, "width": 3} if rank == chosen + 1 else {"color": palette.line, "width": 1.5}
        plot.horizontal_line(rank, layer="below", line=line)
        if rank % every == 1 or not palette.projector:  # there the rows are lower than letters
            beside_plot(plot, f"{path.sum()}, {signed(share, '.2f')} %", rank, palette, palette.ink)
    beside_plot(plot, "length, share", 1, palette, palette.muted, yref="paper", yanchor="bottom")
    plot.add(
        "bar",
        orientation="h",
        base=(columns - 0.4).tolist(),
        x=np.full(len(columns), 0.8),
        y=rows + 1,
        width=0.72,
        hoverinfo="skip",
        marker={
            "color": [palette.stage(blocks[column]) for column in columns.tolist()],
            "line": {"color": palette.ink, "width": np.where(rows == chosen, slim(2, len(blocks)), 0)},
        },
        unselected={"marker": {"opacity": 1}},
    )
    plot.add(
        "bar",
        name="path",
        orientation="h",
        base=-0.5,
        x=np.full(len(paths), len(blocks)),
        y=ranks,
        width=1,
        marker={"opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=[
            (
                row,
                f"{branches_by_stage(path, blocks)}<br>length {path.sum()}, norm {short_number(norm)}, {signed(share, '.3g')} % of the gradient",
            )
            for row, (path, norm, share) in enumerate(zip(paths, norms, shares, strict=True))
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
    )
    stage_axis(plot, blocks)
    plot.x_axis(side="top")
    plot.y_axis("rank", showgrid=False, range=[len(paths) + 0.6, 0.4], tick0=1, dtick=every)
    plot.update(barmode="overlay", clickmode="event+select")
    return styled(plot, palette, 48 + 19 * len(paths), top=26, right=92)


def beside_plot(plot: Plot, text: str, y: int, palette: Palette, colour: str, **where: str) -> None:
    """A small text in the right margin."""
    font = {"size": palette.small, "color": colour}
    plot.note(text, 1, y, xref="paper", xanchor="left", xshift=4, font=font, **where)


def signed(value: float, form: str) -> str:
    """-0.07 -> '−0.07', 0.07 -> '+0.07'."""
    return f"{value:+{form}}".replace("-", "−")
