"""Controls of a page: what is set stays when the page is left, and stands in its link."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import streamlit as st

from ..codes import blocks_code, blocks_of_code, whole_number
from ..session import Visit, choices, if_shown, notice, state

NONE = "none"
ONE, SEVERAL = "this image", "several images"
Value = TypeVar("Value", str, int, list[str])


def one_of(name: str, label: str, options: Sequence[str], default: str, help: str) -> str:
    """One of a few options, side by side. A link says it with dashes for spaces."""
    by_code = {option.replace(" ", "-"): option for option in options}
    value, key, store = setting(name, default, by_code.__getitem__, lambda option: option.replace(" ", "-"))
    st.segmented_control(label, options, key=key, required=True, on_change=store, help=help)
    return value


def images_of_pass(visit: Visit, most: int, *, several: bool) -> int:
    """How many images go forward and backward: 1, the one chosen, or ``most`` of the set; see ``Subject.batch``."""
    them = visit.subject.batch(most).title
    chosen = one_of("images", "Images", [ONE, SEVERAL], SEVERAL if several else ONE, help=f"Several: {them}.")
    return most if chosen == SEVERAL else 1


def number(name: str, label: str, smallest: int, largest: int, default: int, help: str, *, slider: bool = True) -> int:
    """A whole number, on a slider or in a box."""

    def parse(text: str) -> int:
        if not smallest <= int(text) <= largest:
            raise ValueError(text)
        return int(text)

    value, key, store = setting(name, default, parse, str)
    widget = st.slider if slider else st.number_input
    if not slider:
        help += f" From {smallest} to {largest:,}."
    widget(label, smallest, largest, key=key, on_change=store, help=help, width=260 if slider else 200)
    return value


def text(name: str, label: str, longest: int, help: str) -> str:
    """A short text."""
    value, key, store = setting(name, "", str, str)
    st.text_input(label, max_chars=longest, key=key, on_change=store, help=help, width=200)
    return value


def blocks(name: str, label: str, options: Sequence[str], default: list[str], help: str) -> list[str]:
    """Some of a network's blocks, in their order. A link says them as positions."""

    def parse(text: str) -> list[str]:
        return [options[index] for index in blocks_of_code(text, len(options))] if text != NONE else []

    value, key, store = setting(name, default, parse, partial(code_of_blocks, options=options))
    st.multiselect(label, options, key=key, on_change=store, help=help)
    return value


def block(name: str, label: str, options: Sequence[str], default: str, help: str) -> str:
    """One of a network's blocks, on a slider. A link says its position."""

    def parse(text: str) -> str:
        return options[whole_number(text, len(options) - 1)]

    value, key, store = setting(name, default, parse, lambda block: str(options.index(block)))
    st.select_slider(label, options, key=key, on_change=store, help=help, width=320)
    return value


def code_of_blocks(chosen: Sequence[str], options: Sequence[str]) -> str:
    """Blocks as a link says them."""
    return blocks_code([options.index(block) for block in chosen]) if chosen else NONE


def set_value(name: str, value: Value, default: Value, code: Callable[[Value], str] = str) -> None:
    """Set a value of this page: at its own control, or from elsewhere by a click in a figure."""
    stored = choices().settings.setdefault(state().page, {})
    if value == default:
        stored.pop(name, None)
    else:
        stored[name] = code(value)


def unseen(*names: str) -> None:
    """These controls are not drawn now; what a link sets for them is kept until they are."""
    choices().unread.difference_update(names)


def flag(name: str) -> bool:
    """Something that has been asked for or not, without a control of its own: 'name=yes' in a link."""
    value, _, _ = setting(name, "no", {"no": "no", "yes": "yes"}.__getitem__, str)
    return value == "yes"


def set_flag(name: str, asked: bool) -> None:
    """Keep whether it has been asked for."""
    set_value(name, "yes" if asked else "no", "no")


def setting(
    name: str, default: Value, parse: Callable[[str], Value], code: Callable[[Value], str]
) -> tuple[Value, str, Callable[[], None]]:
    """The value kept under a name, the key of the widget that shows it, and what to call when the visitor changes it."""
    page = state().page
    stored = choices().settings.setdefault(page, {})
    came_with_link = name in choices().unread
    choices().unread.discard(name)
    value = default
    try:
        value = parse(stored[name]) if name in stored else default
    except (ValueError, KeyError):
        text = stored.pop(name)
        if came_with_link:  # else another control has narrowed the choice since
            notice(f"The link could not be used as it is: {name} = {text[:40]!r} was not used; set below is {default}.")
    key = f"{page}/{name}"
    st.session_state[key] = value

    return value, key, if_shown(key, lambda: set_value(name, st.session_state[key], default, code))
