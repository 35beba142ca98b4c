"""What has been computed is kept: by content, for all visitors, bounded by bytes, and computed once where several ask at once."""

import hashlib
import pickle
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from threading import Lock
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np

from ..networks.images import ImageSet
from ..networks.zoo import Entry, LoadedNetwork, NamedNetwork
from .turns import COMPUTING, PATIENCE, Waiting, in_turn

__all__ = ["NETWORKS", "RESULTS", "digest_of", "kept", "kept_in_steps", "key_of", "timed"]

Result = TypeVar("Result")
Key = tuple[str, bytes]  # a function, and the digest of what it was given
SPENT: ContextVar[list[float]] = ContextVar("seconds that the results used here took to compute")


class Store:
    """Results under their keys; beyond ``limit`` bytes the ones that were not used for longest go."""

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._results: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._running: dict[Key, Future[Any]] = {}
        self._lock = Lock()

    def get(self, key: Key, compute: Callable[[], Result]) -> Result:
        """What is kept under a key; else it is computed, while others that ask for it wait. What it raises, they raise too.

        Whoever has the turn waits for nobody, who may be waiting for the turn: then it is computed twice.
        """
        while True:
            with self._lock:
                if key in self._results:
                    self._results.move_to_end(key)
                    return cast(Result, self._results[key][0])
                running = self._running.get(key)
                if running is None or COMPUTING.get():
                    mine = self._running[key] = Future()
                    break
            while not running.done():
                wait([running], PATIENCE)
                Waiting.leave_if_asked()
            if isinstance(running.exception(), Exception | None):
                return cast(Result, running.result())  # else whoever computed it was interrupted: nothing to the others
        try:
            result = compute()
            size = size_of(result)
        except BaseException as error:
            with self._lock:
                self._running.pop(key, None)
            mine.set_exception(error)
            raise
        with self._lock:
            self._running.pop(key, None)
            self.bytes += size - self._results.get(key, (None, 0))[1]
            self._results[key] = result, size
            while self.bytes > self.limit and len(self._results) > 1:
                _, (_, freed) = self._results.popitem(last=False)
                self.bytes -= freed
        mine.set_result(result)
        return result

    def find(self, key: Key) -> Any | None:
        """What is kept under a key, None where nothing is."""
        with self._lock:
            if key not in self._results:
                return None
            self._results.move_to_end(key)
            return self._results[key][0]

    def forget(self) -> None:
        """Let everything go: what is asked for again is computed again."""
        with self._lock:
            self._results.clear()
            self.bytes = 0


RESULTS = Store(128 * 2**20)
NETWORKS = Store(512 * 2**20)


def kept(compute: Callable[..., Result], *given: Any, quick: bool = False, **settings: Any) -> Result:
    """What a function makes of these, computed once. ``timed`` is told at every use how many seconds that took.

    ``quick``: it takes no turn, since it is done within a twentieth of a second and somebody may be waiting for it.
    """
    key = key_of(compute, *given, **settings)

    def measured() -> tuple[Result, float]:
        started = time.perf_counter()
        return compute(*given, **settings), time.perf_counter() - started

    if (found := RESULTS.find(key)) is None:
        inside = SPENT.set([])  # what it computes by means of others is part of its own time
        try:
            with nullcontext() if quick else in_turn(key[0]):
                found = RESULTS.get(key, measured)
        finally:
            SPENT.reset(inside)
    result, seconds = found
    SPENT.get([]).append(seconds)
    return cast(Result, result)


def kept_in_steps(
    compute: Callable[..., Generator[float, None, Result]], *given: Any
) -> Generator[float, None, Result]:
    """``kept`` for what says how much of it is done, and returns its result in the end. It takes no turn."""
    key = key_of(compute, *given)
    if (found := RESULTS.find(key)) is None:
        started = time.perf_counter()
        result = yield from compute(*given)
        seconds = time.perf_counter() - started
        found = RESULTS.get(key, lambda: (result, seconds))
    result, seconds = found
    SPENT.get([]).append(seconds)
    return result


def key_of(compute: Callable[..., Any], *given: Any, **settings: Any) -> Key:
    """What a result stands under. A function that is given first is part of what is done, and of its name."""
    names = [each.__qualname__ for each in (compute, *given[:1]) if isinstance(each, FunctionType)]
    return " ".join(names), digest_of(compute.__module__, given, sorted(settings.items()))


@contextmanager
def timed() -> Iterator[list[float]]:
    """Collect the seconds that the results used inside took to compute, now or when they were first wanted."""
    seconds: list[float] = []
    outer = SPENT.set(seconds)
    try:
        yield seconds
    finally:
        SPENT.reset(outer)
    SPENT.get([]).append(sum(seconds))


class _Content(pickle.Pickler):
    """Pickles values for what they hold. What has a name of its own is named; arrays become read-only, since they are shared."""

    def persistent_id(self, value: Any) -> Any:
        match value:
            case LoadedNetwork():
                return "network", value.identity
            case NamedNetwork():
                return "network", (value.entry.name, value.digest)
            case ImageSet():
                return "images", value.digest
            case Entry():  # two visitors may upload files of one name
                return "entry", value.name, value.weights
        return None

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        return NotImplemented


class _Count:
    """Takes what a pickler writes, and only counts it."""

    bytes = 0

    def write(self, data: Any) -> None:
        self.bytes += memoryview(data).nbytes


class _Hash:
    """Takes what a pickler writes, and only hashes it."""

    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=20)

    def write(self, data: Any) -> None:
        self.hash.update(data)


def digest_of(*values: Any) -> bytes:
    """A name for values by what they hold: never that of others, and nearly always the same for equal ones."""
    out = _Hash()
    _Content(out, protocol=5).dump(values)
    return out.hash.digest()


def size_of(result: Any) -> int:
    """About the bytes that a result takes; nobody may write to the arrays in it from now on."""
    if isinstance(result, LoadedNetwork):
        return sum(tensor.nbytes for tensor in result.network.state_dict().values())
    out = _Count()
    _Content(out, protocol=5).dump(result)
    return out.bytes
