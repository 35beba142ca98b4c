"""Stopping after k blocks: against walks that really stop."""

import numpy as np
import torch

from resnet_viz.experiments.early_stop import early_stops, probabilities_by_stop, stop_everywhere
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
