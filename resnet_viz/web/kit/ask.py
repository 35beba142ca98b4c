"""A recipe asked on a page: what is known is there at once; what takes long says how far it is, and can be cancelled."""

import time
from collections.abc import Callable
from itertools import count
from typing import Any, cast

import streamlit as st

from ...engine.kept import digest_of
from ...engine.turns import SERVED
from ...recipes.shown import Recipe, Shown
from ...recipes.subject import Subject
from ..session import state
from .card import draw

LONG = 1.0  # seconds, from which on a computation shows how far it is


def ask(recipe: Recipe, *subjects: Subject, ask_first: bool = False, **settings: Any) -> Shown | None:
    """The recipe's answer; None where the visitor has cancelled, or has not begun (``ask_first``) yet.

    What takes more than a second shows a progress bar with the time left and a button to cancel, and below them what is
    known so far. What is measured on the way is kept, so that whatever interrupts it (a click elsewhere on the page, a page
    change, Cancel) costs one step at most.
    """
    if (known := recipe.known(*subjects, **settings)) is not None:
        return known
    waiting = state().cancelled
    place, title = st.empty(), recipe.doing
    if waiting.get(recipe.name):
        st.caption("Cancelled; what was done is kept.")
    if waiting.get(recipe.name, ask_first):
        if not place.button(title, type="primary", help="It takes a while; a bar shows how far it is."):
            return None
        waiting[recipe.name] = False
    if title:
        place.caption(f"{title} ...")
    started, bar, steps = time.monotonic(), None, recipe.steps(*subjects, **settings)
    preview = place
    for number in count():
        served = SERVED.set(number)
        try:
            step = next(steps)
        except StopIteration as end:
            place.empty()
            return cast(Shown, end.value)
        finally:
            SERVED.reset(served)
        if isinstance(step, Shown):
            with preview.container():
                draw(step, preview=True)
            continue
        spent = time.monotonic() - started
        if bar is None and step < 1 and spent / step > LONG:
            with place.container():
                preview, bar = st.empty(), st.progress(0.0)
                asked = digest_of(subjects, settings).hex()  # a page may ask a recipe of two networks
                st.button(
                    "Cancel",
                    key=f"cancel {recipe.name} {asked}",
                    on_click=waiting.__setitem__,
                    args=(recipe.name, True),
                    help="Stop here; what is done is kept.",
                )
        if bar is not None:
            bar.progress(step, f"{title}: {100 * step:.0f} %, about {spent * (1 - step) / step:.0f} s left")
    raise AssertionError("a recipe ends with its answer")


def show(
    recipe: Recipe,
    *subjects: Subject,
    key: str = "",
    ask_first: bool = False,
    on_select: Callable[[], None] | None = None,
    **settings: Any,
) -> Shown | None:
    """Ask a recipe, and draw what it answers. Returns that."""
    shown = ask(recipe, *subjects, ask_first=ask_first, **settings)
    if shown:
        draw(shown, key, on_select=on_select)
    return shown
