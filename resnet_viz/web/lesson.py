"""A lesson as it is kept: its steps, its file, and the answers of somebody who goes through it."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

from ..contents import CONTENTS
from ..errors import InputError
from ..figures.predictions import with_unit

BUNDLED_LESSONS = Path(__file__).parents[1] / "lessons"
PAGES = ["" if name == "start" else name for name in CONTENTS]  # as their addresses say them
OWN = "own"  # stands in an address for the lesson that a visitor has recorded or opened

LONGEST_FILE, MOST_STEPS, LONGEST_TEXT = 1_000_000, 100, 5_000
MOST_OPTIONS, LONGEST_OPTION, LONGEST_UNIT = 8, 200, 20
MOST_MINUTES = 600
TEXT, NUMBER, CHOICE = KINDS = ("text", "number", "choice")


@dataclass
class Step:
    """``link``: the view, as 'page?query'. Where there is a ``question``, the view and ``answer`` wait for a prediction.

    ``kind``: what the question asks for, one of KINDS. ``right``: the number, without its ``unit``, or the one of the
    ``options``; '' for a text, and where no one number is right. ``minutes``: that its teacher should plan, 0 where that is open.
    """

    heading: str
    note: str
    link: str
    question: str = ""
    answer: str = ""
    kind: str = TEXT
    options: list[str] = field(default_factory=list)
    unit: str = ""
    right: str = ""
    minutes: int = 0

    @property
    def page(self) -> str:
        return self.link.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """What its address says; without the figure, which an address loses on arrival."""
        return {name: text for name, text in self._said.items() if name != "figure"}

    @property
    def figure(self) -> str:
        """The card that its view is to lead to, '' where it is the top of the page."""
        return self._said.get("figure", "")

    @property
    def _said(self) -> dict[str, str]:
        return dict(parse_qsl(self.link.partition("?")[2]))

    def with_unit(self, text: str) -> str:
        """A prediction, or what is right, as it is read: '11.3 %', '144-fold'."""
        return with_unit(text, self.unit) if text and self.kind == NUMBER else text

    @property
    def minutes_text(self) -> str:
        """' (4 min)', to follow its heading for a teacher; '' where that is open."""
        return f" ({self.minutes} min)" if self.minutes else ""

    @property
    def fault(self) -> str:
        """Why its question cannot be asked; '' where it can, or there is none."""
        if self.kind not in KINDS:
            return f"The kind of a question must be one of {', '.join(KINDS)}; got {self.kind[:40]!r}."
        if self.question and self.kind == CHOICE:
            if not 2 <= len(set(self.options)) == len(self.options) <= MOST_OPTIONS:
                return f"A choice must have 2 to {MOST_OPTIONS} options, all different; got {len(self.options)}."
            if not all(option and len(option) <= LONGEST_OPTION for option in self.options):
                return f"An option must have 1 to {LONGEST_OPTION} characters."
            if self.right not in self.options:
                return f"The right option must be one of {', '.join(self.options)}; got {self.right[:40]!r}."
        if self.question and self.kind == NUMBER:
            if self.right and as_number(self.right) is None:
                return f"The right answer must be a number, such as 11.3; got {self.right[:40]!r}."
            if len(self.unit) > LONGEST_UNIT:
                return f"A unit must have at most {LONGEST_UNIT} characters; got {len(self.unit)}."
        return ""


ALWAYS = ("heading", "note", "link")
TEXTS = [each.name for each in fields(Step) if each.name not in ("options", "minutes")]
EMPTY = Step("", "", "")


@dataclass
class Lesson:
    """``teacher``: notes for the teacher (timing, usual misconceptions), in Markdown."""

    title: str = "My lesson"
    teacher: str = ""
    steps: list[Step] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Why it cannot be held, a sentence for each step."""
        return [f"Step {number}: {step.fault}" for number, step in enumerate(self.steps, start=1) if step.fault]

    def to_json(self) -> str:
        """The file: of a step's question only what it has."""
        steps = [
            {name: value for name, value in asdict(step).items() if name in ALWAYS or value != getattr(EMPTY, name)}
            for step in self.steps
        ]
        data = {"title": self.title, "teacher": self.teacher, "steps": steps}
        return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


