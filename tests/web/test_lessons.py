"""Lessons: the bundled ones lead where they say, a file comes back as it was saved, and what is no lesson is told."""

import csv
import json
import re
from collections.abc import Iterator
from importlib import import_module

import pytest
from streamlit.testing.v1 import AppTest

from resnet_viz.errors import InputError
from resnet_viz.experiments.degradation import family, mean_train_error
from resnet_viz.networks import zoo
from resnet_viz.recipes import anatomy, gradient_flow, layer_deletion, lineage, measures, path_unrolling, which_shortcut
from resnet_viz.recipes.subject import Subject
from resnet_viz.web.classes import Classes
from resnet_viz.web.lesson import KINDS, NUMBER, Lesson, Running, Step, answer_sheet, bundled_lessons, read_lesson
from resnet_viz.web.session import classes
from tests.web.test_links import query
from tests.web.test_pages import button, opened, texts, without_help

BUNDLED = bundled_lessons()
TITLES = {
    "": "still see?",
    "stage_diagram": "made of?",
    "anatomy": "what does it buy?",
    "gradient_flow": "reaches the first block?",
    "path_unrolling": "carry the gradient?",
    "layer_deletion": "is deleted?",
    "degradation": "trained on?",
    "learning_identity": "learn to do nothing?",
    "lineage": "highway run?",
    "which_shortcut": "lets the gradient through?",
}


WHOLE_STORY = "from-the-problem-to-its-relatives"


def test_there_are_five_with_notes_for_the_teacher() -> None:
    assert list(BUNDLED) == ["forty-five-minutes", "plain-nets", "gradient-highway", "ensemble", WHOLE_STORY]
    for lesson in BUNDLED.values():
        assert "**Time:**" in lesson.teacher and "misconceptions" in lesson.teacher
        assert any(step.question for step in lesson.steps)
        assert all(bool(step.question) == bool(step.answer) for step in lesson.steps)


@pytest.mark.parametrize(
    ("page", "link"),
    sorted({(step.page, step.link.partition("?")[2]) for lesson in BUNDLED.values() for step in lesson.steps}),
)
def test_every_view_of_a_bundled_lesson_can_be_shown(page: str, link: str, request) -> None:
    if link and "image=447" not in link:  # the opening image is none of the few
        request.getfixturevalue("few_images")
    step = Step("", "", f"{page}?{link}")
    app = opened(page or "start", step.query)
    assert not app.warning
    assert app.title[0].value.endswith(TITLES[page])
    assert {
        name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()
    } == step.query


def test_the_first_lesson_takes_45_minutes_and_asks_in_every_way() -> None:
    lesson = BUNDLED["forty-five-minutes"]
    joining = 3
    in_one_lesson = [step for step in lesson.steps if not step.heading.endswith("(double lesson)")]
    assert joining + sum(step.minutes for step in in_one_lesson) == 45
    assert [n for n, step in enumerate(lesson.steps, start=1) if step not in in_one_lesson] == [6, 8, 9]
    told = re.findall(r"^(\d+)\. \*\*(.*)\.?\*\*", lesson.teacher, re.MULTILINE)
    assert [(int(n), heading.rstrip(".?")) for n, heading in told] == [
        (n, step.heading.removesuffix(" (double lesson)").rstrip("?")) for n, step in enumerate(lesson.steps, start=1)
    ]
    assert {step.kind for step in lesson.steps} == set(KINDS) and all(step.question for step in lesson.steps)
    assert set(re.findall(r"Claim (\d)", "".join(step.note for step in lesson.steps))) == set("1234567")


