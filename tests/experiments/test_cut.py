"""What a cut network costs and saves, how it is healed, and the file that it goes into."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from resnet_viz.errors import InputError
from resnet_viz.experiments import cut as experiment
from resnet_viz.experiments.cut import Healing
from resnet_viz.experiments.deletion import Sweep, predict
from resnet_viz.networks import cutting, zoo
from resnet_viz.networks.datasets import bundled_fashion
from resnet_viz.networks.zoo import NETWORKS

pytestmark = pytest.mark.usefixtures("on_the_cpu")
NAME = "fashion-resnet20"
DELETED = ["layer1.2", "layer2.0", "layer3.2"]
FEW = bundled_fashion("lesion").limit(50)


@pytest.fixture(scope="module")
def loaded():
    return zoo.load(NETWORKS[NAME])


def file_of(loaded, path, deleted=DELETED, told=None):
    """A cut network's file, which says something else of itself if ``told``."""
    path.write_bytes(experiment.weights_file(loaded, cutting.cut(loaded.network, deleted), deleted))
    if told:
        save_file(load_file(path), path, {"network": NAME, "deleted": ",".join(deleted)} | told)
    return path


def test_its_predictions_are_those_under_gates_of_0(loaded):
    preprocessing = loaded.entry.preprocessing
    expected = predict(loaded.network, preprocessing, FEW, loaded.network.gates_without(DELETED))
    assert (experiment.predict_without(loaded.network, preprocessing, FEW, DELETED) == expected).all()


def test_times_are_taken_in_pairs_and_a_shorter_network_takes_less(loaded):
    most = list(loaded.network.blocks)[1:]
    steps = experiment.times.steps(loaded.network, loaded.entry.preprocessing, FEW, most)
    shares = []
    with pytest.raises(StopIteration) as end:
        while True:
            shares.append(next(steps))
    timing = end.value.value
    assert len(timing.ratios) == experiment.PAIRS and sorted(shares) == shares and shares[-1] < 1
    assert (timing.batch_size, timing.device[:3]) == (32, "CPU")
    assert 0 < min(timing.ratios) <= timing.ratio <= max(timing.ratios)


def test_large_networks_are_timed_on_fewer_images(loaded, monkeypatch):
    monkeypatch.setattr(experiment, "MOST_MULTIPLY_ADDS", 3 * 8.5e6)
    assert experiment.times(loaded.network, loaded.entry.preprocessing, FEW, DELETED).batch_size == 3
    monkeypatch.setattr(experiment, "MOST_MULTIPLY_ADDS", 1)
    assert experiment.times(loaded.network, loaded.entry.preprocessing, FEW, DELETED).batch_size == 1


def healed(loaded, network, **changes):
    healing = Healing(**{"steps": 15, "batch_size": 32} | changes)
    return experiment.heal(network, loaded.entry.preprocessing, bundled_fashion("training"), healing)


def test_healing_helps_repeats_exactly_and_leaves_the_network_as_it_was(loaded):
    left = cutting.cut(loaded.network, DELETED)
    before = {name: tensor.clone() for name, tensor in left.state_dict().items()}
    modes = [module.training for module in left.modules()]
    first, again, other = healed(loaded, left), healed(loaded, left), healed(loaded, left, seed=1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in left.state_dict().items())
    assert [module.training for module in left.modules()] == modes
    assert not any(module.training for module in first.modules())
    assert all(parameter.grad is None for parameter in [*left.parameters(), *first.parameters()])
    weights, repeated, others = (each.head.fc.weight for each in (first, again, other))
    assert torch.equal(weights, repeated) and not torch.equal(weights, others)

    def errors(network):
        return (predict(network, loaded.entry.preprocessing, FEW) != FEW.labels.numpy()).sum()

    assert errors(first) < errors(left) / 2


def test_a_healing_that_is_left_ends_there(loaded):
    told = []
    steps = experiment.heal.steps(
        loaded.network,
        loaded.entry.preprocessing,
        bundled_fashion("training"),
        Healing(steps=10, batch_size=8),
        lambda done, total: told.append((done, total)),
    )
    assert [next(steps), next(steps)] == [0.1, 0.2]
    steps.close()
    assert told == [(1, 10), (2, 10)]


def test_what_cannot_be_healed_is_told(loaded):
    with pytest.raises(InputError, match="Learning rate must be above 0; got nan"):
        healed(loaded, loaded.network, learning_rate=float("nan"))
    unlabelled = replace(bundled_fashion("training"), labels=None)
    with pytest.raises(InputError, match="must have labels; 4,000 Fashion-MNIST training images have none"):
        experiment.heal(loaded.network, loaded.entry.preprocessing, unlabelled, Healing())
    with pytest.raises(InputError, match=r"must be of Fashion-MNIST.* got cifar10-resnet20"):
        experiment.training_images(NETWORKS["cifar10-resnet20"])


def test_a_row_that_has_come_from_another_process_is_healed_on_the_same_images(loaded):
    sent = pickle.loads(pickle.dumps(loaded.entry))
    assert sent.dataset is not loaded.entry.dataset
    assert experiment.training_images(sent).digest == bundled_fashion("training").digest


def test_as_few_blocks_as_remove_the_share_are_chosen_by_least_rise(loaded):
    names = tuple(loaded.network.blocks)
    labels = np.zeros(10, int)
    rises = {"layer2.1": 0, "layer1.0": 1, "layer3.1": 2}  # of 10 images; all others 5
    predictions = np.array([[1] * rises.get(name, 5) + [0] * (10 - rises.get(name, 5)) for name in names])
    swept = Sweep(names, labels, predictions, labels)

    def chosen(share):
        return experiment.harmless_blocks(loaded.network, loaded.entry.preprocessing, swept, share)

    assert chosen(0.05) == ["layer2.1"]  # one is 11 %
    assert chosen(0.2) == ["layer1.0", "layer2.1"]
    assert chosen(0.3) == ["layer1.0", "layer2.1", "layer3.1"]
    with pytest.raises(InputError, match=r"Share must be such that blocks can remove it; got 0\.99"):
        chosen(0.99)