@dataclass
class Running:
    """A lesson on its way. ``predictions``: by step, what was predicted; the answer to that step has been shown then.
    ``skipping``: the step whose question is about to be left unanswered. ``name``: what an address calls the lesson; ``code``: of
    the class that goes through it, to whose teacher the predictions are sent, '' without one; ``secret``: of the class that this
    visitor teaches, '' without one."""

    lesson: Lesson
    name: str = OWN
    code: str = ""
    secret: str = ""
    step: int = 0
    predictions: dict[int, str] = field(default_factory=dict)
    skipping: int | None = None

    @property
    def now(self) -> Step:
        return self.lesson.steps[self.step]

    @property
    def query(self) -> dict[str, str]:
        """What an address says of it, beside the view."""
        return self.query_at(self.step)

    def query_at(self, step: int) -> dict[str, str]:
        """What an address says of the lesson at a step; there they are counted from 1."""
        known = {"lesson": self.name, "step": str(step + 1), "class": self.code, "teach": self.secret}
        return {name: text for name, text in known.items() if text}


def as_number(text: str) -> float | None:
    """A finite number, with a point or a comma; None for any other text."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@cache
def bundled_lessons() -> dict[str, Lesson]:
    """The lessons that come with the app, in their order, by the names that addresses give them; nobody may change them."""
    files = sorted(BUNDLED_LESSONS.glob("*.json"))
    return {path.stem.partition("-")[2]: read_lesson(path.read_text(encoding="utf-8")) for path in files}


def read_lesson(text: str) -> Lesson:
    """A lesson from its JSON. Raises InputError saying what is wrong."""
    try:
        data = json.loads(text)
        lesson = Lesson(data["title"], data.get("teacher", ""), [Step(**step) for step in data["steps"]])
        options = [option for step in lesson.steps for option in step.options]
        texts = [
            lesson.title,
            lesson.teacher,
            *(getattr(step, name) for step in lesson.steps for name in TEXTS),
            *options,
        ]
        if not all(isinstance(value, str) for value in texts):
            raise TypeError("title, notes and steps must be text")
        if not all(isinstance(step.options, list) for step in lesson.steps):
            raise TypeError("options must be a list")
        if not all(isinstance(step.minutes, int) and 0 <= step.minutes <= MOST_MINUTES for step in lesson.steps):
            raise TypeError(f"minutes must be 0 to {MOST_MINUTES}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"This is not a lesson ({error}); open a JSON file that was saved here.") from error
    if not 1 <= len(lesson.steps) <= MOST_STEPS or max(map(len, texts)) > LONGEST_TEXT:
        raise InputError(f"A lesson has 1 to {MOST_STEPS} steps, with texts of up to {LONGEST_TEXT:,} characters.")
    for number, step in enumerate(lesson.steps, start=1):
        if step.page not in PAGES:
            raise InputError(
                f"The page of step {number} must be one of {', '.join(map(repr, PAGES))}; got {step.page[:40]!r}."
            )
    if faults := lesson.faults:
        raise InputError(faults[0])
    return lesson


def in_a_cell(text: str) -> str:
    """A text of others for a spreadsheet: what is no number is not taken for a formula."""
    return f"'{text}" if text.startswith(tuple("=+-@\t\r")) and as_number(text) is None else text


def without_emphasis(text: str) -> str:
    """Markdown without its asterisks."""
    return re.sub(r"(?<!\w)(\*+)(\S|\S.*?\S)\1(?!\w)", r"\2", text)


def answer_sheet(lesson: Lesson, predictions: Mapping[int, Sequence[str]]) -> str:
    """Questions, predictions and answers as CSV: a row for each prediction, or one where nothing was predicted.

    ``predictions``: by step.
    """
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["lesson", "step", "question", "prediction", "right", "answer"])
    for number, step in enumerate(lesson.steps):
        for said in predictions.get(number) or [""] if step.question else ():
            numbers = [step.with_unit(in_a_cell(text)) for text in (said, step.right)]
            question, answer = (in_a_cell(without_emphasis(text)) for text in (step.question, step.answer))
            rows.writerow([in_a_cell(lesson.title), number + 1, question, *numbers, answer])
    return text.getvalue()
