"""Blocks reversed, repeated, side by side and reset: against walks written out block by block."""

import numpy as np
import pytest
import torch

from resnet_viz.experiments.deletion import predict
from resnet_viz.experiments.painters import (
    in_orders,
    in_parallel,
    reinitialised,
    repeating,
    reversing,
    runs_of_one_shape,
    side_by_side,
)
from resnet_viz.networks.description import describe
from resnet_viz.networks.zoo import NETWORKS, LoadedNetwork, images_of, load

from ..conftest import (
    PLAIN,
    SMALL_PREPROCESSING,
    Case,
    left_as_it_was,
    reference_activation,
    reference_terms,
    relative_error,
    small_network,
)

BASIC, PREACTIVATION = Case("basic", "A"), Case("preactivation-basic", "A")
ONE_SHAPE = [BASIC, Case("basic", "B"), PREACTIVATION, PLAIN]


@pytest.fixture(params=ONE_SHAPE, ids="-".join)
def deep(request, image_set):
    """Two stages of four blocks."""
    return request.param, small_network(request.param, image_set, blocks=(4, 4))


def said(network, image_set, *blocks) -> np.ndarray:
    """What a network says of images that go through these blocks, one by one."""
    with torch.no_grad():
        stream = network.stem(SMALL_PREPROCESSING.normalise(image_set.pixels))
        for block in blocks:
            stream = block(stream)
        return network.head(stream).argmax(1).numpy()


def test_the_orders_say_which_block_is_walked_when():
    assert reversing(6, range(1, 4)) == [0, 3, 2, 1, 4, 5]
    assert reversing(6, range(2), range(3, 6)) == [1, 0, 2, 5, 4, 3]
    assert repeating(4, 1, 3) == [0, 1, 1, 1, 2, 3]
    assert repeating(4, 3, 1) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (BASIC, {"layer1": range(3), "layer2": range(4, 6)}),
        (PREACTIVATION, {"layer1": range(3), "layer2": range(4, 6)}),
        (PLAIN, {"layer1": range(3), "layer2": range(4, 6)}),
        (Case("bottleneck", "B"), {"layer1": range(1, 3), "layer2": range(4, 6)}),
        (Case("basic", "C"), {}),  # each has weights of its own on the shortcut
    ],
)
def test_blocks_of_one_shape_are_those_that_can_change_places(case, expected, image_set):
    network = small_network(case, image_set, blocks=(3, 3))
    assert runs_of_one_shape(describe(network, SMALL_PREPROCESSING)) == expected


def test_orders_are_walked_block_by_block(deep, image_set):
    _, network = deep
    b = list(network.blocks.values())
    orders = {"reversed": reversing(8, range(4)), "last": repeating(8, 7, 2), "thrice": repeating(8, 5, 3)}
    swept = in_orders(network, SMALL_PREPROCESSING, image_set, orders)
    assert swept.blocks == ("reversed", "last", "thrice")
    expected = [
        said(network, image_set, b[3], b[2], b[1], b[0], *b[4:]),
        said(network, image_set, *b, b[7]),
        said(network, image_set, *b[:6], b[5], b[5], *b[6:]),
    ]
    np.testing.assert_array_equal(swept.predictions, expected)
    np.testing.assert_array_equal(swept.intact, said(network, image_set, *b))


def test_side_by_side_is_the_sum_of_the_papers_terms(deep, image_set):
    """The terms written again with torch.nn.functional."""
    case, network = deep
    state, names = network.state_dict(), [f"layer2.{index}" for index in (1, 2, 3)]
    stream = network.streams(SMALL_PREPROCESSING.normalise(image_set.pixels))[5].detach()
    shortcuts, branches = zip(*(reference_terms(case, state, name, stream) for name in names), strict=True)
    assert all(torch.equal(shortcut, stream) for shortcut in shortcuts)
    blocks = [network.blocks[name] for name in names]
    own = 0 if case == PLAIN else stream
    for averaged, share in ((False, 1), (True, 1 / 3)):
        expected = reference_activation(case, own + share * (branches[0] + branches[1] + branches[2]))
        assert relative_error(side_by_side(blocks, stream, averaged), expected) < 1e-6
    with torch.no_grad():
        assert torch.equal(side_by_side(blocks[:1], stream, False), blocks[0](stream)), "one block is itself"
        if case.kind != "basic":  # elsewhere the ReLU follows the mean, not the other way round
            outputs = torch.stack([block(stream) for block in blocks])
            assert relative_error(side_by_side(blocks, stream, True), outputs.mean(0)) < 1e-6


@pytest.mark.parametrize("averaged", [False, True])
def test_the_last_blocks_of_a_run_stand_side_by_side(deep, image_set, averaged):
    _, network = deep
    b = list(network.blocks.values())
    swept = in_parallel(network, SMALL_PREPROCESSING, image_set, range(1, 4), [1, 2, 3], averaged)
    for count, predictions in zip((1, 2, 3), swept.predictions, strict=True):

        def together(stream, run=b[4 - count : 4]):
            return side_by_side(run, stream, averaged)

        np.testing.assert_array_equal(predictions, said(network, image_set, *b[: 4 - count], together, *b[4:]))
    np.testing.assert_array_equal(swept.predictions[0], swept.intact)
    np.testing.assert_array_equal(swept.intact, predict(network, SMALL_PREPROCESSING, image_set))


def test_a_block_is_exchanged_for_that_of_the_untrained_network(deep, image_set):
    case, network = deep
    other = small_network(case, image_set, blocks=(4, 4), seed=5)
    initial = LoadedNetwork(NETWORKS["fashion-resnet20"], other, "untrained", "untrained-5", 5)
    swept = reinitialised(network, SMALL_PREPROCESSING, image_set, initial)
    assert swept.blocks == tuple(network.blocks)
    for position, predictions in enumerate(swept.predictions):
        blocks = list(network.blocks.values())
        blocks[position] = list(other.blocks.values())[position]
        np.testing.assert_array_equal(predictions, said(network, image_set, *blocks))
    itself = LoadedNetwork(NETWORKS["fashion-resnet20"], network, "trained", "0" * 64)
    assert not reinitialised(network, SMALL_PREPROCESSING, image_set, itself).rises.any()


def test_no_network_is_changed(deep, image_set):
    case, network = deep
    other = small_network(case, image_set, blocks=(4, 4), seed=5)
    initial = LoadedNetwork(NETWORKS["fashion-resnet20"], other, "untrained", "untrained-5", 5)
    with left_as_it_was(network), left_as_it_was(other):
        in_orders(network, SMALL_PREPROCESSING, image_set, {"reversed": reversing(8, range(4))})
        in_parallel(network, SMALL_PREPROCESSING, image_set, range(4), [2], True)
        reinitialised(network, SMALL_PREPROCESSING, image_set, initial)


def test_a_residual_network_bears_what_a_plain_one_does_not():
    images = images_of(NETWORKS["fashion-resnet20"], limit=50)
    rises = {}
    for name in ("fashion-resnet20", "fashion-plain20"):
        loaded = load(NETWORKS[name])
        given = loaded.network, loaded.entry.preprocessing, images
        run = runs_of_one_shape(describe(*given[:2]))["layer3"]
        rises[name] = in_parallel(*given, run, [2], False).rises[0]
    assert rises["fashion-resnet20"] < 40 < rises["fashion-plain20"]