def test_the_right_numbers_of_the_first_lesson_are_those_that_the_app_computes() -> None:
    (degraded, fading, changing, dearer, zeros, length, deleted) = (
        step for step in BUNDLED["forty-five-minutes"].steps if step.kind == NUMBER
    )
    assert degraded.right == f"{mean_train_error(family('plain')[56]):.1f}"
    assert (
        f"plain without BN**: fades {fading.right}-fold" in gradient_flow.untrained(Subject.of("fashion-plain34")).says
    )
    residual = Subject.of("fashion-resnet56")
    blocks = residual.description.blocks
    assert (len(blocks), changing.right) == (27, str(sum(block.shortcut != "identity" for block in blocks)))
    cost = {row["network"]: row["multiply-adds, M"] for row in anatomy.family(name="imagenet").rows}
    assert dearer.right == f"{100 * (cost['imagenet-resnet50'] / cost['imagenet-resnet34'] - 1):.0f}"
    assert anatomy.from_34_to_50().title.startswith(f"16 more layers for {dearer.right} % more multiply-adds (6 %")
    stream = gradient_flow.statistics(Subject.of("fashion-preact56"), residual).says
    assert f"**fashion-preact56** 0.0 %; **fashion-resnet56** {zeros.right} %" in stream
    paths = path_unrolling.share_by_length(Subject.of("fashion-resnet110", image=447)).title
    assert f"{length.right} branches against 27" in paths
    lesion = Subject.of("fashion-resnet56", deleted=[residual.blocks[12]])
    assert layer_deletion.set_error(lesion).title == f"1,000 images: 6.4 % → {deleted.right} % error"
    first = Subject.of("fashion-resnet56", image=447, deleted=["layer1.0"])
    assert layer_deletion.prediction(first).title == "This image: Coat → Pullover (probability 0.53)"
    assert layer_deletion.set_error(first).title == "1,000 images: 6.4 % → 41.8 % error"


def test_the_whole_story_takes_45_minutes_and_its_own_numbers_are_computed() -> None:
    lesson = BUNDLED[WHOLE_STORY]
    assert sum(step.minutes for step in lesson.steps) == 45
    told = re.findall(r"^(\d+)\. \*\*(.*)\.\*\*", lesson.teacher, re.MULTILINE)
    assert [heading for _, heading in told] == [step.heading for step in lesson.steps]
    half, projection, relatives = (
        step for step in lesson.steps if step.heading in ("Half a highway", "The projection", "The lineage")
    )
    left = {kind: float(found.alone[0]) for kind, found in which_shortcut.untrained(56).items()}
    assert "7.5 · 10⁻¹² of it is left" in half.answer and f"{left['halved']:.1e}" == "7.5e-12"
    assert f"the identity leaves {left['identity']:.3f}" in half.answer
    shortcut = measures.network(zoo.NETWORKS["fashion-resnet34"]).network.blocks["layer2.0"].shortcut
    assert projection.right == str(shortcut[0].weight.numel())
    says = lineage.gradient().says
    for name, change in (("resnet56", "grows 27"), ("vit", "grows 8"), ("lstm", "grows 2"), ("highway50", "fades 1.3")):
        assert f"**{name}** {change}" in says and f"{change.split()[1]}-fold" in relatives.answer
    assert "**rnn** fades 487-fold" in lineage.gradient_in_time().says and "487-fold" in relatives.answer


def test_the_first_lesson_keeps_its_image_and_leads_to_figures() -> None:
    steps = BUNDLED["forty-five-minutes"].steps
    assert {step.query.get("image", "447") for step in steps} == {"447"}
    for step in (each for each in steps if each.page):
        assert step.query["image"] == "447"
        assert step.figure in import_module(f"resnet_viz.recipes.{step.page}").__all__


def test_a_lesson_comes_back_from_its_file() -> None:
    lesson = Lesson(
        "Ein Titel: 2ⁿ", "notes", [Step("a", "b", "layer_deletion?deleted=1-3"), Step("c", "d", "", "why?", "so")]
    )
    assert read_lesson(lesson.to_json()) == lesson


def test_a_file_says_of_a_question_only_what_it_has() -> None:
    number = Step("a", "b", "about", "How much?", "So much.", "number", unit="%", right="11.3")
    choice = Step("a", "b", "about", "Which?", "This.", "choice", ["this", "that"], right="this")
    lesson = Lesson("L", "", [Step("h", "", "about"), Step("h", "", "about", "Why?", "So."), number, choice])
    steps = json.loads(lesson.to_json())["steps"]
    assert [list(step)[3:] for step in steps] == [
        [],
        ["question", "answer"],
        ["question", "answer", "kind", "unit", "right"],
        ["question", "answer", "kind", "options", "right"],
    ]
    assert read_lesson(lesson.to_json()) == lesson


