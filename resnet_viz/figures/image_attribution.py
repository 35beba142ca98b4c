"""How attributions of the image look: the image beside Grad-CAM by block and integrated gradients, before and after a lesion."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..experiments.image_attribution import GradCam, Integrated, correlation
from .palette import Palette, short_number, styled
from .pictures import flat, square
from .plot import Plot, grid, suffix

__all__ = [
    "completeness_sentence",
    "framed",
    "grad_cam_by_block",
    "grad_cam_sentence",
    "integrated_pictures",
    "integrated_sentence",
    "pictures",
    "sizes_sentence",
    "strength_sentence",
]

ROWS = "intact", "with the lesion"
SIDE = 118  # pixels of a picture in the height of a figure
STAYS = 0.9  # correlation from which on a map is said to stay where it was


def grad_cam_by_block(pixels: np.ndarray, maps: Mapping[str, Sequence[GradCam]], chosen: str, palette: Palette) -> Plot:
    """The image, uint8 (channels, height, width), and beside it a column for each block of ``maps``: intact above, with the
    lesion (if there is one) below, on one scale from 0 to the larger maximum of the two."""
    rows = max(len(pair) for pair in maps.values())
    plot = pictures(pixels, [f"<b>{block}</b>" if block == chosen else block for block in maps], rows)
    for column, (block, pair) in enumerate(maps.items(), start=2):
        top = max(float(each.picture.max()) for each in pair) or 1.0
        for row, each in enumerate(pair):
            plot.add(
                "heatmap",
                row * (1 + len(maps)) + column,
                z=each.picture,
                zmin=0,
                zmax=top,
                colorscale=palette.colormap,
                showscale=False,
                name=f"{block}, {ROWS[row]}",
                hovertemplate=f"{block}, {ROWS[row]}: %{{z:.3g}}<extra></extra>",
            )
    return framed(plot, rows, palette, pixels.shape[1:])


def integrated_pictures(pixels: np.ndarray, pair: Sequence[Integrated], palette: Palette) -> Plot:
    """The image, and beside it the signed attribution of each pixel, intact and (if there is a lesion) with it, on one scale."""
    plot = pictures(pixels, ROWS[: len(pair)], 1)
    top = max(float(np.abs(each.picture).max()) for each in pair) or 1.0
    for panel, (name, each) in enumerate(zip(ROWS, pair, strict=False), start=2):
        plot.add(
            "heatmap",
            panel,
            z=flat(each.picture.astype(np.float32)[None])[0],
            zmin=-top,
            zmax=top,
            colorscale=palette.diverging,
            name=name,
            showscale=panel == 2,
            colorbar={
                "orientation": "h",
                "thickness": 8,
                "len": 0.6,
                "y": -0.02,
                "yanchor": "top",
                "nticks": 5,
                "outlinewidth": 0,
                "tickfont": {"size": palette.small, "color": palette.muted},
            },
            hovertemplate=f"{name}: %{{z:.3g}}<extra></extra>",
        )
    return framed(plot, 1, palette, pixels.shape[1:]).update(height=SIDE + 90)


def pictures(pixels: np.ndarray, titles: Sequence[str], rows: int) -> Plot:
    """A grid with the image in its first column, and room for as many columns as there are titles."""
    plot = grid(
        rows,
        1 + len(titles),
        horizontal_gap=0.015,
        vertical_gap=0.03,
        titles=["image", *titles],
        row_titles=ROWS[:rows] if rows > 1 else (),
    )
    colours = np.repeat(pixels, 3, 0) if len(pixels) == 1 else pixels
    for row in range(rows):
        plot.add("image", row * (1 + len(titles)) + 1, z=colours.transpose(1, 2, 0), hoverinfo="skip")
    return plot


def framed(plot: Plot, rows: int, palette: Palette, size: Sequence[int]) -> Plot:
    """Small titles, no axes, square pixels unless pictures of this ``size``, (height, width), are too long for that."""
    for title in plot.layout["annotations"]:
        title["font"] = {"size": palette.small}
    plot.x_axis(visible=False, constrain="domain")
    for panel in range(1, plot.panels + 1):
        anchor = f"x{suffix(panel)}" if square(*size) else False  # None would stand for the square pixels of an image
        plot.y_axis("", panel, visible=False, autorange="reversed", scaleanchor=anchor, constrain="domain")
    return styled(plot, palette, SIDE * rows + 40, top=24, lines=5.3 * rows)


def grad_cam_sentence(block: str, class_name: str, pair: Sequence[GradCam]) -> str:
    """Where the evidence for a class lies at a block; with a lesion, whether it stays there."""
    what = f"At {block} the evidence for {class_name}"
    if not all(each.cells.any() for each in pair):
        return f"At {block} nothing speaks for {class_name}{' with the lesion' if pair[0].cells.any() else ''}"
    if len(pair) == 1:
        return f"{what}: half of it lies in {pair[0].half} of {pair[0].cells.size} cells"
    alike = correlation(pair[0].cells, pair[1].cells)
    if np.isnan(alike):
        return f"{what} is spread evenly over the map, which shows no place"
    return f"{what} {'stays where it was' if alike >= STAYS else 'shifts'}: correlation {alike:.2f}"


def strength_sentence(pair: Sequence[GradCam]) -> str:
    """The strongest cell before and after; nothing without a lesion."""
    if len(pair) == 1:
        return ""
    return f"Its strongest cell: {' → '.join(short_number(float(each.cells.max())) for each in pair)}."


def sizes_sentence(maps: Mapping[str, Sequence[GradCam]]) -> str:
    """'layer1.8: 14 × 14 cells, layer2.8: 7 × 7, layer3.8: 4 × 4'."""
    sizes = [f"{block}: {' × '.join(map(str, pair[0].cells.shape))}" for block, pair in maps.items()]
    return ", ".join([f"{sizes[0]} cells", *sizes[1:]])


def integrated_sentence(class_name: str, pair: Sequence[Integrated], baseline: str = "black") -> str:
    """What the image adds to the logit; with a lesion, how alike the attributions are of the pixels that are not black."""
    if len(pair) == 1:
        return f"From {baseline} to this image the logit of {class_name} changes by {pair[0].rise:+.2f}"
    lit = (pair[0].picture != 0) | (pair[1].picture != 0)
    alike = correlation(pair[0].picture[lit], pair[1].picture[lit]) if lit.any() else np.nan
    if np.isnan(alike):
        return f"The logit of {class_name} depends on no pixel"
    return f"Pixel by pixel, the evidence for {class_name} {'stays' if alike >= STAYS else 'changes'}: correlation {alike:.2f}"


def completeness_sentence(pair: Sequence[Integrated]) -> str:
    """What the attributions add up to, and what they should: the completeness error, absolute and relative."""
    parts = []
    for name, each in zip(ROWS, pair, strict=False):
        relative = f", {100 * each.error / abs(each.rise):.1f} %" if each.rise else ""
        parts.append(
            f"{name} {each.picture.sum():.2f} for {each.rise:.2f} (error {each.error:.2f}{relative}; {each.steps} steps)"
        )
    return f"Completeness, the sum of the attributions for the change of the logit: {'; '.join(parts)}."
