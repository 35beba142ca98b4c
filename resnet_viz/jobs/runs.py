"""The runs that visitors have started: one worker process, one queue, and who is still there to see it."""

import atexit
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from ..engine.processes import InProcesses
from ..errors import InputError
from ..replica import drawn_here
from .worker import GO_ON, PAUSE, STOP, Job, Order, Said, main

__all__ = ["ENDED", "LONGEST_PAUSE", "PAUSED", "RUNNING", "WAITING", "JobType", "Run", "Runs", "start_worker"]

LONGEST_PAUSE = 120.0  # seconds that a run may be held while others wait
GRACE = 60.0  # seconds that a run goes on without anybody who has its address open
MOST_WAITING, MOST_OF_ONE = 8, 2  # of all visitors, of one
MOST_KEPT = 24  # runs that have ended
STARTED = 30.0  # seconds after which a worker counts as one that could start
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds between two attempts to start one
JobType = TypeVar("JobType", bound=Job)


class State(StrEnum):
    """Of a run."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


WAITING, RUNNING, PAUSED, ENDED = State


@dataclass
class Run(Generic[JobType]):
    """A job and what has come of it. ``files``: the weights as they are now, while it is paused and when it has ended;
    ``starter``: the session that asked for it; ``visitors``: those that have its address; ``left_at``: when the last of them
    went, None while one is there; ``paused_at``: since when it is held; ``heard_at``: when the last record came,
    0 if it was held since; ``pace``: the seconds between the last two. ``why``: why it ended, '' if it came to its end."""

    id: str
    job: JobType
    starter: str
    state: State = WAITING
    records: list[Any] = field(default_factory=list)
    files: dict[str, bytes] | None = None
    why: str = ""
    visitors: set[str] = field(default_factory=set)
    left_at: float | None = None
    paused_at: float = 0.0
    heard_at: float = 0.0
    pace: float = 0.0


class Runs:
    """All runs of this server. Every method may be called from any thread.

    ``is_here``: whether a session is connected. ``connect``: starts a worker and returns the connection to it. ``trouble``: ''
    or a sentence on a worker that cannot start.
    """

    def __init__(self, is_here: Callable[[str], bool], connect: Callable[[], Connection], grace: float = GRACE) -> None:
        self.is_here, self.connect, self.grace = is_here, connect, grace
        self.trouble = ""
        self.lock = threading.RLock()
        self.runs: dict[str, Run[Job]] = {}
        self.connection: Connection | None = None
        threading.Thread(target=self.listen, daemon=True, name="runs").start()

    def start(self, job: Job, visitor: str) -> Run[Job]:
        """Put a job at the end of the queue. Raises InputError where too many wait."""
        with self.lock:
            if len(self.waiting()) >= MOST_WAITING:
                raise InputError(f"{MOST_WAITING} runs are waiting already; try again when one has ended.")
            if sum(each.starter == visitor for each in self.waiting()) >= MOST_OF_ONE:
                raise InputError(f"{MOST_OF_ONE} runs of yours are waiting already; try again when one has begun.")
            run = Run(drawn_here(partial(secrets.token_hex, 4)), job, visitor, visitors={visitor})
            self.runs[run.id] = run
            ended = [each for each in self.runs.values() if each.state == ENDED]
            for oldest in ended[:-MOST_KEPT]:
                del self.runs[oldest.id]
            self.begin_next()
            return run

    def find(self, id: str, visitor: str) -> Run[Job] | None:
        """A run by its id, for a session that has its address; None for an unknown one."""
        with self.lock:
            if run := self.runs.get(id):
                run.visitors.add(visitor)
            return run

    def tell(self, run: Run[Any], order: Order) -> None:
        """PAUSE, GO_ON or STOP a run; one that waits can only be stopped."""
        with self.lock:
            if run.state == WAITING and order == STOP:
                run.state, run.why = ENDED, "stopped before it began"
            elif run.state in (RUNNING, PAUSED) and self.connection:
                self.send(order)
                run.why = "stopped" if order == STOP else ""
                if order != STOP:
                    run.state, run.paused_at = {PAUSE: PAUSED, GO_ON: RUNNING}[order], time.monotonic()
                    run.files, run.heard_at = None, 0.0

    def waiting(self) -> list[Run[Job]]:
        """The queue, the next one first."""
        return [run for run in list(self.runs.values()) if run.state == WAITING]

    def place(self, run: Run[Any]) -> int:
        """The place in the queue, from 1; 0 for a run that does not wait."""
        waiting = [each.id for each in self.waiting()]
        return waiting.index(run.id) + 1 if run.id in waiting else 0

    def current(self) -> Run[Job] | None:
        """The run that the worker has, going or paused."""
        return next((run for run in list(self.runs.values()) if run.state in (RUNNING, PAUSED)), None)

    def begin_next(self) -> None:
        """Hand the worker the next job, if both are there."""
        if self.connection and self.current() is None and (waiting := self.waiting()):
            waiting[0].state = RUNNING
            self.send(waiting[0].job)

    def send(self, order: Job | Order) -> None:
        """Tell the worker; to one that has just died it is said in vain, and ``listen`` ends its run."""
        assert self.connection is not None
        with suppress(OSError):
            self.connection.send(order)

    def listen(self) -> None:
        """Take what the worker says, look after runs that nobody sees, and start another worker if it dies; where it dies at
        once, again and again, after growing pauses."""
        wait = FIRST_WAIT
        while True:
            started, heard = time.monotonic(), False
            try:
                connection = self.connect()
                with self.lock:
                    self.connection = connection
                    self.begin_next()
                while True:
                    said = connection.recv() if connection.poll(0.5) else None
                    if heard := heard or said is not None or time.monotonic() - started > STARTED:
                        wait, self.trouble = FIRST_WAIT, ""
                    with self.lock:
                        if said is not None:
                            self.take(said)
                        self.end_forsaken()
            except (EOFError, OSError):
                with self.lock:
                    self.connection = None
                    if run := self.current():
                        run.state, run.why = ENDED, "the process that trained it ended; start it again"
            if not heard:
                self.trouble = f"The process that trains cannot start; it is tried again after {wait:.0f} s. The server's terminal says why."
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)

    def take(self, said: Said) -> None:
        """Add to the run that the worker has."""
        run = self.current()
        assert run is not None  # the worker speaks of its job only
        if said.record is not None:
            run.records.append(said.record)
            now = time.monotonic()
            run.pace, run.heard_at = now - run.heard_at if run.heard_at else run.pace, now
        if said.files is not None:
            run.files = said.files
        if said.ended:
            run.state, run.why = ENDED, said.fault or run.why
            self.begin_next()

    def end_forsaken(self) -> None:
        """Stop the runs whose visitors have all been gone for longer than the grace, and one that keeps others waiting."""
        held = self.current()
        if held and held.state == PAUSED and self.waiting() and time.monotonic() - held.paused_at > LONGEST_PAUSE:
            self.tell(held, STOP)
            held.why = f"held for {LONGEST_PAUSE:.0f} s while others waited"
        for run in [*self.waiting(), *filter(None, [self.current()])]:
            if any(self.is_here(visitor) for visitor in run.visitors):
                run.left_at = None
            elif run.left_at is None:
                run.left_at = time.monotonic()
            elif time.monotonic() - run.left_at > self.grace and not run.why:
                self.tell(run, STOP)
                run.why = "nobody was there to see it any more"


def start_worker() -> Connection:
    """Start a process that trains, and return the connection to it. Raises OSError or EOFError where none can be started."""
    if InProcesses.nursery:
        return InProcesses.nursery.fork(main).connection
    ours, theirs = Pipe()
    number = theirs.fileno()
    program = f"from multiprocessing.connection import Connection; from {main.__module__} import main; main(Connection({number}))"
    process = subprocess.Popen([sys.executable, "-c", program], pass_fds=[number])
    theirs.close()
    atexit.register(process.terminate)
    threading.Thread(target=process.wait, daemon=True, name="worker").start()  # so that one that dies is buried
    return ours
