"""A cut network computes what the walk with gates of 0 computes, with less, and every experiment takes it."""

from itertools import combinations
from math import comb

import pytest
import torch
from torch import nn

from resnet_viz.errors import InputError
from resnet_viz.experiments.deletion import sweep
from resnet_viz.experiments.paths import gradient_by_length
from resnet_viz.experiments.trace import block_maps, trace
from resnet_viz.networks.adapt import adapt
from resnet_viz.networks.blocks import Block, Shortcuts
from resnet_viz.networks.cutting import cut
from resnet_viz.networks.description import blank, branch_layers_of, describe
from resnet_viz.networks.folding import folded
from resnet_viz.networks.graph import GraphBlock
from resnet_viz.networks.network import ResidualNetwork, convolution
from resnet_viz.networks.vgg import build_vgg11

from ..conftest import SMALL_PREPROCESSING, Case, left_as_it_was, lived_in, relative_error, small_network
from .test_adapt import TORCHVISION

BLOCKS = ("layer1.0", "layer1.1", "layer2.0", "layer2.1")
LESIONS = [names for count in (1, 2, 3) for names in combinations(BLOCKS, count)]


def test_the_logits_are_those_of_the_gated_walk(network, images):
    for deleted in LESIONS:
        expected = network(images, network.gates_without(deleted))
        assert torch.equal(cut(network, deleted)(images), expected), deleted


@pytest.mark.parametrize("name", ["resnext", "wide"])
def test_the_logits_of_torchvisions_networks(name):
    images = torch.randn(4, 3, 48, 48)
    network = adapt(lived_in(TORCHVISION[name](), images))
    names = list(network.blocks)
    for deleted in (names[:1], names[1:4], names[2:], names[:-1]):
        assert torch.equal(cut(network, deleted)(images), network(images, network.gates_without(deleted)))


def test_the_logits_of_a_network_whose_blocks_pool():
    images = torch.randn(2, 1, 28, 28)
    network = lived_in(build_vgg11(), images)
    for deleted in (["layer1.0"], ["layer2.0", "layer3.0"], ["layer4.3"]):
        assert torch.equal(cut(network, deleted)(images), network(images, network.gates_without(deleted)))


def test_a_relu_stays_where_the_stream_may_be_negative():
    """No known stem ends so, but anybody may build one."""
    blocks = [Block("basic", nn.Sequential(convolution(3, 3, 3, 1, False)), nn.Identity()) for _ in range(3)]
    network = ResidualNetwork(nn.Identity(), [blocks], nn.Flatten(1)).eval()
    stream = torch.randn(2, 3, 2, 2)
    for deleted in (["layer1.0"], ["layer1.0", "layer1.1"], ["layer1.1", "layer1.2"], ["layer1.2"]):
        assert torch.equal(cut(network, deleted)(stream), network(stream, network.gates_without(deleted)))


def test_the_branches_are_gone_and_all_else_is_there(case, network):
    deleted = ["layer1.1", "layer2.0"]
    left = cut(network, deleted)
    assert list(left.blocks) == ["layer1.0", "layer2.1"]
    unread = [network.blocks[name].branch for name in deleted]
    if case.kind.startswith("preactivation"):  # a projection reads the entry, any other shortcut does not
        unread += [network.blocks[n].entry for n in deleted if network.blocks[n].shortcut_kind != "projection"]
    gone = {id(parameter) for module in unread for parameter in module.parameters()}
    expected = {id(parameter) for parameter in network.parameters()} - gone
    assert {id(parameter) for parameter in left.parameters()} == expected
    names = {name for name in left.state_dict() if "shortcuts" not in name}
    assert {name.replace(".block.", ".") for name in names} <= network.state_dict().keys()


def test_blocks_that_do_nothing_without_their_branch_leave_no_trace(image_set):
    def remains(network, *deleted):
        return sum(isinstance(module, Shortcuts) for module in cut(network, deleted).modules())

    for kind in ("basic", "plain", "preactivation-basic"):
        network = small_network(Case(kind, "A"), image_set)
        assert remains(network, "layer1.0", "layer1.1") == 0
        assert remains(network, "layer2.0") == 1
    assert remains(small_network(Case("basic", "C"), image_set), "layer1.1") == 1


