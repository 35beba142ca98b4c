"""What one visitor has chosen: network, weights, image, lesion. It lives in session_state under keys of no widget."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import streamlit as st

from ..engine.kept import Key
from ..engine.tickets import Ticket
from ..experiments.norms import Norms
from ..figures.palette import DARK, LIGHT, Palette
from ..jobs.runs import Runs, start_worker
from ..networks.zoo import Entry
from ..recipes.shown import Shown
from ..recipes.subject import Subject
from .classes import Classes
from .contests import Contests
from .internals import StreamlitPage, is_here
from .lesson import Lesson, Running, Step

LARGEST_SEED = 9999
BUNDLED = "bundled"
TWIN, ITSELF, NOTHING = "its twin", "itself, untrained", "nothing"
UNDO_STEPS = 100
PRESENTER = "presenter"  # as an address says it


@dataclass
class Lesion:
    """The chosen blocks of one network, the gate they get, and how many changes the strip has seen."""

    blocks: list[str] = field(default_factory=list)
    gate: float = 0.0
    sequence: int = 0
    undone: list[list[str]] = field(default_factory=list)
    done: list[list[str]] = field(default_factory=list)


@dataclass
class Choices:
    """One visitor's choices. ``untrained``: the seed of initial weights, None for the trained ones. ``beside``: what the
    network is compared with, TWIN, ITSELF, NOTHING or the name of another of the same architecture. ``source``: where the
    image comes from, BUNDLED (the one at ``position``) or one of the visitor's own; ``own_labels``: the classes that the
    visitor said those show, by the data set whose classes they are and the digest of their pixels. ``settings``: for each
    page what was set to something else than its default, as a link says it; ``unread``: those that came with a link and that the page has
    not asked for yet. ``sequence``: how often the block looked at has changed. ``run``: the id of a training
    run, or ''. ``taken``: how often networks were taken along from a run. ``lesson``: the one under way. ``contest``: the code of
    the one that this visitor is in, or ''. ``presenter``: whether the app is shown by a projector."""

    network: str = "fashion-resnet56"
    beside: str = TWIN
    untrained: int | None = None
    position: int = 447
    page_of_images: int = 0
    source: str = BUNDLED
    own_position: int = 0
    own_labels: dict[tuple[str, str], int] = field(default_factory=dict)
    lesions: dict[str, Lesion] = field(default_factory=dict)
    block: dict[str, str] = field(default_factory=dict)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    sequence: int = 0
    run: str = ""
    taken: int = 0
    lesson: Running | None = None
    contest: str = ""
    presenter: bool = False

    @property
    def contest_query(self) -> dict[str, str]:
        """What an address says of the contest."""
        return {"contest": self.contest} if self.contest else {}

    @property
    def on_screen(self) -> dict[str, str]:
        """What an address says of the presenter view."""
        return {"view": PRESENTER} if self.presenter else {}

    def carried_to(self, query: Mapping[str, str]) -> dict[str, str]:
        """The query of a view that is to be seen while lesson and contest go on, and on the same screen; one with a step of a
        lesson keeps to that."""
        lesson = self.lesson.query if self.lesson and "step" not in query else {}
        return {**self.contest_query, **query, **lesson, **self.on_screen}

    def lesion(self, network: str) -> Lesion:
        return self.lesions.setdefault(network, Lesion())


@dataclass(frozen=True)
class Visit:
    """What a page works on. ``beside``: the network to compare with, for the same images and lesion; ``link``: to this view."""

    subject: Subject
    beside: Subject | None
    palette: Palette
    link: str

    @property
    def subjects(self) -> list[Subject]:
        """The chosen network, and the one beside it if there is one."""
        return [self.subject, *([self.beside] if self.beside else [])]


@dataclass
class Asked:
    """What a visitor has asked for and not seen yet. ``drawn_by``: the part of the page that draws the answer, None for all of
    it; ``shown``: whether it has been; ``bar``: the part that shows how far it is, next after ``next_bar``, and that has shown
    ``seen``."""

    key: Key
    ticket: Ticket
    since: float = field(default_factory=time.monotonic)
    drawn_by: str | None = None
    shown: bool = False
    bar: str | None = None
    next_bar: float = 0.0
    seen: Any = None


@dataclass
class State:
    """What a session holds beside the values of its widgets. It outlives a change of page.

    ``page``, ``pages``: where the visitor is, and could be; ``visit``: what the sidebar has left; ``cards``: the answers on this
    page, by the key of their figure; ``notices``: sentences, and since when they are told; ``cancelled``: whether an
    answer waits for a press, by its recipe; ``tickets``: what is on its way, ``asked``: what this run has asked for, for which
    it may wait until ``wait_until``; ``faults``: sentences on what could not be shown, with the card that tells each; ``whole_page_again``: whether a click in a card concerns more; ``query_written_on``: the page whose address says what is chosen, None
    where the next query is to be applied whatever it is. ``looked_at``: the card that a link leads to, ``arrivals``: how many did.
    ``healing``: the cut network that the visitor could have healed last. ``begun``: lessons, by name and code of the class: Back
    may lead into them. ``bar``: of the presenter view, which takes what pages fold away; None outside of it.
    """

    choices: Choices = field(default_factory=Choices)
    page: str = ""
    pages: Sequence[StreamlitPage] = ()
    visit: Visit | None = None
    bar: st.delta_generator.DeltaGenerator | None = None
    cards: dict[str, Shown] = field(default_factory=dict)
    notices: dict[str, float] = field(default_factory=dict)
    cancelled: dict[str, bool] = field(default_factory=dict)
    tickets: dict[Key, Asked] = field(default_factory=dict)
    asked: set[Key] = field(default_factory=set)
    faults: dict[str, str] = field(default_factory=dict)
    wait_until: float = 0.0
    whole_page_again: bool = False
    query_written_on: str | None = None
    looked_at: str = ""
    arrivals: int = 0
    healing: Key | None = None
    begun: dict[tuple[str, str], Running] = field(default_factory=dict)
    recorded_lesson: Lesson = field(default_factory=Lesson)
    draft_of_step: Step = field(default_factory=lambda: Step("", "", ""))
    opened_lesson: str = ""  # the id of its file
    uploaded_networks: dict[str, Entry] = field(default_factory=dict)
    unavailable_weights: dict[str, str] = field(default_factory=dict)  # by network, why
    faults_of_uploads: dict[str, str] = field(default_factory=dict)  # by file; '' for one that was taken
    drawings: dict[str, str] = field(default_factory=dict)
    step_looked_at: dict[Any, int] = field(default_factory=dict)  # by race, where it is not the newest
    newest_steps: dict[int, float] = field(default_factory=dict)  # when each was the newest
    fault_of_start: str = ""
    norms: Norms | None = None  # that the visitor has opened
    fault_of_norms: str = ""

    def look_at(self, figure: str) -> None:
        """Lead the visitor to a card, or ('') to the top of the page."""
        self.looked_at, self.arrivals = figure, self.arrivals + 1


def state() -> State:
    """This session's own."""
    if "state" not in st.session_state:
        st.session_state["state"] = State()
    return cast(State, st.session_state["state"])


