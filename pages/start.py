"""The first screen: a real network to touch, and the seven claims with the page that tests each."""

from dataclasses import replace
from urllib.parse import parse_qsl

import streamlit as st

from resnet_viz.contents import CONTENTS
from resnet_viz.recipes import start as recipes
from resnet_viz.web.kit.ask import ask
from resnet_viz.web.kit.card import chip, draw
from resnet_viz.web.kit.gallery import thumbnails
from resnet_viz.web.kit.parts import deleting_strip, page_named, untrained_note
from resnet_viz.web.session import TWIN, Visit, choices, visit
from resnet_viz.web.shell import links

WHAT_TO_DO = (
    "A real network looks at a real image. Click a block to delete it, click it again to restore it, and watch what the "
    "network sees: its answer is computed as you click."
)
TESTS = (  # of each claim: pages, with the network that shows it and the one beside it ('': those that are chosen)
    (("degradation", "", TWIN),),
    (("learning_identity", "", TWIN),),
    (("gradient_flow", "", TWIN),),
    (("stage_diagram", "", TWIN),),
    (("stage_diagram", "", TWIN),),
    (("gradient_flow", "fashion-preact56", "fashion-resnet56"),),
    (("path_unrolling", "fashion-resnet110", TWIN), ("strongest_paths", "fashion-resnet20", TWIN)),
)
BADGES = {True: ":green-badge[as expected]", False: ":orange-badge[not as expected]"}


def view(now: Visit) -> None:
    st.title("Why can a residual network lose a layer and still see?", anchor=False)
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
        link("layer_deletion", "Over 1,000 images, beside a plain network", "content_cut")
    if seen:
        with answer:
            draw(seen, words=False)


def show_claims() -> None:
    claims = recipes.claims()
    st.header(claims.title, anchor=False)
    for row, tests in zip(claims.rows, TESTS, strict=True):
        said, links_to = st.columns([5, 1], vertical_alignment="center")
        said.markdown(row["claim"])
        with links_to:
            for page, network, beside in tests:
                link(page, CONTENTS[page][0], "arrow_forward", network, beside)
    chip(*claims.facts)


def link(page: str, label: str, icon: str, network: str = "", beside: str = TWIN) -> None:
    """To a page, with what is chosen, or another network."""
    chosen = replace(choices(), network=network, beside=beside, untrained=None) if network else choices()
    query = links.query_of(page, chosen)
    st.page_link(page_named(page), label=label, icon=f":material/{icon}:", query_params=query)


def show_findings() -> None:
    found = recipes.what_came_out()
    st.header(found.title, anchor=False)
    st.markdown(found.says)
    for row in found.rows:
        page, _, query = row["view"].partition("?")
        with st.expander(f"{row['question']} {BADGES[row['as expected']]}"):
            st.markdown(row["answer"])
            st.page_link(page_named(page), icon=":material/arrow_forward:", query_params=dict(parse_qsl(query)))
    chip(*found.facts)


view(visit())
