"""Computing in other processes: the same answers, short work first, and nothing lost when a process dies."""

import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from resnet_viz.engine.folder import Folder
from resnet_viz.engine.kept import ANSWERS, Shared
from resnet_viz.engine.processes import InProcesses, InThread
from resnet_viz.engine.tickets import NotYet, Ticket, engine, result, use
from resnet_viz.engine.worker import dumps, loads
from resnet_viz.engine.workers import Workers
from resnet_viz.errors import InputError
from resnet_viz.recipes import layer_deletion
from resnet_viz.recipes.subject import Subject

SOON = 20.0  # seconds
MODULES = "resnet_viz.recipes.layer_deletion,tests.engine.test_workers"


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> Iterator[Workers]:
    """As the app has them on Linux."""
    path = str(tmp_path_factory.mktemp("shared"))
    workers = Workers(InProcesses(MODULES, path), Folder(path, 2**26), lambda: SOON)
    yield workers
    workers.close()


@pytest.fixture(scope="module")
def thread(tmp_path_factory) -> Iterator[Workers]:
    """As the app has them where there can be no processes."""
    path = str(tmp_path_factory.mktemp("shared"))
    workers = Workers(InThread(path), Folder(path, 2**26), lambda: SOON)
    yield workers
    workers.close()
    Shared.folder = None


@pytest.fixture(params=["processes", "thread"])
def workers(request) -> Workers:
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def nothing_is_known() -> None:
    ANSWERS.forget()


# What is computed: functions that a worker finds by their names. They tell what they did in a file.


