"""A lesson on paper: the class's sheet has no answers, the teacher's has them all, and no word becomes HTML."""

import html
import re

import pytest

from resnet_viz.web.lesson import Lesson, Step, bundled_lessons
from resnet_viz.web.worksheet import worksheet

STEPS = [
    Step(
        "A heading",
        "A *note*.",
        "about",
        "How <b>much</b>?",
        "Because of that.",
        "number",
        unit="%",
        right="11.3",
        minutes=4,
    ),
    Step("Another", "", "about", "Which?", "So it is.", "choice", ["this <one>", "that one"], right="that one"),
    Step("A third", "", "about", "Why?", "For a reason."),
    Step("No question", "", "about"),
]
LESSON = Lesson("A title", "**Time:** short", STEPS)


def test_the_class_gets_questions_and_room_but_no_answers() -> None:
    sheet = worksheet(LESSON)
    for told in (
        "A title",
        "1. A heading",
        "<em>note</em>",
        "How &lt;b&gt;much&lt;/b&gt;?",
        "Which?",
        "Why?",
        "4. No question",
    ):
        assert told in sheet
    assert sheet.count("class='box'") == 2 and "this &lt;one&gt;" in sheet
    assert sheet.count("class='line short'") == 1 and sheet.count("<div class='line'>") == 3
    assert not [told for told in ("11.3", "Because", "So it is", "reason", "Time:", "Right:") if told in sheet]


def test_the_teacher_gets_answers_and_notes() -> None:
    sheet = worksheet(LESSON, for_teacher=True)
    for told in ("<strong>Time:</strong>", "11.3 %", "Because of that.", "that one", "So it is.", "For a reason."):
        assert told in sheet
    assert "1. A heading (4 min)" in sheet and "(4 min)" not in worksheet(LESSON)
    assert "class='line" not in sheet.partition("</head>")[2]


@pytest.mark.parametrize("name", bundled_lessons())
def test_a_sheet_needs_no_script_and_nothing_from_elsewhere(name: str) -> None:
    lesson = bundled_lessons()[name]
    sheet = worksheet(lesson)
    assert "<script" not in sheet and not re.search(r"(src|href)=", sheet) and len(sheet) < 50_000
    assert all(html.escape(step.heading) in sheet for step in lesson.steps)
    assert not [step.answer for step in lesson.steps if step.answer and step.answer[:40] in html.unescape(sheet)]
