"""What has been computed is kept: by content, for all who ask, and bounded by bytes."""

import hashlib
import pickle
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from functools import partial
from threading import Lock
from types import FunctionType
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from ..networks.images import ImageSet
from ..networks.zoo import Entry, LoadedNetwork, NamedNetwork
from ..places import CHECKPOINTS
from .folder import Archive, Folder

__all__ = [
    "ANSWERS",
    "NETWORKS",
    "PRECOMPUTED",
    "RESULTS",
    "Key",
    "Shared",
    "Spent",
    "digest_of",
    "kept",
    "kept_in_steps",
    "key_of",
    "steps_kept",
    "timed",
]

Result = TypeVar("Result")
Key = tuple[str, bytes]  # a function, and the digest of what it was given
FEW = 32  # images
PRECOMPUTED = CHECKPOINTS / "precomputed.zip"  # measurements that come with the project


class Spent(NamedTuple):
    """The seconds that a result took: by this installation, and by whoever made the measurements that come with the project."""

    here: float = 0.0
    beforehand: float = 0.0


SPENT: ContextVar[list[Spent]] = ContextVar("what the results used here took to compute")


class Store:
    """Results under their keys; beyond ``limit`` bytes the ones that were not used for longest go."""

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._results: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Key) -> Any | None:
        """What is kept under a key, None where nothing is."""
        with self._lock:
            if key not in self._results:
                return None
            self._results.move_to_end(key)
            return self._results[key][0]

    def put(self, key: Key, result: Any, size: int | None = None) -> None:
        """Keep a result of about ``size`` bytes; nobody may write to the arrays in it from now on."""
        size = size_of(result) if size is None else size
        with self._lock:
            self.bytes += size - self._results.pop(key, (None, 0))[1]
            self._results[key] = result, size
            while self.bytes > self.limit and len(self._results) > 1:
                _, (_, freed) = self._results.popitem(last=False)
                self.bytes -= freed

    def get(self, key: Key, compute: Callable[[], Result]) -> Result:
        """What is kept under a key; else it is computed."""
        if (found := self.find(key)) is None:
            found = compute()
            self.put(key, found)
        return cast(Result, found)

    def forget(self) -> None:
        """Let everything go: what is asked for again is computed again."""
        with self._lock:
            self._results.clear()
            self.bytes = 0


RESULTS = Store(128 * 2**20)  # what was measured, and the seconds that it took
ANSWERS = Store(64 * 2**20)  # what was asked for, as it is shown
NETWORKS = Store(128 * 2**20)


class Shared:
    """Where else results are found: ``folder``, by the processes of one engine (None where one process does all), if they took
    ``worth`` seconds (what took less is computed again sooner than found); ``archive``: those that come with the project."""

    folder: Folder | None = None
    worth = 0.05
    archive: Archive | None = Archive(PRECOMPUTED)


def kept(compute: Callable[..., Result], *given: Any, **settings: Any) -> Result:
    """What a function makes of these, computed once. ``timed`` is told at every use what that took."""
    key = key_of(compute, *given, **settings)
    if (found := found_anywhere(key)) is None:
        by_others: list[Spent] = []
        inside = SPENT.set(by_others)  # what it computes by means of others is part of its own time
        started = time.perf_counter()
        try:
            result = compute(*given, **settings)
        finally:
            SPENT.reset(inside)
        found = keep(key, result, Spent(time.perf_counter() - started, sum(each.beforehand for each in by_others)))
    result, spent = found
    SPENT.get([]).append(spent)
    return cast(Result, result)


def kept_in_steps(
    compute: Callable[..., Generator[float, None, Result]], *given: Any
) -> Generator[float, None, Result]:
    """``kept`` for what says how much of it is done, and returns its result in the end."""
    return (yield from steps_kept(key_of(compute, *given), partial(compute, *given)))


def steps_kept(key: Key, compute: Callable[[], Generator[float, None, Result]]) -> Generator[float, None, Result]:
    """``kept_in_steps`` under a key; only the seconds of the steps count, not those between them."""
    if (found := found_anywhere(key)) is None:
        seconds, started = 0.0, time.perf_counter()
        steps = compute()
        try:
            while True:
                share = next(steps)
                seconds += time.perf_counter() - started
                yield share
                started = time.perf_counter()
        except StopIteration as end:
            found = keep(key, end.value, Spent(seconds + time.perf_counter() - started))
    result, spent = found
    SPENT.get([]).append(spent)
    return cast(Result, result)


def found_anywhere(key: Key) -> tuple[Any, Spent] | None:
    """A result of this process, of another one that shares its results, or that comes with the project; with what it took."""
    if (found := RESULTS.find(key)) is not None:
        return cast(tuple[Any, Spent], found)
    name = key[1].hex()
    found = Shared.folder.find(name) if Shared.folder else None
    if found is None and Shared.archive and (recorded := Shared.archive.find(name)) is not None:
        result, spent = recorded
        found = result, Spent(beforehand=sum(spent))
    if found is not None:
        RESULTS.put(key, found)
    return found


def keep(key: Key, result: Any, spent: Spent) -> tuple[Any, Spent]:
    """Keep a result, and share what took long."""
    RESULTS.put(key, (result, spent))
    if Shared.folder and spent.here > Shared.worth:
        Shared.folder.put(key[1].hex(), (result, spent))
    return result, spent


def key_of(compute: Callable[..., Any], *given: Any, **settings: Any) -> Key:
    """What a result stands under. A function that is given first is part of what is done, and of its name."""
    names = [compute.__qualname__, *(each.__qualname__ for each in given[:1] if isinstance(each, FunctionType))]
    return " ".join(names), digest_of(compute.__module__, names, given, sorted(settings.items()))


@contextmanager
def timed() -> Iterator[list[Spent]]:
    """Collect what the results used inside took to compute, now or when they were first wanted."""
    spent: list[Spent] = []
    outer = SPENT.set(spent)
    try:
        yield spent
    finally:
        SPENT.reset(outer)
    SPENT.get([]).extend(spent)


class _Content(pickle.Pickler):
    """Pickles values for what they hold. What has a name of its own is named; arrays become read-only, since they are shared."""

    def persistent_id(self, value: Any) -> Any:
        match value:
            case LoadedNetwork():
                return "network", value.identity
            case NamedNetwork():
                return "network", (value.entry.name, value.digest)
            case ImageSet():
                return "images", value.digest, value.names[:FEW]  # an answer says what a visitor's own are called
            case Entry():  # two visitors may upload files of one name
                return "entry", value.name, value.weights
        return None

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        if is_dataclass(value) and not isinstance(
            value, type
        ):  # without what it has worked out, maybe just now, of its fields
            return type(value), tuple(getattr(value, field.name) for field in fields(value))
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
