"""How costs look: bars in groups, aligned and labelled with the numbers that they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass

from .palette import Palette, named_above, styled
from .plot import Plot, grid, suffix

__all__ = ["Bar", "Group", "Split", "grouped_bars", "split_bars"]

BAR, HEADING = 21, 27  # pixels of height
PALE = 0.45
LETTER = 0.45  # the width of one, of its size
ROOM = 2.4  # of the longest bar: the width of the figure, so that its label has room on a telephone, too


@dataclass(frozen=True)
class Bar:
    """A bar with its name on the left and ``text`` at its end. ``role``: 'stem', 'head' or a block, '1x1' or '3x3': its
    colour; ``pale``: what it is compared with."""

    name: str
    value: float
    text: str
    role: str
    pale: bool = False


@dataclass(frozen=True)
class Group:
    """Bars under a heading."""

    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Split:
    """A network whose parameters (in millions) and multiply-adds (in 10⁹, G) are split: what comes before the head, and
    the head."""

    name: str
    parameters: tuple[float, float]
    multiply_adds: tuple[float, float]


def colour_of(role: str, palette: Palette) -> str:
    """The colour of a part of a network, or of a kind of convolution."""
    if role.startswith("layer"):
        return palette.stage(role)
    return {"1x1": palette.stem, "3x3": palette.stages[3], "stem": palette.stem}.get(role, palette.ink)


def grouped_bars(groups: Sequence[Group], quantity: str, palette: Palette) -> Plot:
    """Bars one below the other on one scale of the ``quantity``, the heading of each group above them."""
    plot = Plot()
    bars = [bar for group in groups for bar in group.bars]
    places: list[float] = []
    height = 0.0
    left = -LETTER * palette.small * max(len(bar.name) for bar in bars)  # where the names begin
    for group in groups:
        heading = {"xref": "paper", "xanchor": "left", "yanchor": "middle", "xshift": left}
        plot.note(f"<b>{group.title}</b>", 0, -height - 0.6 * HEADING, **heading)
        height += HEADING
        for _ in group.bars:
            places.append(-height - BAR / 2)
            height += BAR
    of = [group.title for group in groups for _ in group.bars]
    plot.add(
        "bar",
        orientation="h",
        x=[bar.value for bar in bars],
        y=places,
        width=0.8 * BAR,
        marker={
            "color": [colour_of(bar.role, palette) for bar in bars],
            "opacity": [PALE if bar.pale else 1.0 for bar in bars],
        },
        text=[bar.text for bar in bars],
        textposition="outside",
        textfont={"size": palette.small, "color": palette.ink},
        cliponaxis=False,
        customdata=[f"{title}<br>{bar.name}: {bar.text}" for title, bar in zip(of, bars, strict=True)],
        hovertemplate="%{customdata}<extra></extra>",
    )
    name_scale(plot, quantity, max(bar.value for bar in bars), palette)
    names = [bar.name for bar in bars]
    plot.y_axis(range=[-height - 2, 0], tickvals=places, ticktext=names, showgrid=False, showline=False)
    return named_below(styled(plot, palette, height + 40, lines=len(bars) + 1.2 * len(groups)), palette)


def split_bars(rows: Sequence[Split], palette: Palette) -> Plot:
    """Parameters above, multiply-adds below, a bar for each network, split in two."""
    plot = grid(2, vertical_gap=0.24)
    names = [row.name for row in rows][::-1]
    panels = (
        (1, "parameters", "M", [row.parameters for row in rows]),
        (2, "multiply-adds", "G", [row.multiply_adds for row in rows]),
    )
    for panel, quantity, unit, values in panels:
        for part, name, colour in ((0, "before the head", palette.stages[3]), (1, "head", palette.stem)):
            plot.add(
                "bar",
                panel,
                orientation="h",
                name=name,
                showlegend=panel == 1,
                x=[value[part] for value in values][::-1],
                y=names,
                marker={"color": colour},
                hovertemplate=f"%{{y}}, {name}: %{{x:.2f}} {unit}<extra>{quantity}</extra>",
            )
        for row, (before, head) in zip(rows, values, strict=True):
            share = 100 * head / (before + head)
            text = f" {before + head:.1f} {unit}, {f'{share:.0f}' if share >= 1 else '< 1'} % in the head"
            font = {"size": palette.small, "color": palette.ink}
            axes = {"xref": f"x{suffix(panel)}", "yref": f"y{suffix(panel)}"}
            plot.note(text, before + head, row.name, xanchor="left", font=font, **axes)
        name_scale(plot, quantity, max(map(sum, values)), palette, panel)
        plot.y_axis(panel=panel, showgrid=False)
    named_above(styled(plot.update(barmode="stack"), palette, 270, top=30, lines=2 * len(rows) + 4))
    plot.layout["legend"]["traceorder"] = "normal"
    return named_below(plot, palette)


def name_scale(plot: Plot, quantity: str, longest: float, palette: Palette, panel: int = 1) -> None:
    """An axis for bars that carry their numbers: its name below their beginning, and no ticks."""
    plot.x_axis(panel=panel, range=[0, ROOM * longest], showticklabels=False, showgrid=False, showline=False)
    font = {"size": palette.small, "color": palette.muted}
    below = {"xref": "paper", "yref": f"y{suffix(panel)} domain", "xanchor": "left", "yanchor": "top"}
    plot.note(quantity, 0, 0, font=font, **below)


def named_below(plot: Plot, palette: Palette) -> Plot:
    """Room for the name of the lowest scale."""
    plot.layout["margin"]["b"] = 2 * palette.small
    return plot
