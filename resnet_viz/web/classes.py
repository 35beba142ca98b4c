"""What a class predicts, in the server's memory: a teacher opens a class under a short code, and alone sees its predictions."""

import secrets
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from threading import Lock

from ..errors import InputError
from .lesson import Lesson

SIGNS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without 0 and O, 1 and I, which are taken for each other
LENGTH = 5
MOST_CLASSES, MOST_ANSWERS, MOST_BYTES = 50, 5_000, 500_000  # the latter two of a class
LONGEST_PREDICTION = 500  # characters
GRACE = 600.0  # seconds that a class outlives its teacher's connection
LONGEST_LIFE = 24 * 3600.0  # seconds


@dataclass
class Class:
    """A lesson that several visitors go through. ``lesson_name``: what addresses call it; ``seen_at``: when its teacher was
    last connected; ``predictions``: by step and session."""

    code: str
    teacher: str
    lesson: Lesson
    lesson_name: str
    opened_at: float
    seen_at: float
    predictions: dict[tuple[int, str], str] = field(default_factory=dict)


class Classes:
    """All classes of this server. Every method may be called from any thread.

    ``is_here``: whether a session is connected; ``clock``: in seconds.
    """

    def __init__(self, is_here: Callable[[str], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self.is_here, self.clock = is_here, clock
        self.lock = Lock()
        self.classes: dict[str, Class] = {}

    def open(self, teacher: str, lesson: Lesson, lesson_name: str) -> Class:
        """A class for a copy of a lesson, in place of the one that this teacher had. Raises InputError where there are too many."""
        with self.lock:
            self._close(teacher)
            self._forget_the_left()
            if len(self.classes) >= MOST_CLASSES:
                raise InputError(f"At most {MOST_CLASSES} classes can be open on this server; try again later.")
            code = ""
            while not code or code in self.classes:
                code = "".join(secrets.choice(SIGNS) for _ in range(LENGTH))
            now = self.clock()
            self.classes[code] = Class(code, teacher, deepcopy(lesson), lesson_name, now, now)
            return self.classes[code]

    def find(self, code: str) -> Class | None:
        """The class with a code, in small or capital letters."""
        with self.lock:
            self._forget_the_left()
            return self.classes.get(code.strip().upper())

    def of(self, teacher: str) -> Class | None:
        """The class that a session has opened."""
        with self.lock:
            self._forget_the_left()
            return next((each for each in self.classes.values() if each.teacher == teacher), None)

    def close(self, teacher: str) -> None:
        """End a teacher's class; its predictions are gone."""
        with self.lock:
            self._close(teacher)

    def predict(self, code: str, session: str, step: int, prediction: str) -> None:
        """Keep what a session predicts at a step, in place of what it predicted there before. Raises InputError where there is
        no such class, or no room in it."""
        with self.lock:
            self._forget_the_left()
            found = self.classes.get(code)
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
            found = next((each for each in self.classes.values() if each.teacher == teacher), None)
            return [text for (at, _), text in found.predictions.items() if at == step] if found else []

    def _close(self, teacher: str) -> None:
        self.classes = {code: each for code, each in self.classes.items() if each.teacher != teacher}

    def _forget_the_left(self) -> None:
        """End the classes whose teachers have left, and those that are too old."""
        now = self.clock()
        for each in self.classes.values():
            if self.is_here(each.teacher):
                each.seen_at = now
        self.classes = {
            code: each
            for code, each in self.classes.items()
            if now - each.seen_at < GRACE and now - each.opened_at < LONGEST_LIFE
        }
