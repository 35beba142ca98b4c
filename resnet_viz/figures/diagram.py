"""A network as a networkx graph, and its drawing: the blocks and shortcuts of the whole, the layers and the shortcut of one block."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, groupby, pairwise
from operator import attrgetter, itemgetter
from typing import NamedTuple

import networkx as nx
import numpy as np

from ..networks.description import BlockPart, Description, Part
from .palette import Palette, shape_text, styled
from .pictures import flat, square
from .plot import Plot

__all__ = ["block_wiring", "built_like", "feature_maps", "shortcut_reason", "stage_diagram"]

LONGEST_ROW = 12  # blocks in a row of the stage diagram
STAGE_STEP, ROW_STEP, BOX_WIDTH, BOX_HEIGHT, LAYER_HEIGHT, ARC = 2.3, 1.35, 0.6, 0.5, 1.1, 0.5
Point = tuple[float, float]


def network_graph(description: Description) -> nx.MultiDiGraph:
    """Stem, blocks and head in order. Each block has an edge for its branch and one for its shortcut.

    Nodes carry ``part``; edges ``kind``: 'stream' into stem and head, else 'branch', or the kind of the block's shortcut
    ('identity', 'option A', 'projection'; a plain block has none).
    """
    graph = nx.MultiDiGraph()
    parts: list[Part] = [description.stem, *description.blocks, description.head]
    for part in parts:
        graph.add_node(part.name, part=part)
    for before, part in pairwise(parts):
        if isinstance(part, BlockPart):
            graph.add_edge(before.name, part.name, kind="branch")
            if part.shortcut != "none":
                graph.add_edge(before.name, part.name, kind=part.shortcut)
        else:
            graph.add_edge(before.name, part.name, kind="stream")
    return graph


def shortcut_reason(block: BlockPart) -> str:
    """What a block's shortcut is, and why it is not an identity: 'projection: 64 → 128 channels, stride 2', or of a stream that is no
    square picture 'projection: 197 × 768 → 49 × 768'."""
    if block.shortcut == "none":
        return "no shortcut: a plain block"
    name = "option A, zero-padded" if block.shortcut == "option A" else block.shortcut
    if block.in_shape == block.out_shape:
        return f"{name} shortcut"
    if not all(len(shape) == 3 and shape[1] == shape[2] for shape in (block.in_shape, block.out_shape)):
        return f"{name}: {shape_text(block.in_shape)} → {shape_text(block.out_shape)}"
    (channels, side, _), (widened, smaller, _) = block.in_shape, block.out_shape
    reasons = []
    if channels != widened:
        reasons.append(f"{channels} → {widened} channels")
    if side != smaller:
        reasons.append(f"stride {-(-side // smaller)}" if smaller < side else f"{side}² → {smaller}²")
    return f"{name}: {', '.join(reasons)}"


def built_like(family: str, stages: int) -> str:
    """How this project's own networks differ from those of the paper that they follow; nothing for other families."""
    if family != "fashion" or stages == 1:
        return ""
    if stages == 3:
        return (
            "He et al. 2015, section 4.2, on Fashion-MNIST: 28 × 28 grey images and a stem of stride 2 (maps of 14, 7, 4), where the paper had "
            "32 × 32 colour images and stride 1 (maps of 32, 16, 8)."
        )
    return "He et al. 2015: the four stages of the ImageNet networks at a quarter of their widths, for 28 × 28 grey images: a 3x3 stem of stride 2 and no max pool, where the paper has 7x7 and a max pool."


def row_length(description: Description) -> int:
    """How many blocks a row of the stage diagram takes."""
    counts = Counter(block.stage for block in description.blocks)
    return min(LONGEST_ROW, max(6, *counts.values()))


class Row(NamedTuple):
    """Blocks of a stage beside each other at one height; ``folded``: more of them than stand in a row, drawn as one box."""

    blocks: list[BlockPart]
    y: float
    folded: bool


