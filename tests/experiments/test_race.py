"""A race: the same batches for both, what a record holds, how racers are named, and the weights that come of it."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from torch import nn

from resnet_viz.cli import main
from resnet_viz.errors import InputError
from resnet_viz.experiments import race
from resnet_viz.experiments.deletion import sweep
from resnet_viz.experiments.race import Race, Racing, Record, Samples, racer, recorded, row_of, samples
from resnet_viz.experiments.trace import stream_gradient_norms
from resnet_viz.experiments.training import loss_and_error
from resnet_viz.networks import datasets, zoo
from resnet_viz.networks.datasets import bundled_fashion

pytestmark = pytest.mark.usefixtures("on_the_cpu")
SHORT = Race("plain8", "resnet8", steps=12, batch_size=8)


def few(count: int = 30) -> Samples:
    """Fixed samples of a few images, to be quick."""
    training = bundled_fashion("training")
    return Samples(training, training.limit(count), bundled_fashion("lesion").limit(count))


def run(wanted: Race, images: Samples | None = None) -> list[Record]:
    return [record for record in Racing(wanted, images or few()) if record is not None]


@pytest.fixture(scope="module")
def short() -> list[Record]:
    torch.set_num_threads(1)
    return run(SHORT)


def test_a_network_beside_itself_stays_abreast():
    """Same weights, same batches in the same order: nothing of one side reaches the other."""
    first, *rest, last = run(replace(SHORT, left="resnet8"))
    assert first.left == first.right
    assert all(record.left == record.right for record in rest)
    assert last.left == last.right
    assert last.left.train_loss != first.left.train_loss


def test_dropout_draws_the_same_whoever_stands_beside_it():
    both = run(replace(SHORT, left="dropout8", right="dropout8"))[-1]
    assert both.left == both.right
    assert run(replace(SHORT, left="dropout8"))[-1].left == both.left != run(SHORT)[-1].right


def test_a_race_repeats_exactly_and_the_neighbour_does_not_matter(short):
    assert run(SHORT) == short
    swapped = run(replace(SHORT, left="resnet8", right="plain8"))
    assert [(record.right, record.left) for record in swapped] == [(record.left, record.right) for record in short]


def test_a_longer_race_begins_as_a_shorter_one(short):
    longer = run(replace(SHORT, steps=13))
    assert longer[:2] == short[:2]


def test_another_seed_is_another_race(short):
    first, *_, last = run(replace(SHORT, seed=1))
    assert first.left.train_loss != short[0].left.train_loss
    assert last.left.batch_losses != short[-1].left.batch_losses


def test_the_seed_is_that_of_the_batches_too():
    """The same weights see other images."""
    first, other = (Racing(replace(SHORT, steps=1, seed=seed), few(10)) for seed in (0, 1))
    other.networks = tuple(network for _, network in (racer("plain8", 0), racer("resnet8", 0)))
    losses = [[record.left.batch_losses for record in racing if record][-1] for racing in (first, other)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("steps", "expected"), [(1, [0, 1]), (10, [0, 10]), (12, [0, 10, 12]), (20, [0, 10, 20])], ids=str
)
def test_records_come_at_the_start_every_tenth_step_and_at_the_end(steps, expected):
    seen = list(Racing(replace(SHORT, steps=steps, right="plain8"), few(10)))
    assert [step for step, record in enumerate(seen) if record] == expected
    assert [record.step for record in seen if record] == expected
    assert len(seen) == steps + 1
    losses = [record.left.batch_losses for record in seen if record]
    assert [0, *map(len, losses[1:])] == [0, *(b - a for a, b in pairwise(expected))]
    assert losses[0] == ()


def test_the_records_are_of_the_untrained_and_of_the_trained_networks():
    images = few(150)  # more than the 100 behind gradients and deletions
    racing = Racing(replace(SHORT, steps=8), images)
    first, last = (record for record in racing if record)
    for side, network in zip(("left", "right"), racing.networks, strict=True):
        name = getattr(SHORT, side)
        entry = zoo.entry_of(f"fashion-{name}")
        for record, measured in ((first, entry.build(seed=0)), (last, network)):
            standing = getattr(record, side)
            assert (standing.train_loss, standing.train_error_pct) == pytest.approx(
                loss_and_error(measured, images.fixed, entry.preprocessing), rel=1e-5
            )
            assert (standing.test_loss, standing.test_error_pct) == pytest.approx(
                loss_and_error(measured, images.test, entry.preprocessing), rel=1e-5
            )
            hundred = images.fixed.limit(100)
            norms = stream_gradient_norms(measured, entry.preprocessing.normalise(hundred.pixels), hundred.labels)
            assert standing.stream_gradient_norms == pytest.approx(norms, rel=1e-4)
            rises = sweep(measured, entry.preprocessing, images.test.limit(100)).rises
            assert standing.deletion_rises == pytest.approx(rises, abs=1e-9)
            assert len(norms) == len(rises) == len(measured.blocks) == 3
        assert rises.any()


def test_the_measurements_do_not_train():
    """Batch norms' statistics and weights are the batches' alone: a race that is never measured ends the same."""
    wanted = replace(SHORT, steps=3)
    watched, unwatched = Racing(wanted, few(10)), Racing(wanted, few(10))
    list(watched)
    unwatched.record = lambda step, _: step  # type: ignore[method-assign]
    list(unwatched)
    assert watched.files() == unwatched.files()


def test_the_training_loss_falls():
    records = run(Race("plain8", "resnet8", steps=30, batch_size=48), few(40))
    for side in ("left", "right"):
        first, last = getattr(records[0], side), getattr(records[-1], side)
        assert first.train_loss == pytest.approx(math.log(10), abs=0.3)
        assert min(last.batch_losses) < 1.8 < getattr(records[1], side).batch_losses[0]
        assert sum(last.batch_losses) / 10 < 0.8 * first.train_loss


def test_a_race_is_run_on_the_chosen_device(short, device):
    racing = Racing(SHORT, few())
    assert {parameter.device.type for network in racing.networks for parameter in network.parameters()} == {device.type}
    first, *_, last = (record for record in racing if record)
    for side in ("left", "right"):
        for record, on_the_cpu in ((first, short[0]), (last, short[-1])):
            ours, its = getattr(record, side), getattr(on_the_cpu, side)
            assert (ours.train_loss, *ours.batch_losses) == pytest.approx((its.train_loss, *its.batch_losses), rel=1e-2)
        its_norms = getattr(short[0], side).stream_gradient_norms
        assert getattr(first, side).stream_gradient_norms == pytest.approx(its_norms, rel=1e-3)
    weights = [safetensors.torch.load(file) for file in racing.files().values()]
    assert all(tensor.device.type == "cpu" for tensors in weights for tensor in tensors.values())


# Names.


@pytest.mark.parametrize(
    ("name", "projections"),
    [("resnet8", 0), ("resnet8-B", 2), ("resnet8-C", 3), ("preact8-B", 2), ("preact8-C-without-batch-norm", 3)],
)
def test_the_shortcut_option_is_part_of_the_name(name, projections):
    entry, network = racer(name, seed=3)
    assert entry.name == f"fashion-{name}"
    assert [block.shortcut_kind for block in network.blocks.values()].count("projection") == projections


@pytest.mark.parametrize("kind", ["plain", "resnet", "preact"])
def test_a_network_without_batch_norm_has_none(kind):
    def norms(name: str) -> int:
        return sum(isinstance(layer, nn.BatchNorm2d) for layer in racer(name, seed=0)[1].modules())

    assert norms(f"{kind}14-without-batch-norm") == 0
    assert norms(f"{kind}14") > 10


def test_the_seed_is_that_of_the_weights():
    states = [racer("resnet8", seed)[1].state_dict()["stem.conv1.weight"] for seed in (0, 0, 1)]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_deepened_racer_begins_as_the_trained_network():
    entry, network = racer("plain56-from-plain20", seed=5)
    assert entry is row_of("plain56-from-plain20") is zoo.NETWORKS["fashion-plain56"]
    assert len(network.blocks) == 27
    images = bundled_fashion("lesion").limit(200)
    shallow = zoo.NETWORKS["fashion-plain20"]
    expected = loss_and_error(zoo.load(shallow).network, images, shallow.preprocessing)
    assert loss_and_error(network, images, entry.preprocessing) == pytest.approx(expected, abs=1e-4)
    assert expected[1] < 15


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nonsense",
        "fashion-plain8",
        "plain9",
        "plain50",
        "plain08",
        "resnet1202",
        "resnet8-A",
        "resnet8-D",
        "plain8-without",
        "plain56-from-",
        "plain56-from-nonsense",
        "nonsense-from-plain20",
        "plain20-from-plain56",
        "plain56-from-resnet20",
        "resnet56-from-plain20",
        "plain34-from-plain20",
        "plain56-from-plain20-without-batch-norm",
        "plain56-without-batch-norm-from-plain20",
        "plain56-without-batch-norm-from-plain20-without-batch-norm",
    ],
)
def test_other_names_are_refused(name):
    with pytest.raises(InputError) as refused:
        racer(name, seed=0)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("depth", [2, 9, 50, 1202])
def test_only_some_depths_are_offered(depth):
    with pytest.raises(InputError, match=rf"Depth must be one of 8, 14, 20.*; got {depth}"):
        zoo.trainable("plain", depth)


def test_a_row_of_the_table_is_trainable_under_its_own_name():
    assert zoo.trainable("resnet", 20) is zoo.NETWORKS["fashion-resnet20"]
    assert zoo.trainable("resnet", 20, "B").name == "fashion-resnet20-B"
    assert zoo.trainable("resnet", 20, "B").weights is None


# What is kept of a race.


def test_recorded_reads_what_the_command_prints(tmp_path, short):
    printed = CliRunner().invoke(
        main, ["race", "--left", "plain8", "--right", "resnet8", "--steps", "2", "--seed", "4"]
    )
    assert printed.exit_code == 0, printed.stderr
    path = tmp_path / "race.jsonl"
    path.write_text(printed.stdout)
    wanted, records = recorded(path)
    assert wanted == Race("plain8", "resnet8", steps=2, seed=4)
    again = run(wanted, samples(full=False))
    assert json.dumps([vars(record.left) for record in records]) == json.dumps([vars(record.left) for record in again])
    assert [record.step for record in records] == [0, 2]
    assert [vars(record.right).keys() for record in records] == [vars(short[0].right).keys()] * 2


@pytest.mark.parametrize(
    ("left", "right"),
    [("resnet8-B", "plain20"), ("preact8", "plain26-from-plain20"), ("plain8-without-batch-norm", "resnet20")],
)
def test_the_files_are_weights_that_the_app_takes(tmp_path, left, right):
    racing = Racing(Race(left, right, steps=1, batch_size=16), few(10))
    list(racing)
    for side, content in racing.files().items():
        (tmp_path / f"{side}.safetensors").write_bytes(content)
    entries, faults = zoo.local_entries(tmp_path)
    assert faults == []
    names = [f"fashion-{left}:left", f"fashion-{right.partition('-from-')[0]}:right"]
    assert [entry.name for entry in entries] == names
    images = bundled_fashion("lesion").limit(20)
    for entry, network in zip(entries, racing.networks, strict=True):
        loaded = zoo.load(entry)
        assert loaded.trained
        with torch.no_grad():
            expected = network.eval()(entry.preprocessing.normalise(images.pixels))
            assert torch.allclose(loaded.network(loaded.inputs(images)).cpu(), expected, atol=1e-5)


def test_the_files_hold_the_weights_as_they_are_now():
    racing = Racing(replace(SHORT, steps=2), few(10))
    before = racing.files()
    list(racing)
    assert racing.files()["left"] != before["left"]
    assert before.keys() == {"left", "right"}
    assert Racing(replace(SHORT, steps=2), few(10)).files() == before


# Images.


def test_the_fixed_samples_are_spread_over_the_classes_and_apart():
    images = samples(full=False)
    assert (len(images.training), len(images.fixed), len(images.test)) == (4000, 500, 500)
    assert images.fixed.labels.bincount().tolist() == images.test.labels.bincount().tolist() == [50] * 10
    assert set(images.fixed.names) <= set(images.training.names)
    assert all("training image" in name for name in images.fixed.names)
    assert all("test image" in name for name in images.test.names)


def test_the_full_set_is_refused_where_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "DEBIAN_FASHION_FOLDER", tmp_path)
    with pytest.raises(InputError, match="four IDX files"):
        samples(full=True)


def test_the_full_set_is_trained_on_where_it_is(monkeypatch):
    """Any other set stands for the 60,000: only the training images come from it."""
    full = bundled_fashion("training").limit(700)
    monkeypatch.setattr(race.datasets, "full_fashion", lambda: (full, None))
    images = samples(full=True)
    assert images.training is full
    assert set(images.fixed.names) <= set(full.names)
    assert images.test.digest == samples(full=False).test.digest


def test_a_learning_rate_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="Learning rate must be above 0; got nan"):
        Racing(Race("plain8", "plain8", learning_rate=float("nan")), samples(full=False))


def test_only_a_trained_network_is_deepened():
    with pytest.raises(InputError, match="plain14 has no trained weights"):
        racer("plain32-from-plain14", seed=0)
