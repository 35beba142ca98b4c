"""The frame of every page: the sidebar in which network and image are chosen, and the page inside it."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

from ...engine.tickets import NotYet, engine
from ...errors import InputError
from ...recipes import measures
from ...recipes.subject import Subject
from ..internals import StreamlitPage, session_id
from ..kit import races
from ..kit.ask import come_back, leave_the_rest, one_moment
from ..session import Patience, Visit, choices, notice, palette, runs, state
from . import classroom, contest, links
from .export import export_button
from .lessons import lesson_box, recorder
from .network_choice import choose_network
from .picker import choose_image
from .presenter import page_links, presenter_bar, presenter_button
from .share import link_to, share

LEAD = st.components.v2.component(
    "resnet_viz_lead",
    html="<span></span>",
    js="""
// A link may lead to one card of the page, which comes when its answer is there, and moves while others come above it.
let followed;
export default function ({ data }) {
  if (followed === data.arrival) return;
  followed = data.arrival;
  let left = 80;
  const timer = setInterval(() => {
    const card = document.querySelector(".st-key-looked_at");
    card?.scrollIntoView({ block: "start" });
    if (card && !document.querySelector(".on-its-way")) left = Math.min(left, 12);
    if (--left <= 0) stop();
  }, 250);
  const stop = () => clearInterval(timer);
  for (const event of ["wheel", "touchstart", "keydown", "pointerdown"]) addEventListener(event, stop, { once: true, capture: true });
}
""",
)
CSS, PRESENTER_CSS = ((Path(__file__).parent / name).read_text() for name in ("frame.css", "presenter.css"))
ICON = str(Path(__file__).parent / "icon.svg")  # a named icon would be fetched from the internet
TOLD_FOR = 20.0  # seconds that a notice stays, at least


def frame(page: StreamlitPage, pages: Sequence[StreamlitPage]) -> None:
    """Draw the sidebar, work out the visit, and run the page. What cannot be used is told in a sentence, never a traceback.

    A page that is none of ``pages`` is the first of them, by another address.
    """
    path = page.url_path if page in pages else pages[0].url_path
    session = state()
    session.page, session.pages, session.cards, session.asked, session.faults = path, pages, {}, set(), {}
    session.wait_until = time.monotonic() + Patience.seconds
    races.bring(st.query_params.to_dict())
    for fault in links.receive(path):
        notice(f"The link could not be used as it is: {fault}.")
    follow_run()
    contest.follow()
    classroom.follow()
    style()
    session.bar = presenter_bar(page, pages) if choices().presenter else None
    told = st.empty()
    try:
        with st.sidebar:
            st.markdown("**resnet_viz**")
            page_links(pages)
            session.visit = now = sidebar(path)
            links.send(path)
    except InputError as error:  # no st.stop(): after it the parts of the page before could still be drawn
        st.error(str(error))
        return
    except NotYet as late:
        come_back(late.ticket)
        one_moment()
        return
    show_notices(told)
    if not lesson_box():
        return
    if session.looked_at:
        LEAD(key="lead", data={"arrival": session.arrivals}, width="content")
    try:
        page.run()
    except InputError as error:  # two settings that do not go together, say: the page can be set otherwise
        st.error(str(error))
    except NotYet as late:
        come_back(late.ticket)
        one_moment()
        return
    leave_the_rest()
    for name in sorted(choices().unread):
        notice(f"The link could not be used as it is: this page has no setting {name[:40]!r}.")
        choices().settings[path].pop(name, None)
    choices().unread.clear()
    show_notices(told)
    links.send(path)
    with st.sidebar:
        recorder(path)
        export_button(page, now)


def follow_run() -> None:
    """Tell the registry that this visitor is there for the run in the address; forget one that is not known (any more)."""
    registry, chosen = runs(), choices()  # asked for on every page, so that the process that trains starts with the app
    if chosen.run and registry.find(chosen.run, session_id()) is None:
        chosen.run = ""
        notice("The training run of this link is no longer kept here; start it again on the page *Live training*.")


def style() -> None:
    """How everything looks that no theme decides."""
    colours = palette()
    variables = f"--muted: {colours.muted}; --background: {colours.background}; --line: {colours.line};"
    st.html(f"<style>:root {{ {variables} }}\n{CSS}{PRESENTER_CSS if choices().presenter else ''}</style>")


def show_notices(place: st.delta_generator.DeltaGenerator) -> None:
    """Tell what there is to tell."""
    notices = state().notices
    if told := [sentence for sentence, at in notices.items() if time.monotonic() - at < TOLD_FOR]:
        place.warning("  \n".join(told))


def sidebar(path: str) -> Visit:
    """The choice of network, weights and image; returns what the page works on."""
    chosen = choices()
    network, compared = choose_network(chosen)
    images = measures.images(network.entry)
    image, own, position = choose_image(chosen, network, images)
    lesion = chosen.lesion(network.entry.name)
    subject = Subject.of(network, image=image, images=images, deleted=lesion.blocks, gate=lesion.gate)
    subject = replace(subject, own=own, position=position)
    if not subject.label_is_true:
        st.caption(f"This image has no label: the predicted class, {subject.class_name}, stands in for it.")
    link = link_to(path, links.for_others(links.query_of(path, chosen)))
    share(link, position is None)
    presenter_button()
    st.caption(engine().device)
    return Visit(subject, replace(subject, network=compared) if compared else None, palette(), link)
