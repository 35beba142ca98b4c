"""Lessons: views in an order, each with a heading, a note and perhaps a question to be answered before the view is shown."""

import re
from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from ...replica import is_elsewhere
from ..internals import session_id
from ..kit.parts import page_named, plain
from ..lesson import (
    CHOICE,
    KINDS,
    LONGEST_OPTION,
    LONGEST_TEXT,
    LONGEST_UNIT,
    MOST_OPTIONS,
    MOST_STEPS,
    NUMBER,
    Running,
    Step,
    as_number,
)
from ..meetings import SIGNS
from ..session import choices, classes, state
from . import classroom, links
from .share import code_and_link, link_to

FOCUS = st.components.v2.component(
    "resnet_viz_lesson_focus",
    html="<span></span>",
    js="""
// The button that led to a step may be gone: who reads or steers by keyboard goes on at the step's heading.
let shown;
export default function ({ data }) {
  const box = document.querySelector(".st-key-lesson"), heading = box?.querySelector("h2");
  if (!heading || shown === data.step) return;
  shown = data.step;
  if (box.contains(document.activeElement)) return;
  heading.tabIndex = -1;
  heading.focus();
}
""",
)
PREDICTION = "Your prediction, before you see it"
HELP_OF_PREDICTION = "It may stay empty, and goes into the answer sheet."
HELP_OF_SENT = "Your teacher sees it, without your name. It goes into your answer sheet, too."


def lesson_box() -> bool:
    """Above the page: the running lesson's step in large type, with its question. Returns whether the view may be shown."""
    running = choices().lesson
    if running is None:
        return True
    steps, step, waits = running.lesson.steps, running.now, classroom.waits(running)
    held = classroom.held(running)
    with st.container(border=True, key="lesson"):
        st.caption(
            f"{running.lesson.title} · step {running.step + 1} of {len(steps)}{classroom.standing(running)}",
        )
        st.header(step.heading, anchor=False)
        st.markdown(step.note)
        if step.question:
            st.markdown(f"**{step.question}**")
        if waits:
            ask(running)
        elif step.question:
            answer(running)
        with st.container(horizontal=True, vertical_alignment="center"):
            lead_to_step(running, running.step - 1, "Previous", "arrow_back", "The view of the step before.")
            unanswered = waits and running.step not in running.predictions
            if unanswered and running.skipping != running.step and running.step + 1 < len(steps):
                if st.button("Next", icon=":material/arrow_forward:", help="The question waits for a prediction."):
                    running.skipping = running.step
                    st.rerun()
            else:
                label = "Skip this question?" if unanswered else "Next"
                lead_to_step(running, running.step + 1, label, "arrow_forward", "The view of the next step.")
            again = "Undo what you have changed since the step began."
            lead_to_step(running, running.step, "This step's view again", "replay", again)
            said = "the predictions of your class, without names," if held else "your predictions"
            st.download_button(
                "Answer sheet",
                classroom.sheet(running),
                "answers.csv",
                "text/csv",
                on_click="ignore",
                help=f"Questions, {said} and the answers as a CSV file.",
            )
            view = links.query_of(state().page, replace(choices(), lesson=None))
            lead(state().page, view, "End the lesson", "close", "The view stays; the lesson's box goes.")
            collect = "Collect the class's predictions"
            if held:
                code_and_link(held.code, link_to("lessons", {"class": held.code}))
            elif not running.code and st.button(collect, icon=":material/groups:", help=classroom.HELP_OF_CLASS):
                classroom.open_class(running)
            FOCUS(key="lesson_focus", data={"step": f"{running.lesson.title} {running.step}"}, width="content")
        if held:
            classroom.class_panel(running)
    return not waits


def ask(running: Running) -> None:
    """The control that this step's question is answered with, and what sends the prediction to a teacher or shows the answer."""
    step, number, student = running.now, running.step, classroom.joined(running) is not None
    with st.form(f"prediction_{number}", border=False):
        said = prediction(step, running.predictions.get(number, ""), HELP_OF_SENT if student else HELP_OF_PREDICTION)
        if student:
            pressed = st.form_submit_button("Send", type="primary", help="To your teacher, without your name.")
        else:
            show = "Keep the prediction and show the view with the answer."
            pressed = st.form_submit_button("Show what happens", type="primary", help=show)
    if pressed and student:
        classroom.send(running, said)
    elif pressed:
        running.predictions[number] = said
        classes().reveal(session_id(), number)
        st.rerun()
    if student:
        classroom.wait_for_teacher(running)


def answer(running: Running) -> None:
    """What was predicted, what is right, and why."""
    step, said = running.now, running.predictions.get(running.step, "")
    parts = [step.answer]
    if step.right:
        parts.insert(0, f"Right: {ended(step.with_unit(step.right), '**')}")
    if said or not classroom.held(running):  # there the class is asked, not its teacher
        parts.insert(0, f"You said: {ended(plain(step.with_unit(said)) or 'nothing', '*')}")
    st.markdown(" ".join(parts))


def ended(said: str, mark: str) -> str:
    """What was said, between marks, as the end of a sentence."""
    return f"{mark}{said}{mark}" + ("" if said.endswith((".", "!", "?")) else ".")


