"""Single paths of one image, against a walk along every one of them and against autograd."""

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional

from resnet_viz.errors import InputError
from resnet_viz.experiments import paths
from resnet_viz.experiments.strongest_paths import path_gradient, recall, strongest_paths
from resnet_viz.networks.zoo import NETWORKS, images_of, load

from ..conftest import PLAIN, RESIDUAL_CASES, Case, left_as_it_was, relative_error, small_network
from .test_paths import gradient_of_each_path, residual_kinds

EVERY = list(product((False, True), repeat=4))
all_gates = pytest.mark.parametrize("gates", [None, [0.3, 0.0, 1.0, 0.7]], ids=["intact", "gated"])
residual_cases = pytest.mark.parametrize("case", RESIDUAL_CASES, ids="-".join)
plain_case = pytest.mark.parametrize("case", [PLAIN], ids="-".join)
one_case = pytest.mark.parametrize("case", [Case("basic", "B")], ids="-".join)


@pytest.fixture
def image(images):
    """The first image."""
    return images[:1]


@pytest.fixture
def label(labels):
    """Its label."""
    return labels[:1]


@all_gates
def test_a_beam_as_wide_as_all_paths_finds_them_all_in_order(case, network, image, label, gates):
    expected = gradient_of_each_path(case, network.state_dict(), image, label, gates)
    whole = sum(expected.values()).double()
    found = strongest_paths(network, image, label, gates, width=16)
    assert (np.diff(found.shares) <= 0).all()
    for path, norm, share in zip(found.takes_branch, found.norms, found.shares, strict=True):
        gradient = expected.pop(tuple(path)).double()  # so each is found once
        assert norm == pytest.approx(gradient.norm().item(), rel=1e-4)
        assert share == pytest.approx(((gradient * whole).sum() / whole.square().sum()).item(), rel=1e-3, abs=1e-5)
    assert all(gradient.norm() == 0 for gradient in expected.values())
    assert found.shares.sum() == pytest.approx(1, abs=1e-5)


@residual_cases
@pytest.mark.parametrize("width", [1, 3, 7])
def test_a_narrow_beam_keeps_so_many_and_the_strongest_at_each_block(case, network, image, label, width):
    found = strongest_paths(network, image, label, width=width)
    assert found.takes_branch.shape == (width, 4)
    assert found.norms.shape == found.shares.shape == (width,)
    kept = [()]  # the same search, each partial path walked from the loss down
    state = network.state_dict()
    for first in (3, 2, 1, 0):
        partial = gradient_of_each_path(case, state, image, label, None, first)
        grown = [(choice, *path) for path in kept for choice in (True, False)]
        whole = sum(partial.values())
        kept = sorted(grown, key=lambda path: -(partial[path] * whole).sum().item())[:width]
    assert [tuple(path) for path in found.takes_branch] == kept


def test_the_strongest_path_of_a_deep_network_does_not_point_against_the_whole():
    loaded = load(NETWORKS["fashion-resnet110"])
    images = images_of(loaded.entry, limit=1)
    found = strongest_paths(loaded.network, loaded.inputs(images), images.labels)
    assert len(found.shares) == 64 and found.shares[0] > 0
    assert found.norms.argmax() != 0, "the largest gradient is not the largest share"


@plain_case
def test_a_plain_network_has_one_path_with_the_whole_gradient(network, image, label):
    found = strongest_paths(network, image, label)
    assert found.takes_branch.tolist() == [[True] * 4]
    assert found.shares == pytest.approx([1])
    absent = path_gradient(network, image, label, [True, False, True, True])
    assert absent.norm == absent.share == 0
    assert not absent.picture.any()


@pytest.mark.parametrize("case", [PLAIN, Case("basic", "B")], ids="-".join)
def test_without_a_gradient_one_path_is_left_and_has_no_share(network, image, label):
    torch.nn.init.zeros_(network.head.fc.weight)
    found = strongest_paths(network, image, label)
    assert found.takes_branch.tolist() == [[True] * 4]
    assert found.norms.tolist() == [0]
    assert np.isnan(found.shares).all()


