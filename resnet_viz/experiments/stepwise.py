"""Measurements that can be taken a step at a time: between two steps whoever computes may do something more urgent."""

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar, cast

import torch

from ..errors import InputError

__all__ = ["Stepping", "Stepwise", "finished", "in_batches", "share_of", "stepwise"]

Result = TypeVar("Result")
Returned = TypeVar("Returned", covariant=True)
Given = ParamSpec("Given")
Stepping: TypeAlias = Generator[float, None, Result]  # yields how much of it is done, 0 to 1


class Stepwise(Protocol[Given, Returned]):
    """A function that measures at once or, by ``steps``, a step at a time."""

    __qualname__: str

    def __call__(self, *given: Given.args, **settings: Given.kwargs) -> Returned: ...

    def steps(self, *given: Given.args, **settings: Given.kwargs) -> Stepping[Returned]: ...


def stepwise(steps: Callable[Given, Stepping[Result]]) -> Stepwise[Given, Result]:
    """A function of the steps: it takes them all, and returns what they return."""

    @wraps(steps)
    def whole(*given: Given.args, **settings: Given.kwargs) -> Result:
        return finished(steps(*given, **settings))

    whole.steps = steps  # type: ignore[attr-defined]
    return cast(Stepwise[Given, Result], whole)


def finished(steps: Generator[Any, None, Result]) -> Result:
    """What steps return in the end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast(Result, end.value)


def share_of(steps: Stepping[Result], done: float, whole: float) -> Stepping[Result]:
    """Steps that are one of ``whole`` equal shares, of which ``done`` are done."""
    try:
        while True:
            yield (done + next(steps)) / whole
    except StopIteration as end:
        return cast(Result, end.value)


def in_batches(
    compute: Callable[[slice], Stepping[Result]], count: int, batch_size: int
) -> Stepping[list[tuple[slice, Result]]]:
    """``networks.device.in_batches`` for what goes a step at a time: each part of ``range(count)`` with its result."""
    if batch_size < 1:
        raise InputError(f"Batch size must be 1 or more; got {batch_size}.")
    found: list[tuple[slice, Result]] = []
    start = 0
    while start < count:
        part = slice(start, min(start + batch_size, count))
        size = part.stop - start
        try:
            found.append((part, (yield from share_of(compute(part), start / size, count / size))))
            start = part.stop
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size = (size + 1) // 2
    return found
