"""Paths: their number, and the gradient of each length against a walk through every single path."""

from itertools import product
from math import comb

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional

from resnet_viz.errors import InputError
from resnet_viz.experiments import paths
from resnet_viz.experiments.paths import (
    carrying_range,
    count_times_norm,
    gradient_by_length,
    largest_path_share,
    path_counts,
    sampled_path_norms,
    share_of_paths,
)
from resnet_viz.networks.network import build

from ..conftest import (
    PLAIN,
    RESIDUAL_CASES,
    Case,
    UnluckyError,
    left_as_it_was,
    reference_activation,
    reference_head,
    reference_streams,
    reference_sum,
    reference_terms,
    small_network,
    unlucky,
)

GATES = [None, [0.3, 1.0, 0.8, 0.5], [1.0, 0.0, 0.6, 1.0]]
all_gates = pytest.mark.parametrize("gates", GATES, ids=["intact", "scaled", "deleted"])
residual_cases = pytest.mark.parametrize("case", RESIDUAL_CASES, ids="-".join)
residual_kinds = pytest.mark.parametrize(
    "case", RESIDUAL_CASES[::4] + RESIDUAL_CASES[-1:], ids="-".join
)  # each kind, and each option
plain_case = pytest.mark.parametrize("case", [PLAIN], ids="-".join)
one_case = pytest.mark.parametrize("case", [Case("basic", "B")], ids="-".join)


def gradient_of_each_path(
    case: Case,
    state: dict[str, Tensor],
    images: Tensor,
    labels: Tensor,
    gates: list[float] | None = None,
    first: int = 0,
) -> dict[tuple[bool, ...], Tensor]:
    """Which branches a path takes -> its product of Jacobians with the loss's gradient: one backward walk for each path,
    from the loss down to the input of block ``first``."""
    gates = gates or [1.0] * 4
    streams = [stream.detach() for stream in reference_streams(case, state, images, gates)]
    last = streams[-1].clone().requires_grad_()
    functional.cross_entropy(reference_head(case, state, last), labels, reduction="sum").backward()
    names = [f"layer{stage}.{index}" for stage in (1, 2) for index in (0, 1)]
    gradients = {}
    for choices in product((False, True), repeat=4 - first):
        gradient = last.grad
        steps = zip(names[first:], gates[first:], streams[first:-1], choices, strict=True)
        for name, gate, stream, branch_taken in reversed(list(steps)):
            stream = stream.clone().requires_grad_()
            shortcut, branch = reference_sum(case, *reference_terms(case, state, name, stream), gate)
            total = (shortcut + branch).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(reference_activation(case, total), total, gradient)
            (gradient,) = torch.autograd.grad(branch if branch_taken else shortcut, stream, gradient)
        gradients[choices] = gradient
    return gradients


def image_norms(gradients: Tensor) -> np.ndarray:
    return gradients.flatten(1).norm(dim=1).cpu().numpy()


def same_norms(result: np.ndarray, expected: np.ndarray, rtol: float = 1e-4) -> bool:
    return np.allclose(result, expected, rtol=rtol, atol=1e-6 * np.max(expected))


@all_gates
def test_gradient_by_length_equals_the_sum_over_all_paths(case, network, images, labels, gates):
    gradients = gradient_of_each_path(case, network.state_dict(), images, labels, gates)
    expected = [
        image_norms(sum(gradient for choices, gradient in gradients.items() if sum(choices) == length))
        for length in range(5)
    ]
    result = gradient_by_length(network, images, labels, gates)
    assert result.norms.shape == (4, 5)
    assert same_norms(result.norms, np.stack(expected, axis=1))


@all_gates
def test_all_lengths_together_are_autograds_gradient(case, network, images, labels, gates):
    assert gradient_by_length(network, images, labels, gates).sum_relative_error <= 1e-5
    # The same with another sum: what all the paths carry is the gradient of a plain backward pass.
    state = network.state_dict()
    stream = network.stem(images).detach().requires_grad_()
    functional.cross_entropy(network.head(network.walk(stream, gates)), labels, reduction="sum").backward()
    whole = sum(gradient_of_each_path(case, state, images, labels, gates).values())
    assert (whole - stream.grad).norm() <= 1e-5 * stream.grad.norm()


