"""Asking for what takes time: whoever asks gets a ticket, wherever it is computed."""

from collections.abc import Callable, Generator
from contextlib import suppress
from contextvars import ContextVar
from functools import cached_property, partial
from threading import Event, RLock
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from ..experiments.stepwise import finished
from ..networks.device import describe_device
from .kept import ANSWERS, Key, key_of

__all__ = [
    "HERE",
    "Call",
    "Engine",
    "InPlace",
    "NotYet",
    "Ticket",
    "Work",
    "engine",
    "key_of_call",
    "result",
    "steps_of",
    "use",
]

Result = TypeVar("Result")
Call: TypeAlias = partial[Any]  # a function by its name, and what it is given, in plain data


class NotYet(Exception):
    """A result that is on its way: ``ticket``."""

    def __init__(self, ticket: "Ticket") -> None:
        super().__init__("The answer is on its way.")
        self.ticket = ticket


class Work:
    """What is computed for all who have asked for the same."""

    def __init__(self, call: Call) -> None:
        self.call, self.key = call, key_of_call(call)
        self.tickets: list[Ticket] = []
        self.progress = 0.0
        self.latest: Any = None
        self.fault: Exception | None = None
        self.done = Event()

    def take(self, step: Any) -> None:
        """Note a step: how much is done (0 to 1), or what is known so far."""
        if isinstance(step, float):
            self.progress = step
        else:
            self.latest = step

    def end(self, latest: Any = None, fault: Exception | None = None) -> None:
        """Note the result, or why there is none."""
        self.latest, self.fault = latest, fault
        self.done.set()


class Ticket:
    """One's own share of a work. ``news`` is called, from any thread, when there is some; ``wanted`` says whether its holder
    is still there."""

    def __init__(self, work: Work, news: Callable[[], None] | None, wanted: Callable[[], bool] | None) -> None:
        self.work, self.news, self.wanted = work, news or (lambda: None), wanted or (lambda: True)
        work.tickets.append(self)

    @property
    def done(self) -> bool:
        return self.work.done.is_set()

    @property
    def progress(self) -> float:
        """How much is done, 0 to 1; 0 where that is not known."""
        return self.work.progress

    @property
    def latest(self) -> Any:
        """What is known so far; None where that is nothing."""
        return self.work.latest

    def wait(self, seconds: float) -> bool:
        """Wait for the result, at most so long; returns whether it is there."""
        return self.work.done.wait(seconds)

    def result(self) -> Any:
        """The result. Raises NotYet where it is not there, and what its computation raised."""
        if not self.done:
            raise NotYet(self)
        if self.work.fault:
            raise self.work.fault
        return self.work.latest

    def release(self) -> None:
        """Nobody wants this any more; what is computed for nobody ends."""
        with suppress(ValueError):  # it was released before
            self.work.tickets.remove(self)


class Engine(Protocol):
    """Where and when something is computed."""

    @property
    def device(self) -> str:
        """For example 'CPU, 2 threads, torch 2.14.1'."""

    @property
    def trouble(self) -> str:
        """'', or why nothing can be computed at present."""

    def submit(
        self, call: Call, news: Callable[[], None] | None = None, wanted: Callable[[], bool] | None = None
    ) -> Ticket:
        """Have something computed, once for all who ask for it at the same time."""

    def patience(self) -> float | None:
        """How many seconds ``result`` may wait, None for as long as it takes."""


class InPlace:
    """Computes in the thread that asks, one at a time: for scripts, notebooks, a shell and most tests."""

    trouble = ""

    def __init__(self) -> None:
        self._lock = RLock()

    @cached_property
    def device(self) -> str:
        return describe_device()

    def submit(
        self, call: Call, news: Callable[[], None] | None = None, wanted: Callable[[], bool] | None = None
    ) -> Ticket:
        """Compute it now. What it raises, ``Ticket.result`` raises."""
        work = Work(call)
        with self._lock:
            try:
                work.end(ANSWERS.get(work.key, lambda: finished(steps_of(call))))
            except Exception as error:
                work.end(fault=error)
        return Ticket(work, news, wanted)

    def patience(self) -> float | None:
        return None


class _Chosen:
    engine: Engine = InPlace()


HERE: ContextVar[Engine | None] = ContextVar("the engine of this thread, where it is not that of all", default=None)


def engine() -> Engine:
    """Where this thread has things computed."""
    return HERE.get() or _Chosen.engine


def use(engine: Engine) -> None:
    """Have everything computed by an engine from now on."""
    _Chosen.engine = engine


def result(compute: Callable[..., Result], *given: Any, **settings: Any) -> Result:
    """What a function makes of these, computed once, by the engine. Raises NotYet where that takes longer than the engine may
    wait, and what the function raises."""
    call = partial(compute, *given, **settings)
    if (found := ANSWERS.find(key_of_call(call))) is not None:
        return cast(Result, found)
    ticket = engine().submit(call)
    ticket.wait(patience) if (patience := engine().patience()) is not None else ticket.work.done.wait()
    return cast(Result, ticket.result())


def key_of_call(call: Call) -> Key:
    return key_of(call.func, *call.args, **call.keywords)


def steps_of(call: Call) -> Generator[Any, None, Any]:
    """The steps of a call, and in the end its result: of what has ``steps``, these; of a generator function, what it yields;
    of any other function, none."""
    made = getattr(call.func, "steps", call.func)(*call.args, **call.keywords)
    return (yield from made) if isinstance(made, Generator) else made