@pytest.mark.parametrize(
    ("stem", "shortcut", "left"),  # a block; one behind its shortcuts, which holds both, and the shortcuts
    [(nn.ReLU(), nn.Identity(), 1), (nn.Identity(), nn.Identity(), 3), (nn.ReLU(), nn.AvgPool2d(1), 4)],
)
def test_a_relu_is_gone_if_nothing_negative_comes_through_the_blocks_before(stem, shortcut, left):
    first = GraphBlock("", nn.Identity(), convolution(3, 3, 3, 1, False), shortcut, nn.Identity())
    blocks = [first, *(Block("basic", convolution(3, 3, 3, 1, False), nn.Identity()) for _ in range(2))]
    network = ResidualNetwork(stem, [blocks], nn.Flatten(1)).eval()
    deleted, stream = ["layer1.0", "layer1.1"], torch.randn(2, 3, 4, 4)
    for each in (cut(network, deleted), cut(cut(network, deleted[:1]), deleted[1:])):
        assert torch.equal(each(stream), network(stream, network.gates_without(deleted)))
        assert sum(isinstance(module, Block) for module in each.modules()) == left


def test_a_cut_network_is_folded_and_its_paths_are_written_out_as_the_whole_one(network, images):
    left = cut(network, ["layer1.1", "layer2.0"])
    copy = folded(left)
    assert relative_error(copy(images), left(images)) < 1e-5
    norms = [name for name, each in copy.named_modules() if isinstance(each, nn.BatchNorm2d)]
    assert all(name == "head.bn" or name.endswith("entry.bn") for name in norms), "these follow no convolution"
    assert all(block.ways(1.0) for block in left.blocks.values())


def test_cutting_in_two_steps_is_cutting_at_once(network, images):
    for deleted in LESIONS:
        for first in deleted:
            rest = [name for name in deleted if name != first]
            once, twice = cut(network, deleted), cut(cut(network, [first]), rest)
            assert list(once.state_dict()) == list(twice.state_dict())
            assert torch.equal(once(images), twice(images))


def test_the_network_is_left_as_it_was(network, images):
    with left_as_it_was(network):
        cut(network, ["layer1.0", "layer2.0"])(images)


@pytest.mark.parametrize("deleted", [["layer2.0"], ["layer1.1", "layer2.1"]], ids=",".join)
def test_every_experiment_takes_a_cut_network(network, image_set, images, labels, deleted):
    left, indices = cut(network, deleted), network.block_indices(deleted)
    gates = network.gates_without(deleted)
    found = sweep(left, SMALL_PREPROCESSING, image_set)
    for name, predictions in zip(found.blocks, found.predictions, strict=True):
        both = network(
            SMALL_PREPROCESSING.inputs_of(network, image_set.pixels), network.gates_without([*deleted, name])
        )
        assert (both.argmax(1).cpu().numpy() == predictions).all()
    exact = gradient_by_length(left, images, labels)
    of_walk = gradient_by_length(network, images, labels, gates)
    assert exact.sum_relative_error < 1e-5
    if network.blocks["layer1.0"].shortcut_kind != "none":
        count = len(left.blocks)
        assert exact.paths == tuple(comb(count, length) for length in range(count + 1))
        assert exact.norms == pytest.approx(of_walk.norms[:, : count + 1], rel=1e-3, abs=1e-7)
    assert trace(left, images, labels).blocks == tuple(left.blocks)
    described, whole = describe(left, SMALL_PREPROCESSING), describe(network, SMALL_PREPROCESSING)
    assert described.params == sum(parameter.numel() for parameter in left.parameters())
    assert described.macs < whole.macs
    for part in described.blocks:
        maps = block_maps(left, images[:1], part.name)
        assert maps.stream_out.shape == part.out_shape
        layers = branch_layers_of(left.blocks[part.name], blank(left, part.in_shape))
        assert layers[-1].out_shape == part.out_shape
    kinds = {whole.blocks[index].shortcut for index in indices}
    if deleted == ["layer2.0"]:
        assert described.blocks[2].shortcut in kinds  # what the next block's shortcut does is now this, too


def test_what_cannot_be_cut_is_told(network):
    with pytest.raises(InputError, match="At least one block must be left; all 4 were to be deleted: keep one"):
        cut(network, BLOCKS)
    with pytest.raises(InputError, match=r"Block must be one of layer1\.0 .* got 'layer3\.0'"):
        cut(network, ["layer3.0"])
    left = cut(network, ["layer1.0"])
    with pytest.raises(InputError, match=r"by stage: layer1\.1, layer2\.0-1\); got 'layer1\.0'"):
        cut(left, ["layer1.0"])
