"""Deleting blocks over a set: against whole forward passes, and the statistics against known values."""

from collections.abc import Callable
from threading import Barrier, Thread

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from resnet_viz.experiments.deletion import (
    Lesion,
    Sweep,
    delete,
    joined,
    predict,
    probabilities,
    sweep,
    wilson_interval,
)
from resnet_viz.experiments.trace import trace
from resnet_viz.networks.device import device
from resnet_viz.networks.folding import folded
from resnet_viz.networks.images import ImageSet

from ..conftest import SMALL_PREPROCESSING, Case, UnluckyError, left_as_it_was, small_network, unlucky

SETS_OF_GATES = [[1.0] * 4, [0.0] * 4, [0.0, 1, 1, 1], [1.0, 1, 1, 0], [1.0, 0.5, 0, 1]]
all_gates = pytest.mark.parametrize("gates", SETS_OF_GATES, ids=str)


@pytest.fixture
def logits(network, image_set, device) -> Callable[[list[float]], Tensor]:
    """A whole forward pass of the whole set under given gates."""
    images = SMALL_PREPROCESSING.normalise(image_set.pixels).to(device)
    return lambda gates: network(images, gates).detach()


def are_predictions(predictions: np.ndarray, logits: Tensor) -> bool:
    """Whether these are the classes of the highest logits, up to rounding."""
    logits = logits.double().cpu().numpy()
    chosen = logits[np.arange(len(logits)), predictions]
    return predictions.dtype == np.int64 and bool((chosen >= logits.max(1) - 1e-5 * np.abs(logits).max()).all())


@pytest.mark.parametrize("batch_size", [5, 128])
def test_a_sweep_is_the_loop_over_whole_forward_passes(network, image_set, logits, batch_size):
    told = []
    swept = sweep(network, SMALL_PREPROCESSING, image_set, batch_size, lambda *at: told.append(at))
    assert swept.blocks == tuple(network.blocks)
    assert swept.predictions.shape == (4, 16)
    assert are_predictions(swept.intact, logits([1.0] * 4))
    for name, predictions in zip(swept.blocks, swept.predictions, strict=True):
        assert are_predictions(predictions, logits(network.gates_without([name])))
    assert (swept.predictions != swept.intact).any()
    np.testing.assert_array_equal(swept.labels, image_set.labels)
    assert told == sorted(told)
    assert told[-1] == (80, 80), "five walks of 16 images"


@all_gates
def test_delete_and_predict_are_whole_forward_passes(network, image_set, logits, gates):
    for batch_size in (5, 16, 128):
        lesion = delete(network, SMALL_PREPROCESSING, image_set, gates, batch_size)
        assert are_predictions(lesion.before, logits([1.0] * 4))
        assert are_predictions(lesion.after, logits(gates))
        assert are_predictions(predict(network, SMALL_PREPROCESSING, image_set, gates, batch_size), logits(gates))
    assert are_predictions(predict(network, SMALL_PREPROCESSING, image_set), logits([1.0] * 4))
    assert len(set(lesion.before)) > 1
    np.testing.assert_array_equal(lesion.labels, image_set.labels)


@all_gates
def test_probabilities_from_kept_streams_are_those_of_a_whole_forward_pass(network, images, gates):
    with torch.no_grad():
        streams = network.streams(images)
    expected = network(images, gates).softmax(1).detach().cpu().numpy()
    np.testing.assert_array_equal(probabilities(network, streams, gates), expected)
    np.testing.assert_allclose(expected.sum(1), 1, rtol=1e-6)


