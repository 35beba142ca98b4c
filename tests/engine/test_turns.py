"""Computations take turns: one at a time, the short first, and nobody computes for a visitor who has gone."""

import threading
import time

import pytest
from streamlit.testing.v1 import AppTest

from resnet_viz.engine.turns import SERVED, TURNS, Turns, Waiting, in_turn

SOON = 10.0  # seconds


def wait_until_waiting(queue: Turns, number: int) -> None:
    deadline = time.monotonic() + SOON
    while len(queue._waiting) < number:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_one_at_a_time_and_the_short_before_the_long() -> None:
    queue, order, alone = Turns(), [], []
    lock = threading.Lock()

    def compute(name: str, seconds: float) -> None:
        with queue.turn(seconds):
            order.append(name)
            alone.append(lock.acquire(blocking=False))
            time.sleep(0.01)
            lock.release()

    threads = []
    with queue.turn(1):
        for number, (name, seconds) in enumerate(
            [("study", 2.0), ("sweep", 1.0), ("error", 0.2), ("loss", 0.2)], start=1
        ):
            threads.append(threading.Thread(target=compute, args=(name, seconds)))
            threads[-1].start()
            wait_until_waiting(queue, number)
        assert order == []
    for thread in threads:
        thread.join(SOON)
    assert order == ["error", "loss", "sweep", "study"] and alone == [True] * 4


def test_who_has_had_fewer_parts_goes_first() -> None:
    order: list[int] = []

    def compute(parts: int) -> None:
        with in_turn("compute"):
            order.append(parts)
            time.sleep(0.01)

    def visit(parts: int) -> None:
        SERVED.set(parts)
        compute(parts)

    compute(-1)  # from now on it is known how long it takes
    threads = [threading.Thread(target=visit, args=(parts,)) for parts in (2, 0, 1)]
    with TURNS.turn(0):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            wait_until_waiting(TURNS, number)
    for thread in threads:
        thread.join(SOON)
    assert order == [-1, 0, 1, 2]


def test_whoever_has_the_turn_may_ask_for_it_again() -> None:
    queue = Turns()
    with queue.turn(0), queue.turn(0):
        assert not queue._begins((0, 0))
    with queue.turn(0):
        pass


def test_a_failure_ends_a_turn() -> None:
    queue = Turns()
    with pytest.raises(ValueError, match="no"), queue.turn(0):
        raise ValueError("no")
    with queue.turn(1):
        pass


def test_whoever_leaves_while_waiting_holds_up_nobody(monkeypatch) -> None:
    queue, gone, left = Turns(), threading.Event(), threading.Event()

    class Gone(BaseException):
        pass

    def leave_if_asked() -> None:
        if gone.is_set() and threading.current_thread().name == "visitor":
            raise Gone

    monkeypatch.setattr(Waiting, "leave_if_asked", staticmethod(leave_if_asked))

    def visit() -> None:
        try:
            with queue.turn(0):
                pytest.fail("it had its turn")
        except Gone:
            left.set()

    visitor = threading.Thread(target=visit, name="visitor")
    with queue.turn(1):
        visitor.start()
        wait_until_waiting(queue, 1)
        gone.set()
        assert left.wait(SOON)
    with queue.turn(1):
        pass
    visitor.join(SOON)


def test_a_page_may_always_ask_whether_to_leave() -> None:
    app = AppTest.from_string("from resnet_viz.web.internals import leave_if_asked; leave_if_asked()").run()
    assert not app.exception