@all_gates
def test_the_pictures_of_all_paths_add_up_to_autograds_gradient_at_the_image(network, image, label, gates):
    every = [path_gradient(network, image, label, path, gates) for path in EVERY]
    pixels = image.clone().requires_grad_()
    functional.cross_entropy(network(pixels, gates), label).backward()
    total = torch.from_numpy(sum(each.picture for each in every))
    assert total.shape == pixels.grad[0].shape
    assert relative_error(total, pixels.grad[0].cpu()) <= 1e-5
    assert sum(each.share for each in every) == pytest.approx(1, abs=1e-5)


@all_gates
def test_a_path_picked_by_hand_is_the_one_that_was_found(network, image, label, gates):
    found = strongest_paths(network, image, label, gates, width=5)
    for path, norm, share in zip(found.takes_branch, found.norms, found.shares, strict=True):
        picked = path_gradient(network, image, label, path, gates)
        assert picked.norm == pytest.approx(norm, rel=1e-4)
        assert picked.share == pytest.approx(share, rel=1e-3, abs=1e-5)
        assert path_gradient(network, image, label, path.tolist(), gates).norm == picked.norm


@residual_cases
def test_recall_counts_the_found_that_are_truly_strongest(network, image, label):
    shares = {path: path_gradient(network, image, label, path).share for path in EVERY}  # each walked alone
    strongest = sorted(map(list, EVERY), key=lambda path: -shares[tuple(path)])
    for width in (1, 2, 4):
        found = strongest_paths(network, image, label, width=width).takes_branch.tolist()
        truly, two = strongest[:width], min(2, width)
        hits = sum(path in truly for path in found)
        assert recall(network, image, label, width=width) == (hits, width)
        hits = sum(path in truly[:two] for path in found[:two])
        assert recall(network, image, label, width=width, looked_at=2) == (hits, two)


@residual_kinds
@pytest.mark.parametrize("paths_at_once", [1, 3])
def test_recall_in_portions_is_the_same(network, image, label, monkeypatch, paths_at_once):
    whole = recall(network, image, label, width=4)
    largest_stream = max(stream.nbytes for stream in network.streams(image))
    monkeypatch.setattr(paths, "MEMORY_BUDGET", paths_at_once * paths.COPIES * largest_stream)
    assert recall(network, image, label, width=4) == whole


def test_recall_with_a_wide_beam_is_complete(network, image, label):
    found, number = recall(network, image, label, width=1000)
    assert found == number == (1 if network.blocks["layer1.0"].shortcut_kind == "none" else 16)


def test_recall_is_refused_where_there_are_too_many_paths(image_set, image, label):
    network = small_network(Case("basic", "A"), image_set, blocks=(5, 5)).to(image.device)
    with pytest.raises(InputError, match=r"at most 9, .*; got a network of 10"):
        recall(network, image, label)


@one_case
def test_unusable_input_is_refused(network, images, labels, image, label):
    with pytest.raises(InputError, match="Number of images must be 1; got 4"):
        strongest_paths(network, images, labels)
    with pytest.raises(InputError, match="Number of images must be 1; got 4"):
        path_gradient(network, images, labels, [True] * 4)
    with pytest.raises(InputError, match="one for each of 4 blocks; got 3"):
        path_gradient(network, image, label, [True] * 3)
    with pytest.raises(InputError, match="Width must be 1 or more; got 0"):
        strongest_paths(network, image, label, width=0)


@pytest.mark.parametrize(
    "function",
    [strongest_paths, recall, lambda network, image, label: path_gradient(network, image, label, [True] * 4)],
    ids=["search", "recall", "pick"],
)
def test_looking_at_paths_leaves_the_network_as_it_was(network, image, label, function):
    with left_as_it_was(network):
        function(network, image, label)
