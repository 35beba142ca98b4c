"""The class that goes through a lesson: what its students send, from when on they see what happens, and what its teacher sees."""

from collections.abc import Callable

import streamlit as st

from ...errors import InputError
from ...figures.predictions import choice_bars, number_dots, numbers_sentence
from ..classes import Class
from ..internals import session_id
from ..kit.drawing import Drawing
from ..kit.parts import plain
from ..lesson import CHOICE, NUMBER, Running, Step, answer_sheet, as_number
from ..meetings import HOW_IT_ENDS
from ..session import choices, classes, notice, palette

OFTEN = 3.0  # seconds between two looks at what the others have done
HELP_OF_CLASS = (
    "Open a class: under a short code your students go through this lesson in their own browsers, see what happens when you show "
    "it, and you alone see what they predict, without names. The address of this page holds your key to the class: loaded anew, "
    f"or opened elsewhere, it takes the class over, so keep it to yourself. {HOW_IT_ENDS}"
)
SENT = "Sent: **{said}**. You may change it and send it again until your teacher shows what happens."
NOT_SENT = "Nothing sent yet. Your teacher shows what happens."
NO_LONGER_HELD = "This window no longer holds the class: it has ended, or another window has taken it over."


def held(running: Running) -> Class | None:
    """The class that this visitor teaches with this lesson."""
    found = classes().of(session_id())
    return found if found and found.lesson_name == running.name and found.lesson == running.lesson else None


def joined(running: Running) -> Class | None:
    """The class that this visitor is a student of; None where there is none, or where it has ended."""
    found = classes().find(running.code) if running.code else None
    return found if found and found.teacher != session_id() else None


def waits(running: Running) -> bool:
    """Whether this step has a question whose answer is not shown yet: in a class the teacher shows it, without one a prediction
    of one's own."""
    found = held(running) or joined(running)
    return bool(running.now.question) and running.step not in (found.revealed if found else running.predictions)


def follow() -> None:
    """Be counted in the class that this visitor has joined; say so where a class is no longer this visitor's."""
    if not (running := choices().lesson):
        return
    if joined(running):
        classes().join(running.code, session_id())
    if running.secret and not held(running):
        running.secret = ""
        notice(NO_LONGER_HELD)


def standing(running: Running) -> str:
    """How it stands with the class that a student has joined, to be read after the step's number."""
    if not running.code or held(running):
        return ""
    if joined(running):
        return f" · class {running.code}"
    return " · your class has ended: what you predict is no longer sent"


def send(running: Running, said: str) -> None:
    """Send a student's prediction to the teacher."""
    if not said:
        st.error("Your prediction is empty: nothing was sent.")
        return
    try:
        classes().predict(running.code, session_id(), running.step, said)
        running.predictions[running.step] = said
    except InputError as error:
        notice(str(error))
    st.rerun()


@st.fragment(run_every=OFTEN)
def wait_for_teacher(running: Running) -> None:
    """For a student: what was sent, until the teacher shows what happens or the class ends; the page is drawn again then."""
    if joined(running) is None or not waits(running):
        st.rerun()
    said = plain(running.now.with_unit(running.predictions.get(running.step, "")))
    st.markdown(SENT.format(said=said) if said else NOT_SENT)


def sheet(running: Running) -> Callable[[], str]:
    """What makes the answer sheet when it is wanted: for a teacher of what the class predicts, sorted, so that no order tells
    who it was; else of one's own predictions."""
    teaches, every_class, session = held(running), classes(), session_id()  # not to be had when it is made

    def of_class() -> str:
        steps = range(len(running.lesson.steps))
        return answer_sheet(running.lesson, {step: sorted(every_class.predictions(session, step)) for step in steps})

    def of_oneself() -> str:
        return answer_sheet(running.lesson, {step: [said] for step, said in running.predictions.items()})

    return of_class if teaches else of_oneself


def open_class(running: Running) -> None:
    """Open a class with this lesson."""
    try:
        running.secret = classes().open(session_id(), running.lesson, running.name).secret
    except InputError as error:
        st.error(str(error))
    else:
        st.rerun()


@st.fragment(run_every=OFTEN)
def class_panel(running: Running) -> None:
    """For the teacher: how the class comes in, and what it predicts at this step; drawn again by itself while the class is open."""
    found = held(running)
    if found is None:  # since the page was drawn
        st.rerun()
    said = classes().predictions(session_id(), running.step)
    answers = f"{len(said)} {'answer' if len(said) == 1 else 'answers'} to this step"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Class **{found.code}**: {classes().joined(session_id())} joined, {answers}")
        shown = st.toggle(
            "Show its predictions",
            key=f"class_predictions_{running.step}",
            help="All who see this screen see them then, without names. Off again at the next step.",
        )
        if st.button("End the class", help="Its code and its predictions are gone then."):
            classes().close(session_id())
            running.secret = ""
            st.rerun()
    if shown and said:
        show_predictions(running.now, said, revealed=not waits(running))


def show_predictions(step: Step, said: list[str], *, revealed: bool) -> None:
    """What a class predicts, beside what is right once that is ``revealed``."""
    right = step.right if revealed else ""
    if step.kind == CHOICE:
        plot = choice_bars([(option, said.count(option)) for option in step.options], right, palette())
        alt = ", ".join(f"{option}: {said.count(option)}" for option in step.options)
    elif step.kind == NUMBER:
        numbers = [value for text in said if (value := as_number(text)) is not None]
        if not numbers:
            return
        alt = numbers_sentence(numbers, step.unit)
        plot = number_dots(numbers, step.unit, as_number(right), palette())
        st.markdown(plain(alt))
    else:
        st.markdown("\n".join(f"- {plain(text)}" for text in said))
        return
    config = {"displayModeBar": False}
    st.plotly_chart(
        Drawing(plot.json()), height=plot.layout["height"], theme=None, key="class_figure", config=config, alt=alt
    )
