"""Degradation in the bundled histories: the facts that the page tells, and the arithmetic behind them."""

import json

import numpy as np
import pytest
from scipy import stats
from torchvision.models import ResNet18_Weights, ResNet34_Weights

from resnet_viz.experiments import degradation
from resnet_viz.experiments.degradation import PUBLISHED, compared, family, gap, gradient_history, trained_longer
from resnet_viz.networks.zoo import block_names, trainable
from resnet_viz.places import CHECKPOINTS


@pytest.fixture(scope="module")
def plain() -> dict:
    return family("plain")


@pytest.fixture(scope="module")
def residual() -> dict:
    return family("resnet")


def errors(runs: list[dict]) -> list[float]:
    return [run["train_error_pct"] for run in runs]


def test_the_deeper_plain_network_does_worse_on_its_own_training_images(plain):
    assert len(plain[20]) == len(plain[56]) == 3
    differences = np.subtract.outer(errors(plain[56]), errors(plain[20]))
    assert differences.shape == (3, 3)
    assert differences.min() >= 2
    assert compared(plain[56], plain[20])["training error"][1] > 0  # beyond the spread of seeds


def test_the_deeper_residual_network_does_not(residual):
    assert len(residual[20]) == len(residual[56]) == 3
    assert np.mean(errors(residual[56])) <= np.mean(errors(residual[20])) + 0.5


def test_it_is_no_overfitting(plain):
    shallow, deep = ([run["test_error_pct"] - run["train_error_pct"] for run in plain[depth]] for depth in (20, 56))
    assert np.mean(deep) <= np.mean(shallow) + 1
    assert [gap(run) for run in plain[56]] == pytest.approx(deep)


@pytest.mark.parametrize("kind", ["plain", "resnet"])
def test_a_family_holds_the_bundled_runs_of_its_own_networks(kind):
    found = family(kind)
    assert {20, 32, 56} <= set(found)
    assert list(found) == sorted(found)
    for depth, runs in found.items():
        assert {run["network"] for run in runs} == {f"fashion-{kind}{depth}"}
        seeds = [run["recipe"]["seed"] for run in runs]
        assert seeds == sorted(set(seeds))
        assert all(run["train_images"] == 60_000 and run["test_images"] == 10_000 for run in runs)
        changes = [run["recipe"].get(change) for run in runs for change in ("blocks_per_batch", "longest_path")]
        assert not any(changes)
    bundled = json.loads((CHECKPOINTS / f"fashion-{kind}20.json").read_text())
    assert found[20][0] == bundled


def test_depths_without_histories_are_left_out(tmp_path, monkeypatch):
    (tmp_path / "fashion-plain32.json").write_text('{"train_error_pct": 1.0}')
    monkeypatch.setattr(degradation, "CHECKPOINTS", tmp_path)
    assert family("plain") == {32: [{"train_error_pct": 1.0}]}
    assert family("resnet") == {}


def test_longer_trainings_are_told_apart_from_ordinary_ones_and_missing_ones_are_named(all_trained):
    found, missing = trained_longer()
    assert not missing
    assert {
        kind: {depth: [run["train_error_pct"] for run in runs] for depth, runs in its.items()}
        for kind, its in found.items()
    } == {
        "plain": {20: [5.5], 56: [8.0]},
        "resnet": {20: [4.5], 56: [3.0]},
    }
    assert family("plain")[56][0] == json.loads((CHECKPOINTS / "fashion-plain56.json").read_text())
    for depth in (20, 56):
        (all_trained / "histories" / f"fashion-resnet{depth}-epochs30.json").unlink()
    found, missing = trained_longer()
    assert list(found) == ["plain"] and missing == ["resnet20", "resnet56"]


DEEP = [{"train_error_pct": train, "test_error_pct": test} for train, test in ((5.0, 9.0), (7.0, 10.0), (6.0, 9.5))]
SHALLOW = [{"train_error_pct": train, "test_error_pct": test} for train, test in ((2.0, 8.0), (3.0, 8.5))]


def test_compared_is_the_difference_of_means_with_welchs_interval():
    found = compared(DEEP, SHALLOW)
    assert {name: values[0] for name, values in found.items()} == pytest.approx(
        {"training error": 6 - 2.5, "test error": 9.5 - 8.25, "gap": 3.5 - 5.75}
    )
    first, second = np.array([5.0, 7.0, 6.0]), np.array([2.0, 3.0])
    parts = [values.var(ddof=1) / len(values) for values in (first, second)]
    freedom = sum(parts) ** 2 / sum(part**2 / (count - 1) for part, count in zip(parts, (3, 2), strict=True))
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts))
    assert found["training error"] == pytest.approx((3.5, 3.5 - half, 3.5 + half))


def test_compared_the_other_way_round_has_the_other_sign():
    for (mean, low, high), (its_mean, its_low, its_high) in zip(
        compared(DEEP, SHALLOW).values(), compared(SHALLOW, DEEP).values(), strict=True
    ):
        assert (mean, low, high) == pytest.approx((-its_mean, -its_high, -its_low))
        assert low < mean < high


def test_the_gradient_history_has_a_row_for_each_block_and_a_column_for_each_epoch(plain):
    for depth in (20, 56):
        run = plain[depth][0]
        found = gradient_history(run)
        assert found.shape == (len(block_names(trainable("plain", depth))), run["recipe"]["epochs"])
        assert list(found[:, 0]) == run["epochs"][0]["stream_gradient_norms"]
        assert list(found[-1]) == [epoch["stream_gradient_norms"][-1] for epoch in run["epochs"]]
        assert (found > 0).all()


def test_published_errors_are_percentages_with_a_source():
    assert len(PUBLISHED) == len({(network, dataset) for network, dataset, *_ in PUBLISHED}) > 5
    for network, dataset, error, source in PUBLISHED:
        assert network and dataset
        assert 0 < error < 100
        assert source.startswith(("He et al. 2015, table ", "torchvision"))
    top1 = {network: error for network, dataset, error, _ in PUBLISHED if dataset == "ImageNet, top 1, 10-crop"}
    assert top1["plain-34"] > top1["plain-18"]
    assert top1["ResNet-34, option A"] < top1["ResNet-18"]
    one_crop = [error for _, dataset, error, _ in PUBLISHED if dataset == "ImageNet, top 1, single crop"]
    accuracy = [
        weights.IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        for weights in (ResNet18_Weights, ResNet34_Weights)
    ]
    assert one_crop == pytest.approx([100 - each for each in accuracy])