@all_gates
@pytest.mark.parametrize(("stage", "first"), [("layer1", 0), ("layer2", 2)])
def test_the_paths_of_a_stage_equal_the_sum_over_all_of_them(case, network, images, labels, gates, stage, first):
    every = gradient_of_each_path(case, network.state_dict(), images, labels, gates, first)
    of_length = [
        sum(gradient for choices, gradient in every.items() if sum(choices[:2]) == length) for length in range(3)
    ]
    told = []
    result = gradient_by_length(network, images, labels, gates, progress=lambda *at: told.append(at), stage=stage)
    assert result.paths == ((0, 0, 1) if case == PLAIN else (1, 2, 1))
    assert same_norms(result.norms, np.stack([image_norms(gradient) for gradient in of_length], axis=1))
    assert result.sum_relative_error <= 1e-5
    assert told == [(4, 8), (8, 8)]
    stream = network.walk(network.stem(images), gates, stop=first).detach().requires_grad_()
    functional.cross_entropy(network.head(network.walk(stream, gates, start=first)), labels, reduction="sum").backward()
    assert (sum(of_length) - stream.grad).norm() <= 1e-5 * stream.grad.norm()


@one_case
def test_an_unknown_stage_is_refused(network, images, labels):
    with pytest.raises(InputError, match=r"one of layer1, layer2; got 'layer3'"):
        gradient_by_length(network, images, labels, stage="layer3")


@pytest.mark.parametrize(("wrong", "told"), [(0.5, "9.4e-01"), (2.0, r"1.5e\+01")])
@one_case
def test_a_wrong_sum_is_refused(network, images, labels, monkeypatch, wrong, told):
    advance = paths.advance
    monkeypatch.setattr(paths, "advance", lambda kept, *pulls: wrong * advance(kept, *pulls))
    with pytest.raises(InputError, match=f"must add up to autograd's; got a relative error of {told}"):
        gradient_by_length(network, images, labels)


@plain_case
def test_a_plain_network_has_the_path_of_full_length_alone(network, images, labels):
    result = gradient_by_length(network, images, labels)
    assert result.paths == path_counts(network) == (0, 0, 0, 0, 1)
    assert not result.norms[:, :4].any()
    assert (result.norms[:, 4] > 0).all()
    assert result.mean_length == 4
    sampled = sampled_path_norms(network, images, labels, samples=2)
    assert np.isnan(sampled[:4]).all()
    assert same_norms(sampled[4], result.mean_norms[4])


def test_mean_norms_and_mean_length(network, images, labels):
    result = gradient_by_length(network, images, labels)
    means = [sum(image[length] for image in result.norms) / 4 for length in range(5)]
    np.testing.assert_allclose(result.mean_norms, means)
    assert result.mean_length == pytest.approx(sum(k * mean for k, mean in enumerate(means)) / sum(means))


@all_gates
def test_a_split_batch_gives_the_same(network, images, labels, gates, monkeypatch):
    def run() -> tuple[paths.GradientByLength, list[tuple[int, int]]]:
        told = []
        return gradient_by_length(network, images, labels, gates, progress=lambda *at: told.append(at)), told

    whole, told_whole = run()
    monkeypatch.setattr(paths, "MEMORY_BUDGET", 1)
    split, told_split = run()
    assert told_whole == [(4, 16), (8, 16), (12, 16), (16, 16)]
    assert told_split == [(done, 16) for done in range(1, 17)]
    assert same_norms(split.norms, whole.norms)
    assert split.sum_relative_error <= 1e-5


