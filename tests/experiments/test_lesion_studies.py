"""Lesion studies: the lesions that are drawn, their predictions against whole forward passes, and their statistics."""

import numpy as np
import pytest
import torch
from scipy import stats

from resnet_viz.errors import InputError
from resnet_viz.experiments.deletion import Sweep, predict
from resnet_viz.experiments.lesion_studies import (
    RANDOM,
    Study,
    largest_steps,
    random_deletions,
    random_swaps,
    single_deletions,
    swappable_pairs,
    together,
)

from ..conftest import SMALL_PREPROCESSING, Case, left_as_it_was, small_network


@pytest.fixture
def deep(image_set):
    """Two stages of five blocks, option A."""
    return small_network(Case("basic", "A"), image_set, blocks=(5, 5))


def test_single_deletions_are_the_sweep(network, image_set):
    study = single_deletions(network, SMALL_PREPROCESSING, image_set)
    assert study.sweep.blocks == tuple(network.blocks) and study.steps.tolist() == [1] * 4
    for name, predictions in zip(network.blocks, study.sweep.predictions, strict=True):
        expected = predict(network, SMALL_PREPROCESSING, image_set, network.gates_without([name]))
        np.testing.assert_array_equal(predictions, expected)


def test_random_deletions_delete_what_they_name(network, image_set):
    study = random_deletions(network, SMALL_PREPROCESSING, image_set, [1, 3, 4], draws=4)
    assert study.amounts.tolist() == study.steps.tolist() == [1] * 4 + [3] * 4 + [4] * 4
    for title, count, predictions in zip(study.sweep.blocks, study.steps, study.sweep.predictions, strict=True):
        names = title.split(", ")
        assert len(set(names)) == count
        expected = predict(network, SMALL_PREPROCESSING, image_set, network.gates_without(names))
        np.testing.assert_array_equal(predictions, expected)
    np.testing.assert_array_equal(study.sweep.intact, predict(network, SMALL_PREPROCESSING, image_set))


def test_draws_are_seeded_and_those_of_one_count_depend_on_no_other(deep, image_set):
    def names(counts, **options):
        return random_deletions(deep, SMALL_PREPROCESSING, image_set, counts, **options).sweep.blocks

    assert names([2, 5])[5:] == names([5]) == names([5, 7])[:5]
    assert names([5], seed=1) != names([5]) != names([6])
    assert len(set(names([5], draws=20))) > 15


def test_swaps_keep_the_shape_of_the_stream(deep, image_set):
    pairs = swappable_pairs(deep, SMALL_PREPROCESSING, image_set)
    first, second = range(5), range(6, 10)  # layer2.0 halves the stream
    assert pairs == [(i, j) for group in (first, second) for i in group for j in group if i < j]
    study = random_swaps(deep, SMALL_PREPROCESSING, image_set, [1, 4], draws=6)
    assert study.steps.tolist() == [1] * 6 + [4] * 6
    assert (study.amounts[:6] < 1).all() and study.amounts[6:].mean() < study.amounts[:6].mean()
    assert (study.sweep.predictions != study.sweep.intact).any()


def test_a_reordered_network_is_one_built_in_that_order(deep, image_set):
    study = random_swaps(deep, SMALL_PREPROCESSING, image_set, [2], draws=3, seed=4)
    images = SMALL_PREPROCESSING.normalise(image_set.pixels)
    names = list(deep.blocks)
    for title, tau, predictions in zip(study.sweep.blocks, study.amounts, study.sweep.predictions, strict=True):
        order = list(range(10))
        for move in title.split(", "):
            block, place = move.split(" at ")
            order[names.index(place)] = names.index(block)
        stream = deep.stem(images)
        for index in order:
            stream = deep.blocks[names[index]](stream)
        np.testing.assert_array_equal(predictions, deep.head(stream).argmax(1).numpy())
        assert tau == pytest.approx(stats.kendalltau(range(10), order).statistic)
        assert torch.equal(deep(images), deep.head(deep.walk(deep.stem(images)))), "the network itself keeps its order"