class Patience:
    """The seconds that a run waits for answers, all in all: until the app is ready, as long as it takes."""

    seconds = 60.0


def patience() -> float:
    """The seconds that this run may still wait for answers."""
    return max(0.0, state().wait_until - time.monotonic())


def visit() -> Visit:
    """What this page works on, as the sidebar left it."""
    now = state().visit
    assert now, "the frame draws the sidebar before the page"
    return now


def choices() -> Choices:
    """This visitor's choices."""
    return state().choices


def if_shown(key: str, callback: Callable[[], None]) -> Callable[[], None]:
    """For a control that not every page has: a click can reach the server after the next page has been drawn."""
    return lambda: callback() if key in st.session_state else None


def notice(sentence: str) -> None:
    """Tell the visitor something above the page, for a while: a page may run again before anybody has read it."""
    state().notices[sentence] = time.monotonic()


def palette() -> Palette:
    """The colours of the theme that the visitor sees, and the sizes of the view."""
    colours = DARK if st.context.theme.type == "dark" else LIGHT
    return replace(colours, projector=choices().presenter)


def change_lesion(network: str, blocks: Iterable[str], sequence: int | None = None) -> None:
    """Record a new lesion, so that it can be undone."""
    lesion = choices().lesion(network)
    lesion.done = [*lesion.done, lesion.blocks][-UNDO_STEPS:]
    lesion.undone.clear()
    lesion.blocks = list(blocks)
    lesion.sequence = lesion.sequence + 1 if sequence is None else sequence


def undo_lesion(network: str) -> None:
    """Go back to the lesion before."""
    lesion = choices().lesion(network)
    lesion.undone.append(lesion.blocks)
    lesion.blocks = lesion.done.pop()
    lesion.sequence += 1


def redo_lesion(network: str) -> None:
    """Go forward again to the lesion that was undone last."""
    lesion = choices().lesion(network)
    lesion.done.append(lesion.blocks)
    lesion.blocks = lesion.undone.pop()
    lesion.sequence += 1


@st.cache_resource(show_spinner=False)
def runs() -> Runs:
    """The one registry of training runs of this server."""
    return Runs(is_here, start_worker)


@st.cache_resource(show_spinner=False)
def classes() -> Classes:
    """The classes that are open on this server."""
    return Classes(is_here)


@st.cache_resource(show_spinner=False)
def contests() -> Contests:
    """The contests that are open on this server."""
    return Contests(is_here)
