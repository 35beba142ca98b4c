"""A recipe asked on a page: no run of a page waits for it; what comes late is drawn when it is there."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from ...engine.tickets import Ticket, engine, key_of_call
from ...errors import InputError
from ...recipes.shown import Recipe, Shown
from ...recipes.subject import Subject
from ..internals import draw_again, fragment_id, is_here, session_id
from ..session import Asked, patience, state
from .card import HEIGHTS, draw

LONG = 1.0  # seconds, from which on a computation shows how far it is
OFTEN = 0.5  # seconds between two drawings of how far it is; a tenth of the time spent, when that is more


def ask(recipe: Recipe, *subjects: Subject, ask_first: bool = False, **settings: Any) -> Shown | None:
    """The recipe's answer; None where it is on its way, or the visitor has cancelled it, or not begun it (``ask_first``) yet.

    What is on its way shows what is known so far, and after a second a bar with the time left and a button to cancel. When the
    answer is there, the part of the page that asked (a card, or the whole) is drawn again. What is measured on the way is kept,
    so that whatever interrupts it costs one step at most.
    """
    call, place = partial(recipe, *subjects, **settings), st.container()  # there always, so that nothing moves below it
    if (known := recipe.known(*subjects, **settings)) is not None:
        if state().tickets and (asked := state().tickets.pop(key_of_call(call), None)):
            asked.shown = True
        return known
    with place:
        cancelled = state().cancelled
        if cancelled.get(recipe.name):
            st.caption("Cancelled." if recipe.stays else "Cancelled; what was done is kept.")
        if cancelled.get(recipe.name, ask_first):
            if not st.button(recipe.doing, type="primary", help="It takes a while; a bar shows how far it is."):
                return None
            cancelled[recipe.name] = False
        asked = asked_for(call)
        if asked.ticket.wait(patience()):
            del state().tickets[asked.key]
            asked.shown = True
            answer: Shown = asked.ticket.result()
            return answer
        asked.drawn_by = fragment_id()
        (on_its_way if asked.drawn_by else st.fragment(on_its_way))(recipe, asked)
    return None


def show(
    recipe: Recipe,
    *subjects: Subject,
    key: str = "",
    words: bool = True,
    ask_first: bool = False,
    on_select: Callable[[], None] | None = None,
    below: Callable[[Shown], None] | None = None,
    **settings: Any,
) -> None:
    """A card: ask a recipe, and draw what it answers (``key``, ``words``, ``on_select`` as in ``draw``), now or when it is there.

    ``below``: draws what stands below the answer, and is redrawn with it alone.
    """

    def select() -> None:
        assert on_select
        on_select()
        state().whole_page_again = True

    @st.fragment
    def card() -> None:
        if state().whole_page_again:  # what is clicked in a card redraws the card alone
            state().whole_page_again = False
            st.rerun()
        try:
            shown = ask(recipe, *subjects, ask_first=ask_first, **settings)
        except InputError as error:  # two cards may be told the same
            if state().faults.setdefault(str(error), recipe.name + key) == recipe.name + key:
                st.error(str(error))
        else:
            if shown:
                draw(shown, key, words=words, on_select=select if on_select else None)
                if below:
                    below(shown)

    card()


def asked_for(call: partial[Any]) -> Asked:
    """This visitor's ticket for a call; the same at every run of the page, until the answer has been drawn."""
    key, now = key_of_call(call), state()
    now.asked.add(key)
    if key not in now.tickets:
        session = session_id()
        ticket = engine().submit(call, wanted=partial(is_here, session))
        now.tickets[key] = asked = Asked(key, ticket)
        ticket.news = partial(tell, session, asked)
    return now.tickets[key]


def tell(session: str, asked: Asked) -> None:
    """Have drawn again what shows an answer, or how far it is; called from any thread."""
    now = time.monotonic()
    if asked.ticket.done:
        draw_again(session, asked.drawn_by, unless=lambda: asked.shown)
    elif asked.bar and (asked.ticket.latest is not asked.seen or now >= asked.next_bar):
        asked.seen = asked.ticket.latest
        asked.next_bar = now + max(OFTEN, (now - asked.since) / 10)
        draw_again(session, asked.bar, unless=lambda: asked.ticket.done)


def on_its_way(recipe: Recipe, asked: Asked) -> None:
    """How far it is, and what is known so far."""
    asked.bar, ticket = fragment_id(), asked.ticket
    if ticket.done or state().cancelled.get(recipe.name):  # since the page was drawn
        st.rerun(scope="app")
    spent, progress = time.monotonic() - asked.since, ticket.progress
    height = 0 if isinstance(ticket.latest, Shown) else HEIGHTS.get(recipe.name, 0)
    if 0 < progress < 1 and spent / progress > LONG:
        left = spent * (1 - progress) / progress
        st.progress(progress, f"{recipe.doing}: {100 * progress:.0f} %, about {left:.0f} s left")
        st.button(
            "Cancel",
            key=f"cancel {recipe.name} {asked.key[1].hex()}",  # a page may ask a recipe of two networks
            on_click=cancel,
            args=(recipe, asked),
            help="Stop here." if recipe.stays else "Stop here; what is done is kept.",
        )
        one_moment("", height)
    else:
        one_moment(f"{recipe.doing} ..." if recipe.doing else "", height)
    if trouble := engine().trouble:
        st.warning(trouble)
    if isinstance(ticket.latest, Shown):
        draw(ticket.latest, preview=True)


def one_moment(text: str = "One moment ...", height: int = 0) -> None:
    """Stands where something is on its way, as high as its figure will be: so what is below does not move."""
    st.html(f"<p class='on-its-way' style='min-height: {height}px'>{text}</p>")


def cancel(recipe: Recipe, asked: Asked) -> None:
    """Leave it."""
    state().cancelled[recipe.name] = True
    state().tickets.pop(asked.key, None)
    asked.ticket.release()


def come_back(ticket: Ticket) -> None:
    """Have the whole page drawn again when a result is there that it cannot do without."""
    asked = Asked(ticket.work.key, ticket)
    state().tickets[asked.key] = asked
    state().asked.add(asked.key)
    ticket.wanted = partial(is_here, session_id())
    ticket.news = partial(tell, session_id(), asked)
    if ticket.done:  # meanwhile
        tell(session_id(), asked)


def leave_the_rest() -> None:
    """Give up what was asked for at earlier runs, and is not any more."""
    now = state()
    for key in now.tickets.keys() - now.asked:
        now.tickets.pop(key).ticket.release()