def prediction(step: Step, said: str, help: str) -> str:
    """The control that a question is answered with, as it was answered before; '' where nothing is said."""
    if step.kind == CHOICE:
        before = step.options.index(said) if said in step.options else None
        return st.radio(PREDICTION, step.options, before, help=help) or ""
    if step.kind == NUMBER:
        label = PREDICTION + (f", in {plain(step.unit)}" if step.unit else "")
        value = st.number_input(label, value=as_number(said), step=1.0, format="%g", width=320, help=help)
        return "" if value is None else f"{value:.10g}"
    return st.text_input("Your answer, before you see more", said, max_chars=500, help=f"In your own words. {help}")


def lead_to_step(running: Running, number: int, label: str, icon: str, help: str) -> None:
    """What leads to the view of a step, counted from 0; it can be seen, but not used, where there is no such step."""
    there = 0 <= number < len(running.lesson.steps)
    step = running.lesson.steps[number] if there else running.now
    held = classroom.held(running)  # perhaps since after the address of this view
    query = step.query | replace(running, secret=held.secret if held else "").query_at(number)
    lead(step.page, query, label, icon, help, disabled=not there)


def lead(
    page: str, query: links.Query, label: str, icon: str, help: str, *, key: str = "", disabled: bool = False
) -> None:
    """What leads to a view: a link where it is on another page, since the server's way there would leave one address too many
    in the browser's history, that of this page with the query of that one; a button on the same page, where a link changes
    no address."""
    where, icon = page_named(page), f":material/{icon}:"
    query = choices().contest_query | query | choices().on_screen
    if page != state().page:
        st.page_link(where, label=label, icon=icon, query_params=query, disabled=disabled, help=help)
    elif st.button(label, icon=icon, disabled=disabled, help=help, key=key or None):
        links.forget()
        st.switch_page(where, query_params=query)


def lead_elsewhere(code: str) -> bool:
    """Where what has this code would be on another of several servers: a link that loads the page from there."""
    code = code.strip().upper()
    if not re.fullmatch(f"[{SIGNS}]+", code) or not is_elsewhere(code):
        return False
    st.html(f'<a href="?class={code}" target="_self">Go to {code}</a>')
    return True


def edit_step(step: Step) -> None:
    """The controls of a step's texts and its question."""
    key = str(id(step))
    step.heading = st.text_input(
        "Heading", step.heading, 200, key=f"heading_{key}", help="It stands in large type above the view."
    )
    step.note = st.text_area(
        "Note",
        step.note,
        max_chars=LONGEST_TEXT,
        key=f"note_{key}",
        help="What the class reads above the view, in Markdown.",
    )
    step.question = st.text_input(
        "Question (if any)",
        step.question,
        500,
        key=f"question_{key}",
        help="The view is shown when it has been answered.",
    )
    if not step.question:
        return
    step.kind = st.segmented_control(
        "It asks for a",
        KINDS,
        default=step.kind,
        required=True,
        key=f"kind_{key}",
        help="A text in one's own words, a number, or one of a few options.",
    )
    if step.kind == CHOICE:
        lines = st.text_area(
            "Options, one a line",
            "\n".join(step.options),
            max_chars=MOST_OPTIONS * LONGEST_OPTION,
            key=f"options_{key}",
            help=f"2 to {MOST_OPTIONS}; the class sees them in this order.",
        )
        step.options = [line.strip() for line in lines.splitlines() if line.strip()]
        right = step.options.index(step.right) if step.right in step.options else None
        step.right = (
            st.selectbox(
                "The right one", step.options, right, key=f"right_option_{key}", help="It is named with the answer."
            )
            or ""
        )
    elif step.kind == NUMBER:
        step.unit = st.text_input(
            "Unit (if any)",
            step.unit,
            LONGEST_UNIT,
            key=f"unit_{key}",
            help="%, points, branches: it stands beside the number.",
        )
        step.right = st.text_input(
            "The right number (if there is one)",
            step.right,
            40,
            key=f"right_number_{key}",
            help="It is named with the answer.",
        )
    else:
        step.right = ""
    step.answer = st.text_input(
        "Its answer", step.answer, LONGEST_TEXT, key=f"answer_{key}", help="Shown with the view, after the prediction."
    )


@st.fragment
def recorder(page: str) -> None:
    """In the sidebar: add what is seen to the lesson that this visitor records."""
    recorded, draft = state().recorded_lesson, state().draft_of_step
    with st.popover(
        f"Lesson: {len(recorded.steps)} recorded" if recorded.steps else "Record a lesson",
        icon=":material/co_present:",
        width="stretch",
        help="Collect views, each with a note and perhaps a question, into a lesson of your own.",
    ):
        edit_step(draft)
        if st.button(
            "Add this view",
            type="primary",
            disabled=len(recorded.steps) >= MOST_STEPS,
            help="Page, network, image, deletions and settings as they are now.",
        ):
            add_view(page, draft)
        st.caption("Saved, reordered and stepped through on the page **Lessons**.")


def add_view(page: str, draft: Step) -> None:
    """Add what is seen now to the recorded lesson, with the texts of a draft."""
    steps = state().recorded_lesson.steps
    if draft.fault:
        st.error(draft.fault)
        return
    view = links.query_of(
        page,
        replace(choices(), lesson=None, contest="", run="", presenter=False),  # a training run ends
    )
    draft.link = f"{page}?{urlencode(view)}"
    draft.heading = draft.heading or f"View {len(steps) + 1}"
    steps.append(draft)
    state().draft_of_step = Step("", "", "")
    st.rerun()