GOOD = {"title": "t", "steps": [{"heading": "h", "note": "n", "link": "about"}]}


def asking(**question: object) -> str:
    """A lesson's file with one question."""
    return json.dumps(GOOD | {"steps": [GOOD["steps"][0] | {"question": "?"} | question]})


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("no JSON", "This is not a lesson"),
        ("[]", "This is not a lesson"),
        ("{}", "This is not a lesson"),
        (json.dumps(GOOD | {"title": 5}), "must be text"),
        (json.dumps(GOOD | {"steps": []}), "1 to 100 steps"),
        (json.dumps(GOOD | {"steps": GOOD["steps"] * 101}), "1 to 100 steps"),
        (json.dumps(GOOD | {"steps": [GOOD["steps"][0] | {"note": "n" * 5001}]}), "texts of up to 5,000"),
        (json.dumps(GOOD | {"steps": [GOOD["steps"][0] | {"colour": "red"}]}), "This is not a lesson"),
        (
            json.dumps(GOOD | {"steps": [GOOD["steps"][0] | {"link": "https://example.org"}]}),
            "The page of step 1 .*; got 'https://example.org'",
        ),
        (json.dumps(GOOD | {"steps": [GOOD["steps"][0] | {"link": "../app"}]}), "page of step 1 must be one of"),
        (asking(kind="essay"), "Step 1: The kind of a question must be one of text, number, choice; got 'essay'"),
        (asking(kind="choice"), "Step 1: A choice must have 2 to 8 options, all different; got 0"),
        (asking(kind="choice", options=["a", "a"], right="a"), "2 to 8 options, all different; got 2"),
        (asking(kind="choice", options=["a", ""], right="a"), "An option must have 1 to 200 characters"),
        (asking(kind="choice", options=["a", "b"]), "The right option must be one of a, b; got ''"),
        (asking(kind="choice", options="ab", right="a"), "options must be a list"),
        (asking(kind="choice", options=["a", 5], right="a"), "must be text"),
        (asking(kind="number", right="many"), "The right answer must be a number, such as 11.3; got 'many'"),
        (asking(kind="number", right="nan"), "must be a number, such as 11.3; got 'nan'"),
        (asking(minutes="4"), "minutes must be 0 to 600"),
        (asking(minutes=-1), "minutes must be 0 to 600"),
        (asking(kind="number", unit="%" * 30), "A unit must have at most 20 characters; got 30"),
    ],
)
def test_what_is_no_lesson_is_refused(data: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_lesson(data)
    assert read_lesson(json.dumps(GOOD)).steps[0].link == "about"


def test_the_answer_sheet_holds_questions_predictions_and_answers() -> None:
    steps = [Step("a", "", "about"), Step("b", "", "about", "q, 1?", "a1"), Step("c", "", "about", "q2?", "a2")]
    rows = list(csv.DictReader(answer_sheet(Lesson("L", "", steps), {1: ['I say "5"']}).splitlines()))
    assert [(row["step"], row["question"], row["prediction"], row["answer"]) for row in rows] == [
        ("2", "q, 1?", 'I say "5"', "a1"),
        ("3", "q2?", "", "a2"),
    ]
    number = Step("d", "", "about", "q3?", "a3", "number", unit="%", right="11.3")
    sheet = answer_sheet(Lesson("L", "", [number]), {0: ["-9", "=1+1"]})
    assert [(row["prediction"], row["right"]) for row in csv.DictReader(sheet.splitlines())] == [
        ("-9 %", "11.3 %"),
        ("'=1+1 %", "11.3 %"),  # no formula
    ]


def test_the_answer_sheet_has_no_asterisks() -> None:
    step = Step("a", "", "about", "Does **it** take *all kinds*?", "Of 2 * 3 * 4 *one*: 5*x*y.")
    (row,) = csv.DictReader(answer_sheet(Lesson("L", "", [step]), {0: ["2*3*4"]}).splitlines())
    assert (row["question"], row["prediction"]) == ("Does it take all kinds?", "2*3*4")
    assert row["answer"] == "Of 2 * 3 * 4 one: 5*x*y."


@pytest.mark.usefixtures("few_images")
def test_the_view_waits_for_the_prediction() -> None:
    app = running(Step("A step", "A note.", "", "How much?", "So much."))
    assert "How much?" in texts(app) and "So much." not in texts(app)
    assert not app.get("plotly_chart")
    app.text_input[0].set_value("42 *points*")
    next(button for button in app.button if button.label == "Show what happens").click().run()
    assert "You said: *42 \\*points\\**. So much." in texts(app)
    assert app.get("plotly_chart")


def running(*steps: Step) -> AppTest:
    """The app with a lesson under way; '' leads to the page that is open."""
    app = opened("layer_deletion", {"network": "fashion-resnet20"})
    app.session_state["state"].recorded_lesson = Lesson("L", "", list(steps))
    app.query_params["lesson"], app.query_params["step"] = "own", "1"
    return app.run()


@pytest.mark.usefixtures("few_images")
def test_a_number_is_asked_for_and_shown_with_its_unit_beside_the_right_one() -> None:
    app = running(Step("A step", "", "", "How much?", "So much.", "number", unit="%", right="11.3"))
    (box,) = (each for each in app.number_input if each.label.startswith("Your prediction"))
    assert box.value is None and box.label.endswith("in %")
    box.set_value(7.25)
    button(app, "Show what happens").click().run()
    assert "You said: *7.25 %*. Right: **11.3 %**. So much." in texts(app)


@pytest.mark.usefixtures("few_images")
def test_of_a_choice_nothing_is_chosen_at_first_and_the_right_one_is_named() -> None:
    app = running(Step("A step", "", "", "Which?", "So.", "choice", ["weaker", "stronger"], right="stronger"))
    (radio,) = (each for each in app.radio if each.label.startswith("Your prediction"))
    assert radio.options == ["weaker", "stronger"] and radio.value is None
    radio.set_value("weaker")
    button(app, "Show what happens").click().run()
    assert "You said: *weaker*. Right: **stronger**. So." in texts(app)


@pytest.mark.usefixtures("few_images")
def test_a_question_is_left_unanswered_only_by_a_second_press() -> None:
    asked = Step("A step", "", "", "How much?", "So much.")
    app = running(asked, Step("Another step", "", ""))
    button(app, "Next").click().run()
    assert app.session_state["state"].choices.lesson.step == 0 and "So much." not in texts(app)
    assert not [each for each in app.button if each.label == "Next"]
    button(app, "Skip this question?").click().run()
    assert "L · step 2 of 2" in texts(app) and query(app)["step"] == "2"


def links_of(app: AppTest) -> dict[str, str]:
    """The queries of the links on a page, by their labels."""
    return {each.proto.label: each.proto.query_string for each in app.main.get("page_link")}


@pytest.mark.usefixtures("few_images")
def test_the_recorder_makes_questions_of_each_kind() -> None:
    app = opened("lessons")

    def text(label: str, value: str) -> None:
        next(each for each in [*app.sidebar.text_input, *app.sidebar.text_area] if each.label == label).set_value(value)
        app.run()

    def kind(name: str) -> None:
        next(each for each in app.sidebar.segmented_control if each.label == "It asks for a").set_value(name).run()

    text("Question (if any)", "How much?")
    kind("number")
    text("Unit (if any)", "%")
    text("The right number (if there is one)", "much")
    button(app, "Add this view").click().run()
    assert [each.value for each in app.error] == ["The right answer must be a number, such as 11.3; got 'much'."]
    text("The right number (if there is one)", "11.3")
    button(app, "Add this view").click().run()
    assert not app.error
    text("Question (if any)", "Which?")
    kind("choice")
    text("Options, one a line", "this\n\nthat ")
    app.sidebar.selectbox[-1].select("that").run()
    button(app, "Add this view").click().run()
    number, choice = app.session_state["state"].recorded_lesson.steps
    assert (number.kind, number.unit, number.right) == ("number", "%", "11.3")
    assert (choice.kind, choice.options, choice.right) == ("choice", ["this", "that"], "that")
    assert without_help(app.main) + without_help(app.sidebar) == []


@pytest.mark.usefixtures("few_images")
def test_an_address_leads_to_the_step_of_a_lesson() -> None:
    view = {"network": "fashion-resnet20", "lesson": "plain-nets", "step": "3"}
    app = opened("early_stop", view)
    assert "Why do deep plain nets fail? · step 3 of 5" in texts(app)
    assert query(app) == view
    assert not app.warning and not app.get("plotly_chart")  # its question waits
    button(app, "Show what happens").click().run()
    assert app.get("plotly_chart") and query(app) == view
    assert links_of(app)["Previous"] == "network=fashion-resnet56&lesson=plain-nets&step=2"
    button(app, "End the lesson").click().run()
    assert query(app) == {"network": "fashion-resnet20"}


@pytest.mark.usefixtures("few_images")
def test_a_lesson_stays_in_the_presenter_view_but_a_recorded_step_does_not_begin_it() -> None:
    app = opened("early_stop", {"view": "presenter", "lesson": "plain-nets", "step": "3"})
    assert "step 3 of 5" in texts(app)
    assert links_of(app)["Previous"].endswith("lesson=plain-nets&step=2&view=presenter")
    button(app, "Show what happens").click().run()
    button(app, "Add this view").click().run()
    assert "view=" not in app.session_state["state"].recorded_lesson.steps[0].link


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"lesson": "plain-nets", "step": "6"}, "step = '6' was not used; expected 1 to 5"),
        ({"lesson": "plain-nets", "step": "0"}, "step = '0' was not used; expected 1 to 5"),
        ({"lesson": "plain-nets", "step": "x" * 90}, f"step = '{'x' * 40}' was not used"),
        ({"lesson": "../plain-nets", "step": "1"}, "lesson = '../plain-nets' was not used; expected"),
        ({"lesson": "own", "step": "1"}, "A lesson of one's own is forgotten when its page is loaded anew"),
        ({"step": "1"}, "lesson = '' was not used"),
        ({"lesson": "plain-nets", "step": "1", "class": "ABCDE"}, "class = 'ABCDE' is not open (any more)"),
        ({"lesson": "plain-nets"}, "this page has no setting 'lesson'"),
    ],
)
def test_an_address_that_leads_into_no_lesson_is_told(bad: dict[str, str], told: str) -> None:
    app = opened("about", {"network": "fashion-resnet20", **bad})
    assert told in app.warning[0].value
    assert "blocks was left out" not in app.warning[0].value


