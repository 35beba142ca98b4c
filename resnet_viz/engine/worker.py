"""The process that computes for the app: one step at a time of what it has in hand, as it is told."""

import gc
import io
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Generator
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch

from ..errors import InputError
from ..networks.device import describe_device, device
from ..networks.images import ImageSet
from . import heap
from .folder import Folder
from .kept import ANSWERS, RESULTS, Shared
from .tickets import HERE, Call, InPlace, steps_of

__all__ = ["Hello", "Order", "Reply", "dumps", "loads", "main", "nursery", "work"]

NICE = 5  # the app draws pages meanwhile
KEPT = 48 * 2**20  # bytes of measurements in a worker; what took long lies in the folder, too


class Hello(NamedTuple):
    """What a process says first: what it computes on, with how many threads at most ($OMP_NUM_THREADS, else all cores), and
    whether it makes workers (else it is one itself)."""

    device: str
    threads: int
    forks: bool


LONGEST_NAME = 100  # bytes, of a function


class Order(NamedTuple):
    """The next step of a number; ``call``: what it is, if it is new; ``threads`` to compute on; ``dropped``: the numbers that
    nobody wants any more."""

    number: int
    call: bytes | None
    threads: int
    dropped: tuple[int, ...] = ()


class Reply(NamedTuple):
    """A step, the result if ``done``, or why there is none."""

    value: Any = None
    done: bool = False
    fault: Exception | None = None


def dumps(call: Call, folder: Folder) -> bytes:
    """A call as it travels; its images lie in the folder, once for all."""
    out = io.BytesIO()
    _Sender(out, folder).dump(call)
    return out.getvalue()


def loads(text: bytes, images: dict[str, ImageSet]) -> Call:
    """The call. Raises InputError where its images are gone; ``images``: those that this process has read."""
    call: Call = _Receiver(io.BytesIO(text), images).load()
    return call


class _Sender(pickle.Pickler):
    def __init__(self, out: io.BytesIO, folder: Folder) -> None:
        super().__init__(out, protocol=5)
        self.folder = folder

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, ImageSet):
            return None
        if not self.folder.has(value.name):
            self.folder.put(value.name, value)
        return value.name


class _Receiver(pickle.Unpickler):
    def __init__(self, text: io.BytesIO, images: dict[str, ImageSet]) -> None:
        super().__init__(text)
        self.images = images

    def persistent_load(self, name: Any) -> Any:
        if name not in self.images:
            found = Shared.folder.find(name) if Shared.folder else None
            if found is None:
                raise InputError("These images are no longer kept here; choose them again.")
            self.images[name] = found
            while len(self.images) > 16:
                del self.images[next(iter(self.images))]
        return self.images[name]


def work(connection: Connection) -> None:
    """Do as told until the other end is closed. A step that raises ends its call alone."""
    HERE.set(InPlace())
    running: dict[int, Generator[Any, None, Any]] = {}
    images: dict[str, ImageSet] = {}
    try:
        while True:
            order: Order = connection.recv()
            for number in order.dropped:
                if number in running:
                    running.pop(number).close()
            reply = reply_to(order, running, images)
            connection.send_bytes(pickle.dumps(reply, protocol=5))
            if reply.done or reply.fault:
                heap.give_back()
    except (EOFError, OSError):  # the app has gone
        return


def reply_to(order: Order, running: dict[int, Generator[Any, None, Any]], images: dict[str, ImageSet]) -> Reply:
    """Take one step."""
    if torch.get_num_threads() != order.threads:
        torch.set_num_threads(order.threads)
    try:
        if order.call is not None:
            running[order.number] = steps_of(loads(order.call, images))
        return Reply(next(running[order.number]))
    except StopIteration as end:
        reply = Reply(end.value, done=True)
    except Exception as error:
        if not isinstance(error, InputError):
            traceback.print_exc()
        reply = Reply(fault=sendable(error))
    running.pop(order.number, None)
    return reply


def sendable(error: Exception) -> Exception:
    """The error itself, if it survives the way; else its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def main(number: int, path: str, limit: int, modules: str) -> None:
    """Import what is needed once, on one thread; then make workers by forking, or be one, for the app at the other end of an open
    connection.

    With a card there is one process that owns it, and macOS's libraries do not survive a fork: there this one works itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the app, whose end ends the connection
    connection, folder = Connection(number), Folder(path, limit)
    hello = Hello(describe_device(), torch.get_num_threads(), forks=sys.platform == "linux" and device().type == "cpu")
    if hello.forks:
        torch.set_num_threads(1)
    for name in modules.split(","):
        import_module(name)
    RESULTS.limit, ANSWERS.limit = KEPT, KEPT // 8
    connection.send(hello)
    if hello.forks:
        gc.collect()
        gc.freeze()
        os.nice(NICE)
        nursery(connection, folder)
    else:
        Shared.folder = folder
        work(connection)


def nursery(connection: Connection, folder: Folder) -> None:
    """Fork a process for each function that is named, and send its process id with the connection that the function is given."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that those that die are buried
    Shared.folder = folder
    control = socket.socket(fileno=os.dup(connection.fileno()))
    while name := control.recv(LONGEST_NAME).decode():
        ours, theirs = socket.socketpair()
        if (process := os.fork()) == 0:
            connection.close()
            control.close()
            ours.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            module, _, function = name.rpartition(".")
            getattr(import_module(module), function)(Connection(theirs.detach()))
            os._exit(0)
        theirs.close()
        socket.send_fds(control, [str(process).encode()], [ours.fileno()])
        ours.close()
