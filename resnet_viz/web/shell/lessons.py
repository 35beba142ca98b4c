"""Lessons: views in an order, each with a heading, a note and perhaps a question to be answered before the view is shown."""

import re
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from ..kit.parts import page_named
from ..lesson import LONGEST_TEXT, MOST_STEPS, Running, Step, answer_sheet
from ..session import choices, state
from . import links

BUNDLED_LESSONS = Path(__file__).parents[2] / "lessons"
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
HELP = {  # of each text of a step
    "heading": "It stands in large type above the view.",
    "note": "What the class reads above the view, in Markdown.",
    "question": "The view is shown when it has been answered.",
    "answer": "Shown with the view, after the prediction.",
}


def plain(text: str) -> str:
    """A visitor's words without what Markdown would make of them."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>$:~-])", r"\\\1", text)


def presenter() -> bool:
    """Above the page: the running lesson's step in large type, with its question. Returns whether the view may be shown."""
    running = state().lesson
    if running is None:
        return True
    steps, step, waits = running.lesson.steps, running.lesson.steps[running.step], waits_for_prediction()
    with st.container(border=True, key="lesson"):
        st.caption(f"{running.lesson.title} · step {running.step + 1} of {len(steps)}")
        st.header(step.heading, anchor=False)
        st.markdown(step.note)
        if step.question:
            st.markdown(f"**{step.question}**")
        if waits:
            with st.form(f"prediction_{running.step}", border=False):
                said = st.text_input(
                    "Your prediction, before you see it",
                    max_chars=500,
                    help="In your own words; it may stay empty, and goes into the answer sheet.",
                )
                if st.form_submit_button(
                    "Show what happens", type="primary", help="Keep the prediction and show the view with the answer."
                ):
                    running.predictions[running.step] = said
                    st.rerun()
        elif step.question:
            st.markdown(f"You said: *{plain(running.predictions[running.step]) or 'nothing'}*. {step.answer}")
        with st.container(horizontal=True):
            if st.button(
                "Previous",
                icon=":material/arrow_back:",
                disabled=running.step == 0,
                help="The view of the step before.",
            ):
                go(running, running.step - 1)
            if st.button(
                "Next",
                icon=":material/arrow_forward:",
                disabled=running.step + 1 == len(steps),
                help="The view of the next step.",
            ):
                go(running, running.step + 1)
            if st.button(
                "This step's view again",
                icon=":material/replay:",
                help="Undo what you have changed since the step began.",
            ):
                go(running, running.step)
            st.download_button(
                "Answer sheet",
                answer_sheet(running),
                "answers.csv",
                "text/csv",
                on_click="ignore",
                help="Questions, your predictions and the answers as a CSV file.",
            )
            if st.button("End the lesson", help="The view stays; the lesson's box goes."):
                state().lesson = None
                st.rerun()
            FOCUS(key="lesson_focus", data={"step": f"{running.lesson.title} {running.step}"}, width="content")
    return not waits


def waits_for_prediction() -> bool:
    """Whether a lesson is running whose step has a question that has not been answered yet."""
    running = state().lesson
    return (
        running is not None
        and bool(running.lesson.steps[running.step].question)
        and running.step not in running.predictions
    )


def go(running: Running, step: int) -> None:
    """Show the view of a step."""
    running.step = step
    wanted = running.lesson.steps[step]
    links.forget()
    st.switch_page(page_named(wanted.page), query_params=wanted.query)


def recorder(page: str) -> None:
    """In the sidebar: add what is seen to the lesson that this visitor records."""
    recorded = state().recorded_lesson
    with st.popover(
        f"Lesson: {len(recorded.steps)} recorded" if recorded.steps else "Record a lesson",
        icon=":material/co_present:",
        width="stretch",
        help="Collect views, each with a note and perhaps a question, into a lesson of your own.",
    ):
        with st.form("record", clear_on_submit=True, border=False):
            heading = st.text_input("Heading of this view", max_chars=200, help=HELP["heading"])
            note = st.text_area("Note", max_chars=LONGEST_TEXT, help=HELP["note"])
            asked = st.text_input("Question (if any)", max_chars=500, help=HELP["question"])
            answer = st.text_input("Its answer", max_chars=500, help=HELP["answer"])
            if st.form_submit_button(
                "Add this view",
                type="primary",
                disabled=len(recorded.steps) >= MOST_STEPS,
                help="Page, network, image, deletions and settings as they are now.",
            ):
                view = {
                    name: text for name, text in links.query_of(page, choices()).items() if name != "training"
                }  # it ends
                link = f"{page}?{urlencode(view)}"
                recorded.steps.append(Step(heading or f"View {len(recorded.steps) + 1}", note, link, asked, answer))
                st.rerun()
        st.caption("Saved, reordered and stepped through on the page **Lessons**.")
