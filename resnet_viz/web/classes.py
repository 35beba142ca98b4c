"""What a class predicts in a lesson: a teacher opens it under a short code, alone sees its predictions, and reveals the answers."""

import secrets
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

from ..errors import InputError
from ..replica import drawn_here
from .lesson import Lesson
from .meetings import Meeting, Meetings

MOST_ANSWERS, MOST_BYTES = 5_000, 500_000  # of a class
LONGEST_PREDICTION = 500  # characters


@dataclass
class Class(Meeting):
    """A lesson that several visitors go through. ``lesson_name``: what addresses call it; ``predictions``: by step and
    session; ``revealed``: the steps whose views and answers its students may see; ``students``: the sessions that have joined;
    ``secret``: who has it can take the class over."""

    lesson: Lesson
    lesson_name: str
    predictions: dict[tuple[int, str], str] = field(default_factory=dict)
    revealed: set[int] = field(default_factory=set)
    students: set[str] = field(default_factory=set)
    secret: str = field(default_factory=lambda: drawn_here(partial(secrets.token_urlsafe, 24)), repr=False)


class Classes(Meetings[Class]):
    """All classes of this server."""

    name, length = "classes", 5

    def open(self, teacher: str, lesson: Lesson, lesson_name: str) -> Class:
        """A class for a copy of a lesson, in place of the one that this teacher had. Raises InputError where there are too many."""
        return self._open(teacher, partial(Class, lesson=deepcopy(lesson), lesson_name=lesson_name))

    def take_over(self, secret: str, teacher: str) -> Class | None:
        """The class with this secret, held by another session from now on, in place of the one that it had; None where there is
        no such class."""
        with self.lock:
            self._forget_the_left()
            given = secret.encode()
            found = next(
                (each for each in self.held.values() if secrets.compare_digest(each.secret.encode(), given)), None
            )
            if found and found.teacher != teacher:
                self._close(teacher)
                found.teacher = teacher
            return found

    def join(self, code: str, session: str) -> None:
        """Count a session among the students of a class, if it is open."""
        with self.lock:
            if found := self.held.get(code):
                found.students = {each for each in found.students if self.is_here(each)} | {session}

    def reveal(self, teacher: str, step: int) -> None:
        """Show a teacher's class what happens at a step; its predictions there are final."""
        with self.lock:
            if found := self._of(teacher):
                found.revealed.add(step)

    def predict(self, code: str, session: str, step: int, prediction: str) -> None:
        """Keep what a session predicts at a step, in place of what it predicted there before. Raises InputError where there is
        no such class, no room in it, or where the step has been revealed."""
        with self.lock:
            self._forget_the_left()
            found = self.held.get(code)
            if found is None:
                raise InputError("Your class has ended: this prediction was not sent. The lesson goes on.")
            if step in found.revealed:
                raise InputError("Your teacher has shown what happens: this prediction was not sent.")
            others = {key: text for key, text in found.predictions.items() if key != (step, session)}
            size = sum(len(text.encode()) for text in others.values()) + len(prediction.encode())
            if len(others) >= MOST_ANSWERS or size > MOST_BYTES or len(prediction) > LONGEST_PREDICTION:
                raise InputError("Your class has no room for more predictions: this one was not sent.")
            found.predictions[step, session] = prediction

    def joined(self, teacher: str) -> int:
        """How many have joined a teacher's class and are connected."""
        with self.lock:
            found = self._of(teacher)
            return sum(map(self.is_here, found.students)) if found else 0

    def predictions(self, teacher: str, step: int) -> list[str]:
        """What the class of a teacher predicts at a step, in the order in which it came in."""
        with self.lock:
            found = self._of(teacher)
            return [text for (at, _), text in found.predictions.items() if at == step] if found else []
