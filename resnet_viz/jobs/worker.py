"""The process that trains for the app: one job at a time, watched and stopped from outside.

It ends when the app does.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import Any

import torch

from ..errors import InputError
from ..experiments.identity import Stacks, train_stacks
from ..experiments.race import Race, Racing, Samples, samples

__all__ = ["GO_ON", "PAUSE", "STOP", "Job", "Said", "main"]


NICE = 10  # workers, for whom visitors wait, are less so


class Order(StrEnum):
    """What a worker may be told between two steps of its job."""

    PAUSE = "pause"
    GO_ON = "go on"
    STOP = "stop"


PAUSE, GO_ON, STOP = Order
Job = Race | Stacks


@dataclass(frozen=True)
class Said:
    """What the worker says of the job it has: one more ``record``, or the ``files`` as they are now (when it pauses and when
    it ends). ``ended``: whether this was the last word; ``fault``: why, if it went wrong."""

    record: Any = None
    files: dict[str, bytes] | None = None
    ended: bool = False
    fault: str = ""


def main(connection: Connection) -> None:
    """Work for the app at the other end of a connection, at a low priority and on one thread, so that no click waits for this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the app, whose end ends the connection
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    torch.set_num_threads(1)
    work(connection)


def work(connection: Connection) -> None:
    """Take jobs until the other end is closed. Nothing of a job is kept after it."""
    images = samples(full=False)
    try:
        while True:
            order = connection.recv()
            if isinstance(order, Job):  # a STOP that came too late is for nobody
                do(order, images, connection)
    except (EOFError, OSError):  # the app has gone
        return


def do(job: Job, images: Samples, connection: Connection) -> None:
    """Do one job, and say what comes of it; between two steps do as told."""
    try:
        steps: Iterator[Any]
        if isinstance(job, Race):
            racing = Racing(job, samples(full=True) if job.full else images)
            steps, files = iter(racing), racing.files
        else:
            steps, files = train_stacks(job, images.training, images.test), dict
        follow(steps, files, connection)
        connection.send(Said(files=files(), ended=True))
    except (InputError, RuntimeError, MemoryError) as error:
        connection.send(Said(ended=True, fault=str(error) or type(error).__name__))


def follow(steps: Iterator[Any], files: Any, connection: Connection) -> None:
    """Take the steps of a job one by one, until they end or it is told to stop."""
    for record in steps:
        if record is not None:
            connection.send(Said(record))
        order = connection.recv() if connection.poll() else GO_ON
        if order == PAUSE:
            connection.send(Said(files=files()))
            while order == PAUSE:
                order = connection.recv()
        if order == STOP:
            return
