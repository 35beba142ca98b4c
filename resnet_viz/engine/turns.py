"""What computes takes turns, so that thirty sweeps at once do not hold up the thirty-first visitor's click."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from threading import Condition

__all__ = ["COMPUTING", "PATIENCE", "SERVED", "Waiting", "in_turn"]

SERVED: ContextVar[int] = ContextVar("parts that this run has had", default=0)
COMPUTING: ContextVar[bool] = ContextVar("whether this thread has the turn", default=False)
PATIENCE = 0.1  # seconds between two looks at whether the visitor has gone


class Waiting:
    """How those who wait find out that nobody wants their answer any more: ``leave_if_asked`` raises what ends their run.

    In a script nobody goes away; the app puts its own function here when it starts.
    """

    leave_if_asked: Callable[[], None] = staticmethod(lambda: None)


class Turns:
    """One thread computes at a time (with two of them, presses took twice as long under load): what is expected to be the
    shortest goes first. Whoever has the turn may ask for it again."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int]] = []
        self._computing = False
        self._arrivals = count()
        self._changed = Condition()

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Wait for a turn, and take it for about so many seconds; after those who have had fewer parts of what they do.

        While it waits it raises what ``Waiting.leave_if_asked`` raises.
        """
        if COMPUTING.get():
            yield
            return
        with self._changed:
            me = seconds * (1 + SERVED.get()), next(self._arrivals)
            self._waiting.append(me)
        try:
            while not self._begins(me):
                Waiting.leave_if_asked()
        except BaseException:
            with self._changed:
                self._waiting.remove(me)
                self._changed.notify_all()
            raise
        mine = COMPUTING.set(True)
        try:
            yield
        finally:
            COMPUTING.reset(mine)
            with self._changed:
                self._computing = False
                self._changed.notify_all()

    def _begins(self, me: tuple[float, int]) -> bool:
        """Whether it is this one's turn now; waits for a moment if not."""
        with self._changed:
            mine = self._changed.wait_for(lambda: not self._computing and min(self._waiting) == me, PATIENCE)
            if mine:
                self._waiting.remove(me)
                self._computing = True
            return mine


TURNS = Turns()
EXPECTED: dict[str, float] = {}  # seconds that a function took last


@contextmanager
def in_turn(name: str) -> Iterator[None]:
    """For what takes more than a twentieth of a second: it is expected to take as long as what had this name last."""
    with TURNS.turn(EXPECTED.get(name, 0.0)):
        started = time.perf_counter()
        try:
            yield
        finally:
            EXPECTED[name] = time.perf_counter() - started
