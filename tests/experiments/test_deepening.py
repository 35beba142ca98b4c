"""A deepened plain network: it computes what the shallow one does, and keeps that solution only where its norms are frozen."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch.nn import functional

from resnet_viz.errors import InputError
from resnet_viz.experiments.deepening import FrozenNorm, deepened, difference, error_deepened, logits_apart
from resnet_viz.experiments.training import loss_and_error, optimizer_of
from resnet_viz.networks.datasets import Dataset, bundled_fashion, sample_photos
from resnet_viz.networks.network import ResidualNetwork, build
from resnet_viz.networks.zoo import NETWORKS, Entry, entry_of, load

from ..conftest import SMALL_PREPROCESSING, everything_about, relative_error

SHALLOW, DEEP = NETWORKS["fashion-plain20"], NETWORKS["fashion-plain32"]


@pytest.fixture(scope="module")
def shallow() -> ResidualNetwork:
    return load(SHALLOW).network.cpu()


@pytest.fixture(scope="module")
def frozen(shallow) -> ResidualNetwork:
    return deepened(shallow, DEEP)


@pytest.fixture(scope="module")
def live(shallow) -> ResidualNetwork:
    return deepened(shallow, DEEP, live=True)


@pytest.fixture(scope="module")
def inputs() -> torch.Tensor:
    return DEEP.preprocessing.normalise(bundled_fashion("lesion").limit(60).pixels)


def logits(network: ResidualNetwork, inputs: torch.Tensor, mode: bool) -> torch.Tensor:
    with torch.no_grad():
        return deepcopy(network).train(mode)(inputs)


@pytest.mark.parametrize("mode", [False, True], ids=["eval", "train"])
def test_with_frozen_norms_the_logits_are_the_shallow_ones_in_either_mode(shallow, frozen, inputs, mode):
    assert len(frozen.blocks) == 15 > len(shallow.blocks)
    assert relative_error(logits(frozen, inputs, mode), logits(shallow, inputs, mode)) < 1e-5


def test_with_live_norms_the_train_mode_is_off(shallow, live, inputs):
    assert relative_error(logits(live, inputs, False), logits(shallow, inputs, False)) < 1e-5
    assert relative_error(logits(live, inputs, True), logits(shallow, inputs, True)) > 0.01


def test_the_training_errors_are_equal(shallow, frozen):
    training = bundled_fashion("training")
    expected = loss_and_error(shallow, training, SHALLOW.preprocessing)
    loss, error = loss_and_error(frozen, training, DEEP.preprocessing)
    assert error == expected[1]
    assert loss == pytest.approx(expected[0], rel=1e-5)
    assert 1 < error < 10


def test_every_inserted_block_hands_its_stream_on(shallow, frozen, inputs):
    with torch.no_grad():
        streams = dict(zip([*frozen.blocks, "head"], frozen.eval().streams(inputs), strict=True))
        own = dict(zip([*shallow.blocks, "head"], shallow.eval().streams(inputs), strict=True))
    names = list(streams)
    inserted = [name for name in frozen.blocks if name not in shallow.blocks]
    assert inserted == ["layer1.3", "layer1.4", "layer2.3", "layer2.4", "layer3.3", "layer3.4"]
    for name in inserted:
        following = names[names.index(name) + 1]
        assert relative_error(streams[following], streams[name]) < 1e-5
    for name, stream in own.items():
        assert relative_error(streams[name], stream) < 1e-5


def test_training_moves_the_weights_of_frozen_norms_and_not_their_statistics(frozen, inputs):
    network = deepcopy(frozen).train()
    labels = bundled_fashion("lesion").limit(60).labels
    norms = {name: module for name, module in network.named_modules() if isinstance(module, FrozenNorm)}
    assert len(norms) == 2 * 6
    assert not any(norm.training for norm in norms.values())
    before, ordinary = deepcopy({name: norm.state_dict() for name, norm in norms.items()}), "stem.bn1.running_mean"
    statistics = network.state_dict()[ordinary].clone()
    optimizer = optimizer_of(network, 0.05)
    for _ in range(2):
        optimizer.zero_grad()
        functional.cross_entropy(network(inputs), labels).backward()
        optimizer.step()
        network.train()
    for name, norm in norms.items():
        after = norm.state_dict()
        for key in ("running_mean", "running_var", "num_batches_tracked"):
            assert torch.equal(after[key], before[name][key]), f"{name}.{key}"
        assert not torch.equal(after["weight"], before[name]["weight"])
        assert not torch.equal(after["bias"], before[name]["bias"])
    assert not torch.equal(network.state_dict()[ordinary], statistics)


@pytest.mark.parametrize("live", [False, True], ids=["frozen", "live"])
@pytest.mark.parametrize("mode", [False, True], ids=["eval", "train"])
def test_the_shallow_network_is_left_as_it_was(live, mode):
    network = deepcopy(load(SHALLOW).network).cpu().train(mode)
    before = everything_about(network)
    deep = deepened(network, DEEP, live=live)
    with torch.no_grad():
        for parameter in deep.parameters():
            parameter.add_(1.0)  # it has its own weights
    after = everything_about(network)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]) if torch.is_tensor(value) else value == after[name], name


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("resnet20", "plain32"),
        ("plain20", "resnet32"),
        ("resnet20", "resnet32"),
        ("plain32", "plain20"),
        ("plain20", "plain34"),
        ("plain34", "plain56"),
        ("plain20", "plain32-without-batch-norm"),
        ("plain20-without-batch-norm", "plain32"),
        ("plain20-without-batch-norm", "plain32-without-batch-norm"),
    ],
)
def test_networks_that_do_not_contain_each_other_are_refused(first, second):
    with pytest.raises(InputError, match=f"fashion-{second} does not contain"):
        deepened(entry_of(f"fashion-{first}").build(), entry_of(f"fashion-{second}"))


@pytest.mark.parametrize(
    ("deep_blocks", "channels"), [((1, 3), 2), ((2, 1), 2), ((2, 2), 3)], ids=["fewer first", "fewer last", "wider"]
)
def test_each_stage_must_be_at_least_as_long_and_as_wide(deep_blocks, channels):
    small = build("plain", (2, 2), (2, 4))
    make = partial(build, "plain", deep_blocks, (channels, 2 * channels))
    entry = Entry(
        "deep",
        Dataset("noise", tuple("0123456789"), lambda: None, sample_photos),
        make,
        None,
        SMALL_PREPROCESSING,
        "a test",
        "none",
    )
    with pytest.raises(InputError, match="deep does not contain"):
        deepened(small, entry)


def test_a_network_deepened_to_its_own_depth_is_a_copy(shallow):
    same = deepened(shallow, SHALLOW)
    assert same is not shallow
    assert all(torch.equal(tensor, shallow.state_dict()[name]) for name, tensor in same.state_dict().items())


def test_the_difference_is_relative_and_leaves_the_networks_alone(shallow, inputs):
    """Logits twice as large are off by |2 x - x| / |x| = 1; networks come back in their modes, with their statistics."""
    double = deepcopy(shallow).train()
    with torch.no_grad():
        double.head.fc.weight.mul_(2)
        double.head.fc.bias.mul_(2)
    before = everything_about(double)
    found = difference(shallow, double, inputs)
    assert (found.in_eval, found.in_train) == pytest.approx((1, 1), rel=1e-5)
    after = everything_about(double)
    assert all(torch.equal(after[name], value) for name, value in before.items() if torch.is_tensor(value))
    assert all(after[name] == value for name, value in before.items() if name.startswith("mode"))
    none = difference(shallow, shallow, inputs)
    assert (none.in_eval, none.in_train) == (0, 0)


def test_the_two_kinds_of_norms_are_measured(shallow, frozen, live):
    shared = deepcopy(shallow).train()  # a mode that measuring would change
    before = everything_about(shared)
    apart = [logits_apart(shared, DEEP, live=kind) for kind in (False, True)]
    errors = [error_deepened(shared, row) for row in (SHALLOW, DEEP)]
    after = everything_about(shared)
    assert all(torch.equal(after[name], value) for name, value in before.items() if torch.is_tensor(value))
    assert all(after[name] == value for name, value in before.items() if name.startswith("mode"))
    training = bundled_fashion("training").limit(1000)
    batch = DEEP.preprocessing.normalise(training.limit(128).pixels)
    assert apart == [difference(shallow, network, batch) for network in (frozen, live)]
    assert apart[1].in_train > 0.01 > 1e-5 > max(apart[0].in_eval, apart[0].in_train, apart[1].in_eval)
    assert errors == [loss_and_error(shallow, training, SHALLOW.preprocessing)[1]] * 2
