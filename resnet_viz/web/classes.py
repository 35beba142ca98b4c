"""What a class predicts in a lesson: a teacher opens it under a short code, and alone sees its predictions."""

from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

from ..errors import InputError
from .lesson import Lesson
from .meetings import Meeting, Meetings

MOST_ANSWERS, MOST_BYTES = 5_000, 500_000  # of a class
LONGEST_PREDICTION = 500  # characters


@dataclass
class Class(Meeting):
    """A lesson that several visitors go through. ``lesson_name``: what addresses call it; ``predictions``: by step and
    session."""

    lesson: Lesson
    lesson_name: str
    predictions: dict[tuple[int, str], str] = field(default_factory=dict)


class Classes(Meetings[Class]):
    """All classes of this server."""

    name, length = "classes", 5

    def open(self, teacher: str, lesson: Lesson, lesson_name: str) -> Class:
        """A class for a copy of a lesson, in place of the one that this teacher had. Raises InputError where there are too many."""
        return self._open(teacher, partial(Class, lesson=deepcopy(lesson), lesson_name=lesson_name))

    def predict(self, code: str, session: str, step: int, prediction: str) -> None:
        """Keep what a session predicts at a step, in place of what it predicted there before. Raises InputError where there is
        no such class, or no room in it."""
        with self.lock:
            self._forget_the_left()
            found = self.held.get(code)
            if found is None:
                raise InputError("Your class has ended: this prediction was not sent. The lesson goes on.")
            others = {key: text for key, text in found.predictions.items() if key != (step, session)}
            size = sum(len(text.encode()) for text in others.values()) + len(prediction.encode())
            if len(others) >= MOST_ANSWERS or size > MOST_BYTES or len(prediction) > LONGEST_PREDICTION:
                raise InputError("Your class has no room for more predictions: this one was not sent.")
            found.predictions[step, session] = prediction

    def predictions(self, teacher: str, step: int) -> list[str]:
        """What the class of a teacher predicts at a step, in the order in which it came in."""
        with self.lock:
            found = self._of(teacher)
            return [text for (at, _), text in found.predictions.items() if at == step] if found else []