def arrange(description: Description, chosen: str) -> list[Row]:
    """The rows of blocks: ``row_length`` at most, each stage beginning a new one. Two and more that repeat the row above them are
    folded into one; not the one with the chosen block."""
    longest = row_length(description)
    rows: list[Row] = []
    y = 0.0
    for _, stage in groupby(description.blocks, key=attrgetter("stage")):
        members, step = list(stage), STAGE_STEP
        lines = [members[start : start + longest] for start in range(0, len(members), longest)]
        built = [[replace(block, name="", origin="") for block in line] for line in lines]
        repeats = [
            number > 0 and built[number] == built[number - 1] and chosen not in [block.name for block in line]
            for number, line in enumerate(lines)
        ]
        for repeat, run in groupby(zip(lines, repeats, strict=True), key=itemgetter(1)):
            shown = [line for line, _ in run]
            folded = repeat and len(shown) > 1
            for blocks in [list(chain(*shown))] if folded else shown:
                y, step = y - step, ROW_STEP
                rows.append(Row(blocks, y, folded))
    return rows


def stage_diagram(
    description: Description, stem: Sequence[Part], head: Sequence[Part], highlight: str, chosen: str, palette: Palette
) -> Plot:
    """The network: a row for the stem, rows for each stage, a row for the head, with the stream's shape at every step.

    ``stem``, ``head``: their layers. ``highlight``: 'shortcuts' draws these strong and the blocks pale, 'blocks'
    the blocks strong. Solid arcs are identity shortcuts, dotted ones projections or zero-padding. A click on a block returns its
    name as the first customdata.
    """
    plot = Plot()
    longest, rows = row_length(description), arrange(description, chosen)
    places = {block.name: (x + 0.5, y) for blocks, y, folded in rows if not folded for x, block in enumerate(blocks)}
    shortcuts = highlight == "shortcuts"
    bottom = rows[-1].y - 1.3
    half = BOX_HEIGHT / 2 * tallness(palette)
    layer_boxes(plot, stem or [description.stem], 0.0, longest, palette.stem, "#1F2430", palette)
    layer_boxes(plot, head or [description.head], bottom, longest, palette.background, palette.ink, palette)
    for solid in (True, False):
        arcs = [
            arc(places[name])
            for _, name, kind in network_graph(description).edges(data="kind")
            if kind != "branch" and name in places and (kind == "identity") == solid
        ]
        xs = [x for points in arcs for x, _ in [*points, (None, None)]]
        ys = [y for points in arcs for _, y in [*points, (None, None)]]
        line = {
            "color": palette.ink if shortcuts else palette.muted,
            "width": 2.6 if shortcuts else 1.2,
            "dash": "solid" if solid else "dot",
        }
        plot.add("scatter", x=xs, y=ys, mode="lines", line=line, hoverinfo="skip")
        plot.add(
            "scatter",
            x=[points[-1][0] for points in arcs],
            y=[points[-1][1] for points in arcs],
            mode="markers",
            hoverinfo="skip",
            marker={"symbol": "triangle-down", "size": 8, "color": line["color"]},
        )
    for block in [block for block in description.blocks if block.name in places]:
        x, y = places[block.name]
        stream = {"color": palette.ink if shortcuts else palette.line, "width": 2}
        plot.shape("line", x0=x - 0.5, x1=x + 0.5, y0=y, y1=y, layer="below", line=stream)
        box = {"x0": x - BOX_WIDTH / 2, "x1": x + BOX_WIDTH / 2, "y0": y - half, "y1": y + half}
        plot.shape(
            "rect", **box, fillcolor=palette.background, line={"width": 0}
        )  # the stream does not strike the number out
        plot.shape(
            "rect",
            **box,
            fillcolor=palette.stage(block.name),
            opacity=0.25 if shortcuts else 1,
            line={"color": palette.ink, "width": 3 if block.name == chosen else 0},
        )
        plot.note(block.name.split(".")[1], x, y, font={"color": palette.ink if shortcuts else palette.background})
    for blocks, y, _ in [row for row in rows if row.folded]:
        places[blocks[0].name] = (longest / 2, y)  # where the pointer finds the first of them
        line = {"color": palette.stage(blocks[0].name), "width": 1.5}
        plot.shape("rect", x0=0.2, x1=longest - 0.2, y0=y - half, y1=y + half, line=line)
        plot.note(f"{blocks[0].name} ... {blocks[-1].name}: {len(blocks):,} like those above", longest / 2, y)
    pointed = [block for block in description.blocks if block.name in places]
    plot.add(
        "scatter",
        x=[places[block.name][0] for block in pointed],
        y=[places[block.name][1] for block in pointed],
        mode="markers",
        marker={"size": 26, "opacity": 0, "symbol": "square"},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=[
            (
                block.name,
                (f"in the model: {block.origin}<br>" if block.origin else "")
                + f"{block.kind}<br>{shape_text(block.in_shape)} → {shape_text(block.out_shape)}<br>{shortcut_reason(block)}"
                f"<br>{block.params:,} parameters, {block.macs / 1e6:.2f} M multiply-adds",
            )
            for block in pointed
        ],
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<extra></extra>",
    )
    for stage, members in groupby(description.blocks, key=attrgetter("stage")):
        first, *others = members
        y = places[first.name][1]
        kinds = " and ".join(dict.fromkeys(block.kind for block in (first, *others)))
        count = f"{len(others) + 1:,} {kinds} blocks" if others else f"1 {kinds} block"
        text = f"<b>{stage}</b>: {count}, stream {shape_text([first, *others][-1].out_shape)}"
        if first.shortcut not in ("identity", "none"):
            text += f"{palette.line_break}dotted: {shortcut_reason(first)}"
        font = {"color": palette.stage(first.name), "size": palette.text}
        plot.note(text, 0, y + 1.15, xanchor="left", yanchor="middle", align="left", font=font)
    plot.x_axis(visible=False, range=[-0.1, longest + 0.1])
    margin = LAYER_HEIGHT / 2 * tallness(palette) + 0.15
    plot.y_axis(visible=False, range=[bottom - margin, margin])
    return styled(plot, palette, int(52 * (1.4 - bottom)), lines=1.2 * (1.4 - bottom)).update(clickmode="event+select")


