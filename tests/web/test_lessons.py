"""Lessons: the bundled ones lead where they say, a file comes back as it was saved, and what is no lesson is told."""

import csv
import json

import pytest

from resnet_viz.errors import InputError
from resnet_viz.web.lesson import Lesson, Running, Step, answer_sheet, read_lesson
from resnet_viz.web.shell.lessons import BUNDLED_LESSONS
from tests.web.test_pages import NAMES, opened, texts

PATHS = [name for name in NAMES if name != "start"] + [""]
BUNDLED = {path.stem: read_lesson(path.read_text(), PATHS) for path in sorted(BUNDLED_LESSONS.glob("*.json"))}
TITLES = {
    "": "still see?",
    "stage_diagram": "made of?",
    "gradient_flow": "reaches the first block?",
    "path_unrolling": "carry the gradient?",
    "layer_deletion": "is deleted?",
}


def test_there_are_three_with_notes_for_the_teacher() -> None:
    assert len(BUNDLED) == 3
    for lesson in BUNDLED.values():
        assert "**Time:**" in lesson.teacher and "misconceptions" in lesson.teacher
        assert any(step.question for step in lesson.steps)
        assert all(bool(step.question) == bool(step.answer) for step in lesson.steps)


@pytest.mark.parametrize(
    ("page", "link"),
    sorted({(step.page, step.link.partition("?")[2]) for lesson in BUNDLED.values() for step in lesson.steps}),
)
@pytest.mark.usefixtures("few_images")
def test_every_view_of_a_bundled_lesson_can_be_shown(page: str, link: str) -> None:
    step = Step("", "", f"{page}?{link}")
    app = opened(page or "start", step.query)
    assert not app.warning
    assert app.title[0].value.endswith(TITLES[page])
    assert {
        name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()
    } == step.query


def test_a_lesson_comes_back_from_its_file() -> None:
    lesson = Lesson(
        "Ein Titel: 2ⁿ", "notes", [Step("a", "b", "layer_deletion?deleted=1-3"), Step("c", "d", "", "why?", "so")]
    )
    assert read_lesson(lesson.to_json(), PATHS) == lesson


GOOD = {"title": "t", "steps": [{"heading": "h", "note": "n", "link": "about"}]}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("no JSON", "This is not a lesson"),
        ("[]", "This is not a lesson"),
        ("{}", "This is not a lesson"),
        (json.dumps(GOOD | {"title": 5}), "must be text"),
        (json.dumps(GOOD | {"steps": []}), "1 to 100 steps"),
        (json.dumps(GOOD | {"steps": GOOD["steps"] * 101}), "1 to 100 steps"),
        (json.dumps(GOOD | {"steps": [GOOD["steps"][0] | {"note": "n" * 5000}]}), "texts of up to 4,000"),
        (json.dumps(GOOD | {"steps": [GOOD["steps"][0] | {"colour": "red"}]}), "This is not a lesson"),
        (
            json.dumps(GOOD | {"steps": [GOOD["steps"][0] | {"link": "https://example.org"}]}),
            "The page of step 1 .*; got 'https://example.org'",
        ),
        (json.dumps(GOOD | {"steps": [GOOD["steps"][0] | {"link": "../app"}]}), "page of step 1 must be one of"),
    ],
)
def test_what_is_no_lesson_is_refused(data: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_lesson(data, PATHS)
    assert read_lesson(json.dumps(GOOD), PATHS).steps[0].link == "about"


def test_the_answer_sheet_holds_questions_predictions_and_answers() -> None:
    steps = [Step("a", "", "about"), Step("b", "", "about", "q, 1?", "a1"), Step("c", "", "about", "q2?", "a2")]
    rows = list(csv.DictReader(answer_sheet(Running(Lesson("L", "", steps), 2, {1: 'I say "5"'})).splitlines()))
    assert [(row["step"], row["question"], row["prediction"], row["answer"]) for row in rows] == [
        ("2", "q, 1?", 'I say "5"', "a1"),
        ("3", "q2?", "", "a2"),
    ]


@pytest.mark.usefixtures("few_images")
def test_the_view_waits_for_the_prediction() -> None:
    app = opened("layer_deletion", {"network": "fashion-resnet20"})
    app.session_state["state"].lesson = Running(
        Lesson("L", "", [Step("A step", "A note.", "layer_deletion", "How much?", "So much.")])
    )
    app.run()
    assert "How much?" in texts(app) and "So much." not in texts(app)
    assert not app.get("plotly_chart")
    app.text_input[0].set_value("42 *points*")
    next(button for button in app.button if button.label == "Show what happens").click().run()
    assert "You said: *42 \\*points\\**. So much." in texts(app)
    assert app.get("plotly_chart")
