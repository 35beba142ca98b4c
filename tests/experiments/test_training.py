"""Training: what it draws, and that a run cut off anywhere ends as if it had not been."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, load_file, save_file
from torch.nn import functional

from resnet_viz.errors import InputError
from resnet_viz.experiments import training
from resnet_viz.experiments.training import Schedule, augment, loss_and_error, train
from resnet_viz.networks.datasets import Dataset, bundled_fashion, sample_photos
from resnet_viz.networks.device import device as chosen_device
from resnet_viz.networks.images import ImageSet
from resnet_viz.networks.network import build
from resnet_viz.networks.shortcuts import build_variant
from resnet_viz.networks.weights import read
from resnet_viz.networks.zoo import NETWORKS, Entry
from resnet_viz.places import CHECKPOINTS

from ..conftest import SMALL_PREPROCESSING, same_state

pytestmark = pytest.mark.usefixtures("on_the_cpu")
SCHEDULE = Schedule(
    epochs=3, batch_size=16, shift=1
)  # of 70 images: 4 steps an epoch, 12 in all; saved after 3 4 6 8 9 12
ENTRY = Entry(
    "tiny",
    Dataset("noise", tuple("0123456789"), lambda: None, sample_photos),
    partial(build, "basic", (1, 1), (4, 8)),
    None,
    SMALL_PREPROCESSING,
    "made by a test",
    "none",
)


class Interrupted(Exception):
    """Stands for a machine that went down."""


def images_to_learn(count: int, seed: int) -> ImageSet:
    """Noise around a picture of each class."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 128, (10, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(count) % 10
    noise = torch.randint(0, 128, (count, 1, 8, 8), generator=generator)
    return ImageSet("pictures", (pictures[labels] + noise).to(torch.uint8), labels, tuple(map(str, range(count))))


def run(folder: Path, die_at: int | None = None, schedule: Schedule = SCHEDULE, entry: Entry = ENTRY) -> list[int]:
    """Train in ``folder``, perhaps only up to a step; return the steps that were taken."""
    steps = []

    def progress(done: int, total: int) -> None:
        assert total == 12
        steps.append(done)
        if done == die_at:
            raise Interrupted

    train(entry, images_to_learn(70, 1), images_to_learn(30, 2), folder, schedule, progress)
    return steps


def outcome(folder: Path) -> tuple[bytes, dict]:
    """The weights as they lie on the disk, and the history without its running time."""
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.json", "tiny.safetensors"]
    summary = json.loads((folder / "tiny.json").read_text())
    del summary["seconds"]
    return (folder / "tiny.safetensors").read_bytes(), summary