def log(path: str, word: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{word} {os.getpid()}\n")


def logged(path: str) -> list[str]:
    return [line.split()[0] for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


def answer(path: str, seconds: float = 0.0) -> str:
    log(path, "answer")
    time.sleep(seconds)
    return "answer"


def steps(path: str, number: int, seconds: float) -> Generator[float | str, None, str]:
    for done in range(number):
        log(path, f"step{done}")
        time.sleep(seconds)
        yield (done + 1) / number
    return "end"


def training(path: str, number: int, seconds: float) -> Generator[float | str, None, str]:
    return (yield from steps(path, number, seconds))


training.stays = True  # type: ignore[attr-defined]


def refusing(path: str) -> None:
    log(path, "refused")
    raise InputError("Depth must be one of 8, 14, 20; got 7.")


def dying(path: str, times: int) -> str:
    log(path, "begun")
    if len(logged(path)) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def done(ticket: Ticket) -> object:
    assert ticket.wait(SOON)
    return ticket.result()


def test_a_recipe_answers_the_same_as_in_place(workers) -> None:
    subject = Subject.of("fashion-resnet20", deleted=["layer2.1"])
    tickets = [
        workers.submit(partial(recipe, subject)) for recipe in (layer_deletion.prediction, layer_deletion.set_error)
    ]
    found = [done(ticket) for ticket in tickets]
    ANSWERS.forget()
    for shown, alone in zip(
        found, (layer_deletion.prediction(subject), layer_deletion.set_error(subject)), strict=True
    ):
        assert shown.title == alone.title and shown.plot().json() == alone.plot().json()


def test_what_is_asked_for_at_once_is_computed_once(workers, tmp_path) -> None:
    call = partial(answer, str(tmp_path / "log"), 0.2)
    tickets = [workers.submit(call) for _ in range(8)]
    assert [done(ticket) for ticket in tickets] == ["answer"] * 8
    assert done(workers.submit(call)) == "answer"  # it is kept
    assert logged(call.args[0]) == ["answer"]


def test_steps_tell_how_far_it_is_and_short_work_comes_between_them(workers, tmp_path) -> None:
    told: list[float] = []
    path = str(tmp_path / "log")
    long = [workers.submit(partial(steps, f"{path}{each}", 20, 0.1)) for each in range(workers._start.count)]
    long[0].news = lambda: told.append(long[0].progress)
    until(lambda: all(ticket.progress > 0 for ticket in long))
    assert done(workers.submit(partial(answer, path))) == "answer"
    assert not any(ticket.done for ticket in long)
    assert [done(ticket) for ticket in long] == ["end"] * len(long)
    assert told == sorted(told) and len(told) >= 10


def test_long_work_goes_on_while_short_work_keeps_coming(workers, tmp_path) -> None:
    """Each worker always has somebody waiting who has had less."""
    path, numbers = str(tmp_path / "log"), count()
    long = workers.submit(partial(steps, path + "long", 20, 0.02))
    short: list[Ticket] = []
    until(lambda: long.progress > 0)
    deadline = time.monotonic() + SOON
    while not long.done and time.monotonic() < deadline:
        short = [ticket for ticket in short if not ticket.done]
        while len(short) < 8:
            short.append(workers.submit(partial(answer, f"{path}{next(numbers)}", 0.01)))
        time.sleep(0.001)
    assert long.done and done(long) == "end"
    for ticket in short:
        ticket.release()


def test_what_keeps_nothing_on_the_way_is_not_begun_anew_where_another_worker_is_free(processes, tmp_path) -> None:
    path, numbers = str(tmp_path / "log"), count()
    long = processes.submit(partial(training, path, 40, 0.02))
    until(lambda: long.progress > 0)
    while not long.done:  # its worker is often busy with others, when another one is free again
        pauses = [0.01, 0.15][: processes._start.count]
        others = [processes.submit(partial(answer, f"{path}{next(numbers)}", pause)) for pause in pauses]
        assert [done(ticket) for ticket in others] == ["answer"] * len(others)
    assert done(long) == "end" and logged(path) == [f"step{number}" for number in range(40)]


def test_what_is_refused_is_told_to_all_who_asked(workers, tmp_path) -> None:
    call = partial(refusing, str(tmp_path / "log"))
    for ticket in [workers.submit(call), workers.submit(call)]:
        assert ticket.wait(SOON)
        with pytest.raises(InputError, match="Depth must be one of 8, 14, 20; got 7"):
            ticket.result()


def test_a_failure_is_told_to_whoever_asks_again_at_once(workers, tmp_path) -> None:
    """A page that could not wait for it is drawn anew when it is there."""
    call = partial(refusing, str(tmp_path / "log"))
    for _ in range(2):
        ticket = workers.submit(call)
        assert ticket.wait(SOON)
        with pytest.raises(InputError, match="got 7"):
            ticket.result()
    assert logged(call.args[0]) == ["refused"]


def test_images_that_are_gone_are_told(workers) -> None:
    subject = Subject.of("fashion-resnet20", image=Subject.of("fashion-resnet20").images.subset([3]))
    image = replace(subject.image, names=("my own.png",))
    assert done(workers.submit(partial(layer_deletion.prediction, replace(subject, image=image))))
    (workers._folder.path / image.name).unlink()
    other = replace(subject, image=replace(image, title="another"))
    text = dumps(partial(layer_deletion.prediction, other), workers._folder)
    (workers._folder.path / other.image.name).unlink()
    with pytest.raises(InputError, match="no longer kept here; choose them again"):
        loads(text, {})


def test_whoever_leaves_frees_the_worker_within_a_second(workers, tmp_path) -> None:
    here, path = True, str(tmp_path / "log")
    ticket = workers.submit(partial(steps, path, 1000, 0.02), wanted=lambda: here)
    until(lambda: len(logged(path)) > 2)
    here = False
    time.sleep(1.0)
    stopped_at = len(logged(path))
    time.sleep(0.3)
    assert len(logged(path)) == stopped_at < 70
    assert not ticket.done and not workers._open


def test_what_is_released_ends_unless_another_wants_it(workers, tmp_path) -> None:
    call = partial(steps, str(tmp_path / "log"), 20, 0.05)
    one, other = workers.submit(call), workers.submit(call)
    one.release()
    one.release()  # a second time: nothing
    assert done(other) == "end"


def test_a_step_that_goes_on_for_nobody_is_ended_with_its_process(processes, tmp_path) -> None:
    path = str(tmp_path / "log")
    ticket = processes.submit(partial(answer, path, 3600.0))
    until(lambda: bool(logged(path)))
    ticket.release()
    until(lambda: not processes._open)
    until(lambda: len(processes._workers) == processes._start.count)
    assert done(processes.submit(partial(answer, str(tmp_path / "again")))) == "answer"


def test_a_worker_that_is_killed_is_replaced_and_its_work_done_again(processes, tmp_path) -> None:
    path = str(tmp_path / "log")
    assert done(processes.submit(partial(dying, path, 1))) == "alive"
    assert logged(path) == ["begun", "begun"]
    until(lambda: len(processes._workers) == processes._start.count)


def test_what_kills_two_workers_is_told(processes, tmp_path) -> None:
    path = str(tmp_path / "log")
    ticket = processes.submit(partial(dying, path, 5))
    assert ticket.wait(SOON)
    with pytest.raises(InputError, match="the process that tried ended twice"):
        ticket.result()
    assert logged(path) == ["begun", "begun"]
    until(lambda: len(processes._workers) == processes._start.count)
    assert done(processes.submit(partial(answer, str(tmp_path / "again")))) == "answer"


def test_a_nursery_that_is_killed_is_started_again(processes, tmp_path) -> None:
    processes._start._process.kill()
    assert done(processes.submit(partial(dying, str(tmp_path / "log"), 1))) == "alive"
    until(lambda: len(processes._workers) == processes._start.count)


def echo(connection: Connection) -> None:
    connection.send((os.getpid(), connection.recv()))


def test_a_nursery_forks_a_process_for_a_function_that_is_named(processes) -> None:
    forked = processes._start.fork(echo)
    forked.connection.send("hello")
    assert forked.connection.recv() == (forked.id, "hello")
    with pytest.raises(EOFError):
        forked.connection.recv()


def test_a_worker_that_cannot_start_is_tried_again_and_that_is_said(tmp_path) -> None:
    start, failed = InThread(str(tmp_path)), []

    class Unlucky:
        device, count, threads, close = start.device, 1, 1, start.close

        def __call__(self):
            if not failed:
                failed.append(1)
                raise OSError("no more processes")
            return start()

    of_test = Workers(Unlucky(), Folder(tmp_path, 2**20), lambda: SOON)
    until(lambda: "The process that computes cannot start (no more processes)" in of_test.trouble)
    assert done(of_test.submit(partial(answer, str(tmp_path / "log")))) == "answer"
    assert of_test.trouble == ""
    of_test.close()


def test_a_result_that_is_late_is_not_waited_for(workers, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(workers, "patience", lambda: 0.05)
    before = engine()
    use(workers)
    try:
        with pytest.raises(NotYet) as late:
            result(answer, str(tmp_path / "log"), 0.3)
        assert done(late.value.ticket) == "answer"
        assert result(answer, str(tmp_path / "log"), 0.3) == "answer"
    finally:
        use(before)
    assert logged(str(tmp_path / "log")) == ["answer"]


def test_images_travel_once_and_by_what_they_hold(workers) -> None:
    subject = Subject.of("fashion-resnet20")
    for name in ("layer1.1", "layer1.2"):
        done(workers.submit(partial(layer_deletion.prediction, Subject.of("fashion-resnet20", deleted=[name]))))
    files = [path.name for path in workers._folder.path.iterdir()]
    assert {subject.images.name, subject.image.name} <= set(files) and len(files) == len(set(files))
    assert oct(workers._folder.path.stat().st_mode)[-3:] == "700"
