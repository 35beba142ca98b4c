"""Importance of blocks: two ways, one result."""

from itertools import permutations

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, ShapleyValues, ShapleyValueSampling
from scipy import stats
from torch.nn import functional

from resnet_viz.errors import InputError
from resnet_viz.experiments import attribution
from resnet_viz.experiments.deletion import loss_of_each
from resnet_viz.experiments.trace import trace
from resnet_viz.networks.zoo import NETWORKS, images_of, load

from ..conftest import SMALL_PREPROCESSING, Case, left_as_it_was, small_network


def losses(network, images, labels, gates) -> torch.Tensor:
    """Each image's own loss, by a whole forward pass, in float64."""
    with torch.no_grad():
        return functional.cross_entropy(network(images, gates).double(), labels, reduction="none").cpu()


def loss_of_gates(network, images, labels):
    """What Captum explains: gates (images, blocks), a row for each image -> each image's loss."""
    return lambda gates: functional.cross_entropy(network(images, gates).double(), labels, reduction="none")


def test_true_deletion_is_exact(network, images, labels, image_set):
    found = attribution.true_deletion(network, images, labels)
    intact = losses(network, images, labels, None)
    for index, name in enumerate(network.blocks):
        without = losses(network, images, labels, network.gates_without([name]))
        np.testing.assert_array_equal(found.by_image[:, index], without - intact)
    lesions = [[1.0] * 4, *(network.gates_without([name]) for name in network.blocks)]
    swept = loss_of_each(network, SMALL_PREPROCESSING, image_set.subset([0, 1, 2, 3]), lesions)
    np.testing.assert_allclose(found.by_image.T, swept[1:] - swept[0], atol=1e-6)


def test_the_first_order_estimate_is_the_slope_at_gate_one(network, images, labels):
    double = network.double()
    found = attribution.first_order(double, images.double(), labels).by_image
    step = 1e-6
    for index, name in enumerate(network.blocks):
        below = losses(double, images.double(), labels, network.gates_without([name], 1 - step))
        above = losses(double, images.double(), labels, network.gates_without([name], 1 + step))
        np.testing.assert_allclose(found[:, index], ((below - above) / (2 * step)).numpy(), rtol=1e-4, atol=1e-6)


def test_exact_shapley_values_are_the_average_over_all_orders(network, images, labels):
    found = attribution.shapley_exact(network, images, labels).by_image
    expected, orders = np.zeros((4, 4)), list(permutations(range(4)))
    for order in orders:
        gates, before = [0.0] * 4, losses(network, images, labels, [0.0] * 4)
        for block in order:
            gates[block] = 1.0
            after = losses(network, images, labels, gates)
            expected[:, block] += (before - after).numpy() / len(orders)
            before = after
    np.testing.assert_allclose(found, expected, atol=1e-5)
    whole = losses(network, images, labels, [0.0] * 4) - losses(network, images, labels, None)
    np.testing.assert_allclose(found.sum(1), whole, atol=1e-5)


def test_exact_shapley_values_are_captums(network, images, labels):
    gates = attribution.intact(network, images)
    with torch.no_grad():
        falls = ShapleyValues(loss_of_gates(network, images, labels)).attribute(gates)
    np.testing.assert_allclose(attribution.shapley_exact(network, images, labels).by_image, -falls.cpu(), atol=1e-5)


def test_deletion_and_permutations_are_captums(network, images, labels):
    gates, loss = attribution.intact(network, images), loss_of_gates(network, images, labels)
    sampling = ShapleyValueSampling(loss)
    generator = torch.Generator().manual_seed(3 * 100_000 + 2)
    sampling.permutation_generator = lambda count, draws: (
        torch.randperm(count, generator=generator).tolist() for _ in range(draws)
    )
    with torch.no_grad():
        deleted = FeatureAblation(loss).attribute(gates)
        drawn = sampling.attribute(gates, n_samples=1)
    np.testing.assert_allclose(attribution.true_deletion(network, images, labels).by_image, -deleted.cpu(), atol=1e-5)
    found = attribution.shapley_permutation(network, images, labels, 2, seed=3)
    np.testing.assert_allclose(found, -drawn.cpu(), atol=1e-5)


def test_exact_shapley_values_of_too_many_blocks_are_refused(image_set, images, labels):
    network = small_network(Case("basic", "A"), image_set, blocks=(6, 6)).to(images.device)
    with pytest.raises(InputError, match="at most 11 blocks; got 12"):
        attribution.shapley_exact(network, images, labels)


def test_each_permutation_adds_up_and_many_come_near_the_exact_values(network, images, labels):
    drawn = [attribution.shapley_permutation(network, images, labels, number, seed=1) for number in range(25)]
    whole = losses(network, images, labels, [0.0] * 4) - losses(network, images, labels, None)
    for each in drawn[:5]:
        np.testing.assert_allclose(each.sum(1), whole, atol=1e-5)
    found, exact = attribution.shapley(drawn), attribution.shapley_exact(network, images, labels)
    assert (np.abs(found.mean - exact.mean) <= 5 * found.standard_error + 1e-6).all()


