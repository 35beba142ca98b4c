"""What computes takes turns, so that thirty sweeps at once do not hold up the thirty-first visitor's click."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from itertools import count
from threading import Condition
from typing import ParamSpec, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

Given = ParamSpec("Given")
Result = TypeVar("Result")
SERVED: ContextVar[int] = ContextVar("parts that this run has had", default=0)
PATIENCE = 0.1  # seconds between two looks at whether the visitor has gone


class Turns:
    """One thread computes at a time (with two of them, presses took twice as long under load): what is expected to be the
    shortest goes first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int]] = []
        self._computing = False
        self._arrivals = count()
        self._changed = Condition()

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Wait for a turn, and take it for about so many seconds. While it waits it raises what ``leave_if_asked`` raises."""
        with self._changed:
            me = seconds, next(self._arrivals)
            self._waiting.append(me)
        try:
            while not self._begins(me):
                leave_if_asked()
        except BaseException:
            with self._changed:
                self._waiting.remove(me)
                self._changed.notify_all()
            raise
        try:
            yield
        finally:
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


def in_turn(compute: Callable[Given, Result]) -> Callable[Given, Result]:
    """For a function that takes more than a twentieth of a second: it is expected to take as long as it did last, and who has
    had parts of it already comes after who has had none. It must not ask for what others compute in turn: they may be waiting
    for this turn to end."""
    last = 0.0

    @wraps(compute)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        nonlocal last
        with TURNS.turn(last * (1 + SERVED.get())):
            started = time.perf_counter()
            try:
                return compute(*args, **kwargs)
            finally:
                last = time.perf_counter() - started

    return call


def leave_if_asked() -> None:
    """End this run, by the exception that Streamlit ends runs with, if the visitor has gone or asked for another one."""
    if get_script_run_ctx(suppress_warning=True):
        st.session_state.get("visit")  # Streamlit looks at every access to the state
