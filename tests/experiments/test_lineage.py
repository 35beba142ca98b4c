"""What experiments see of networks whose stream also carries what later blocks read: the memory alone."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity, linear

from resnet_viz.errors import InputError
from resnet_viz.experiments.early_stop import channel_means
from resnet_viz.experiments.influence import influence
from resnet_viz.experiments.lineage import carries
from resnet_viz.experiments.stepwise import finished
from resnet_viz.experiments.trace import trace
from resnet_viz.networks.datasets import bundled_fashion
from resnet_viz.networks.highway import build_highway
from resnet_viz.networks.recurrent import build_lstm, build_rnn
from resnet_viz.networks.zoo import NETWORKS

WIDTH = 8
IMAGES = bundled_fashion("lesion").limit(4)
INPUTS = NETWORKS["fashion-rnn"].preprocessing.normalise(IMAGES.pixels)


@torch.no_grad()
def memories(network) -> list[torch.Tensor]:
    """The hidden state of a recurrent network after 0, 1 ... 28 rows."""
    found = [torch.zeros(4, WIDTH)]
    for row in INPUTS[:, 0].unbind(1):
        found.append(network.stem.cell(found[-1], row))
    return found


def test_influence_and_size_are_of_the_memory() -> None:
    network = build_rnn(WIDTH).eval()
    states, found = memories(network), influence(network, INPUTS, IMAGES.labels)
    for step in range(1, 28):
        expected = cosine_similarity(states[step], states[step + 1], dim=1)
        assert found.cosine[:, step] == pytest.approx(expected.numpy(), abs=1e-5)
        ratio = states[step + 1].norm(dim=1) / states[step].norm(dim=1)
        assert found.growth[:, step] == pytest.approx(ratio.numpy(), rel=1e-4)


def test_a_trace_describes_the_memory() -> None:
    network = build_rnn(WIDTH).eval()
    found = trace(network, INPUTS, IMAGES.labels)
    assert found.stream_mean == pytest.approx([float(state.mean()) for state in memories(network)[1:]], abs=1e-5)
    assert found.stream_zeros.max() == 0, "pixels of the rows may be 0, numbers of the memory are not"


def test_a_probe_reads_the_memory() -> None:
    network = build_lstm(WIDTH).eval()
    means = finished(channel_means(network, NETWORKS["fashion-lstm"].preprocessing, IMAGES))
    assert [each.shape for each in means] == [(4, 2 * WIDTH)] * 29
    assert means[0].abs().max() == 0


@torch.no_grad()
def test_carries_are_the_gates_of_the_shortcuts() -> None:
    network = build_highway(3, WIDTH).eval()
    stream, expected = network.enter(INPUTS), []
    for block in network.blocks.values():
        layer = block.transform[0]
        expected.append(1 - linear(stream, layer.weight, layer.bias).sigmoid().mean(1))
        stream = block(stream)
    assert carries(network, INPUTS) == pytest.approx(torch.stack(expected, 1).numpy(), abs=1e-6)


def test_carries_of_a_network_that_is_trained_are_refused() -> None:
    network = build_highway(3, WIDTH)
    network.blocks["layer1.0"].branch.append(torch.nn.Dropout())
    with pytest.raises(InputError, match="must be in eval mode"):
        carries(network.train(), INPUTS)
    assert np.isfinite(carries(network.eval(), INPUTS)).all()
