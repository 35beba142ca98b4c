"""A view as a link: page, network, image, lesion and settings in a query short enough for a QR code, and back.

A query names the network, and what else differs from what it stands for where it says nothing: image 200, nothing deleted,
the trained weights, the settings' defaults. The opening view alone has an empty query, so that a bare
address shows it. A query that names no network is of a link made before they all did; it meant fashion-resnet34.

Beside the view it names the step of the lesson that is under way, 'lesson=plain-nets&step=2', for who teaches a class with
its secret ('teach=...'), which no link for others has; the contest that the visitor is in, 'contest=K7Q2MA'; and the presenter
view, 'view=presenter'.

A query is applied when the visitor came by it (an opened link, a link to
another page, Back, Forward); after anything else what is chosen is written into the address. ``figure`` names the card that such a
visitor is led to, and is not written.
"""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TypeVar

import streamlit as st

from ...networks.zoo import block_names, counterpart
from ...recipes import measures
from ..codes import blocks_code, blocks_of_code, whole_number
from ..internals import by_history, session_id
from ..lesson import OWN, Running, bundled_lessons
from ..networks import comparisons, networks
from ..session import (
    BUNDLED,
    ITSELF,
    LARGEST_SEED,
    NOTHING,
    PRESENTER,
    TWIN,
    Choices,
    change_lesion,
    choices,
    classes,
    contests,
    state,
)

LONGEST_QUERY = 2000  # characters of an incoming query; a longer one is none of this app's
# What a bare address shows. The middle block of 27 is deleted: resnet56 still says Coat (0.93 intact, 0.92), plain56 with the
# same block deleted no longer does (0.88 intact; T-shirt/top, 0.42). No rare case: of the 1,000 images resnet56 keeps its
# answer in 98 % without this block, plain56 in 6 %. Of all 27 deletions, one at a time, resnet56 keeps its answer for this
# image in 26, as for 79 % of the images in 26 or more, and plain56 in none, as for 33 % (both: 24 %).
OPENING = {"network": "fashion-resnet56", "image": "447", "deleted": "13"}
UNNAMED_NETWORK, UNNAMED_IMAGE = "fashion-resnet34", 200
PARAMETERS = ("network", "seed", "beside", "image", "block", "deleted", "gate", "training", "figure", "view")
Value = TypeVar("Value")
Query = dict[str, str]


def one_of(table: Mapping[str, Value]) -> Callable[[str], Value]:
    """A row of a table by its name; ValueError for any other text."""

    def parse(text: str) -> Value:
        if text not in table:
            raise ValueError(text)
        return table[text]

    return parse


SECRET = "teach"
OF_A_LESSON = ("lesson", "step", "class", SECRET)
OF_ITS_BLOCKS = ("block", "deleted", "gate")
OF_A_RACE = (
    ", or one of a race whose weights the server still keeps; a network from a file is in the list of those who gave it"
)


def run_id(text: str) -> str:
    """The id of a training run; ValueError for any other text."""
    if not re.fullmatch(r"[0-9a-f]{8}", text):
        raise ValueError(text)
    return text


def query_of(page: str, chosen: Choices) -> Query:
    """The query that restores on this page what is chosen: none for the opening view. A visitor's own images are not in it."""
    entry, lesion = networks()[chosen.network], chosen.lesion(chosen.network)
    blocks, last = block_names(entry), len(measures.images(entry)) - 1  # other data sets have fewer images
    position = min(chosen.position, last)
    block = chosen.block.get(chosen.network, blocks[0])
    beside = chosen.beside if chosen.beside in comparisons(entry, chosen.untrained is None) else TWIN
    parts = {
        "network": chosen.network,
        "seed": "" if chosen.untrained is None else str(chosen.untrained),
        "beside": beside.replace(", ", "-") if beside != TWIN else "",
        "image": str(position) if position != min(UNNAMED_IMAGE, last) else "",
        "block": str(blocks.index(block)) if block != blocks[0] else "",
        "deleted": blocks_code([blocks.index(name) for name in lesion.blocks]) if lesion.blocks else "",
        "gate": f"{lesion.gate:g}" if lesion.gate else "",
        "training": chosen.run,
    }
    query = {name: text for name, text in parts.items() if text} | chosen.settings.get(page, {})
    return chosen.carried_to({} if query == OPENING else query)


