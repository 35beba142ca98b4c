"""Computing in other processes: who computes what next, for whom, and what happens when one dies or nobody waits any more."""

import pickle
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Protocol

from ..errors import InputError
from .folder import Folder
from .kept import ANSWERS, Key
from .tickets import Call, Ticket, Work
from .worker import Order, Reply, dumps

__all__ = ["Lost", "Start", "Started", "Workers"]

LOOK = 0.25  # seconds between two looks at who is still there
FAIR = 4  # of so many steps one goes to whoever has waited longest for one
OVERDUE = 1.0  # seconds that a step may go on for nobody
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds between two attempts to start a worker
TRIES = 2
REMEMBERED = 2.0  # seconds that a failure is


class Lost(InputError):
    """What was computed twice, and each time the process that did it ended."""


class Started(Protocol):
    """A process that computes: the connection to it, and how it is ended at once."""

    connection: Connection

    def kill(self) -> None: ...


class Start(Protocol):
    """What makes such processes: how many there are to be, on what device, and how many threads all of them may use."""

    device: str
    count: int
    threads: int

    def __call__(self) -> Started: ...

    def close(self) -> None: ...


def reply_of(connection: Connection) -> tuple[Reply | None, int]:
    """What a worker says, and its bytes; None if it has ended."""
    try:
        text = connection.recv_bytes()
    except (EOFError, OSError):
        return None, 0
    try:
        return pickle.loads(text), len(text)
    except Exception as error:
        traceback.print_exc()
        return Reply(fault=RuntimeError(f"The answer could not be read: {error}")), 0


class _Open:
    """A work that is not done: its call as it travels, where its steps are, whether they have to stay there, how many seconds they
    have taken, since when it waits for the next."""

    def __init__(self, work: Work, number: int, call: bytes) -> None:
        self.work, self.number, self.call = work, number, call
        self.name = work.key[0]
        self.stays = getattr(work.call.func, "stays", False)
        self.worker: _Worker | None = None
        self.spent, self.tries = 0.0, 0
        self.waiting_since = time.monotonic()


@dataclass(eq=False)
class _Worker:
    """A process, what it is at, since when, and what it may forget."""

    process: Started
    busy: _Open | None = None
    since: float = 0.0
    forget: list[int] = field(default_factory=list)


