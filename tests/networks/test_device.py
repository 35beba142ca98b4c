"""Where the computing runs, and in what portions."""

import os
import subprocess
import sys

import pytest
import torch

from resnet_viz.errors import InputError
from resnet_viz.networks import device as chosen
from resnet_viz.networks.device import describe_device, in_batches


@pytest.mark.parametrize(("count", "batch_size"), [(10, 3), (9, 3), (2, 5), (1, 1), (7, 1), (0, 4)])
def test_every_item_is_computed_once_in_order(count, batch_size):
    items = list(range(count))
    results = list(in_batches(lambda part: items[part], count, batch_size))
    assert [item for _, result in results for item in result] == items
    assert all(items[part] == result and 1 <= len(result) <= batch_size for part, result in results)


@pytest.mark.parametrize("fits", [1, 2, 3, 7, 100])
def test_the_batch_is_halved_until_it_fits(fits):
    tried = []

    def compute(part: slice) -> list[int]:
        tried.append(part.stop - part.start)
        if tried[-1] > fits:
            raise torch.OutOfMemoryError
        return list(range(part.start, part.stop))

    results = list(in_batches(compute, 23, 16))
    assert [item for _, result in results for item in result] == list(range(23))
    sizes = [size for size in (16, 8, 4, 2, 1) if size > fits]
    assert tried[: len(sizes)] == sizes
    assert all(size <= fits for size in tried[len(sizes) :])


def test_a_batch_of_one_that_does_not_fit_raises():
    done = []

    def compute(part: slice) -> None:
        if part.stop > 2:
            raise torch.OutOfMemoryError("out of memory")
        done.append(part)

    with pytest.raises(torch.OutOfMemoryError):
        list(in_batches(compute, 4, 4))
    assert done == [slice(0, 2)]


def test_another_error_is_not_tried_again():
    tried = []

    def compute(part: slice) -> None:
        tried.append(part)
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        list(in_batches(compute, 8, 4))
    assert tried == [slice(0, 4)]


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_bad_batch_size_is_refused(batch_size):
    with pytest.raises(InputError, match=f"Batch size must be 1 or more; got {batch_size}"):
        next(in_batches(lambda part: part, 4, batch_size))


def test_the_variable_chooses_the_device(device):
    assert chosen.device() == device
    version = torch.__version__.split("+")[0]
    if device.type == "cpu":
        threads = torch.get_num_threads()
        assert describe_device() == f"CPU, {threads} thread{'s' * (threads > 1)}, torch {version}"
    else:
        assert describe_device() == f"{torch.cuda.get_device_name()}, torch {version}"


@pytest.mark.usefixtures("device")
def test_without_the_variable_the_fastest_device_is_chosen(monkeypatch):
    monkeypatch.delenv("RESNET_VIZ_DEVICE")
    chosen.device.cache_clear()
    if torch.cuda.is_available():
        assert chosen.device().type == "cuda"
    else:
        assert chosen.device().type in ("cpu", "mps")


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("name", ["abacus", "meta"])  # torch's meta device holds shapes and no numbers
def test_a_device_that_is_not_here_is_refused(name, monkeypatch):
    monkeypatch.setenv("RESNET_VIZ_DEVICE", name)
    chosen.device.cache_clear()
    with pytest.raises(InputError, match=f"must be cpu, cuda or mps.*; got '{name}'"):
        chosen.device()


@pytest.mark.parametrize(("given", "kept"), [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_threads_do_not_spin_for_long_unless_told(given, kept):
    code = "import os, resnet_viz, sys; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"} | given
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [kept, "False"]  # set before torch reads it
