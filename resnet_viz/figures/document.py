"""Figures and texts as one HTML file that opens with no server and no internet."""

import html
from collections.abc import Iterable

import orjson
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from ..citation import CITE
from .palette import Palette

__all__ = ["html_document", "html_figure", "html_page"]

STYLE = """
body {{ font: 16px/1.5 "Source Sans", "Source Sans 3", sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; background: {background}; color: {ink}; }}
section {{ border: 1px solid {line}; border-radius: 8px; padding: 0.5rem 1rem; margin: 1rem 0; }}
small, .chip {{ color: {muted}; }} h2 {{ font-size: 1.2rem; }} pre {{ overflow-x: auto; }} a {{ color: inherit; }}
figure {{ display: inline-block; width: 84px; margin: 0.3rem; vertical-align: top; }}
table {{ border-collapse: collapse; }} td, th {{ border-bottom: 1px solid {line}; padding: 0.4rem; text-align: left; vertical-align: top; }}
"""


def html_document(title: str, parts: Iterable[str], palette: Palette) -> str:
    """A page of HTML fragments, figures among them, under a heading; plotly.js stands in it once."""
    return html_page(title, parts, palette, f"<script>{get_plotlyjs()}</script>")


def html_page(title: str, parts: Iterable[str], palette: Palette, head: str = "") -> str:
    """A page of HTML fragments under a heading, and at its end how to cite. ``head``: what its HTML head holds beside the style."""
    style = STYLE.format(background=palette.background, ink=palette.ink, line=palette.line, muted=palette.muted)
    return "\n".join(
        [
            f"<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{html.escape(title)}</title>",
            f"<style>{style}</style>{head}</head><body><h1>{html.escape(title)}</h1>",
            *parts,
            f"<footer><small>How to cite: {html.escape(CITE)}</small></footer></body></html>",
        ]
    )


def html_figure(text: str) -> str:
    """A figure, given as JSON, as a fragment for ``html_document``."""
    config = {"displayModeBar": False, "responsive": True}
    return str(to_html(orjson.loads(text), config, full_html=False, include_plotlyjs=False, validate=False))