@one_case
def test_the_batch_fits_the_memory_budget(network, images, labels, monkeypatch):
    largest_stream = 4 * 8 * 8 * 4  # bytes of layer1's stream of one image
    monkeypatch.setattr(paths, "MEMORY_BUDGET", 2 * paths.COPIES * 5 * largest_stream)
    told = []
    gradient_by_length(network, images, labels, progress=lambda done, _: told.append(done))
    assert np.diff([0, *told]).tolist() == [2] * 8


@residual_cases
def test_a_sampled_path_is_one_of_the_paths_of_its_length(case, network, images, labels):
    gradients = gradient_of_each_path(case, network.state_dict(), images, labels)
    sampled = sampled_path_norms(network, images, labels, samples=6)
    assert sampled.shape == (5, 6)
    for length, norms in enumerate(sampled):
        possible = [image_norms(gradient).mean() for path, gradient in gradients.items() if sum(path) == length]
        assert all(any(same_norms(norm, one) for one in possible) for norm in norms)
    assert same_norms(sampled[0], image_norms(gradients[(False,) * 4]).mean())
    assert same_norms(sampled[4], image_norms(gradients[(True,) * 4]).mean())
    assert len({round(float(norm), 6) for norm in sampled[2] / sampled[2].max()}) > 1


@residual_kinds
@pytest.mark.parametrize("rows_of_one_image", [1, 9])
def test_samples_taken_in_portions_are_the_same(network, images, labels, monkeypatch, rows_of_one_image):
    images, labels = images[:2], labels[:2]
    whole = sampled_path_norms(network, images, labels, samples=2)
    largest_stream = max(stream[0].nbytes for stream in network.streams(images))
    monkeypatch.setattr(paths, "MEMORY_BUDGET", rows_of_one_image * paths.COPIES * largest_stream)
    assert same_norms(sampled_path_norms(network, images, labels, samples=2), whole)


@one_case
def test_the_batch_size_is_a_bound(network, images, labels):
    told = []
    gradient_by_length(network, images, labels, batch_size=3, progress=lambda done, _: told.append(done))
    assert np.diff([0, *told]).tolist() == [3] * 4 + [1] * 4