class Workers:
    """Computes in processes, a step at a time: those first who have had least, and so the short before the long; but now and then
    a step goes to whoever has waited longest for one."""

    def __init__(self, start: Start, folder: Folder, patience: Callable[[], float]) -> None:
        self._start, self._folder, self.patience = start, folder, patience
        self.device, self.trouble = start.device, ""
        self._open: dict[Key, _Open] = {}
        self._failed: dict[Key, tuple[Work, float]] = {}
        self._workers: list[_Worker] = []
        self._expected: dict[str, float] = {}  # seconds that a step of a function took last
        self._numbers, self._turns = count(), count(1)
        self._lock = threading.RLock()
        self._closed = False
        self._woken, self._wake = Pipe(duplex=False)
        for _ in range(start.count):
            threading.Thread(target=self._add_worker, daemon=True, name="start of a worker").start()
        threading.Thread(target=self._run, daemon=True, name="engine").start()

    def submit(
        self, call: Call, news: Callable[[], None] | None = None, wanted: Callable[[], bool] | None = None
    ) -> Ticket:
        """Have something computed; equal calls at the same time are computed once."""
        work = Work(call)
        if (found := ANSWERS.find(work.key)) is not None:
            work.end(found)
            return Ticket(work, news, wanted)
        text = dumps(call, self._folder)
        with self._lock:
            failed, at = self._failed.get(work.key, (None, 0.0))
            if failed and time.monotonic() - at < REMEMBERED:  # whoever came too late to hear it asks again
                return Ticket(failed, news, wanted)
            if work.key not in self._open:
                self._open[work.key] = _Open(work, next(self._numbers), text)
            ticket = Ticket(self._open[work.key].work, news, wanted)
        self._wake.send_bytes(b".")
        return ticket

    def close(self) -> None:
        """End the workers."""
        self._closed = True
        self._wake.send_bytes(b".")
        with self._lock:
            for worker in self._workers:
                worker.process.connection.close()
        self._start.close()

    def _run(self) -> None:
        """Hear what the workers say, and hand out what is next."""
        looked = 0.0
        while not self._closed:
            with self._lock:
                by_connection = {worker.process.connection: worker for worker in self._workers}
            ready = wait([self._woken, *by_connection], LOOK)
            while self._woken.poll():
                self._woken.recv_bytes()
            heard = [
                (by_connection[each], reply_of(each))
                for each in ready
                if isinstance(each, Connection) and each in by_connection
            ]
            told: list[Ticket] = []
            with self._lock:
                for worker, (reply, size) in heard:
                    told += self._take(worker, reply, size) if reply else self._bury(worker)
                if time.monotonic() - looked > LOOK:
                    looked = time.monotonic()
                    self._leave_unwanted()
                    self._failed = {key: each for key, each in self._failed.items() if looked - each[1] < REMEMBERED}
                self._hand_out()
            for ticket in told:
                try:
                    ticket.news()
                except Exception:  # one visitor's trouble is nobody else's
                    traceback.print_exc()

    def _take(self, worker: _Worker, reply: Reply, size: int) -> list[Ticket]:
        """Take what a worker says; returns whom to tell."""
        found, worker.busy = worker.busy, None
        assert found
        found.waiting_since = time.monotonic()
        self._expected[found.name] = seconds = found.waiting_since - worker.since
        found.spent += seconds
        if not (reply.done or reply.fault):
            found.work.take(reply.value)
        else:
            if (
                self._open.get(found.work.key) is found
            ):  # not one that was asked for again, after nobody had wanted this
                del self._open[found.work.key]
            if reply.done:
                ANSWERS.put(found.work.key, reply.value, size)
            else:
                self._failed[found.work.key] = found.work, time.monotonic()
            found.work.end(reply.value, reply.fault)
        return list(found.work.tickets)

    def _bury(self, worker: _Worker) -> list[Ticket]:
        """Begin again elsewhere what a worker that has ended had in hand, once; and start another worker."""
        self._workers.remove(worker)
        threading.Thread(target=self._add_worker, daemon=True, name="start of a worker").start()
        told: list[Ticket] = []
        for each in [each for each in self._open.values() if each.worker is worker]:
            each.worker, each.number = None, next(self._numbers)
            each.tries += each is worker.busy
            if each.tries == TRIES:
                del self._open[each.work.key]
                each.work.end(
                    fault=Lost(
                        "This could not be computed: the process that tried ended twice, maybe for want of memory."
                    )
                )
                told += each.work.tickets
        return told

    def _leave_unwanted(self) -> None:
        """Drop what nobody wants any more; a step that goes on for nobody is ended with its process."""
        for each in list(self._open.values()):
            for ticket in [ticket for ticket in each.work.tickets if not ticket.wanted()]:
                ticket.release()
            if each.work.tickets:
                continue
            worker = each.worker
            if worker is None or worker.busy is not each:
                del self._open[each.work.key]
                if worker:
                    worker.forget.append(each.number)
            elif time.monotonic() - worker.since > OVERDUE:
                del self._open[each.work.key]
                worker.process.kill()

    def _hand_out(self) -> None:
        """Give each worker that has nothing to do the next step."""
        for worker in self._workers:
            if worker.busy:
                continue
            idle = [
                each
                for each in self._open.values()
                if each.work.tickets and not (each.worker and each.worker.busy is each)
            ]
            waiting = [each for each in idle if each.worker in (None, worker)] or [
                each for each in idle if not each.stays
            ]
            if not waiting:
                continue
            fair = next(self._turns) % FAIR == 0
            chosen = min(waiting, key=(lambda each: each.waiting_since) if fair else self._rank)
            new = chosen.worker is not worker
            if new and chosen.worker:  # what it has measured so far is found by others
                chosen.worker.forget.append(chosen.number)
                chosen.number = next(self._numbers)
            chosen.worker, worker.busy, worker.since = worker, chosen, time.monotonic()
            busy = sum(each.busy is not None for each in self._workers)
            threads = max(1, self._start.threads // busy)
            order = Order(chosen.number, chosen.call if new else None, threads, tuple(worker.forget))
            worker.forget.clear()
            with suppress(OSError):  # it has just died: that is heard next
                worker.process.connection.send(order)

    def _rank(self, each: _Open) -> float:
        """The seconds that it will have had after the next step."""
        return each.spent + self._expected.get(each.name, 0.0)

    def _add_worker(self) -> None:
        """Start a worker; where that fails, again and again, after growing pauses."""
        pause = FIRST_WAIT
        while not self._closed:
            try:
                worker = _Worker(self._start())
            except (OSError, EOFError) as error:
                self.trouble = (
                    f"The process that computes cannot start ({error}); it is tried again after {pause:.0f} s."
                )
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_WAIT)
                continue
            with self._lock:
                self._workers.append(worker)
            self.trouble = ""
            self._wake.send_bytes(b".")
            return
