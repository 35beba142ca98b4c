"""The whole page as one HTML file that opens with no server and no internet."""

import html
from datetime import date

import streamlit as st
from markdown_it import MarkdownIt
from streamlit.navigation.page import StreamlitPage

from ..figures.document import html_document, html_figure
from .card import Card
from .session import Visit


def page_html(title: str, cards: list[Card], visit: Visit) -> str:
    """The figures of a page, alive, with their texts, provenance and Python; plotly.js stands in it once."""
    text = MarkdownIt("commonmark", {"html": False}).render
    of = f"{visit.loaded.title}, {visit.loaded.weights} · weights {visit.loaded.digest} · {visit.image.names[0]}"
    if all(card.origin for card in cards):
        of = "; ".join(dict.fromkeys(card.origin for card in cards))
    parts = [
        f"<p>{html.escape(of)} · <a href='{html.escape(visit.link)}'>{html.escape(visit.link)}</a> · {date.today()}</p>"
    ]
    for card in cards:
        figure = "".join(
            f"<figure><img src='{uri}' alt=''><figcaption><small>{html.escape(shows)}</small></figcaption></figure>" for uri, shows in card.pictures
        )  # fmt: skip
        if card.figure:
            figure = html_figure(card.figure)
        python = (
            f"<details><summary>Python</summary><pre>{html.escape(card.python)}</pre></details>" if card.python else ""
        )
        heading = f"<h2>{html.escape(card.title)}</h2>" if card.title else ""
        # No file that opens offline holds a LaTeX renderer: the formula stands there as its source.
        formula = f"<p><code>{html.escape(card.formula)}</code></p>" if card.formula else ""
        parts.append(
            f"<section>{heading}{formula}{text(card.says)}{figure}<small>{text(card.caption)}</small><p class='chip'>{text(' · '.join(card.facts))}</p>{python}</section>"
        )
    return html_document(title, parts, visit.palette)


def export_button(page: StreamlitPage, visit: Visit) -> None:
    """The button that saves the page; the file is made when it is pressed."""
    cards: list[Card] = st.session_state["cards"]  # this very list: a part of the page may draw its figures again
    st.download_button("Save this page", lambda: page_html(page.title, cards, visit), f"{page.url_path or 'start'}{'' if all(card.origin for card in cards) else f'-{visit.loaded.entry.name}'}.html", "text/html",
                       icon=":material/download:", on_click="ignore", disabled=not cards, width="stretch",
                       help="One HTML file with these figures, where their numbers come from, and their Python; it opens without internet.")  # fmt: skip
