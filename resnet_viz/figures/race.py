"""How two networks that are being trained look: their errors by step, and what each block does at one step."""

from collections.abc import Sequence

import numpy as np

from ..experiments.race import Race, Record
from .gradients import Series, along_blocks, stream_statistics
from .palette import Palette, named_above, styled
from .plot import Plot

__all__ = ["error_by_step", "gradients_at", "race_figures"]

SIDES = ("left", "right")


def error_by_step(records: Sequence[Record], names: Sequence[str], palette: Palette, step: int | None = None) -> Plot:
    """Errors on the two fixed samples after each recorded step: dashed and hollow on training images, filled on test images.

    ``names``: of the left and the right network. ``step``: the one looked at, marked by a vertical line.
    """
    plot = Plot()
    steps = [record.step for record in records]
    for side, name in zip(SIDES, names, strict=True):
        colour, symbol = (palette.plain, "square") if side == "left" else (palette.ink, "circle")
        for images, measure, marker, dash in (
            ("training images", "train_error_pct", f"{symbol}-open", "dash"),
            ("test images", "test_error_pct", symbol, "solid"),
        ):
            plot.add(
                "scatter",
                x=steps,
                y=[getattr(getattr(record, side), measure) for record in records],
                mode="lines+markers",
                name=f"{name}, {images}",
                line={"color": colour, "width": 1.5, "dash": dash},
                marker={"symbol": marker, "size": 6, "color": colour},
                hovertemplate="step %{x}: %{y:.1f} %<extra>" + f"{name}, {images}" + "</extra>",
            )
    if step is not None:
        plot.vertical_line(step, line={"color": palette.muted, "width": 1, "dash": "dot"})
    plot.x_axis("training steps", showgrid=False, rangemode="tozero")
    plot.y_axis("error, %", range=[0, 100])
    return named_above(styled(plot, palette, 340))


def gradients_at(record: Record, names: Sequence[str], blocks: Sequence[Sequence[str]], palette: Palette) -> Plot:
    """The gradient norm at each block of both networks at one step."""
    return along_blocks(series(record, "stream_gradient_norms", names, blocks), "gradient norm, log scale", palette)


def rises_at(record: Record, names: Sequence[str], blocks: Sequence[Sequence[str]], palette: Palette) -> Plot:
    """How much the error rises when one block is deleted, for each block of both networks at one step."""
    lines = series(record, "deletion_rises", names, blocks)
    return styled(stream_statistics([("rise in error, points", lines)], palette), palette, 240)


def series(record: Record, what: str, names: Sequence[str], blocks: Sequence[Sequence[str]]) -> list[Series]:
    """A quantity of both networks by block, that of more blocks first; plain networks in grey squares, and of two of a
    kind the left one hollow."""
    lines = [
        Series(name, tuple(its), np.array(getattr(standing, what)), name.startswith("plain"), hollow=side == "left")
        for side, name, its, standing in zip(SIDES, names, blocks, (record.left, record.right), strict=True)
    ]
    return sorted(lines, key=lambda line: -len(line.blocks))


def race_figures(
    race: Race, records: Sequence[Record], blocks: Sequence[Sequence[str]], palette: Palette
) -> list[Plot]:
    """All of a race, at its last record. ``blocks``: the names of the left network's blocks and of the right one's."""
    names = race.left, race.right
    return [
        error_by_step(records, names, palette),
        gradients_at(records[-1], names, blocks, palette),
        rises_at(records[-1], names, blocks, palette),
    ]