def test_a_card_of_a_lesson_has_an_address() -> None:
    app = opened("lessons", {"lesson": "ensemble"})
    assert [each.value for each in app.header] == ["A network is an ensemble", "Your own"]
    assert len(opened("lessons").header) == len(BUNDLED) + 1
    app = opened("lessons", {"lesson": "none"})
    assert "lesson = 'none' was not used" in app.warning[0].value and len(app.header) == len(BUNDLED) + 1


@pytest.fixture
def of_the_app() -> Iterator[Classes]:
    """The app's classes, none of them open."""
    for each in classes().held.values():
        classes().close(each.teacher)
    yield classes()


ASKED = Step("A step", "", "", "How much?", "So much.", "number", unit="%", right="11.3")


def test_a_student_sends_and_sees_what_happens_when_the_teacher_shows_it(of_the_app: Classes) -> None:
    code = of_the_app.open("teacher", Lesson("L", "", [ASKED, ASKED]), "own").code
    app = opened("about", {"network": "fashion-resnet20", "lesson": "own", "step": "1", "class": code})
    assert f"L · step 1 of 2 · class {code}" in texts(app) and "Nothing sent yet." in texts(app)
    assert of_the_app.joined("teacher") == 1
    button(app, "Send").click().run()
    assert [each.value for each in app.error] == ["Your prediction is empty: nothing was sent."]
    for said in (7.5, 8.0):
        app.number_input[-1].set_value(said)
        button(app, "Send").click().run()
        assert f"Sent: **{said:g} %**." in texts(app) and "So much." not in texts(app) and not app.error
    assert of_the_app.predictions("teacher", 0) == ["8"]
    of_the_app.reveal("teacher", 0)
    app.run()
    assert "You said: *8 %*. Right: **11.3 %**. So much." in texts(app)
    button(app, "Next").click().run()
    of_the_app.close("teacher")
    app.run()
    assert "your class has ended: what you predict is no longer sent" in texts(app)
    assert not [each for each in app.button if each.label == "Collect the class's predictions"]
    button(app, "Show what happens").click().run()
    assert "You said: *nothing*. Right: **11.3 %**." in texts(app)