@one_case
def test_samples_are_determined_by_the_seed(network, images, labels):
    first, again, other = (sampled_path_norms(network, images, labels, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert same_norms(first[[0, 4]], other[[0, 4]])


def test_path_counts_are_binomial(image_set):
    network = small_network(Case("basic", "A"), image_set, blocks=(2, 3))
    counts = path_counts(network)
    assert counts == (1, 5, 10, 10, 5, 1)
    assert list(counts) == [sum(sum(path) == length for path in product((0, 1), repeat=5)) for length in range(6)]


def test_the_paths_of_resnet110():
    counts = path_counts(build("basic", (18, 18, 18), (2, 2, 2)))
    assert sum(counts) == 2**54
    assert 100 * share_of_paths(counts, 5, 17) == pytest.approx(0.4537, abs=5e-5)
    assert 100 * share_of_paths(counts, 19, 35) == pytest.approx(98.02, abs=5e-3)
    assert share_of_paths(counts, 0, 54) == 1
    assert share_of_paths(counts, 27, 27) == pytest.approx(stats.binom.pmf(27, 54, 0.5))


def test_shares_of_more_paths_than_a_float_can_count():
    counts = [comb(2000, length) for length in range(2001)]
    assert share_of_paths(counts, 0, 999) == pytest.approx((1 - stats.binom.pmf(1000, 2000, 0.5)) / 2)


def test_how_much_of_the_product_hangs_on_one_path():
    sampled = np.array([[1.0, 1.0], [2.0, 4.0], [5.0, 5.0]])  # products 1, 6, 5; of the 6, 4 by one path
    assert largest_path_share((1, 2, 1), sampled) == pytest.approx(4 / 12)
    assert largest_path_share((0, 1), np.array([[np.nan], [2.0]])) == 1, "a plain network has one path"
    assert np.isnan(largest_path_share((1, 1), np.zeros((2, 3))))


def test_count_times_norm_of_known_arrays():
    result = count_times_norm((1, 2, 1), np.array([[1.0, 1.0], [2.0, 4.0], [5.0, 5.0]]))
    np.testing.assert_allclose(result, [1 / 12, 6 / 12, 5 / 12])
    np.testing.assert_array_equal(count_times_norm((1, 1), np.zeros((2, 3))), [0, 0])
    assert np.isnan(count_times_norm((1, 1), np.array([[1.0], [np.inf]]))).all()


@pytest.mark.parametrize("blocks", [9, 54, 333, 2000])
def test_norms_that_fall_by_a_factor_a_branch_give_a_binomial_distribution(blocks):
    # C(n, k) q^k is proportional to the binomial distribution with p = q / (1 + q).
    counts = [comb(blocks, length) for length in range(blocks + 1)]
    norms = 1e-3 * 0.8 ** np.arange(blocks + 1.0)
    result = count_times_norm(counts, np.stack([norms, norms], axis=1))
    np.testing.assert_allclose(result, stats.binom.pmf(range(blocks + 1), blocks, 0.8 / 1.8), rtol=1e-9)
    assert result.sum() == pytest.approx(1)


@plain_case
def test_the_single_path_of_a_plain_network_could_carry_everything(network, images, labels):
    sampled = sampled_path_norms(network, images, labels)
    np.testing.assert_array_equal(count_times_norm(path_counts(network), sampled), [0, 0, 0, 0, 1])


@pytest.mark.parametrize(
    ("norms", "share", "expected"),
    [
        ([0, 0, 5, 0], 0.95, (2, 2)),
        ([1, 1, 1, 1], 0.5, (0, 1)),
        ([1, 1, 1, 1], 0.51, (0, 2)),
        ([1, 1, 1, 1], 1.0, (0, 3)),
        ([10, 1, 1, 10], 0.9, (0, 3)),
        ([1, 2, 6, 3, 0], 0.75, (2, 3)),
        ([0, 4, 4, 0, 0, 8], 0.5, (5, 5)),
        ([3], 0.95, (0, 0)),
    ],
)
def test_carrying_range_of_known_arrays(norms, share, expected):
    assert carrying_range(np.array(norms, float), share) == expected


@pytest.mark.parametrize("blocks", [9, 27, 54])
@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_carrying_range_of_binomial_numbers_is_the_shortest(blocks, share):
    counts = [comb(blocks, length) for length in range(blocks + 1)]
    first, last = carrying_range(np.array(counts, float), share)
    assert sum(counts[first : last + 1]) >= share * 2**blocks
    held_by_fewer = [sum(counts[start : start + last - first]) for start in range(blocks + 1)]
    assert max(held_by_fewer) < share * 2**blocks


def test_the_carrying_range_of_54_blocks():
    assert carrying_range(np.array([comb(54, length) for length in range(55)], float)) == (20, 34)


functions = pytest.mark.parametrize("function", [gradient_by_length, sampled_path_norms])


@functions
def test_walking_paths_leaves_the_network_as_it_was(network, images, labels, function):
    with left_as_it_was(network):
        function(network, images, labels)


@functions
@pytest.mark.parametrize("where", ["forward", "backward"])
@one_case
def test_a_failed_walk_leaves_the_network_as_it_was(network, images, labels, function, where):
    network = unlucky(network, where)
    network(images)
    with left_as_it_was(network), pytest.raises(UnluckyError):
        function(network, images, labels)


def test_a_stopped_walk_leaves_the_network_as_it_was(network, images, labels):
    with left_as_it_was(network), pytest.raises(KeyboardInterrupt):
        gradient_by_length(network, images, labels, progress=stop)


def stop(_done: int, _total: int) -> None:
    raise KeyboardInterrupt


@functions
def test_a_frozen_network_gives_the_same(network, images, labels, function):
    expected = function(network, images, labels)
    frozen = function(network.requires_grad_(False), images, labels)
    for result, other in zip(*(getattr(one, "norms", one) for one in (frozen, expected)), strict=True):
        np.testing.assert_array_equal(result, other)
