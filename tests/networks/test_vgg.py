"""The VGG beside torchvision's own, narrowed the same way."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models.vgg import make_layers

from resnet_viz.networks import zoo

from ..conftest import lived_in

ENTRY = zoo.NETWORKS["fashion-vgg11"]
PLAN = [16, "M", 32, "M", 64, 64, "M", 128, 128, "M", 128, 128, "M"]  # torchvision's cfg A, a quarter as wide
BLOCKS = ["layer1.0", "layer2.0", "layer3.0", "layer3.1", "layer4.0", "layer4.1", "layer4.2", "layer4.3"]


@pytest.fixture
def ours():
    return lived_in(ENTRY.build(seed=0), torch.randn(16, 1, 28, 28))


def theirs(ours) -> nn.Sequential:
    """torchvision's convolutions, filled with our weights."""
    features = make_layers(PLAN, batch_norm=True)
    first = features[0]
    features[0] = nn.Conv2d(1, first.out_channels, 3, padding=1)
    own = [layer for layer in ours.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    layers = [layer for layer in features if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    for layer, source in zip(layers, own, strict=True):
        layer.load_state_dict(source.state_dict(), strict=False)
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)  # ours have none: a batch norm follows
    return features.eval()


def test_it_is_torchvisions_vgg11_bn(ours):
    images = torch.randn(4, 1, 28, 28)
    assert list(ours.blocks) == BLOCKS and {block.shortcut_kind for block in ours.blocks.values()} == {"none"}
    features = theirs(ours)(functional.pad(images, (2, 2, 2, 2)))
    assert features.shape == (4, 128, 1, 1)
    expected = ours.head[1:](features)
    assert torch.allclose(ours(images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", ["layer3.1", "layer4.1", "layer4.2", "layer4.3"])
def test_a_deleted_layer_leaves_its_pool_behind(ours, block):
    images = torch.randn(4, 1, 28, 28)
    features = theirs(ours)
    positions = [position for position, layer in enumerate(features) if isinstance(layer, nn.Conv2d)]
    start = positions[BLOCKS.index(block)]
    without = nn.Sequential(*features[:start], *features[start + 3 :])
    expected = ours.head[1:](without(functional.pad(images, (2, 2, 2, 2))))
    assert torch.allclose(ours(images, ours.gates_without([block])), expected, rtol=1e-5, atol=1e-6)


def test_the_wider_layers_can_be_deleted_too(ours):
    images = torch.randn(4, 1, 28, 28)
    for block in BLOCKS:
        assert not torch.allclose(ours(images, ours.gates_without([block])), ours(images), atol=1e-3)
    assert ours(images, [0.0] * 8).shape == (4, 10)