def test_a_class_is_held_by_who_opens_it_and_by_its_address(of_the_app: Classes) -> None:
    app = running(Step("A step", "", "", "How much?", "So much."), ASKED)
    button(app, "Collect the class's predictions").click().run()
    (opened_class,) = of_the_app.held.values()
    assert query(app)["teach"] == opened_class.secret
    assert f"Class **{opened_class.code}**: 0 joined, 0 answers to this step" in texts(app)
    assert opened_class.secret not in app.session_state["state"].visit.link
    button(app, "Show what happens").click().run()
    assert "So much." in texts(app) and "You said" not in texts(app)  # the class is asked
    assert opened_class.revealed == {0}
    opened_class.teacher = "another window"
    app.run()
    assert "This window no longer holds the class" in app.warning[0].value and "teach" not in query(app)
    anew = {"network": "fashion-resnet20", "lesson": "own", "step": "2", "teach": opened_class.secret}
    app = opened("about", anew)  # its lesson comes from the class: this session has recorded none
    assert "L · step 2 of 2" in texts(app) and f"Class **{opened_class.code}**" in texts(app) and not app.warning
    of_the_app.close(opened_class.teacher)
    app = opened("about", anew)
    assert "the class that it holds has ended" in app.warning[0].value and "teach" not in query(app)