def test_random_blocks_follow_from_the_seed():
    names = [f"layer1.{index}" for index in range(20)]
    drawn = [experiment.blocks_at_random(names, 7, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 7 and drawn[0] == sorted(drawn[0], key=names.index)


def test_what_is_recorded_is_what_the_plan_says():
    for name in ("fashion-resnet56", "fashion-resnet110"):
        entry = NETWORKS[name]
        for number, record in enumerate(experiment.recorded(name)):
            healing = record["healed"]
            seed = max(0, number - 1)
            assert vars(Healing(seed=seed)).items() <= healing.items()
            assert (record["network"], record["images"], healing["training_images"]) == (name, 1000, 4000)
            if number:
                drawn = experiment.blocks_at_random(zoo.block_names(entry), len(record["deleted"]), seed)
                assert record["deleted"] == drawn
            else:
                assert record["cut"]["macs"] <= (1 - experiment.SHARE) * record["intact"]["macs"]
            assert healing["rise"] == pytest.approx(healing["error_pct"] - record["intact"]["error_pct"])


# The file.


def test_a_file_opens_as_a_network_of_its_own(loaded, tmp_path):
    path = file_of(loaded, tmp_path / "my cut.safetensors")
    (row,), faults = zoo.local_entries(tmp_path)
    assert not faults and row.name == "fashion-resnet20:my-cut" and row.deleted == tuple(DELETED)
    assert row.provenance == "cut from fashion-resnet20: layer1.2, layer2.0, layer3.2"
    assert zoo.block_names(row) == tuple(name for name in loaded.network.blocks if name not in DELETED)
    assert zoo.counterpart(row) is None and row.plain is None
    inputs = loaded.inputs(FEW)
    expected = loaded.network(inputs, loaded.network.gates_without(DELETED))
    of_row, of_checkpoint = zoo.load(row), zoo.load(NETWORKS[NAME], checkpoint=path)
    assert of_checkpoint.entry.name == row.name and of_checkpoint.weights == row.provenance
    for opened in (of_row, of_checkpoint):
        assert opened.trained and torch.equal(opened.network(inputs), expected)
    untrained = zoo.load(row, untrained=3)
    assert list(untrained.network.blocks) == list(of_row.network.blocks)


def test_a_cut_network_can_be_cut_again(loaded, tmp_path):
    first = zoo.load(NETWORKS[NAME], checkpoint=file_of(loaded, tmp_path / "once.safetensors"))
    path = file_of(first, tmp_path / "twice.safetensors", ["layer1.0"])
    again = zoo.load(NETWORKS[NAME], checkpoint=path)
    assert again.entry.deleted == ("layer1.0", *DELETED)
    inputs = loaded.inputs(FEW)
    expected = loaded.network(inputs, loaded.network.gates_without(["layer1.0", *DELETED]))
    assert torch.equal(again.network(inputs), expected)


def test_healed_weights_say_so(loaded, tmp_path):
    path = tmp_path / "healed.safetensors"
    path.write_bytes(experiment.weights_file(loaded, cutting.cut(loaded.network, DELETED), DELETED, healed=300))
    assert zoo.local_entries(path)[0][0].provenance.endswith("layer3.2; healed by 300 steps")
    odd = file_of(loaded, tmp_path / "odd.safetensors", told={"healed": "<b>300</b>"})
    assert zoo.local_entries(odd)[0][0].provenance.endswith("layer3.2")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"network": "resnet20"}, "says of itself what cannot be: Network must be one of .* got 'resnet20'"),
        ({"deleted": "layer1.2,layer9.0"}, "says of itself what cannot be: Block must be one of .* got 'layer9.0'"),
        ({"deleted": ","}, "says of itself what cannot be: Block must be one of .* got ''"),
        ({"deleted": "layer1.2,layer2.0"}, r"does not fit this network: 10 missing: layer3\.2\.branch"),
        ({"network": "fashion-resnet32"}, "does not fit this network: .* missing: layer1.3"),
        ({"deleted": ",".join(zoo.block_names(NETWORKS[NAME]))}, "At least one block must be left"),
    ],
    ids=str,
)
def test_what_a_file_says_of_itself_is_checked(loaded, tmp_path, told, says):
    path = file_of(loaded, tmp_path / "odd.safetensors", told=told)
    entries, (fault,) = zoo.local_entries(path)
    assert not entries and str(path) in fault and "\n" not in fault
    with pytest.raises(InputError, match=says):
        zoo.load(
            NETWORKS[told.get("network", NAME)] if told.get("network") != "resnet20" else NETWORKS[NAME],
            checkpoint=path,
        )
    with pytest.raises(InputError, match=says):
        raise InputError(fault)


def test_a_file_of_another_network_is_told(loaded, tmp_path):
    path = file_of(loaded, tmp_path / "cut.safetensors")
    with pytest.raises(InputError, match="must be of fashion-resnet32; got one cut from fashion-resnet20"):
        zoo.load(NETWORKS["fashion-resnet32"], checkpoint=path)


def test_a_pickle_of_a_cut_network_is_no_cut_network(loaded, tmp_path):
    """It cannot say which blocks are gone, and so fits nothing."""
    torch.save(cutting.cut(loaded.network, DELETED).state_dict(), tmp_path / "cut.pt")
    entries, (fault,) = zoo.local_entries(tmp_path)
    assert not entries and "fits no network of the table" in fault