def lesson_of(query: Query, faults: list[str]) -> Running | None:
    """The lesson that a query leads into; None, and a sentence among the faults, where it is not known here (any more)."""
    name, step, code, secret = query.get("lesson", ""), query["step"], query.get("class", ""), query.get(SECRET, "")
    recorded = state().recorded_lesson
    lessons = bundled_lessons() | ({OWN: recorded} if recorded.steps else {})
    if secret:
        if taught := classes().take_over(secret, session_id()):
            name, code = taught.lesson_name, ""
            lessons[name] = taught.lesson
        else:
            faults.append("the class that it holds has ended, and its predictions are gone")
            secret = ""
    if code and (name, code) not in state().begun:
        if found := classes().find(code):
            lessons[name] = found.lesson
        else:
            faults.append(f"class = {code[:40]!r} is not open (any more); ask your teacher for the code")
            code = ""
    begun = state().begun.get((name, code))
    if begun is None and name not in lessons:
        faults.append(
            f"lesson = {name[:40]!r} was not used; expected {', '.join(lessons)}. A lesson of one's own is forgotten "
            "when its page is loaded anew: open its file again on the page *Lessons*"
        )
        return None
    if begun is None or (not code and begun.lesson != lessons[name]):  # one's own may have been edited since
        begun = state().begun[name, code] = Running(deepcopy(lessons[name]), name, code)
    begun.secret, last = secret, len(begun.lesson.steps)
    if re.fullmatch(r"[1-9]\d{0,3}", step, re.ASCII) and int(step) <= last:
        begun.step = int(step) - 1
    else:
        faults.append(f"step = {step[:40]!r} was not used; expected 1 to {last}")
    return begun


def apply(query: Query, page: str, chosen: Choices) -> list[str]:
    """Choose what a query says, and the defaults where it says nothing; by an empty one, the opening view.

    Returns a sentence for what was not understood.
    """
    query = query if query.keys() - {"view"} else OPENING | query
    if sum(len(name) + len(text) for name, text in query.items()) > LONGEST_QUERY:
        return ["it is too long to be one of this app's; nothing of it was used"]
    faults: list[str] = []

    def read(name: str, parse: Callable[[str], Value], default: Value, expected: str) -> Value:
        try:
            return parse(query[name]) if name in query else default
        except ValueError:
            faults.append(f"{name} = {query[name][:40]!r} was not used; expected {expected}")
            return default

    def gate(text: str) -> float:
        if not re.fullmatch(r"[01]|0?\.\d{1,4}", text, re.ASCII):
            raise ValueError(text)
        return float(text)

    known = networks()
    named = {name.replace(", ", "-"): name for name in (ITSELF, NOTHING, *known)}
    entry = read(
        "network",
        one_of(known),
        known[OPENING["network"] if "network" in query else UNNAMED_NETWORK],
        f"the name of a network in the list{OF_A_RACE if ':' in query.get('network', '') else ''}",
    )
    if faults and any(name in query for name in OF_ITS_BLOCKS):
        faults.append("what it says of that network's blocks was left out too")
        query = {name: text for name, text in query.items() if name not in OF_ITS_BLOCKS}
    chosen.beside = read("beside", one_of(named), TWIN, "a network, itself-untrained or nothing")
    blocks, images = block_names(entry), len(measures.images(entry))
    last = len(blocks) - 1
    chosen.network, chosen.source = entry.name, BUNDLED
    chosen.untrained = read("seed", lambda text: whole_number(text, LARGEST_SEED), None, f"0 to {LARGEST_SEED}")
    if not entry.can_be_built and chosen.untrained is not None:
        chosen.untrained = None
        faults.append(f"{entry.name} cannot be had untrained, so its seed was left out")
    if chosen.beside not in (TWIN, *comparisons(entry, chosen.untrained is None)):
        if (twin := counterpart(entry)) is None or chosen.beside != twin.name:
            faults.append(f"beside = {query['beside'][:40]!r} was not used: it cannot stand beside {entry.name}")
        chosen.beside = TWIN
    position = min(UNNAMED_IMAGE, images - 1)
    chosen.position = read("image", lambda text: whole_number(text, images - 1), position, f"0 to {images - 1}")
    chosen.page_of_images = chosen.position  # the thumbnails hold it
    chosen.block[entry.name] = blocks[read("block", lambda text: whole_number(text, last), 0, f"0 to {last}")]
    chosen.sequence += 1
    none: list[int] = []
    positions = read(
        "deleted",
        lambda text: blocks_of_code(text, len(blocks)),
        none,
        f"numbers of blocks, counted from 0 to {last}: 0-2.5 stands for 0, 1, 2 and 5",
    )
    if (deleted := [blocks[position] for position in positions]) != chosen.lesion(entry.name).blocks:
        change_lesion(entry.name, deleted)
    chosen.lesion(entry.name).gate = read("gate", gate, 0.0, "0 to 1")
    state().look_at(query.get("figure", ""))
    chosen.presenter = read("view", one_of({PRESENTER: True}), False, PRESENTER)
    chosen.run = read("training", run_id, "", "the id of a training run, eight of 0 to 9 and a to f")
    chosen.settings[page] = {name: text for name, text in query.items() if name not in PARAMETERS}
    chosen.unread = set(chosen.settings[page])
    return faults


