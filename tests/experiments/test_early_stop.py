"""Stopping after k blocks: against walks that really stop."""

import numpy as np
import pytest
import torch

from resnet_viz.experiments import early_stop
from resnet_viz.experiments.early_stop import (
    early_stops,
    largest_fall,
    probabilities_by_stop,
    probe_everywhere,
    stop_everywhere,
)
from resnet_viz.networks.datasets import bundled_fashion
from resnet_viz.networks.images import ImageSet
from resnet_viz.networks.zoo import NETWORKS, images_of, load

from ..conftest import SMALL_PREPROCESSING


def test_the_rows_are_walks_whose_later_branches_are_deleted(network, images):
    found = probabilities_by_stop(network, images[:1])
    assert found.shape == (5, 10)
    for walked, row in enumerate(found):
        stream = network.walk(network.stem(images[:1]), stop=walked)
        for block in list(network.blocks.values())[walked:]:
            stream = block(stream, 0.0)
        expected = network.head(stream).softmax(1)[0].detach().cpu().numpy()
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-6)
    assert early_stops(2) == [[0, 0], [1, 0], [1, 1]]


def test_a_set_ends_with_the_intact_network(network, image_set, device):
    swept = stop_everywhere(network, SMALL_PREPROCESSING, image_set)
    images = SMALL_PREPROCESSING.normalise(image_set.pixels).to(device)
    with torch.no_grad():
        np.testing.assert_array_equal(swept.predictions[-1], network(images).argmax(1).cpu())
        np.testing.assert_array_equal(swept.predictions[0], network(images, [0.0] * 4).argmax(1).cpu())
    assert swept.blocks[0] == "after 0 of 4 blocks" and swept.rises[-1] == 0


def test_a_residual_network_can_stop_a_little_earlier_and_a_plain_one_cannot():
    images = images_of(NETWORKS["fashion-resnet56"], limit=300)
    rises = {}
    for name in ("fashion-resnet56", "fashion-plain56"):
        loaded = load(NETWORKS[name])
        rises[name] = stop_everywhere(loaded.network, loaded.entry.preprocessing, images).rises[-4]  # the last tenth
    assert rises["fashion-resnet56"] < 10 < 40 < rises["fashion-plain56"]


def test_a_probe_is_the_ridge_regression_that_gradients_of_its_loss_say(network, image_set, device):
    """At the least of mean squared error plus RIDGE |W|^2, over standardised channel means, the loss has no gradient."""
    test = ImageSet("other", image_set.pixels.flip(0), image_set.labels.flip(0), image_set.names)
    said = probe_everywhere(network, SMALL_PREPROCESSING, image_set, test)
    assert said.shape == (5, 16)
    images = SMALL_PREPROCESSING.normalise(image_set.pixels).to(device)
    targets = torch.eye(10, dtype=torch.float64)[image_set.labels]
    for row, stream in zip(said, network.streams(images), strict=True):
        features = stream.detach().mean((2, 3)).cpu().double()
        features = (features - features.mean(0)) / (features.std(0) + 1e-9)
        weights = torch.zeros(features.shape[1], 10, dtype=torch.float64, requires_grad=True)
        offset = torch.zeros(10, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights, offset], max_iter=2000, tolerance_grad=1e-12, tolerance_change=1e-14)

        def loss(features=features, weights=weights, offset=offset, optimizer=optimizer):
            optimizer.zero_grad()
            error = (features @ weights + offset - targets).square().sum(1).mean()
            total = error + early_stop.RIDGE * weights.square().sum()
            total.backward()
            return total

        optimizer.step(loss)
        expected = (features @ weights + offset).argmax(1).flip(0)
        np.testing.assert_array_equal(row, expected)


def test_probes_are_fitted_a_step_at_a_time(network, image_set, monkeypatch):
    at_once = probe_everywhere(network, SMALL_PREPROCESSING, image_set, image_set)
    monkeypatch.setattr(early_stop, "BATCH_SIZE", 5)
    steps = probe_everywhere.steps(network, SMALL_PREPROCESSING, image_set, image_set)
    shares = []
    while True:
        try:
            shares.append(next(steps))
        except StopIteration as end:
            np.testing.assert_array_equal(end.value, at_once)
            break
    assert shares == pytest.approx([(done + part) / 32 for done in (0, 16) for part in (5, 10, 15, 16)])


def test_a_probe_reads_the_class_from_the_middle_of_a_plain_network_where_its_own_head_does_not():
    loaded, test = load(NETWORKS["fashion-plain56"]), images_of(NETWORKS["fashion-plain56"], limit=200)
    training = bundled_fashion("training").limit(1000)
    probed = probe_everywhere(loaded.network, loaded.entry.preprocessing, training, test)
    stopped = stop_everywhere(loaded.network, loaded.entry.preprocessing, test).predictions
    read, said = ((each[13] != test.labels.numpy()).mean() for each in (probed, stopped))
    assert read < 0.25 < 0.7 < said


def test_the_largest_fall_is_a_share_of_the_whole_one():
    assert largest_fall(np.array([90.0, 80.0, 85.0, 50.0, 40.0])) == 35 / 50