def tallness(palette: Palette) -> float:
    """How much of the height boxes take: more where a row has fewer pixels, and a letter more."""
    return 1.3 if palette.projector else 1.0


def arc(place: Point) -> list[Point]:
    """The shortcut over a block, from what comes before it to what comes after."""
    x, y = place
    angles = np.linspace(np.pi, 0, 21)
    return [(x + 0.44 * float(np.cos(angle)), y + (ARC + BOX_HEIGHT / 4) * float(np.sin(angle))) for angle in angles]


def layer_boxes(plot: Plot, layers: Sequence[Part], y: float, row: int, fill: str, ink: str, palette: Palette) -> None:
    """A row of boxes, one for each layer of a stem or head, with its output shape."""
    width = row / max(3, len(layers)) - 0.2
    half = LAYER_HEIGHT / 2 * tallness(palette)
    for index, layer in enumerate(layers):
        x = index * (width + 0.2)
        line = {"color": palette.muted, "width": 1}
        plot.shape("rect", x0=x, x1=x + width, y0=y - half, y1=y + half, fillcolor=fill, line=line)
        text = f"{layer.kind.replace(', ', palette.line_break, 1)}<br>{shape_text(layer.out_shape)}"
        plot.note(text, x + width / 2, y, font={"color": ink, "size": palette.small})


def block_graph(block: BlockPart, layers: Sequence[Part]) -> nx.DiGraph:
    """One block's wiring: 'in' -> layers -> '+' -> 'out', with an edge of ``kind`` 'shortcut' that skips the branch.

    What follows the sum has a node of its own: the ReLU of an original block. A plain block has no sum. Where layers lead to branch
    and shortcut alike, as the BN-ReLU of a pre-activation block that projects, the shortcut leaves after them.
    """
    names = [f"{number} {layer.kind}" for number, layer in enumerate(layers, start=1)]
    plain = block.shortcut == "none"
    end = [name for name in ("" if plain else "+", block.activation) if name]
    graph = nx.DiGraph()
    nx.add_path(graph, ["in", *names, *end, "out"], kind="branch")
    for name, layer in zip(names, layers, strict=True):
        graph.nodes[name]["part"] = layer
    if not plain:
        graph.add_edge(["in", *names][block.shared], "+", kind="shortcut")
    return graph


