"""A program that has a network of its own computes for an app that it has opened: it keeps the network, and the app draws."""

import os
import pickle
import signal
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from secrets import token_bytes
from typing import NamedTuple

import torch

from ..networks.device import describe_device
from ..networks.zoo import NamedNetwork
from .folder import Folder
from .kept import Shared
from .processes import FOLDER_LIMIT
from .worker import work

__all__ = ["InOwner", "Owner"]

ADDRESS, SECRET = "RESNET_VIZ_OWNER", "RESNET_VIZ_OWNER_SECRET"  # of the environment in which the app is started


class Offer(NamedTuple):
    """What the program says first: its network, what it computes on, with how many threads at most, and where images lie."""

    network: NamedNetwork
    device: str
    threads: int
    folder: str


class Owner:
    """The program's side: a thread that computes for one app, with the network that was handed over, until the app ends.

    ``environment``: what the app has to be started with.
    """

    _shared: tempfile.TemporaryDirectory[str] | None = None  # one for all apps of this program, as its results are

    def __init__(self, network: NamedNetwork) -> None:
        if Owner._shared is None:
            Owner._shared = tempfile.TemporaryDirectory(prefix="resnet_viz-")
            Shared.folder = Folder(Owner._shared.name, FOLDER_LIMIT)
        secret = token_bytes(32)
        listener = Listener(authkey=secret)
        self.environment = {ADDRESS: str(listener.address), SECRET: secret.hex()}
        self._listener, self._network, self._folder = listener, network, Owner._shared.name
        threading.Thread(target=self._serve, daemon=True, name="resnet_viz").start()

    def _serve(self) -> None:
        with suppress(OSError, EOFError):  # the app has ended, or never came
            connection = self._listener.accept()
            self._listener.close()
            offer = Offer(self._network, describe_device(), torch.get_num_threads(), self._folder)
            connection.send_bytes(
                pickle.dumps(offer)
            )  # ``send`` would share the memory of tensors, which this is not about
            work(connection)

    def close(self) -> None:
        """Wait for no app any more."""
        self._listener.close()


@dataclass
class Program:
    """The program that computes, which goes on whatever nobody waits for any more."""

    connection: Connection

    def kill(self) -> None:
        """It ends its step first."""


class InOwner:
    """The app's side: the one worker is the program that has opened the app. Where that ends, so does the app."""

    count = 1

    def __init__(self, address: str, secret: str) -> None:
        try:
            connection = Client(address, authkey=bytes.fromhex(secret))
            self.network, self.device, self.threads, self.folder = pickle.loads(connection.recv_bytes())
        except (OSError, EOFError):
            print("  The program that opened this app has ended, and so does the app.", flush=True)
            os._exit(1)  # nothing is open yet, and there is nobody to tell
        self._connection: Connection | None = connection

    @classmethod
    def of_this_app(cls) -> "InOwner | None":
        """The program that has opened this app; None where none has."""
        address = os.environ.get(ADDRESS)
        return cls(address, os.environ[SECRET]) if address else None

    def __call__(self) -> Program:
        if self._connection is None:
            os.kill(os.getpid(), signal.SIGTERM)
            raise EOFError("the program that has the network has ended")
        connection, self._connection = self._connection, None
        return Program(connection)

    def close(self) -> None:
        """It ends with its connection."""
