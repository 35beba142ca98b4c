"""Which lesson today? Bundled ones with teacher's notes, one recorded here, one opened from a file."""

from functools import partial

import streamlit as st

from resnet_viz.errors import InputError
from resnet_viz.web.classes import Classes
from resnet_viz.web.contests import Contests
from resnet_viz.web.internals import session_id
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.parts import plain
from resnet_viz.web.lesson import LONGEST_FILE, LONGEST_TEXT, OWN, Lesson, Running, bundled_lessons, read_lesson
from resnet_viz.web.session import classes, contests, state
from resnet_viz.web.shell.classroom import joined
from resnet_viz.web.shell.contest import query_of_contest, rule
from resnet_viz.web.shell.lessons import edit_step, lead, lead_elsewhere
from resnet_viz.web.worksheet import worksheet

ALL = "all"
WHAT_IS_SENT = (
    "Your teacher says when to go on, and shows what happens. What you predict is shown to your teacher, without your name, and is "
    "forgotten when the class ends."
)
SHEETS = (
    ("Worksheet", False, "One page of HTML to print: the steps with their questions, and room to write."),
    ("Teacher's sheet", True, "The same with the answers and the teacher's notes."),
)
WHICH = "All of them, or one alone: its address is then the link to it."


def offer(lesson: Lesson, name: str, *, notes: bool = False) -> None:
    """A lesson with its steps, the teacher's notes (open, if wanted) and the button that starts it."""
    st.header(lesson.title, anchor=False)
    st.markdown(
        "\n".join(
            f"{number}. {step.heading}{step.minutes_text}{' *(question)*' if step.question else ''}"
            for number, step in enumerate(lesson.steps, start=1)
        )
    )
    if lesson.teacher:
        with st.expander("Teacher's notes", expanded=notes):
            st.markdown(lesson.teacher)
    with st.container(horizontal=True, vertical_alignment="center", key=f"lead_{name}"):
        first, query = lesson.steps[0], Running(lesson, name).query
        view, help = first.query | query, "Go to its first view."
        lead(first.page, view, "Start", "play_arrow", help, key=f"start_{name}", disabled=bool(lesson.faults))
        for label, for_teacher, help in SHEETS:
            st.download_button(
                label,
                partial(worksheet, lesson, for_teacher=for_teacher),
                f"{name}{'-teacher' if for_teacher else ''}.html",
                "text/html",
                key=f"{label} {name}",
                on_click="ignore",
                icon=":material/print:",
                help=help,
            )
        begun = state().begun.get((name, ""))
        if (
            begun
            and begun.predictions
            and st.button(
                "Forget my predictions", key=f"forget_{name}", help="Its questions then wait for predictions again."
            )
        ):
            begun.predictions.clear()
            st.rerun()


def join(code: str) -> bool:
    """The lesson of a class or the network of a contest, for those who have its code. Returns whether a class is gone through:
    its answers are not to be had then."""
    if contest := contests().find(code):
        st.markdown(f"**A contest.** {rule(contest)}")
        with st.container(key="lead_contest"):
            lead("layer_deletion", query_of_contest(contest), "Take part", "play_arrow", "Go to its network.")
        return False
    found = classes().find(code)
    if found is None and lead_elsewhere(code):
        return False
    if found is None:
        st.error(f"No class or contest is open under the code {plain(code[:40])}; ask your teacher for it.")
        return False
    running = state().begun.get((found.lesson_name, found.code))
    if running is None:
        running = Running(found.lesson, found.lesson_name, found.code, step=max(found.revealed, default=0))
    st.markdown(f"**{found.lesson.title}.** {WHAT_IS_SENT}")
    with st.container(key="lead_class"):
        view = running.now.query | running.query
        lead(
            running.now.page,
            view,
            "Begin",
            "play_arrow",
            "Go to where the class is, or on where you were.",
            key="begin",
        )
    return found.teacher != session_id()


def open_lessons() -> None:
    """The bundled lessons, and one's own."""
    chosen = names[settings.one_of("lesson", "Lesson", list(names), ALL, WHICH)]
    if chosen != ALL:
        with st.container(border=True):
            offer(lessons[chosen], chosen, notes=True)
    else:
        places = [place for _ in range(0, len(lessons), 2) for place in st.columns(2)]
        for place, (name, lesson) in zip(places, lessons.items(), strict=False):
            with place.container(border=True, height="stretch"):
                offer(lesson, name)
    with st.container(border=True):
        own_lesson()


def own_lesson() -> None:
    """The lesson that this visitor records, or opens from a file."""
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
            state().recorded_lesson = recorded = read_lesson(file.getvalue().decode())
            state().opened_lesson = file.file_id
        except (InputError, UnicodeDecodeError) as error:
            st.error(f"{file.name} was not opened. {error}")
    if recorded.steps:
        edit(recorded)
        offer(recorded, OWN)
    else:
        st.caption("Nothing recorded yet: on any page, press **Record a lesson** in the sidebar and add what you see.")


def edit(recorded: Lesson) -> None:
    """The lesson that this visitor records: its texts, the order of its views, saving it."""
    recorded.title = st.text_input("Title", recorded.title, max_chars=200, help="It stands above every step.")
    recorded.teacher = st.text_area(
        "Teacher's notes",
        recorded.teacher,
        max_chars=LONGEST_TEXT,
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
lessons = bundled_lessons()
names = {ALL: ALL, **{name.replace("-", " "): name for name in lessons}}
with st.container(border=True):
    longest = max(Classes.length, Contests.length)
    code = settings.text("class", "Code of your class", longest, "Of a class or a contest: on your teacher's screen.")
    own = next((running.code for running in state().begun.values() if joined(running)), "")
    in_class = join(code or own) if code or own else False
if in_class or own:
    settings.unseen("lesson")
else:
    open_lessons()
