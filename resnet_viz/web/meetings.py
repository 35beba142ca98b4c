"""What a teacher opens for others under a short code, in the server's memory: it is bounded, and it ends with its teacher."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from ..errors import InputError
from ..replica import drawn_here

SIGNS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without 0 and O, 1 and I, which are taken for each other
MOST = 50  # of a kind
GRACE = 600.0  # seconds that a meeting outlives its teacher's connection
LONGEST_LIFE = 24 * 3600.0  # seconds
HOW_IT_ENDS = "It ends when you end it, ten minutes after you have left, or after a day."


@dataclass
class Meeting:
    """What stands under a code. ``seen_at``: when its teacher was last connected."""

    code: str
    teacher: str
    opened_at: float
    seen_at: float


Kind = TypeVar("Kind", bound=Meeting)


class Meetings(Generic[Kind]):
    """All meetings of one kind on this server, one a teacher. Every method may be called from any thread.

    ``is_here``: whether a session is connected; ``clock``: in seconds. ``name``: of the kind, in the plural; ``length``: the
    signs of a code; no two kinds have the same, so that a code stands for one of them.
    """

    name: str
    length: int

    def __init__(self, is_here: Callable[[str], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self.is_here, self.clock = is_here, clock
        self.lock = Lock()
        self.held: dict[str, Kind] = {}

    def find(self, code: str) -> Kind | None:
        """The meeting with a code, in small or capital letters."""
        with self.lock:
            self._forget_the_left()
            return self.held.get(code.strip().upper())

    def of(self, teacher: str) -> Kind | None:
        """The meeting that a session has opened."""
        with self.lock:
            self._forget_the_left()
            return self._of(teacher)

    def close(self, teacher: str) -> None:
        """End a teacher's meeting; what was collected in it is gone."""
        with self.lock:
            self._close(teacher)

    def _open(self, teacher: str, make: Callable[[str, str, float, float], Kind]) -> Kind:
        """A meeting in place of the one that this teacher had; ``make``: of its code, teacher and the time, twice. Raises
        InputError where there are too many."""
        with self.lock:
            self._close(teacher)
            self._forget_the_left()
            if len(self.held) >= MOST:
                raise InputError(f"At most {MOST} {self.name} can be open on this server; try again later.")
            code = ""
            while not code or code in self.held:
                code = drawn_here(lambda: "".join(secrets.choice(SIGNS) for _ in range(self.length)))
            now = self.clock()
            self.held[code] = make(code, teacher, now, now)
            return self.held[code]

    def _of(self, teacher: str) -> Kind | None:
        return next((each for each in self.held.values() if each.teacher == teacher), None)

    def _close(self, teacher: str) -> None:
        self.held = {code: each for code, each in self.held.items() if each.teacher != teacher}

    def _forget_the_left(self) -> None:
        """End the meetings whose teachers have left, and those that are too old."""
        now = self.clock()
        for each in self.held.values():
            if self.is_here(each.teacher):
                each.seen_at = now
        self.held = {
            code: each
            for code, each in self.held.items()
            if now - each.seen_at < GRACE and now - each.opened_at < LONGEST_LIFE
        }
