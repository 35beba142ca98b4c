"""Which lesson today? Bundled ones with teacher's notes, one recorded here, one opened from a file."""

from copy import deepcopy

import streamlit as st

from resnet_viz.errors import InputError
from resnet_viz.web.lesson import LONGEST_FILE, Lesson, Running, read_lesson
from resnet_viz.web.session import state
from resnet_viz.web.shell.lessons import BUNDLED_LESSONS, edit_step, go

paths = [page.url_path for page in state().pages]


def offer(lesson: Lesson, key: str) -> None:
    """A lesson with its steps, the teacher's notes and the button that starts it."""
    st.header(lesson.title, anchor=False)
    st.markdown(
        "\n".join(
            f"{number}. {step.heading}{' *(question)*' if step.question else ''}"
            for number, step in enumerate(lesson.steps, start=1)
        )
    )
    if lesson.teacher:
        with st.expander("Teacher's notes"):
            st.markdown(lesson.teacher)
    if st.button(
        "Start", key=f"start_{key}", type="primary", disabled=bool(lesson.faults), help="Go to its first view."
    ):
        state().lesson = running = Running(deepcopy(lesson))  # it may be edited on the way
        go(running, 0)


def edit(recorded: Lesson) -> None:
    """The lesson that this visitor records: its texts, the order of its views, saving it."""
    recorded.title = st.text_input("Title", recorded.title, max_chars=200, help="It stands above every step.")
    recorded.teacher = st.text_area(
        "Teacher's notes",
        recorded.teacher,
        max_chars=4000,
        help="Timing, usual mistakes: for the teacher, in Markdown.",
    )
    for number, step in enumerate(recorded.steps):
        with st.expander(f"{number + 1}. {step.heading}"):
            edit_step(step)
            st.caption(f"View: {step.link}")
            with st.container(horizontal=True):
                if st.button(
                    "Earlier", key=f"up_{id(step)}", disabled=number == 0, help="Put this step before the one above."
                ):
                    recorded.steps.insert(number - 1, recorded.steps.pop(number))
                    st.rerun()
                if st.button("Remove", key=f"remove_{id(step)}", help="Take this step out of the lesson."):
                    recorded.steps.remove(step)
                    st.rerun()
    for fault in recorded.faults:
        st.error(fault)
    st.download_button(
        "Save as a file",
        recorded.to_json(),
        "lesson.json",
        "application/json",
        on_click="ignore",
        disabled=bool(recorded.faults),
        icon=":material/download:",
        help="One JSON file, to be opened here again by you or by others.",
    )


st.title("Which lesson today?", anchor=False)
st.markdown("A lesson leads a class through views of this app, and asks for a prediction before it shows what happens.")
for column, path in zip(st.columns(3), sorted(BUNDLED_LESSONS.glob("*.json")), strict=True):
    with column.container(border=True, height="stretch"):
        offer(read_lesson(path.read_text(), paths), path.stem)
with st.container(border=True):
    st.header("Your own", anchor=False)
    recorded = state().recorded_lesson
    file = st.file_uploader(
        "Open a lesson that was saved as a file",
        type="json",
        key="lesson_file",
        help="It replaces the lesson that you are recording.",
    )
    if file is not None and state().opened_lesson != file.file_id:
        try:
            if file.size > LONGEST_FILE:
                raise InputError(f"The file has {file.size:,} bytes; a lesson has at most {LONGEST_FILE:,}.")
            state().recorded_lesson = recorded = read_lesson(file.getvalue().decode(), paths)
            state().opened_lesson = file.file_id
        except (InputError, UnicodeDecodeError) as error:
            st.error(f"{file.name} was not opened. {error}")
    if recorded.steps:
        edit(recorded)
        offer(recorded, "recorded")
    else:
        st.caption("Nothing recorded yet: on any page, press **Record a lesson** in the sidebar and add what you see.")
