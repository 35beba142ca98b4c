"""The first screen: a real network to touch, and the seven claims with the page that tests each."""

from urllib.parse import parse_qsl

import streamlit as st

from resnet_viz.recipes import start as recipes
from resnet_viz.recipes.shown import counted
from resnet_viz.web.kit.ask import ask
from resnet_viz.web.kit.card import chip, draw
from resnet_viz.web.kit.gallery import thumbnails
from resnet_viz.web.kit.parts import deleting_strip, page_named, secondary, untrained_note
from resnet_viz.web.session import Visit, choices, visit
from resnet_viz.web.shell import links

WHAT_TO_DO = (
    "A real network looks at a real image. Click a block to delete it, click it again to restore it, and watch what the "
    "network sees: its answer is computed as you click."
)
BADGES = {True: ":green-badge[as expected]", False: ":orange-badge[not as expected]"}


def view(now: Visit) -> None:
    st.title("Why can a residual network lose a layer and still see?", anchor=False)
    with secondary("What to do"):
        st.markdown(WHAT_TO_DO)
    untrained_note(now)
    with st.container(border=True):
        show_first_look(now)
    show_claims()
    show_findings()


def show_first_look(now: Visit) -> None:
    seen, image = ask(recipes.first_look, *now.subjects), now.subject.image
    if seen:
        st.markdown(f"**{seen.title}.** {seen.says}")
    deleting_strip(now)
    shown, answer = st.columns([1, 2.2], vertical_alignment="center")
    with shown:
        st.image(thumbnails(image, [0], 170)[0], caption=image.names[0], alt=image.names[0])
        query = links.query_of("layer_deletion", choices())
        st.page_link(
            page_named("layer_deletion"),
            label=f"Over {counted(now.subject.images)}",
            icon=":material/content_cut:",
            query_params=query,
        )
    if seen:
        with answer:
            draw(seen, words=False)


def show_claims() -> None:
    claims = recipes.claims()
    st.header(claims.title, anchor=False)
    st.markdown(claims.says)
    for row in claims.rows:
        page, _, query = row["view"].partition("?")
        with st.container(border=True, key=f"claim_{row['claim'][2]}"):
            number, said, link_to = st.columns([1.2, 3.8, 1.4], vertical_alignment="center")
            number.markdown(f"### {row['number']}")
            said.markdown(row["claim"])
            said.caption(f"{row['says']} :gray-badge[{row['facts']}]")
            view = choices().carried_to(dict(parse_qsl(query)))
            link_to.page_link(page_named(page), icon=":material/arrow_forward:", query_params=view)
    chip(*claims.facts)


def show_findings() -> None:
    found = recipes.what_came_out()
    st.header(found.title, anchor=False)
    st.markdown(found.says)
    for row in found.rows:
        page, _, query = row["view"].partition("?")
        with st.expander(f"{row['question']} {BADGES[row['as expected']]}"):
            st.markdown(row["answer"])
            view = choices().carried_to(dict(parse_qsl(query)))
            st.page_link(page_named(page), icon=":material/arrow_forward:", query_params=view)
    chip(*found.facts)


view(visit())