def test_permutations_come_from_their_own_generator(network, images, labels):
    state = torch.get_rng_state()

    def draw(seed: int) -> np.ndarray:
        return np.stack([attribution.shapley_permutation(network, images, labels, number, seed) for number in range(3)])

    first = draw(0)
    torch.manual_seed(5)
    assert (first == draw(0)).all() and (first != draw(1)).any()
    torch.set_rng_state(state)
    attribution.shapley_permutation(network, images, labels, 0)
    assert torch.equal(torch.get_rng_state(), state), "the global random state is the caller's"


def test_the_size_of_a_branch_is_the_traces(network, images, labels):
    sizes = attribution.branch_size(network, images, labels)
    np.testing.assert_allclose(sizes.mean, trace(network, images, labels).branch_to_stream, rtol=1e-6)
    expected = sizes.by_image.std(0, ddof=1) / 2
    np.testing.assert_allclose(sizes.standard_error, expected)


def test_rank_correlations_are_spearmans():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(3, 5, 12))
    values[2] = np.round(values[2])  # ties
    measures = [attribution.Importance(each, np.zeros(12)) for each in values]
    found = attribution.rank_correlations(measures)
    for i in range(3):
        for j in range(3):
            expected = stats.spearmanr(values[i].mean(0), values[j].mean(0)).statistic
            assert found[i, j] == pytest.approx(expected)


def test_the_interval_of_a_rank_correlation_holds_it_and_is_wide_for_few_blocks():
    generator = np.random.default_rng(0)
    for blocks, widest in ((9, 2.0), (300, 0.3)):
        one = generator.normal(size=blocks)
        pair = [
            attribution.Importance(each[None], np.ones(blocks)) for each in (one, one + generator.normal(size=blocks))
        ]
        low, high = attribution.rank_correlation_interval(*pair)
        assert low < attribution.rank_correlations(pair)[0, 1] < high
        assert high - low < widest
        drawn = [generator.integers(blocks, size=blocks) for _ in range(2000)]
        again = np.percentile(
            [stats.spearmanr(*(each.mean[draw] for each in pair)).statistic for draw in drawn], [2.5, 97.5]
        )
        assert [low, high] == pytest.approx(again, abs=0.06)


def test_the_interval_holds_the_share_of_the_permutations():
    generator = np.random.default_rng(0)
    deletion = attribution.Importance(np.arange(30.0)[None], np.ones(30))
    drawn = list(deletion.by_image + generator.normal(scale=60, size=(25, 1, 30)))
    sampled = attribution.shapley(drawn)
    exact = attribution.Importance(sampled.by_image, sampled.standard_error)
    (low, high), (least, largest) = (attribution.rank_correlation_interval(each, deletion) for each in (exact, sampled))
    assert largest - least > 1.1 * (high - low)
    same = attribution.shapley(drawn[:1] * 25)  # permutations that agree add nothing
    fixed = attribution.Importance(same.by_image, same.standard_error)
    intervals = [attribution.rank_correlation_interval(each, deletion) for each in (same, fixed)]
    assert intervals[0] == pytest.approx(intervals[1], abs=0.02)
    assert [attribution.interval_of(each) for each in (exact, sampled)] == ["blocks", "blocks and permutations"]


def test_a_network_of_few_blocks_has_no_interval():
    pair = [attribution.Importance(np.arange(2.0)[None], np.ones(2))] * 2
    assert np.isnan(attribution.rank_correlation_interval(*pair)).all()


def test_one_permutation_has_no_standard_error():
    assert np.isnan(attribution.shapley([np.ones((4, 3))]).standard_error).all()
    three = attribution.shapley([np.ones((4, 3)), 3 * np.ones((4, 3)), 5 * np.ones((4, 3))])
    assert (three.mean == 3).all() and three.standard_error == pytest.approx(2 / np.sqrt(3))


def test_the_network_stays_as_it_was(network, images, labels):
    with left_as_it_was(network):
        attribution.true_deletion(network, images, labels)
        attribution.first_order(network, images, labels)
        attribution.shapley_permutation(network, images, labels, 0)
        attribution.shapley_exact(network, images, labels)


def test_the_first_block_of_a_trained_network_matters_most_but_its_gradient_does_not_show_it():
    loaded = load(NETWORKS["fashion-resnet20"])
    images = images_of(loaded.entry, limit=100)
    settings = loaded.network, loaded.inputs(images), images.labels
    deleted, slope = attribution.true_deletion(*settings), attribution.first_order(*settings)
    assert deleted.mean.argmax() == 0 and deleted.mean[0] > 10 * abs(slope.mean).max()
