"""A figure as a page shows it: drawn once, kept as text, and handed to Streamlit as it is."""

from functools import partial
from typing import Any

import orjson
from plotly.basedatatypes import BaseFigure

from ...engine.kept import ANSWERS, key_of
from ...figures.plot import Plot


class _Text(dict[str, Any]):
    """Stands for a figure's dict until plotly serialises it, and is its text by then."""

    def __init__(self, text: str) -> None:
        super().__init__(data=[], layout={})
        self._text = text

    def to_plotly_json(self) -> orjson.Fragment:
        return orjson.Fragment(self._text)


class Drawing(BaseFigure):  # type: ignore[misc]  # plotly has no types
    """A figure that is text already, since Streamlit takes no other than plotly's own."""

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", text)

    def to_dict(self) -> _Text:
        return _Text(self._text)


def drawn(draw: partial[Plot]) -> tuple[str, int]:
    """The JSON of the figure that ``draw`` makes, and its height in pixels, which Streamlit does not find in a text; kept under
    the function and what it is given."""

    def made() -> tuple[str, int]:
        plot = draw()
        return plot.json(), plot.layout["height"]

    return ANSWERS.get(key_of(draw.func, *draw.args, **draw.keywords), made)