def receive(page: str) -> list[str]:
    """Apply the address bar's query if the visitor came by it: an opened link, Back or Forward."""
    query, written_on = st.query_params.to_dict(), state().query_written_on
    if written_on is None or by_history():
        return take(query, page)
    if (
        written_on != page
    ):  # reached without a query, or by one that says what is chosen: all of it stays, own images too
        within = choices().carried_to(query)
        return take(within, page) if query and within != query_of(page, choices()) else []
    running = choices().lesson
    # Steps are gone through by links, on the same page, too; a class may have been opened since.
    if for_others(lesson_part(query)) != (for_others(running.query) if running else {}):
        return take(query, page)
    return []  # what the visitor has done counts: of two quick clicks, the second still brings the query from before the first


def forget() -> None:
    """Let the next query be applied whatever it is: also an empty one, which stands for the opening view."""
    state().query_written_on = None


def take(query: Query, page: str) -> list[str]:
    """Apply a query: the lesson and the contest that it leads into, if any, and the view."""
    state().query_written_on = page
    faults: list[str] = []
    in_lesson = lesson_part(query)
    choices().lesson = lesson_of(in_lesson, faults) if in_lesson else None
    choices().contest = contest_of(query["contest"], faults) if "contest" in query else ""
    view = {name: text for name, text in query.items() if name not in {*in_lesson, "contest"}}
    faults += apply(view, page, choices())
    if (led := choices().lesson) and "figure" not in view:
        state().look_at(led.now.figure)
    return faults


def contest_of(code: str, faults: list[str]) -> str:
    """The code of an open contest as it was given; '', and a sentence among the faults, where it is none."""
    if found := contests().find(code):
        return found.code
    faults.append(f"contest = {code[:40]!r} is not open (any more); ask your teacher for the code")
    return ""


def lesson_part(query: Query) -> Query:
    """What a query says of the lesson under way. One without a step leads into none."""
    return {name: query[name] for name in OF_A_LESSON if name in query} if "step" in query else {}


def for_others(query: Query) -> Query:
    """A query without what only this visitor may have."""
    return {name: text for name, text in query.items() if name != SECRET}


def send(page: str) -> None:
    """Write the query of what is chosen: in one call, and only when it is another, since each call adds to the history."""
    if (query := query_of(page, choices())) != st.query_params.to_dict():
        st.query_params.from_dict(query)
    state().query_written_on = page
