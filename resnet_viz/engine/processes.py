"""Where the processes come from that compute for the app."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import ClassVar

import torch

from ..networks.device import describe_device
from .folder import Folder
from .kept import Shared
from .worker import Hello, work
from .workers import Start

__all__ = ["FOLDER_LIMIT", "InProcesses", "InThread", "start_for"]

FOLDER_LIMIT = 256 * 2**20  # bytes of shared results and images
MOST = 8  # workers; each takes 0.2 GB and more


@dataclass
class Process:
    """One that computes."""

    connection: Connection
    id: int

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            os.kill(self.id, signal.SIGKILL)


class InProcesses:
    """On Linux a nursery imports everything once and forks a worker, in a twentieth of a second, whenever one is wanted; with a
    card, and on macOS, there is one worker, started afresh when it ends. ``nursery``: the one of this server, if it forks."""

    nursery: ClassVar["InProcesses | None"] = None

    def __init__(self, modules: str, folder: str) -> None:
        self._modules, self._folder = modules, folder
        self._lock, self._closed = threading.Lock(), False
        self._begin()
        self.device, self.threads = self._hello.device, self._hello.threads
        self.count = min(MOST, max(2, self.threads)) if self._hello.forks else 1
        if self._hello.forks:
            InProcesses.nursery = self

    def _begin(self) -> None:
        """Start the process that all others come from."""
        ours, theirs = Pipe()
        number = theirs.fileno()
        program = f"from resnet_viz.engine.worker import main; main({number}, {self._folder!r}, {FOLDER_LIMIT}, {self._modules!r})"
        self._process = subprocess.Popen([sys.executable, "-c", program], pass_fds=[number])
        atexit.register(self._process.terminate)
        theirs.close()
        self._connection, self._new = ours, True
        self._hello: Hello = ours.recv()

    def __call__(self) -> Process:
        """A worker. Raises OSError or EOFError where none can be started."""
        if self._hello.forks:
            return self.fork(work)
        with self._lock:
            self._check()
            if not self._new:
                self._process.wait()
                self._begin()
            self._new = False
            return Process(self._connection, self._process.pid)

    def fork(self, function: Callable[[Connection], None]) -> Process:
        """A process that calls a function of a module with a connection to this one, and ends with it. It shares the memory of what
        the nursery has imported. Raises OSError or EOFError where none can be started."""
        with self._lock:
            self._check()
            with socket.socket(fileno=os.dup(self._connection.fileno())) as control:
                control.send(f"{function.__module__}.{function.__qualname__}".encode())
                said, numbers, _, _ = socket.recv_fds(control, 32, 1)
            if not numbers:
                raise EOFError("the process that starts workers has ended")
            return Process(Connection(numbers[0]), int(said))

    def _check(self) -> None:
        """Start the process again that all others come from, if it has ended."""
        if self._closed:
            raise EOFError("the app is ending")
        if self._process.poll() is not None:
            self._begin()

    def close(self) -> None:
        """End all of them."""
        self._closed = True
        if InProcesses.nursery is self:
            InProcesses.nursery = None
        self._process.terminate()


@dataclass
class Thread:
    """A thread that computes, which nobody can end."""

    connection: Connection

    def kill(self) -> None:
        """It ends its step first."""


class InThread:
    """Where processes cannot be handed a connection (Windows): one thread of this process computes, with the same rules."""

    count = 1

    def __init__(self, folder: str) -> None:
        self.threads = torch.get_num_threads()
        Shared.folder = Folder(folder, FOLDER_LIMIT)
        self.device = describe_device()

    def __call__(self) -> Thread:
        ours, theirs = Pipe()
        threading.Thread(target=work, args=[theirs], daemon=True, name="worker").start()
        return Thread(ours)

    def close(self) -> None:
        """It ends with its connection."""


def start_for(modules: str, folder: str) -> Start:
    """What this system can do."""
    return InThread(folder) if sys.platform == "win32" else InProcesses(modules, folder)
