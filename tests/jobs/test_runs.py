"""The registry of runs, over a real worker in a thread: queue, orders, visitors who go, and a worker that dies."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from socket import SHUT_RDWR, socket
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_viz.errors import InputError
from resnet_viz.experiments.race import Race, Samples
from resnet_viz.jobs import runs as registry
from resnet_viz.jobs import worker
from resnet_viz.jobs.runs import ENDED, MOST_KEPT, MOST_OF_ONE, MOST_WAITING, PAUSED, RUNNING, WAITING, Run, Runs
from resnet_viz.jobs.worker import GO_ON, PAUSE, STOP
from resnet_viz.networks.datasets import bundled_fashion

PATIENCE = 30  # seconds; nothing takes so long
GRACE = 0.3
SHORT = Race("plain8", "plain8", steps=2, batch_size=4)
LONG = Race("plain8", "plain8", steps=2000, batch_size=4)


class Server:
    """Runs with a worker in a thread, and the visitors who are here."""

    def __init__(self) -> None:
        self.here, self.open = {"ann", "bob"}, True
        self.workers: list[tuple[Connection, threading.Thread]] = []
        self.runs = Runs(lambda visitor: visitor in self.here, self.connect, GRACE)

    def connect(self) -> Connection:
        if not self.open:
            threading.Event().wait()  # the thread that listens, a daemon, has nothing more to do
        ours, theirs = Pipe()
        thread = threading.Thread(target=worker.work, args=[theirs])
        thread.start()
        self.workers.append((theirs, thread))
        return ours

    def kill(self) -> None:
        """Cut the newest worker off, for both sides, as if its process had died."""
        with socket(fileno=os.dup(self.workers[-1][0].fileno())) as line:
            line.shutdown(SHUT_RDWR)

    def close(self) -> None:
        self.open = False
        self.kill()
        for end, thread in self.workers:
            thread.join(PATIENCE)
            end.close()


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    training = bundled_fashion("training")
    few = Samples(training, training.limit(10), bundled_fashion("lesion").limit(10))
    monkeypatch.setattr(worker, "samples", lambda full: few)  # noqa: ARG005
    server = Server()
    wait_until(lambda: server.runs.connection is not None)
    yield server
    server.close()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def wait_for(run: Run, state: str) -> None:
    wait_until(lambda: run.state == state)


def test_a_run_comes_to_its_end_with_records_and_files(server):
    run = server.runs.start(SHORT, "ann")
    wait_for(run, ENDED)
    assert run.why == ""
    assert [record.step for record in run.records] == [0, 2]
    assert run.files.keys() == {"left", "right"}
    assert server.runs.current() is None
    assert server.runs.find(run.id, "bob") is run
    assert run.visitors == {"ann", "bob"}
    assert server.runs.find("nonsense", "bob") is None


def test_jobs_are_done_one_after_the_other(server):
    first, second, third = (server.runs.start(job, "ann") for job in (LONG, SHORT, SHORT))
    assert [run.state for run in (first, second, third)] == [RUNNING, WAITING, WAITING]
    assert [server.runs.place(run) for run in (first, second, third)] == [0, 1, 2]
    assert server.runs.waiting() == [second, third]
    server.runs.tell(first, STOP)
    wait_until(lambda: server.runs.place(second) == 0)
    assert first.state == ENDED and first.why == "stopped"
    assert server.runs.place(third) in (0, 1)
    wait_for(third, ENDED)
    assert second.state == ENDED
    assert [len(run.records) for run in (second, third)] == [2, 2]
    assert second.records == third.records
    assert len({first.id, second.id, third.id}) == 3


def test_a_waiting_run_can_be_stopped_and_nothing_else(server):
    first, second, third = (server.runs.start(job, "ann") for job in (LONG, LONG, SHORT))
    for order in (PAUSE, GO_ON):
        server.runs.tell(second, order)
        assert second.state == WAITING
    server.runs.tell(second, STOP)
    assert (second.state, second.why) == (ENDED, "stopped before it began")
    assert server.runs.place(third) == 1
    assert first.state == RUNNING
    server.runs.tell(first, STOP)
    wait_for(third, ENDED)
    assert second.records == []


def test_a_pause_brings_files_and_keeps_the_place(server):
    run, following = server.runs.start(LONG, "ann"), server.runs.start(SHORT, "bob")
    server.runs.tell(run, PAUSE)
    assert run.state == PAUSED
    wait_until(lambda: run.files)
    count = len(run.records)
    assert server.runs.current() is run
    assert server.runs.place(following) == 1
    time.sleep(0.5)
    assert len(run.records) == count
    going_on = time.monotonic()
    server.runs.tell(run, GO_ON)
    assert run.state == RUNNING
    wait_until(lambda: len(run.records) > count + 1)
    assert 0 < run.pace < time.monotonic() - going_on, "what it was held for does not count"
    server.runs.tell(run, STOP)
    wait_for(run, ENDED)
    assert run.why == "stopped"
    server.runs.tell(run, GO_ON)
    assert (run.state, run.why) == (ENDED, "stopped")


def test_a_stopped_pause_ends(server):
    run = server.runs.start(LONG, "ann")
    server.runs.tell(run, PAUSE)
    server.runs.tell(run, STOP)
    wait_for(run, ENDED)
    assert run.why == "stopped"
    assert run.files


def test_a_job_that_cannot_be_done_says_why(server):
    run, following = server.runs.start(Race("nonsense"), "ann"), server.runs.start(SHORT, "ann")
    wait_for(following, ENDED)
    assert run.state == ENDED
    assert "got 'fashion-nonsense'" in run.why
    assert following.why == ""


def test_runs_that_nobody_sees_end_after_the_grace(server):
    running, waiting = server.runs.start(LONG, "ann"), server.runs.start(SHORT, "ann")
    seen = server.runs.start(SHORT, "bob")
    server.here.remove("ann")
    wait_for(running, ENDED)
    wait_for(seen, ENDED)
    assert running.why == waiting.why == "nobody was there to see it any more"
    assert waiting.state == ENDED and waiting.records == []
    assert seen.why == "" and len(seen.records) == 2


def test_within_the_grace_a_run_goes_on_unseen(server):
    server.runs.grace = 600
    running, waiting = server.runs.start(LONG, "ann"), server.runs.start(SHORT, "ann")
    server.here.clear()
    wait_until(lambda: running.left_at is not None and waiting.left_at is not None)
    count = len(running.records)
    wait_until(lambda: len(running.records) > count + 2)
    assert (running.state, waiting.state) == (RUNNING, WAITING)
    assert running.why == waiting.why == ""


def test_a_visitor_who_comes_back_within_the_grace_finds_it_going(server):
    run = server.runs.start(LONG, "ann")
    server.here.remove("ann")
    wait_until(lambda: run.left_at is not None)
    server.here.add("ann")
    wait_until(lambda: run.left_at is None)
    time.sleep(1.5 * GRACE)
    assert run.state == RUNNING
    count = len(run.records)
    wait_until(lambda: len(run.records) > count)
    server.here.remove("ann")
    server.runs.find(run.id, "bob")  # another one who has its address will do
    time.sleep(1.5 * GRACE)
    assert run.state == RUNNING and run.why == ""
    server.here.remove("bob")
    wait_for(run, ENDED)
    assert run.why == "nobody was there to see it any more"


def test_a_paused_run_ends_after_the_grace_too(server):
    run = server.runs.start(LONG, "ann")
    server.runs.tell(run, PAUSE)
    server.here.clear()
    wait_for(run, ENDED)
    assert run.why == "nobody was there to see it any more"


def test_so_many_may_wait_and_no_more(server):
    students = [f"student {number}" for number in range(1 + MOST_WAITING)]
    server.here.update(students)
    runs = [server.runs.start(LONG, student) for student in students]
    assert [server.runs.place(run) for run in runs] == list(range(1 + MOST_WAITING))
    with pytest.raises(InputError, match=rf"{MOST_WAITING} runs are waiting already"):
        server.runs.start(LONG, "bob")
    server.runs.tell(runs[3], STOP)
    assert server.runs.place(server.runs.start(LONG, "bob")) == MOST_WAITING


def test_one_visitor_does_not_fill_the_queue(server):
    runs = [server.runs.start(LONG, "ann") for _ in range(1 + MOST_OF_ONE)]
    with pytest.raises(InputError, match=rf"{MOST_OF_ONE} runs of yours are waiting already"):
        server.runs.start(LONG, "ann")
    assert server.runs.place(server.runs.start(LONG, "bob")) == len(runs)
    server.runs.tell(runs[-1], STOP)
    server.runs.start(LONG, "ann")


def test_a_worker_that_dies_ends_its_run_and_a_new_one_does_the_next(server):
    run, following = server.runs.start(LONG, "ann"), server.runs.start(SHORT, "ann")
    wait_until(lambda: run.records)
    server.kill()
    wait_for(run, ENDED)
    assert run.why == "the process that trained it ended; start it again"
    wait_for(following, ENDED)
    assert following.why == "" and len(following.records) == 2
    assert len(server.workers) == 2


def test_a_worker_that_has_just_died_is_told_in_vain(server):
    """Before its end is noticed: nobody who gives an order sees an error, and the run ends with the reason."""
    with server.runs.lock:
        server.kill()
        run = server.runs.start(LONG, "ann")
        server.runs.tell(run, PAUSE)
        server.runs.tell(run, GO_ON)
    wait_for(run, ENDED)
    assert run.why == "the process that trained it ended; start it again"
    following = server.runs.start(SHORT, "ann")
    wait_for(following, ENDED)
    assert following.why == ""


def test_jobs_wait_for_a_worker_that_is_not_there_yet(monkeypatch):
    gate = threading.Event()
    connect = Server.connect
    monkeypatch.setattr(Server, "connect", lambda server: gate.wait() and connect(server))
    server = Server()
    run = server.runs.start(Race("nonsense"), "ann")
    assert (run.state, server.runs.place(run)) == (WAITING, 1)
    gate.set()
    wait_for(run, ENDED)
    server.close()


def test_only_the_latest_of_the_ended_runs_are_kept(server):
    server.runs.start(LONG, "ann")
    stopped = []
    for _ in range(MOST_KEPT + 3):
        stopped.append(server.runs.start(LONG, "ann"))
        server.runs.tell(stopped[-1], STOP)
    last = server.runs.start(SHORT, "ann")
    kept = [run for run in stopped if server.runs.find(run.id, "ann")]
    assert kept == stopped[3:]
    assert server.runs.find(last.id, "ann") is last
    assert server.runs.current().job is LONG


def test_a_worker_that_cannot_start_is_tried_again_after_growing_pauses_and_that_is_told(monkeypatch):
    tried, slept = [], []

    def sleep(seconds: float) -> None:
        """Not at all here; the registries of earlier tests, whose workers are gone, sleep as they do."""
        if threading.get_ident() in tried:
            slept.append(seconds)
        else:
            time.sleep(seconds)

    monkeypatch.setattr(registry, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))

    def connect() -> Connection:
        tried.append(threading.get_ident())
        if len(tried) > 8:
            threading.Event().wait()
        ours, theirs = Pipe()
        theirs.close()
        return ours

    runs = Runs(lambda _: True, connect, GRACE)
    wait_until(lambda: len(tried) > 8)
    assert slept == [1, 2, 4, 8, 16, 32, 60, 60]
    assert runs.trouble.startswith("The process that trains cannot start; it is tried again after 60 s.")


def test_a_worker_that_works_again_is_no_trouble(server):
    server.runs.trouble = "The process that trains cannot start"
    run = server.runs.start(SHORT, "ann")
    wait_for(run, ENDED)
    assert server.runs.trouble == ""
