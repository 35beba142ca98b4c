"""The worker at one end of a pipe: what it says of a job, how it obeys, and that it keeps nothing."""

import gc
import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest
import torch
from safetensors.torch import load

from resnet_viz.experiments.identity import Attempt, Stacks, train_stacks
from resnet_viz.experiments.race import Race, Racing, Record, Samples
from resnet_viz.jobs import worker
from resnet_viz.jobs.worker import GO_ON, PAUSE, STOP, Job, Said, work
from resnet_viz.networks import datasets
from resnet_viz.networks.datasets import bundled_fashion

PATIENCE = 30  # seconds for anything to be said; nothing takes so long
SHORT = Race("plain8", "resnet8", steps=12, batch_size=8)
LONG = Race("plain8", "resnet8", steps=2000, batch_size=8)


def few() -> Samples:
    training = bundled_fashion("training")
    return Samples(training, training.limit(10), bundled_fashion("lesion").limit(10))


@pytest.fixture
def connection(monkeypatch) -> Iterator[Connection]:
    """To a worker in a thread, with few fixed images; that it returns when this end is closed is part of every test."""
    whole = worker.samples
    monkeypatch.setattr(worker, "samples", lambda full: whole(full) if full else few())
    ours, theirs = Pipe()
    returned = threading.Event()
    thread = threading.Thread(target=lambda: (work(theirs), returned.set()))
    thread.start()
    yield ours
    ours.close()
    thread.join(PATIENCE)
    theirs.close()
    assert returned.is_set()  # without an error


def hear(connection: Connection) -> Said:
    assert connection.poll(PATIENCE), "the worker says nothing"
    return connection.recv()


def hear_out(connection: Connection) -> list[Said]:
    """Everything up to the last word."""
    said = [hear(connection)]
    while not said[-1].ended:
        said.append(hear(connection))
    return said


def done(connection: Connection, job: Job) -> list[Said]:
    connection.send(job)
    return hear_out(connection)


def test_the_records_of_a_race_arrive_and_then_its_files(connection):
    *told, last = done(connection, SHORT)
    racing = Racing(SHORT, few())
    assert [said.record for said in told] == [record for record in racing if record]
    assert all(said.files is None and not said.fault for said in told)
    assert last == Said(files=racing.files(), ended=True)
    assert not connection.poll()


def test_the_attempts_of_stacks_arrive(connection):
    job = Stacks(blocks=1, steps=2, batch_size=4)
    *told, last = done(connection, job)
    images = few()
    expected = [each for each in train_stacks(job, images.training, images.test) if each]
    assert [said.record for said in told] == expected
    assert len(told) == 21
    assert isinstance(told[0].record, Attempt)
    assert last == Said(files={}, ended=True)


def test_a_pause_gives_files_and_silence_until_it_goes_on(connection):
    connection.send(LONG)
    connection.send(PAUSE)
    said = [hear(connection)]
    while said[-1].files is None:
        said.append(hear(connection))
    assert not said[-1].ended
    at_pause = said[-1].files
    assert not connection.poll(0.4)  # some thirty steps long
    connection.send(PAUSE)  # twice is once
    assert not connection.poll(0.1)
    connection.send(GO_ON)
    following = hear(connection)
    records = [each.record.step for each in said if each.record]
    assert following.record.step == records[-1] + 10
    connection.send(STOP)
    last = hear_out(connection)[-1]
    assert last.ended and not last.fault
    assert last.files.keys() == at_pause.keys() == {"left", "right"}
    before, after = (load(files["left"])["stem.conv1.weight"] for files in (at_pause, last.files))
    assert not torch.equal(before, after)


def test_a_pause_changes_nothing_of_what_comes_out(connection):
    uninterrupted = done(connection, SHORT)
    connection.send(SHORT)
    connection.send(PAUSE)
    connection.send(GO_ON)
    interrupted = hear_out(connection)
    assert [said for said in interrupted if said.record or said.ended] == uninterrupted
    assert len(interrupted) == len(uninterrupted) + 1


@pytest.mark.parametrize("paused", [False, True])
def test_a_stop_ends_a_job_early_with_its_files(connection, paused):
    connection.send(LONG)
    assert isinstance(hear(connection).record, Record)
    if paused:
        connection.send(PAUSE)
    connection.send(STOP)
    *told, last = hear_out(connection)
    assert len(told) < 100
    assert last.ended and not last.fault
    assert last.files.keys() == {"left", "right"}


def test_orders_for_nobody_are_passed_over(connection):
    for order in (STOP, PAUSE, GO_ON):
        connection.send(order)
    assert len(done(connection, SHORT)) == 4


@pytest.mark.parametrize(
    ("job", "fault"),
    [
        (Race("plain8", "nonsense"), "got 'fashion-nonsense'"),
        (Race("plain20-from-plain56", "plain8"), "does not contain"),
        (Race("plain8", "resnet8", full=True), "four IDX files"),
        (Race("plain8", "resnet8", batch_size=-1), "negative dimension"),
    ],
    ids=["unknown", "not deeper", "no full set", "error of torch"],
)
def test_a_job_that_cannot_be_done_is_told_and_the_next_one_done(connection, tmp_path, monkeypatch, job, fault):
    monkeypatch.setattr(datasets, "DEBIAN_FASHION_FOLDER", tmp_path)
    *before, last = done(connection, job)
    assert all(said.record.step == 0 for said in before)
    assert last.ended and last.files is None
    assert fault in last.fault
    assert done(connection, SHORT)[-1].files


def alive() -> tuple[int, int]:
    """The number of networks' weights, wherever they are held, and the bytes of all tensors, gradients and momenta too."""
    gc.collect()
    tensors = [
        thing for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor) and thing.layout == torch.strided
    ]
    sizes = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
    return sum(type(each) is torch.nn.Parameter for each in tensors), sum(sizes.values())


@pytest.mark.parametrize(
    "job",
    [SHORT, Stacks(2, 2, batch_size=4), Race("plain8", "resnet8", batch_size=-1)],
    ids=["race", "stacks", "fault"],
)
def test_nothing_of_a_job_is_kept(connection, job):
    done(connection, SHORT)
    done(connection, Race("nonsense"))  # its answer comes when the worker has put the job before aside
    before = alive()
    for order in (job, job, Race("nonsense")):
        done(connection, order)
    assert alive() == before


def test_the_networks_are_alive_while_they_are_trained(connection):
    """So that the count above would see them."""
    count, size = alive()
    connection.send(LONG)
    hear(connection)
    connection.send(PAUSE)
    while hear(connection).files is None:
        pass
    weights, held = alive()
    assert weights >= count + 2 * 20
    assert held > size + 2 * 70_000 * 4
    connection.send(STOP)
    hear_out(connection)


def test_the_worker_returns_in_the_middle_of_a_job_when_the_app_goes(connection):
    connection.send(LONG)
    hear(connection)  # the fixture closes this end and sees it return


def test_the_worker_returns_during_a_pause_when_the_app_goes(connection):
    connection.send(LONG)
    connection.send(PAUSE)
    while hear(connection).files is None:
        pass