def test_joined_sweeps_of_parts_are_the_sweep_of_the_whole(network, image_set):
    whole = sweep(network, SMALL_PREPROCESSING, image_set, batch_size=4)
    parts = [image_set.subset(list(range(start, start + 4))) for start in range(0, 16, 4)]
    put_together = joined([sweep(network, SMALL_PREPROCESSING, part) for part in parts])
    for result, expected in zip(vars(put_together).values(), list(vars(whole).values())[:4], strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("function", [delete, predict, sweep])
def test_a_batch_too_large_for_the_memory_is_divided(image_set, device, function):
    network = small_network(Case("basic", "A"), image_set).to(device)
    gates = () if function is sweep else ([1.0, 0, 1, 1],)
    expected = function(network, SMALL_PREPROCESSING, image_set, *gates)
    told = []
    network.stem.register_forward_pre_hook(run_out_of_memory_above(3))
    result = function(network, SMALL_PREPROCESSING, image_set, *gates, progress=lambda *at: told.append(at))
    for one, other in zip(arrays(result), arrays(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def run_out_of_memory_above(images: int) -> Callable[..., None]:
    def hook(_module, inputs) -> None:
        if len(inputs[0]) > images:
            raise torch.OutOfMemoryError

    return hook


def arrays(result: np.ndarray | Lesion | Sweep) -> list[np.ndarray]:
    if isinstance(result, Sweep):
        return [result.intact, result.predictions]
    return [result.before, result.after] if isinstance(result, Lesion) else [result]


def test_threads_that_share_a_network_get_each_its_own_result(network, image_set, device):
    images = SMALL_PREPROCESSING.normalise(image_set.pixels).to(device)
    labels = image_set.labels.to(device)
    with torch.no_grad():
        streams = network.streams(images)
    jobs = [lambda gates=gates: probabilities(network, streams, gates) for gates in SETS_OF_GATES]
    jobs += [lambda: trace(network, images, labels).stream_gradient_norm]
    jobs += [lambda: next(folded(network).blocks["layer2.1"].parameters()).detach().cpu().numpy()]
    expected = [job() for job in jobs]
    results: list[list[np.ndarray]] = [[] for _ in jobs]
    together = Barrier(len(jobs))

    def work(number: int) -> None:
        torch.set_num_threads(1)
        together.wait()
        for _ in range(5):
            results[number].append(jobs[number]())

    with left_as_it_was(network):
        threads = [Thread(target=work, args=(number,)) for number in range(len(jobs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for own, right in zip(results, expected, strict=True):
        assert len(own) == 5
        for result in own:
            np.testing.assert_allclose(result, right, rtol=1e-5)


def lesion_of(stayed_right: int, broken: int, mended: int, stayed_wrong: int) -> Lesion:
    """A lesion with that many images of each fate; the right class is 0."""
    counts = (stayed_right, broken, mended, stayed_wrong)
    before, after = np.repeat([0, 0, 1, 1], counts), np.repeat([0, 2, 0, 2], counts)
    return Lesion(before, after, np.zeros(sum(counts), np.int64))


def test_errors_and_changes():
    lesion = lesion_of(stayed_right=84, broken=6, mended=2, stayed_wrong=8)
    assert lesion.images == 100
    assert lesion.error_pct_before == pytest.approx(10)
    assert lesion.error_pct_after == pytest.approx(14)
    assert lesion.changed_pct == pytest.approx(16)


def test_the_rise_interval_by_hand():
    # 6 images broken and 2 mended of 100: rise (6.5 - 2.5) / 102 = 0.0392157, variance (9 / 102 - 0.0392157^2) / 102.
    low, high = lesion_of(84, 6, 2, 8).rise_interval()
    assert (low, high) == pytest.approx((-1.7926, 9.6357), abs=1e-3)
    # Nothing changed: +-1.959964 / 102.
    assert lesion_of(90, 0, 0, 10).rise_interval() == pytest.approx((-1.92153, 1.92153), abs=1e-4)


@pytest.mark.parametrize("counts", [(50, 0, 0, 0), (0, 50, 0, 0), (0, 0, 50, 0), (40, 1, 7, 2), (400, 300, 100, 200)])
def test_the_rise_interval_holds_the_rise_and_turns_over_with_it(counts):
    lesion = lesion_of(*counts)
    low, high = lesion.rise_interval()
    assert -100 <= low <= lesion.error_pct_after - lesion.error_pct_before <= high <= 100
    assert low < high
    turned = Lesion(lesion.after, lesion.before, lesion.labels)
    assert turned.rise_interval() == pytest.approx((-high, -low))


def test_the_wilson_interval_has_its_known_values():
    assert wilson_interval(10, 100) == pytest.approx((5.5229, 17.4366), abs=1e-3)
    assert wilson_interval(0, 100) == pytest.approx((0, 100 * 3.841459 / 103.841459), abs=1e-5)
    for wrong in (0, 1, 499, 1000):
        expected = stats.binomtest(wrong, 1000).proportion_ci(method="wilson")
        assert wilson_interval(wrong, 1000) == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-12)


def test_error_by_class():
    labels = np.array([0, 0, 0, 0, 1, 1, 3, 3])
    before = np.array([0, 0, 0, 1, 1, 1, 3, 0])
    after = np.array([1, 1, 0, 1, 1, 0, 1, 1])
    shown, of_before, of_after = Lesion(before, after, labels).error_pct_by_class()
    assert shown.tolist() == [0, 1, 3]  # no image shows class 2
    assert of_before.tolist() == [25, 0, 50]
    assert of_after.tolist() == [75, 50, 100]


def test_rises_and_worst_blocks_of_a_sweep():
    labels = np.array([0, 1, 2, 3])
    predictions = np.array([[0, 1, 2, 0], [0, 0, 0, 0], [0, 1, 2, 3], [9, 9, 9, 9], [0, 1, 0, 0]])
    swept = Sweep(("a", "b", "c", "d", "e"), np.array([0, 1, 2, 0]), predictions, labels)
    assert swept.error_pct == 25
    assert swept.rises.tolist() == [0, 50, -25, 75, 25]
    assert swept.worst() == [("d", 100), ("b", 75), ("e", 50)]
    assert swept.worst(1) == [("d", 100)]
    for lesion, rise in zip(swept.lesions, swept.rises, strict=True):
        assert lesion.error_pct_after - lesion.error_pct_before == rise


def test_sets_that_nobody_labelled(network, image_set):
    unlabelled = ImageSet(image_set.title, image_set.pixels, None, image_set.names)
    labelled_lesion = delete(network, SMALL_PREPROCESSING, image_set, [0.0] * 4)
    lesion = delete(network, SMALL_PREPROCESSING, unlabelled, [0.0] * 4)
    assert lesion.labels is lesion.error_pct_before is lesion.error_pct_after is None
    assert lesion.changed_pct == labelled_lesion.changed_pct > 0
    swept = sweep(network, SMALL_PREPROCESSING, unlabelled)
    assert swept.error_pct is None
    assert joined([swept, swept]).labels is None
    for ask in (lesion.rise_interval, lesion.error_pct_by_class, lambda: swept.rises, swept.worst):
        with pytest.raises(ValueError, match="These images have no labels"):
            ask()


def ask_everything(
    network, image_set: ImageSet, progress: Callable[[int, int], None]
) -> dict[str, Callable[[], object]]:
    """Every computation of this experiment, by its name."""
    images = SMALL_PREPROCESSING.normalise(image_set.pixels).to(device())
    settings = network, SMALL_PREPROCESSING, image_set
    return {
        "sweep": lambda: sweep(*settings, 8, progress),
        "delete": lambda: delete(*settings, [1.0, 0.0, 1.0, 1.0], 8, progress),
        "predict": lambda: predict(*settings, [1.0, 0.5, 1.0, 1.0], 8, progress),
        "probabilities": lambda: probabilities(network, network.streams(images), [1.0, 0.0, 1.0, 1.0]),
    }


questions = pytest.mark.parametrize("question", ["sweep", "delete", "predict", "probabilities"])


@questions
def test_deleting_leaves_the_network_as_it_was(network, image_set, question):
    with left_as_it_was(network):
        ask_everything(network, image_set, lambda *_: None)[question]()


@questions
def test_a_failed_deletion_leaves_the_network_as_it_was(network, image_set, question):
    network = unlucky(network)
    with left_as_it_was(network), pytest.raises(UnluckyError):
        ask_everything(network, image_set, lambda *_: None)[question]()


@pytest.mark.parametrize("question", ["sweep", "delete", "predict"])
def test_a_stopped_deletion_leaves_the_network_as_it_was(network, image_set, question):
    with left_as_it_was(network), pytest.raises(KeyboardInterrupt):
        ask_everything(network, image_set, stop)[question]()


def stop(_done: int, _total: int) -> None:
    raise KeyboardInterrupt
