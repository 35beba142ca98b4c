"""The presenter view, for a projector: large letters, and a slim bar in place of the sidebar."""

from collections.abc import Sequence

import streamlit as st

from ..internals import StreamlitPage
from ..session import choices
from . import links


def presenter_button() -> None:
    """In the sidebar: what begins it."""
    st.button(
        "Presenter view",
        icon=":material/slideshow:",
        on_click=present,
        args=(True,),
        width="stretch",
        help="For a projector: large letters, the network and the first figure on one screen, no sidebar.",
    )


def present(on: bool) -> None:
    """Turn it on or off."""
    choices().presenter = on


def presenter_bar(page: StreamlitPage, pages: Sequence[StreamlitPage]) -> st.delta_generator.DeltaGenerator:
    """What leads to other pages and ends the view; returns where a page may fold away what is secondary."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="presenter_bar"):
        here = pages.index(page) if page in pages else 0
        to_neighbour(pages, here - 1, "Previous page", "arrow_back")
        to_neighbour(pages, here + 1, "Next page", "arrow_forward")
        key = f"pages_{here}"  # another on each page, whose list begins closed
        with st.popover(pages[here].title, icon=pages[here].icon, help="All pages", key=key, on_change="rerun"):
            page_links(pages)
        folded = st.container(horizontal=True, gap="small")
        st.markdown(choices().network, width="content")
        st.button(
            "Usual view",
            icon=":material/close:",
            key="usual_view",
            on_click=present,
            args=(False,),
            help="End the presenter view: the sidebar, with network, image and links, comes back.",
        )
    return folded


def to_neighbour(pages: Sequence[StreamlitPage], number: int, label: str, icon: str) -> None:
    """A link to the page before or after; it can be seen, but not used, where there is none."""
    there = 0 <= number < len(pages)
    page = pages[number] if there else pages[0]
    query = links.query_of(page.url_path, choices())
    help = page.title if there else None
    st.page_link(page, label=label, icon=f":material/{icon}:", query_params=query, disabled=not there, help=help)


def page_links(pages: Sequence[StreamlitPage]) -> None:
    """Links to the pages, each with the query of what is chosen: so Back finds it in the address."""
    with st.container(gap="xsmall"):
        for page in pages:
            st.page_link(page, label=page.title, icon=page.icon, query_params=links.query_of(page.url_path, choices()))
