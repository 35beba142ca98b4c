"""What has been computed is kept: by content, for all visitors, bounded by bytes, and computed once where several ask at once."""

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Lock
from typing import Any, TypeVar, cast

import numpy as np

from ..networks.images import ImageSet
from ..networks.zoo import Entry, LoadedNetwork
from .turns import PATIENCE, leave_if_asked

Result = TypeVar("Result")
Key = tuple[str, bytes]  # a function, and the digest of what it was given


class Store:
    """Results under their keys; beyond ``limit`` bytes the ones that were not used for longest go."""

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._results: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._running: dict[Key, Future[Any]] = {}
        self._lock = Lock()

    def get(self, key: Key, compute: Callable[[], Result]) -> Result:
        """What is kept under a key; else it is computed, while others that ask for it wait. What it raises, they raise too."""
        while True:
            with self._lock:
                if key in self._results:
                    self._results.move_to_end(key)
                    return cast(Result, self._results[key][0])
                running = self._running.get(key)
                if running is None:
                    mine = self._running[key] = Future()
                    break
            while not running.done():
                wait([running], PATIENCE)
                leave_if_asked()
            if isinstance(running.exception(), Exception | None):
                return cast(Result, running.result())  # else whoever computed it was interrupted: nothing to the others
        try:
            result = compute()
            size = size_of(result)
        except BaseException as error:
            with self._lock:
                del self._running[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._running[key]
            self._results[key] = result, size
            self.bytes += size
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

    def forget(self, function: str | None = None) -> None:
        """Let everything go, or the results of one function."""
        with self._lock:
            for key in list(self._results):
                if function in (None, key[0]):
                    self.bytes -= self._results.pop(key)[1]


class _Content(pickle.Pickler):
    """Pickles values for what they hold. What has a name of its own is named; arrays become read-only, since they are shared."""

    def persistent_id(self, value: Any) -> Any:
        match value:
            case LoadedNetwork():
                return "network", value.identity
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
