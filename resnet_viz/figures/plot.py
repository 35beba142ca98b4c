"""A figure as plain data, in plotly.js's own words: it is made in a hundredth of the time that go.Figure takes to check it."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import plotly.graph_objects as go

__all__ = ["Plot", "grid", "suffix"]

PACKED = {"i1", "i2", "i4", "u1", "u2", "u4", "f4", "f8"}  # the numbers that plotly.js reads as they lie in memory


class Plot:
    """Traces, and a layout with shapes and notes. What stands in them is checked by ``figure`` alone.

    ``panels``: how many the figure has, each with axes of its own (see ``grid``); they are counted from 1.
    """

    def __init__(self, panels: int = 1) -> None:
        self.data: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {}
        self.panels = panels

    def add(self, kind: str, panel: int = 1, **trace: Any) -> None:
        """A trace: 'scatter', 'bar', 'heatmap', 'image'."""
        where = {"xaxis": f"x{suffix(panel)}", "yaxis": f"y{suffix(panel)}"} if panel > 1 else {}
        self.data.append({"type": kind, **where, **trace})

    def note(self, text: str, x: Any, y: Any, **more: Any) -> None:
        """A text without an arrow."""
        note = {"text": text, "x": x, "y": y, "showarrow": False, **more}
        self.layout.setdefault("annotations", []).append(note)

    def shape(self, kind: str, **more: Any) -> None:
        """A 'line', a 'rect' or a 'path'."""
        self.layout.setdefault("shapes", []).append({"type": kind, **more})

    def horizontal_line(self, y: float, **more: Any) -> None:
        """A line across the whole panel."""
        self.shape("line", x0=0, x1=1, xref="x domain", y0=y, y1=y, **more)

    def vertical_line(self, x: float, **more: Any) -> None:
        """A line up the whole panel."""
        self.shape("line", x0=x, x1=x, y0=0, y1=1, yref="y domain", **more)

    def x_axis(self, title: str = "", panel: int = 0, **more: Any) -> None:
        """Settings of the x axis of one panel, or (0) of all."""
        self._axis("xaxis", title, panel, more)

    def y_axis(self, title: str = "", panel: int = 0, **more: Any) -> None:
        """Settings of the y axis of one panel, or (0) of all."""
        self._axis("yaxis", title, panel, more)

    def _axis(self, name: str, title: str, panel: int, more: dict[str, Any]) -> None:
        settings = {"title": {"text": title}, **more} if title else more
        for each in [panel] if panel else range(1, self.panels + 1):
            self.layout.setdefault(name + suffix(each), {}).update(settings)

    def update(self, **layout: Any) -> "Plot":
        """Set parts of the layout, each as a whole."""
        self.layout.update(layout)
        return self

    def json(self) -> str:
        """The text that a page sends to plotly.js."""
        return orjson.dumps({"data": self.data, "layout": self.layout}, default=encoded).decode()

    def figure(self) -> go.Figure:
        """The same as plotly's own object, for a notebook. Raises ValueError where plotly.js would not understand it."""
        return go.Figure({"data": self.data, "layout": self.layout})

    def show(self) -> None:
        """Open it in a browser, or show it under the cell of a notebook."""
        self.figure().show()


def suffix(panel: int) -> str:
    """What follows the letter of a panel's axes."""
    return "" if panel == 1 else str(panel)


def encoded(value: np.ndarray | np.generic) -> Any:
    """An array as plotly.js takes it, packed where it holds numbers; a number of numpy as one of Python."""
    if value.dtype == np.int64 and value.size:  # plotly.js has none so large
        value = value.astype(np.min_scalar_type(min(value.min(), -1 - value.max())))
    kind = value.dtype.str[1:]
    if not value.ndim or not value.size or kind not in PACKED:
        return value.tolist()
    shape = {"shape": str(value.shape)[1:-1]} if value.ndim > 1 else {}
    return {"dtype": kind, "bdata": b64encode(value.tobytes()).decode(), **shape}


def grid(
    rows: int = 1,
    columns: int = 1,
    *,
    horizontal_gap: float = 0,
    vertical_gap: float = 0,
    titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
    shared: bool = False,
) -> Plot:
    """A grid of panels, counted row by row from the upper left. The gaps are shares of the figure.

    ``titles``: above the columns; ``row_titles``: at the right of the rows. ``shared``: panels above one another have one x
    axis, labelled below the last; those beside one another one y axis, labelled at the first.
    """
    plot = Plot(rows * columns)
    room = 0.98 if row_titles else 1  # the rest is for the titles of the rows
    width = (room - horizontal_gap * (columns - 1)) / columns
    height = (1 - vertical_gap * (rows - 1)) / rows
    lefts = [column * (width + horizontal_gap) for column in range(columns)]
    bottoms = [row * (height + vertical_gap) for row in reversed(range(rows))]
    for panel in range(1, plot.panels + 1):
        row, column = divmod(panel - 1, columns)
        right, top = min(1, lefts[column] + width), min(1, bottoms[row] + height)  # rounding may lead past 1
        plot.x_axis(panel=panel, anchor=f"y{suffix(panel)}", domain=[lefts[column], right])
        plot.y_axis(panel=panel, anchor=f"x{suffix(panel)}", domain=[bottoms[row], top])
        if shared and row < rows - 1:
            plot.x_axis(panel=panel, matches=f"x{suffix(plot.panels)}", showticklabels=False)
        if shared and column > 0:
            plot.y_axis(panel=panel, matches="y", showticklabels=False)
    where = {"xref": "paper", "yref": "paper"}
    for left, title in zip(lefts, titles, strict=True) if titles else ():
        plot.note(title, left + width / 2, 1, xanchor="center", yanchor="bottom", **where)
    for bottom, title in zip(bottoms, row_titles, strict=True) if row_titles else ():
        plot.note(title, room, bottom + height / 2, xanchor="left", yanchor="middle", textangle=90, **where)
    return plot