@pytest.fixture(scope="module", autouse=True)
def frequent_saves():
    """A state file every third step, and at the end of each epoch; three epochs are what is usual here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "STEPS_BETWEEN_SAVES", 3)
        patch.setattr(Schedule, "epochs", 3)
        yield


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What a run without interruption writes."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert run(folder) == list(range(1, 13))
    return outcome(folder)


@pytest.mark.parametrize(
    ("die_at", "resumed_at"),
    [(1, 1), (3, 1), (4, 4), (5, 5), (6, 5), (7, 7), (10, 10), (12, 10)],
    ids="cut off in step {}".format,
)
def test_a_resumed_run_ends_as_if_it_had_not_been_cut_off(tmp_path, uninterrupted, die_at, resumed_at):
    with pytest.raises(Interrupted):
        run(tmp_path, die_at)
    assert run(tmp_path) == list(range(resumed_at, 13))
    assert outcome(tmp_path) == uninterrupted


def test_dropout_draws_what_it_would_have_drawn_and_nothing_that_threads_share(tmp_path, uninterrupted):
    entry = replace(ENTRY, build=partial(build_variant, "dropout", (1, 1), (4, 8)))
    before = torch.get_rng_state()
    for name, stops in (("whole", ()), ("resumed", (7,))):
        for die_at in stops:
            with pytest.raises(Interrupted):
                run(tmp_path / name, die_at, entry=entry)
        run(tmp_path / name, entry=entry)
    whole, resumed = outcome(tmp_path / "whole"), outcome(tmp_path / "resumed")
    assert whole == resumed and whole[1]["epochs"] != uninterrupted[1]["epochs"]
    assert torch.equal(torch.get_rng_state(), before)


def test_on_the_cpu_the_weights_are_those_of_a_loop_that_knows_no_other_device(uninterrupted):
    images, generator = images_to_learn(70, 1), torch.Generator()
    network = ENTRY.build(seed=0).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=12)
    for step in range(12):
        epoch, place = divmod(step, 4)
        order = torch.randperm(70, generator=generator.manual_seed(epoch))
        chosen = order[16 * place : 16 * (place + 1)]
        batch = augment(images.pixels[chosen], 1, generator.manual_seed(epoch * 100_000 + place + 1))
        optimizer.zero_grad()
        functional.cross_entropy(network(SMALL_PREPROCESSING.normalise(batch)), images.labels[chosen]).backward()
        optimizer.step()
        rates.step()
    assert same_state(network, load(uninterrupted[0]))


@pytest.mark.parametrize("changes", [{}, {"blocks_per_batch": 1}, {"longest_path": 1}], ids=str)
@pytest.mark.parametrize("first", ["here", "cpu"])
def test_a_run_goes_on_on_another_device(tmp_path, monkeypatch, device, first, changes):
    """Begun here and ended on the CPU, or the other way round: as if it had been on the CPU all the time, up to rounding."""
    schedule = replace(SCHEDULE, **changes)

    def run_on(place: str, folder: Path, die_at: int | None = None) -> None:
        monkeypatch.setenv("RESNET_VIZ_DEVICE", place)
        chosen_device.cache_clear()
        run(folder, die_at, schedule)

    run_on("cpu", tmp_path / "expected")
    places = (device.type, "cpu") if first == "here" else ("cpu", device.type)
    with pytest.raises(Interrupted):
        run_on(places[0], tmp_path / "own", die_at=7)
    run_on(places[1], tmp_path / "own")
    own, expected = (schedule.path(ENTRY, tmp_path / name) for name in ("own", "expected"))
    assert json.loads(own.with_suffix(".json").read_text())["device"] == places[1]
    tensors, its = (load_file(path.with_suffix(".safetensors")) for path in (own, expected))
    assert all(torch.allclose(tensors[name], its[name], rtol=1e-2, atol=1e-3) for name in its)
    if device.type == "cpu":
        assert all(torch.equal(tensors[name], its[name]) for name in its)


def test_a_run_cut_off_again_and_again_ends_the_same(tmp_path, uninterrupted):
    for die_at in (2, 5, 6, 9, 11):
        with pytest.raises(Interrupted):
            run(tmp_path, die_at)
    run(tmp_path)
    assert outcome(tmp_path) == uninterrupted


def test_a_killed_process_is_resumed(tmp_path, uninterrupted):
    killed = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import run_until_killed; run_until_killed({str(tmp_path)!r})"],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert run(tmp_path) == list(range(7, 13))
    assert outcome(tmp_path) == uninterrupted


def run_until_killed(folder: str) -> None:
    """Train and be killed in step 8, without any chance to clear up."""
    torch.set_num_threads(1)
    training.STEPS_BETWEEN_SAVES = 3
    Schedule.epochs = 3
    sets = images_to_learn(70, 1), images_to_learn(30, 2)
    train(
        ENTRY,
        *sets,
        Path(folder),
        SCHEDULE,
        lambda done, _: os.kill(os.getpid(), signal.SIGKILL) if done == 8 else None,
    )


@pytest.mark.parametrize("name", ["torch.save", "save_file", "json.dumps"])
def test_files_are_written_whole_or_not_at_all(tmp_path, uninterrupted, monkeypatch, name):
    if name == "torch.save":
        with pytest.raises(Interrupted):
            run(tmp_path, die_at=5)  # so that there is an older state to spoil
    before = contents(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(training, "save_file", half_a_file if name == "save_file" else save_file)
        if name != "save_file":
            broken.setattr(f"{training.__name__}.{name}", half_a_file)
        with pytest.raises(OSError, match="no space left"):
            run(tmp_path)
    after = contents(tmp_path)
    if name == "torch.save":
        assert after == before
    expected = {"torch.save": [], "save_file": [], "json.dumps": ["tiny.safetensors"]}[name]
    assert sorted(after) == ["tiny.partial.pt", *expected]
    run(tmp_path)
    assert outcome(tmp_path) == uninterrupted


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def half_a_file(*arguments: object, **_: object) -> None:
    """Write a little to the path among the arguments, if there is one, then fail as a full disk does."""
    for path in arguments:
        if isinstance(path, Path):
            path.write_bytes(b"half of")
    raise OSError("no space left")


def test_the_state_of_another_schedule_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        run(tmp_path, die_at=5)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"tiny\.partial\.pt belongs to another schedule: .*'seed': 0.*; remove it"):
        run(tmp_path, schedule=replace(SCHEDULE, momentum=0.5))
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"seed": 1}, "tiny-seed1"),
        ({"blocks_per_batch": 1}, "tiny-blocks1"),
        ({"longest_path": 0, "seed": 1}, "tiny-longest0-seed1"),
        ({"epochs": 4, "batch_size": 23}, "tiny-epochs4"),
    ],
    ids=str,
)
def test_another_schedule_trains_otherwise_and_is_kept_apart(tmp_path, uninterrupted, changes, name):
    schedule = replace(SCHEDULE, **changes)
    with pytest.raises(Interrupted):
        run(tmp_path, 7, schedule)
    run(tmp_path, schedule=schedule)
    assert [path.name for path in tmp_path.iterdir()] == ["histories"]
    assert sorted(path.name for path in (tmp_path / "histories").iterdir()) == [f"{name}.json", f"{name}.safetensors"]
    weights = (tmp_path / "histories" / f"{name}.safetensors").read_bytes()
    assert weights != uninterrupted[0]
    run(tmp_path / "again", schedule=schedule)
    assert (tmp_path / "again" / "histories" / f"{name}.safetensors").read_bytes() == weights


def test_statistics_taken_anew_are_those_of_all_blocks(tmp_path):
    run(tmp_path, schedule=replace(SCHEDULE, blocks_per_batch=1))
    path = tmp_path / "histories" / "tiny-blocks1.json"
    network = ENTRY.build()
    network.load_state_dict(load_file(path.with_suffix(".safetensors")))
    training, test = images_to_learn(70, 1), images_to_learn(30, 2)
    for norm in (module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(SMALL_PREPROCESSING.normalise(training.pixels))
    expected = loss_and_error(network, test, SMALL_PREPROCESSING)[1]
    summary = json.loads(path.read_text())
    assert summary["test_error_reestimated_pct"] == pytest.approx(expected)
    assert summary["test_error_reestimated_pct"] != summary["test_error_pct"]


def test_the_gradient_over_all_paths_trains_as_autograd_does(tmp_path, uninterrupted):
    run(tmp_path, schedule=replace(SCHEDULE, longest_path=2))
    own = load_file(tmp_path / "histories" / "tiny-longest2.safetensors")
    assert all(torch.allclose(tensor, own[key], atol=1e-4) for key, tensor in load(uninterrupted[0]).items())


def test_the_written_weights_have_the_written_errors(tmp_path):
    run(tmp_path)
    network = ENTRY.build()
    network.load_state_dict(load_file(tmp_path / "tiny.safetensors"))
    assert read(tmp_path / "tiny.safetensors").keys() == network.state_dict().keys()
    network = network.to(memory_format=torch.channels_last).eval()
    summary = json.loads((tmp_path / "tiny.json").read_text())
    for part, images in (("train", images_to_learn(70, 1)), ("test", images_to_learn(30, 2))):
        with torch.no_grad():
            logits = network(SMALL_PREPROCESSING.normalise(images.pixels))
        error = 100 * (logits.argmax(1) != images.labels).float().mean().item()
        loss = functional.cross_entropy(logits, images.labels).item()
        assert summary[f"{part}_error_pct"] == pytest.approx(error)
        assert summary["epochs"][-1][f"{part}_loss"] == pytest.approx(loss, rel=1e-5)
        assert loss_and_error(network, images, SMALL_PREPROCESSING) == pytest.approx((loss, error), rel=1e-5)
        assert summary[f"{part}_images"] == len(images)
    assert [epoch["epoch"] for epoch in summary["epochs"]] == [1, 2, 3]
    assert all(len(epoch["stream_gradient_norms"]) == 2 for epoch in summary["epochs"])
    assert summary["epochs"][-1]["train_loss"] < summary["epochs"][0]["train_loss"]


def test_the_table_of_the_bundled_runs_is_what_their_files_give(tmp_path):
    for path in CHECKPOINTS.rglob("*.*"):
        if path.is_file() and path.name != "README.md":
            link = tmp_path / path.relative_to(CHECKPOINTS)
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(path)
    training.write_table(tmp_path)
    assert (tmp_path / "README.md").read_text() == (CHECKPOINTS / "README.md").read_text()


def test_a_run_on_a_gpu_is_named_so_in_the_table(tmp_path):
    summary = {
        "recipe": vars(replace(SCHEDULE, seed=1)),
        "train_error_pct": 5.0,
        "test_error_pct": 6.0,
        "seconds": 90,
        "threads": 8,
    }
    for device in ("cpu", "cuda"):
        path = tmp_path / "histories" / f"fashion-{device}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(summary | {"device": device}))
    training.write_table(tmp_path)
    table = (tmp_path / "README.md").read_text()
    assert "| fashion-cpu | 1 | 3 | 5.00 | 6.00 | 2 (8) | - | - |" in table
    assert "| fashion-cuda | 1 | 3 | 5.00 | 6.00 | 2 (cuda) | - | - |" in table


def test_augmentation_gives_each_image_one_of_its_50_variants():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (3, 2, 6, 7), dtype=torch.uint8, generator=generator)
    variants = [variants_of(image.numpy()) for image in images]
    assert all(len(of_one) == 50 for of_one in variants)
    seen: list[list[bytes]] = [[], [], []]
    for _ in range(800):
        for image, own in zip(augment(images, 2, generator), seen, strict=True):
            own.append(image.numpy().tobytes())
    for own, of_one in zip(seen, variants, strict=True):
        assert set(own) == of_one
        assert max(own.count(variant) for variant in of_one) < 40  # 16 are expected, with a deviation of 4
    shape = augment(images, 2, generator).shape
    assert shape == images.shape


def variants_of(image: np.ndarray) -> set[bytes]:
    """An image (channels, height, width) moved by up to two pixels each way over black, and its mirror images."""
    found = set()
    for down in range(-2, 3):
        for right in range(-2, 3):
            moved = np.zeros_like(image)
            for row in range(6):
                for column in range(7):
                    if 0 <= row - down < 6 and 0 <= column - right < 7:
                        moved[:, row, column] = image[:, row - down, column - right]
            found |= {moved.tobytes(), moved[:, :, ::-1].tobytes()}
    return found


def test_augmentation_is_drawn_from_its_generator_alone():
    images = torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8)
    before = torch.get_rng_state()
    first, again, other = (augment(images, 2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_of_the_table_trains_the_same_twice(tmp_path):
    """On one thread bit for bit: the weights as they lie on the disk, and every number of the history."""
    assert torch.get_num_threads() == 1
    entry, images = NETWORKS["fashion-resnet20"], bundled_fashion("training")
    found = []
    for name in ("first", "again"):
        folder = tmp_path / name
        train(entry, images.limit(96), images.limit(20), folder, Schedule(epochs=3, batch_size=32))
        summary = json.loads((folder / f"{entry.name}.json").read_text())
        del summary["seconds"]
        found.append(((folder / f"{entry.name}.safetensors").read_bytes(), summary))
    assert found[0] == found[1]
    untrained = entry.build(seed=0).state_dict()
    weights = load(found[0][0])
    assert weights.keys() == untrained.keys()
    assert not torch.equal(weights["stem.conv1.weight"], untrained["stem.conv1.weight"])
    assert len(found[0][1]["epochs"][0]["stream_gradient_norms"]) == 9
