"""The VGG beside torchvision's own: narrowed the same way, and at full size."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import get_model
from torchvision.models.vgg import make_layers

from resnet_viz.networks import zoo
from resnet_viz.networks.fitting import weights_in

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


# At full size, 138 million weights: each is drawn once.


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """torchvision's vgg16 for five classes, with weights that keep the stream as large as it is."""
    with torch.device("meta"):
        model = get_model("vgg16", weights=None, num_classes=5)
    model = model.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            bound = (6 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.1
            parameter.uniform_(-bound, bound, generator=generator)
    return model


@pytest.fixture(scope="module")
def network(model):
    """Ours with the same weights, found by the names that torchvision gives them."""
    with torch.device("meta"):
        network = zoo.NETWORKS["imagenet-vgg16"].build(classes=5)
    state = weights_in({f"model.{name}": each for name, each in model.state_dict().items()}, network, Path("vgg.pth"))
    assert state.prefix == "model." and not state.without and len(state.state) == 32
    network.load_state_dict(state.state, assign=True)
    return network.eval()


def test_vgg16_gives_torchvisions_logits_bit_for_bit(model, network):
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits = model(images)
        assert logits.std() > 0.01 and torch.equal(network(images), logits)


@pytest.mark.parametrize("block", ["layer1.1", "layer3.0", "layer4.5"])
def test_a_deleted_layer_of_vgg16_is_that_of_a_network_without_it(model, network, block):
    images = torch.randn(2, 3, 64, 64)
    (number,) = (int(n.split(".")[1]) for n, own in network.known_as.items() if own.startswith(block))
    features = list(model.features)
    first = features[number]
    if first.in_channels == first.out_channels:
        without = nn.Sequential(*features[:number], *features[number + 2 :])
    else:  # what is handed on in its place has channels of zeros around it
        rest = nn.Sequential(*features[number + 2 :])
        added = (first.out_channels - first.in_channels) // 2
        without = nn.Sequential(*features[:number], nn.ZeroPad3d((0, 0, 0, 0, added, added)), *rest)
    with torch.no_grad():
        expected = model.classifier(model.avgpool(without(images)).flatten(1))
        assert torch.equal(network(images, network.gates_without([block])), expected)
        assert not torch.equal(network(images), expected)


def test_vgg_has_no_batch_norm_to_leave_out():
    assert not zoo.has_batch_norm(zoo.NETWORKS["imagenet-vgg16"])
    assert zoo.has_batch_norm(zoo.NETWORKS["fashion-vgg11"]) and zoo.has_batch_norm(zoo.NETWORKS["imagenet-googlenet"])
