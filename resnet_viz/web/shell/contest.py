"""The card of a contest: its rule, what this visitor's deletion is worth, the table, and for its teacher what ends it."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import streamlit as st

from ...errors import InputError
from ...networks import zoo
from ...recipes import measures
from ...recipes.cut_network import Removal, can_be_cut, deleted_blocks, removal
from ...recipes.shown import Shown
from ...recipes.subject import Subject
from ..contests import LARGEST_RISE, LONGEST_NICKNAME, Contest, Entry
from ..internals import session_id
from ..kit.ask import one_moment, show
from ..kit.card import LOOKED_AT
from ..kit.parts import plain
from ..meetings import HOW_IT_ENDS
from ..session import NOTHING, change_lesion, choices, contests, notice, state
from .links import Query
from .share import code_and_link, link_to

HERE = Path(__file__).parent
TABLE = st.components.v2.component(
    "resnet_viz_contest",
    html="<div class='table'></div><p class='empty'>Nobody has entered yet.</p>",
    css=(HERE / "contest.css").read_text(),
    js=(HERE / "contest.js").read_text(),
)
CARD = "contest"  # as a link names it that leads to the card
OFTEN = 3.0  # seconds between two drawings of the table
WHAT_IT_IS = (
    "Who of a class removes most multiply-adds of this network, while its error rises by no more than you allow? Under a code "
    "your students delete blocks in their own browsers, and all see one table, by nicknames."
)
FLATTERED = (
    "Equal multiply-adds: the lower rise is ahead, then the earlier entry. Blocks are chosen on the images on which they are "
    "judged, so the rise of a winner is flattered: on other images expect more. **Open** puts an entry's deletions on the strip; "
    "what is then left of the network can be downloaded further below."
)
HOW_TO = "Delete blocks on the strip, with a gate of 0 and at least one block left: what that removes and costs is measured here."
BEING_MEASURED = "The error with your deletions is being measured."


def follow() -> None:
    """Leave a contest that has ended, and say so."""
    if choices().contest and contests().find(choices().contest) is None:
        choices().contest = ""
        notice("The contest has ended.")


def contest_here() -> Contest | None:
    """The contest that this visitor is in, or has opened."""
    return contests().find(choices().contest) or contests().of(session_id())


def query_of_contest(contest: Contest) -> Query:
    """Where it is taken part in; without a network beside, which would double what a class has measured."""
    return {"contest": contest.code, "network": contest.network, "beside": NOTHING}


def rule(contest: Contest) -> str:
    """What is to be done, in a sentence."""
    images = measures.images(zoo.entry_of(contest.network))
    return (
        f"Remove the most multiply-adds of {contest.network} by deleting blocks, while its error on the {images.title} rises by at "
        f"most {contest.most_rise:g} points."
    )


def can_be_contested(subject: Subject) -> bool:
    """Whether others have this network, too, trained and with labelled images."""
    there = subject.entry.name in zoo.NETWORKS and subject.network.trained
    return there and subject.images.labels is not None


def offer_contest(subject: Subject) -> None:
    """What opens a contest."""
    st.header("A contest for your class", anchor=False)
    st.markdown(WHAT_IT_IS)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        most_rise = st.number_input(
            "Most rise of error allowed, points",
            0.0,
            LARGEST_RISE,
            2.0,
            0.5,
            format="%g",
            width=260,
            help="In percentage points over the intact network. From 0 to 100.",
        )
        if st.button(
            "Open a contest",
            icon=":material/trophy:",
            help=f"You get a code and a link. {HOW_IT_ENDS} Loading this page anew is leaving.",
        ):
            try:
                choices().contest = contests().open(session_id(), subject.entry.name, most_rise).code
            except InputError as error:
                st.error(str(error))
            else:
                state().look_at(CARD)
                st.rerun()


def place_of_contest() -> st.delta_generator.DeltaGenerator:
    """Where the card stands."""
    return st.container(border=True, key=LOOKED_AT if state().looked_at == CARD else None)


def contest_card(contest: Contest, subject: Subject, measured: bool) -> None:
    """The contest, for all who are in it. ``measured``: whether the error over the set is known, so that it is not measured
    twice at once."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header(f"Contest {contest.code}", anchor=False, width="content")
        code_and_link(contest.code, link_to("layer_deletion", query_of_contest(contest)))
    st.markdown(rule(contest))
    own, everybody = st.columns([1, 1.5])
    with own:
        if subject.entry.name != contest.network or not subject.network.trained:
            if st.button(f"Go to {contest.network}", help="The contest is on this network alone, trained."):
                delete_in(contest, choices().lesion(contest.network).blocks)
        elif not can_be_cut(subject):
            st.markdown(HOW_TO)
        elif measured:
            show(removal, subject, below=partial(enter, contest, subject))
        else:
            one_moment(BEING_MEASURED)
    with everybody:
        table(contest.code)
    st.caption(FLATTERED)