@pytest.mark.parametrize(
    ("study", "counts", "told"),
    [
        (random_deletions, [0], "must be 1 to 10; got .*0"),
        (random_deletions, [3, 11], "must be 1 to 10; got .*11"),
        (random_swaps, [0], "must be 1 or more; got .*0"),
    ],
    ids=["none deleted", "more than there are", "no swap"],
)
def test_impossible_counts_are_refused(deep, image_set, study, counts, told):
    with pytest.raises(InputError, match=told):
        study(deep, SMALL_PREPROCESSING, image_set, counts)


def test_a_network_without_blocks_to_swap_says_so(image_set):
    network = small_network(Case("basic", "A"), image_set, blocks=(1, 2))
    with pytest.raises(InputError, match="change places"):
        random_swaps(network, SMALL_PREPROCESSING, image_set, [1])


def test_the_network_stays_as_it_was(deep, image_set):
    with left_as_it_was(deep):
        random_deletions(deep, SMALL_PREPROCESSING, image_set, [3], draws=1)
        random_swaps(deep, SMALL_PREPROCESSING, image_set, [3], draws=1)


def test_medians_spread_and_correlation_of_known_errors():
    labels = np.zeros(100, np.int64)

    def wrong(count: int) -> np.ndarray:
        return np.r_[np.ones(count, np.int64), np.zeros(100 - count, np.int64)]

    errors, steps = [10, 12, 20, 40, 35, 90], np.array([1, 1, 1, 4, 4, 4])
    sweep = Sweep(tuple("abcdef"), wrong(5), np.stack([wrong(count) for count in errors]), labels)
    study = Study(RANDOM, steps.astype(float), steps, sweep)
    assert study.error_pct.tolist() == pytest.approx(errors)
    found = [values.tolist() for values in study.medians()]
    assert found == [[1, 4], [1, 4], pytest.approx([12, 40]), pytest.approx([10, 35]), pytest.approx([20, 90])]
    assert study.correlation() == pytest.approx(stats.spearmanr(steps, errors).statistic)
    assert study.largest_steps() == pytest.approx((28 / 35, 0)), "5 % intact, then 12 and 40"
    halves = [
        Study(
            RANDOM,
            steps[part].astype(float),
            steps[part],
            Sweep(sweep.blocks[part], sweep.intact, sweep.predictions[part], labels),
        )
        for part in (slice(0, 2), slice(2, 6))
    ]
    whole = together(halves)
    assert whole.error_pct.tolist() == study.error_pct.tolist() and whole.sweep.blocks == sweep.blocks
    assert np.isnan(halves[0].correlation()), "one and the same amount"


def test_a_smooth_rise_is_told_from_a_jump_and_from_a_curve_that_falls_back():
    assert largest_steps(np.array([10.0, 30, 50, 70, 90])) == pytest.approx((0.25, 0))
    assert largest_steps(np.array([10.0, 90, 90, 90])) == (1, 0)
    assert largest_steps(np.array([10.0, 50, 40, 90])) == pytest.approx((50 / 80, 10 / 80))
    jagged = np.array([6.0, 6.7, 42.2, 10.7, 8.2, 80.0, 54.1])
    assert stats.spearmanr(range(7), jagged).statistic > 0.8, "ranks alone would call this a rise"
    assert largest_steps(jagged) == pytest.approx((71.8 / 74, 31.5 / 74))
    assert np.isnan(largest_steps(np.array([90.0, 90, 80]))).all(), "nothing rises"


def test_without_labels_there_is_no_error():
    sweep = Sweep(("a",), np.zeros(3, np.int64), np.ones((1, 3), np.int64), None)
    with pytest.raises(ValueError, match="no labels"):
        Study(RANDOM, np.ones(1), np.ones(1, np.int64), sweep).error_pct  # noqa: B018
