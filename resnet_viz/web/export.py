"""The whole page as one HTML file that opens with no server and no internet."""

import html
from collections.abc import Iterable
from datetime import date

import streamlit as st
from markdown_it import MarkdownIt
from streamlit.navigation.page import StreamlitPage

from ..figures.document import html_document, html_figure
from ..recipes.shown import Shown
from .gallery import data_uri
from .session import Visit

HELP = "One HTML file with these figures, where their numbers come from, and their Python; it opens without internet."


def page_html(title: str, answers: Iterable[Shown], visit: Visit) -> str:
    """The figures of a page, alive, with their texts, provenance and Python; plotly.js stands in it once."""
    answers, subject = list(answers), visit.subject
    of = f"{subject.title}, {subject.loaded.weights} · weights {subject.loaded.digest} · {subject.image.names[0]}"
    if of_itself(answers):
        of = "; ".join(dict.fromkeys(shown.sources[0] for shown in answers))
    link = html.escape(visit.link)
    parts = [f"<p>{html.escape(of)} · <a href='{link}'>{link}</a> · {date.today()}</p>"]
    return html_document(title, [*parts, *(section(shown, visit) for shown in answers)], visit.palette)


def of_itself(answers: Iterable[Shown]) -> bool:
    """Whether a page shows the same whatever network is chosen."""
    return not any(shown.of for shown in answers)


def section(shown: Shown, visit: Visit) -> str:
    """One answer. No file that opens offline holds a LaTeX renderer: a formula stands there as its source."""
    text = MarkdownIt("commonmark", {"html": False}).render
    heading = f"<h2>{html.escape(shown.title)}</h2>" if shown.title else ""
    formula = f"<p><code>{html.escape(shown.formula)}</code></p>" if shown.formula else ""
    figure = html_figure(shown.plot(visit.palette).json()) if shown.draw else ""
    pictures = "".join(
        f"<figure><img src='{data_uri(each.png)}' alt=''><figcaption><small>{html.escape(each.caption)}</small></figcaption></figure>"
        for each in shown.pictures
    )
    chip = f"<p class='chip'>{text(' · '.join(shown.facts))}</p>"
    python = f"<details><summary>Python</summary><pre>{html.escape(shown.python)}</pre></details>" if shown.python else ""
    caption = f"<small>{text(shown.caption)}</small>"
    return f"<section>{heading}{formula}{text(shown.says)}{figure}{pictures}{caption}{chip}{python}</section>"


def export_button(page: StreamlitPage, visit: Visit) -> None:
    """The button that saves the page; the file is made when it is pressed."""
    cards: dict[str, Shown] = st.session_state["cards"]  # this very one: a part of the page may draw its figures again
    name = "" if of_itself(cards.values()) else f"-{visit.subject.entry.name}"
    st.download_button(
        "Save this page",
        lambda: page_html(page.title, cards.values(), visit),
        f"{page.url_path or 'start'}{name}.html",
        "text/html",
        icon=":material/download:",
        on_click="ignore",
        disabled=not cards,
        width="stretch",
        help=HELP,
    )
