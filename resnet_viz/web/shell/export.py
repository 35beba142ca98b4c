"""The whole page as one HTML file that opens with no server and no internet."""

import html
from collections.abc import Iterable
from datetime import date

import streamlit as st

from ...recipes.document import answers_html
from ...recipes.shown import Shown
from ..internals import StreamlitPage
from ..session import Visit, state

HELP = "One HTML file with these figures, where their numbers come from, and their Python; it opens without internet."


def page_html(title: str, answers: Iterable[Shown], visit: Visit) -> str:
    """The figures of a page, alive, with their texts, provenance and Python; plotly.js stands in it once."""
    answers, subject = list(answers), visit.subject
    of = f"{subject.title}, {subject.network.weights} · weights {subject.network.digest} · {subject.image.names[0]}"
    if of_itself(answers):
        of = "; ".join(dict.fromkeys(shown.sources[0] for shown in answers))
    link = html.escape(visit.link)
    heading = f"<p>{html.escape(of)} · <a href='{link}'>{link}</a> · {date.today()}</p>"
    return answers_html(title, heading, answers, visit.palette)


def of_itself(answers: Iterable[Shown]) -> bool:
    """Whether a page shows the same whatever network is chosen."""
    return not any(shown.of for shown in answers)


def export_button(page: StreamlitPage, visit: Visit) -> None:
    """The button that saves the page; the file is made when it is pressed."""
    cards = state().cards  # this very one: a part of the page may draw its figures again
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
