"""Lessons: views in an order, each with a heading, a note and perhaps a question to be answered before the view is shown."""

import re
from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from ...errors import InputError
from ...figures.predictions import choice_bars, number_histogram, numbers_sentence
from ..classes import Class
from ..internals import session_id
from ..kit.drawing import Drawing
from ..kit.parts import page_named
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
    answer_sheet,
    as_number,
)
from ..meetings import HOW_IT_ENDS
from ..session import choices, classes, notice, palette, state
from . import links
from .share import link_to, show_link

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
HELP_OF_CLASS = (
    "Open a class: under a short code your students go through this lesson in their own browsers, and you alone see what they "
    f"predict, without names. {HOW_IT_ENDS}"
)
PREDICTION = "Your prediction, before you see it"
HELP_OF_PREDICTION = "It may stay empty, and goes into the answer sheet."


def plain(text: str) -> str:
    """A visitor's words without what Markdown would make of them."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>$:~-])", r"\\\1", text)


def lesson_box() -> bool:
    """Above the page: the running lesson's step in large type, with its question. Returns whether the view may be shown."""
    running = choices().lesson
    if running is None:
        return True
    steps, step, waits = running.lesson.steps, running.now, running.waits
    with st.container(border=True, key="lesson"):
        st.caption(f"{running.lesson.title} · step {running.step + 1} of {len(steps)}")
        st.header(step.heading, anchor=False)
        st.markdown(step.note)
        if step.question:
            st.markdown(f"**{step.question}**")
        if waits:
            with st.form(f"prediction_{running.step}", border=False):
                said = prediction(step)
                if st.form_submit_button(
                    "Show what happens", type="primary", help="Keep the prediction and show the view with the answer."
                ):
                    running.predictions[running.step] = said
                    send(running, said)
                    st.rerun()
        elif step.question:
            said = plain(step.with_unit(running.predictions[running.step])) or "nothing"
            right = f"Right: **{step.with_unit(step.right)}**. " if step.right else ""
            st.markdown(f"You said: *{said}*. {right}{step.answer}")
        with st.container(horizontal=True, vertical_alignment="center"):
            lead_to_step(running, running.step - 1, "Previous", "arrow_back", "The view of the step before.")
            if waits and running.skipping != running.step and running.step + 1 < len(steps):
                if st.button("Next", icon=":material/arrow_forward:", help="The question waits for a prediction."):
                    running.skipping = running.step
                    st.rerun()
            else:
                label = "Skip this question?" if waits else "Next"
                lead_to_step(running, running.step + 1, label, "arrow_forward", "The view of the next step.")
            again = "Undo what you have changed since the step began."
            lead_to_step(running, running.step, "This step's view again", "replay", again)
            st.download_button(
                "Answer sheet",
                answer_sheet(running),
                "answers.csv",
                "text/csv",
                on_click="ignore",
                help="Questions, your predictions and the answers as a CSV file.",
            )
            view = links.query_of(state().page, replace(choices(), lesson=None))
            lead(state().page, view, "End the lesson", "close", "The view stays; the lesson's box goes.")
            may_open = not running.code and not class_of(running)
            collect = "Collect the class's predictions"
            if may_open and st.button(collect, icon=":material/groups:", help=HELP_OF_CLASS):
                open_class(running)
            FOCUS(key="lesson_focus", data={"step": f"{running.lesson.title} {running.step}"}, width="content")
        if class_of(running):
            class_panel(running)
    return not waits


def send(running: Running, prediction: str) -> None:
    """Tell the teacher of the class, if there is one, what was predicted."""
    if running.code and prediction:
        try:
            classes().predict(running.code, session_id(), running.step, prediction)
        except InputError as error:
            notice(str(error))


def class_of(running: Running) -> Class | None:
    """The class that this visitor holds with this lesson."""
    found = classes().of(session_id())
    return found if found and found.lesson_name == running.name and found.lesson == running.lesson else None


def open_class(running: Running) -> None:
    """Open a class with this lesson."""
    try:
        classes().open(session_id(), running.lesson, running.name)
    except InputError as error:
        st.error(str(error))
    else:
        st.rerun()


@st.fragment(run_every=2)
def class_panel(running: Running) -> None:
    """For the teacher: how the class comes in, and what it predicts at this step; drawn again by itself while the class is open."""
    found = class_of(running)
    if found is None:  # since the page was drawn
        st.rerun()
    said = classes().predictions(session_id(), running.step)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Class **{found.code}**: {len(said)} {'answer' if len(said) == 1 else 'answers'} to this step")
        with st.popover("Code and link", icon=":material/qr_code_2:", help="What the class opens, and its QR code."):
            show_link(link_to("lessons", {"class": found.code}), "class_link")
            st.caption("Or, on the page **Lessons**: the code.")
        shown = st.toggle(
            "Show its predictions", key="class_predictions", help="Off, while the class sees your screen."
        )
        if st.button("End the class", help="Its code and its predictions are gone then."):
            classes().close(session_id())
            st.rerun()
    if shown and said:
        show_predictions(running.now, said, revealed=not running.waits)


def show_predictions(step: Step, said: list[str], *, revealed: bool) -> None:
    """What a class predicts, beside what is right once that is ``revealed``."""
    right = step.right if revealed else ""
    if step.kind == CHOICE:
        plot = choice_bars([(option, said.count(option)) for option in step.options], right, palette())
        alt = ", ".join(f"{option}: {said.count(option)}" for option in step.options)
    elif step.kind == NUMBER:
        numbers = [value for text in said if (value := as_number(text)) is not None]
        alt = numbers_sentence(numbers, step.unit)
        plot = number_histogram(numbers, step.unit, as_number(right), palette())
        st.markdown(plain(alt))
    else:
        st.markdown("\n".join(f"- {plain(text)}" for text in said))
        return
    config = {"displayModeBar": False}
    st.plotly_chart(
        Drawing(plot.json()), height=plot.layout["height"], theme=None, key="class_figure", config=config, alt=alt
    )


def prediction(step: Step) -> str:
    """The control that a question is answered with; '' where nothing has been said."""
    if step.kind == CHOICE:
        return st.radio(PREDICTION, step.options, index=None, help=HELP_OF_PREDICTION) or ""
    if step.kind == NUMBER:
        label = PREDICTION + (f", in {plain(step.unit)}" if step.unit else "")
        value = st.number_input(label, value=None, step=1.0, format="%g", width=320, help=HELP_OF_PREDICTION)
        return "" if value is None else f"{value:.10g}"
    return st.text_input(PREDICTION, max_chars=500, help=f"In your own words. {HELP_OF_PREDICTION}")


def lead_to_step(running: Running, number: int, label: str, icon: str, help: str) -> None:
    """What leads to the view of a step, counted from 0; it can be seen, but not used, where there is no such step."""
    there = 0 <= number < len(running.lesson.steps)
    step = running.lesson.steps[number] if there else running.now
    lead(step.page, step.query | running.query_at(number), label, icon, help, disabled=not there)


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
