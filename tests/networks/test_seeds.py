"""Seeded weights: those of torch.manual_seed, whatever else the process draws."""

import threading
from contextlib import contextmanager
from functools import partial

import pytest
import torch
from torch import nn

from resnet_viz.experiments import identity
from resnet_viz.experiments.identity import Arm, stack
from resnet_viz.networks import googlenet, network, vgg, zoo
from resnet_viz.networks.googlenet import build_googlenet
from resnet_viz.networks.network import build
from resnet_viz.networks.seeds import Seeded
from resnet_viz.networks.vgg import build_vgg11
from resnet_viz.networks.zoo import table
from resnet_viz.networks.zoo.table import build_torchvision

from ..conftest import same_state

BUILDERS = {
    "basic": partial(build, "basic", (1, 1), (4, 8), shortcut="B", batch_norm=False),
    "bottleneck": partial(build, "bottleneck", (1, 1), (4, 8), shortcut="C"),
    "vgg11": build_vgg11,
    "googlenet": build_googlenet,
    "torchvision": partial(build_torchvision, "resnet18"),
    "stack": partial(stack, Arm("basic", 0.1), 3),
}


@contextmanager
def alone(seed):
    """The same draws from the global generator, as a process of one thread can make them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@pytest.mark.parametrize("name", BUILDERS)
def test_the_weights_are_those_of_the_global_generator(name, monkeypatch):
    ours = BUILDERS[name](seed=3)
    for module in (network, vgg, googlenet, table, identity):
        monkeypatch.setattr(module, "Seeded", alone)
    assert same_state(ours, BUILDERS[name](seed=3).state_dict())


# The first three weights of the first and last layers of fashion-resnet20, seed 0, as they have been published.
PUBLISHED = {
    "stem.conv1.weight": (-0.030599052, 0.013946155, 0.028750874),
    "head.fc.weight": (-0.052372649, 0.028223485, -0.010924563),
}


def test_the_published_networks_keep_their_weights():
    """Other processors round the last digits of the normal distribution otherwise."""
    state = zoo.NETWORKS["fashion-resnet20"].build(seed=0).state_dict()
    for name, weights in PUBLISHED.items():
        assert state[name].flatten()[:3].tolist() == pytest.approx(weights, rel=1e-5)


def test_threads_that_set_and_draw_from_the_global_generator_do_not_matter():
    expected, done = BUILDERS["basic"](seed=3).state_dict(), threading.Event()

    def disturb():
        while not done.is_set():
            torch.manual_seed(1)
            torch.rand(10)

    others = [threading.Thread(target=disturb) for _ in range(2)]
    for other in others:
        other.start()
    try:
        assert all(same_state(BUILDERS["basic"](seed=3), expected) for _ in range(20))
    finally:
        done.set()
        for other in others:
            other.join()


def test_nothing_is_drawn_on_the_meta_device_and_a_generator_given_is_kept():
    given, same = (torch.Generator().manual_seed(7) for _ in range(2))
    with Seeded(0) as seeded, torch.device("meta"):
        nn.Conv2d(3, 4, 3)
    assert not seeded.generators
    with Seeded(0):
        drawn = torch.empty(5).normal_(generator=given)
    assert torch.equal(drawn, torch.empty(5).normal_(generator=same))


def test_what_cannot_be_seeded_is_refused():
    with Seeded(0), pytest.raises(RuntimeError, match=r"in place.*randn"):
        torch.randn(3)
