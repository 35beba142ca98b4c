"""A lesson as it is kept: its steps, its file, and the answers of somebody who goes through it."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import parse_qsl

from ..errors import InputError

LONGEST_FILE, MOST_STEPS, LONGEST_TEXT = 1_000_000, 100, 4_000


@dataclass
class Step:
    """``link``: the view, as 'page?query'. Where there is a ``question``, the view and ``answer`` wait for a prediction."""

    heading: str
    note: str
    link: str
    question: str = ""
    answer: str = ""

    @property
    def page(self) -> str:
        return self.link.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.link.partition("?")[2]))


@dataclass
class Lesson:
    """``teacher``: notes for the teacher (timing, usual misconceptions), in Markdown."""

    title: str = "My lesson"
    teacher: str = ""
    steps: list[Step] = field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


@dataclass
class Running:
    """A lesson on its way. ``predictions``: by step, what was predicted; the answer to that step has been shown then."""

    lesson: Lesson
    step: int = 0
    predictions: dict[int, str] = field(default_factory=dict)


def read_lesson(text: str, pages: Sequence[str]) -> Lesson:
    """A lesson from its JSON. Raises InputError saying what is wrong; ``pages``: the pages that a step may lead to."""
    try:
        data = json.loads(text)
        lesson = Lesson(data["title"], data.get("teacher", ""), [Step(**step) for step in data["steps"]])
        texts = [lesson.title, lesson.teacher, *(value for step in lesson.steps for value in vars(step).values())]
        if not all(isinstance(value, str) for value in texts):
            raise TypeError("title, notes and steps must be text")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"This is not a lesson ({error}); open a JSON file that was saved here.") from error
    if not 1 <= len(lesson.steps) <= MOST_STEPS or max(map(len, texts)) > LONGEST_TEXT:
        raise InputError(f"A lesson has 1 to {MOST_STEPS} steps, with texts of up to {LONGEST_TEXT:,} characters.")
    for number, step in enumerate(lesson.steps, start=1):
        if step.page not in pages:
            raise InputError(
                f"The page of step {number} must be one of {', '.join(map(repr, pages))}; got {step.page[:40]!r}."
            )
    return lesson


def answer_sheet(running: Running) -> str:
    """Questions, predictions and answers as CSV."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["lesson", "step", "question", "prediction", "answer"])
    for number, step in enumerate(running.lesson.steps):
        if step.question:
            rows.writerow(
                [running.lesson.title, number + 1, step.question, running.predictions.get(number, ""), step.answer]
            )
    return text.getvalue()