def enter(contest: Contest, subject: Subject, shown: Shown) -> None:
    """Below what this visitor's deletion is worth: whether it counts, and what enters it."""
    assert isinstance(shown, Removal)
    if shown.rise > contest.most_rise:
        st.markdown(f"**It does not count:** the error rises by more than {contest.most_rise:g} points.")
        return
    st.markdown(f"**It counts:** the error rises by at most {contest.most_rise:g} points.")
    own = next((each for each in contests().ranking(contest.code) if each.session == session_id()), None)
    with st.form("enter", border=False):
        if own:
            st.markdown(f"You are **{plain(own.nickname)}**; your entry: {worth(own)}.")
            nickname = own.nickname
        else:
            nickname = st.text_input("Nickname", max_chars=LONGEST_NICKNAME, help="All see it; no name is asked for.")
        entered = st.form_submit_button("Enter", type="primary", help="Into the table, with what was measured.")
    if not entered:
        return
    deleted = deleted_blocks(subject)
    try:
        if contests().enter(contest.code, session_id(), nickname, deleted, shown.removed_pct, shown.rise):
            st.rerun()
        st.info("Your entry stays: this is no better.")
    except InputError as error:
        st.error(str(error))


def worth(entry: Entry) -> str:
    """'22.4 % removed, +1.3 points'."""
    return f"{entry.removed_pct:.1f} % removed, {entry.rise:+.1f} points"


@st.fragment(run_every=OFTEN)
def table(code: str) -> None:
    """All entries, the best first, drawn again by itself; for the teacher what removes one, and what ends the contest."""
    contest, session = contests().find(code), session_id()
    if contest is None:  # since the page was drawn
        st.rerun()
    entries = contests().ranking(code)
    rows = [
        {
            "nickname": each.nickname,
            "blocks": len(each.deleted),
            "removed": f"{each.removed_pct:.1f} %",
            "rise": f"{each.rise:+.1f}",
            "own": each.session == session,
        }
        for each in entries
    ]
    teaches = contest.teacher == session
    pressed = TABLE(
        key="contest_table",
        data={"rows": rows, "teaches": teaches},
        on_open_change=lambda: None,
        on_remove_change=lambda: None,
    )
    for each in entries:
        if each.nickname == pressed.open:
            delete_in(contest, each.deleted)
        if each.nickname == pressed.remove and teaches:
            contests().remove(session, each.nickname)
            st.rerun()
    if teaches and st.button("End the contest", help="Its code and its table are gone then."):
        contests().close(session)
        choices().contest = ""
        st.rerun()


def delete_in(contest: Contest, blocks: Iterable[str]) -> None:
    """Show the contest's network, trained, without these blocks."""
    chosen = choices()
    chosen.network, chosen.untrained = contest.network, None
    chosen.lesion(contest.network).gate = 0.0
    change_lesion(contest.network, blocks)
    st.rerun()
