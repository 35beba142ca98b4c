"""Answers as HTML, for a saved page, the report and a shell: their figures alive, with texts, provenance and Python."""

import html
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markdown_it import MarkdownIt

from ..figures.document import html_document, html_figure
from ..figures.palette import Palette
from .shown import Shown


def answers_html(title: str, heading: str, answers: Iterable[Shown], palette: Palette) -> str:
    """One file that opens with no server and no internet. ``heading``: HTML below the title."""
    return html_document(title, [heading, *(section(shown, palette) for shown in answers)], palette)


def section(shown: Shown, palette: Palette) -> str:
    """One answer. No file that opens offline holds a LaTeX renderer: a formula stands there as its source."""
    text = markdown_html
    heading = f"<h2>{html.escape(shown.title)}</h2>" if shown.title else ""
    formula = f"<p><code>{html.escape(shown.formula)}</code></p>" if shown.formula else ""
    figure = html_figure(shown.plot(palette).json()) if shown.draw else ""
    table = text(markdown_table(shown.rows)) if shown.rows else ""
    pictures = "".join(
        f"<figure><img src='{data_uri(each.png)}' alt=''><figcaption><small>{html.escape(each.caption)}</small></figcaption></figure>"
        for each in shown.pictures
    )
    chip = f"<p class='chip'>{text(' · '.join(shown.facts))}</p>"
    python = (
        f"<details><summary>Python</summary><pre>{html.escape(shown.python)}</pre></details>" if shown.python else ""
    )
    caption = f"<small>{text(shown.caption)}</small>"
    return f"<section>{heading}{formula}{text(shown.says)}{figure}{table}{pictures}{caption}{chip}{python}</section>"


def markdown_html(text: str) -> str:
    """Markdown as HTML; what is HTML in it is shown as it is written."""
    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row for each, all of the same columns."""
    cells = (["" if value is None else str(value) for value in row.values()] for row in rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in (rows[0], ["---"] * len(rows[0]), *cells))


def data_uri(png: bytes) -> str:
    """A picture as part of a page."""
    return "data:image/png;base64," + b64encode(png).decode()