def test_who_has_joined_a_class_is_offered_no_notes_and_no_other_lessons(of_the_app: Classes) -> None:
    code = of_the_app.open("teacher", BUNDLED["ensemble"], "ensemble").code
    app = opened("lessons", {"class": code})
    assert "Your teacher says when to go on" in texts(app) and not app.header
    assert not app.expander and not app.main.get("download_button")
    state = app.session_state["state"]
    state.begun["ensemble", code] = Running(BUNDLED["ensemble"], "ensemble", code, step=2)
    for typed in ("", "WRONG"):
        app.text_input[0].set_value(typed).run()
        assert not app.header and not app.exception
    app.text_input[0].set_value("").run()
    (link,) = (each.proto.query_string for each in app.get("page_link") if each.proto.label == "Begin")
    assert link.endswith(f"lesson=ensemble&step=3&class={code}")
    of_the_app.close("teacher")
    app.run()
    assert len(app.header) == len(BUNDLED) + 1


def test_a_step_leads_to_its_figure_which_its_address_does_not_name() -> None:
    step = Step("A step", "", "?network=fashion-resnet20&figure=glossary", "How much?", "So much.")
    assert step.query == {"network": "fashion-resnet20"} and step.figure == "glossary"
    app = running(step)
    state = app.session_state["state"]
    assert state.looked_at == "glossary" and "figure" not in query(app)


def test_a_wrong_code_is_told() -> None:
    app = opened("lessons", {"class": "a*b"})
    assert [each.value for each in app.error] == [
        "No class or contest is open under the code a\\*b; ask your teacher for it."
    ]
    assert without_help(app.main) == []