def block_wiring(block: BlockPart, layers: Sequence[Part], palette: Palette) -> Plot:
    """The layers of one block from top to bottom, the shortcut on their left."""
    graph = block_graph(block, layers)
    order = list(nx.topological_sort(graph))
    rows = {name: -float(index) for index, name in enumerate(order)}
    colour = palette.stage(block.name)
    plot = Plot()
    for source, target, kind in graph.edges(data="kind"):
        if kind == "branch":
            line = {"color": palette.line, "width": 2}
            plot.shape("line", x0=0, x1=0, y0=rows[source], y1=rows[target], line=line, layer="below")
        else:
            top, bottom = rows[source], rows[target]
            path = f"M 0 {top} C -0.75 {top}, -0.75 {bottom}, -0.06 {bottom}"
            dash = "solid" if block.shortcut == "identity" else "dot"
            plot.shape("path", path=path, line={"color": palette.ink, "width": 2.4, "dash": dash}, layer="below")
            font = {"size": palette.small, "color": palette.muted}
            plot.note(shortcut_reason(block), -0.7, (top + bottom) / 2, textangle=-90, font=font)
    for name in order:
        part = graph.nodes[name].get("part")
        if name == "+":
            plot.add(
                "scatter",
                x=[0],
                y=[rows[name]],
                mode="markers+text",
                text=["+"],
                textfont={"size": palette.text + 3, "color": palette.ink},
                marker={"size": 24, "color": palette.background, "line": {"color": palette.ink, "width": 1.5}},
                hoverinfo="skip",
            )
            continue
        weighted = part is not None and part.macs > 0
        title = {"in": "stream in", "out": "stream out"}.get(name, name.split(" ", 1)[1] if part else name)
        shape = block.in_shape if name == "in" else block.out_shape if part is None else part.out_shape
        plot.shape(
            "rect",
            x0=-0.12,
            x1=0.12,
            y0=rows[name] - 0.32,
            y1=rows[name] + 0.32,
            fillcolor=colour if weighted else palette.panel,
            line={"color": palette.muted, "width": 1},
        )
        facts = shape_text(shape)  # short lines, since a phone must hold them
        if part is not None and part.params:
            facts += f" · {part.params:,} parameters" + (
                f"<br>{part.macs / 1e6:.2f} M multiply-adds" if part.macs else ""
            )
        detail = f"<b>{title}</b><br><span style='color:{palette.muted}'>{facts}</span>"
        plot.note(detail, 0.17, rows[name], xanchor="left", align="left", font={"size": palette.small})
    plot.x_axis(visible=False, range=[-0.85, 2.6])
    plot.y_axis(visible=False, range=[-len(order) + 0.4, 0.6])
    return styled(plot, palette, 44 * len(order) + 20, lines=2.5 * len(order))


def feature_maps(title: str, maps: np.ndarray, palette: Palette, *, channels: int = 16) -> Plot:
    """The first channels of a tensor (channels, height, width) as a grid of small pictures on one colour scale; of one with other
    dimensions as ``flat`` makes it such.

    Values of one sign are drawn with an even sequential map, signed ones with a diverging map centred on zero.
    """
    shown = flat(maps)[:channels]
    columns = int(np.ceil(np.sqrt(len(shown))))
    _, height, width = shown.shape
    grid = np.full((columns * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for index, channel in enumerate(shown):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        grid[top : top + height, left : left + width] = channel
    signed = bool(np.nanmin(grid) < 0)
    limit = float(np.nanmax(np.abs(grid))) or 1.0
    plot = Plot()
    plot.add(
        "heatmap",
        z=grid,
        zmin=-limit if signed else 0,
        zmax=limit,
        colorscale=palette.diverging if signed else palette.colormap,
        colorbar={
            "thickness": 8,
            "len": 0.9,
            "tickfont": {"size": palette.small, "color": palette.muted},
            "nticks": 4,
            "outlinewidth": 0,
            "exponentformat": "power",
            "x": 0,
            "xanchor": "right",
        },
        hovertemplate=f"{title}: %{{z:.3g}}<extra></extra>",
    )
    plot.x_axis(visible=False, constrain="domain", constraintoward="left")
    plot.y_axis(visible=False, scaleanchor="x" if square(*grid.shape) else None, autorange="reversed")
    return styled(plot, palette, 240)
