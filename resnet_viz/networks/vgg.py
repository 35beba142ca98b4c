"""VGG, plain networks that nobody drew for residual learning: the control of Veit et al. 2016, and what ResNets
replaced."""

from collections import OrderedDict
from collections.abc import Iterable

from torch import nn
from torchvision.models import get_model

from .blocks import PlainBlock, ZeroPadding, branch_layers
from .network import Norm, ResidualNetwork, called_as_in, convolution
from .seeds import Seeded

__all__ = ["build_vgg", "build_vgg11"]

CONVOLUTIONS = ((16,), (32,), (64, 64), (128, 128), (128, 128))  # channels; a 2x2 max pool stands between the groups
FULLY_CONNECTED = 128


def build_vgg11(*, classes: int = 10, seed: int = 0, batch_norm: bool = True) -> ResidualNetwork:
    """Build torchvision's vgg11_bn (Simonyan and Zisserman 2015, arXiv:1409.1556, table 1, A) at a quarter of its
    widths.

    Its blocks are as in ``build_vgg``. Images of 28 x 28 are set into 32 x 32, which five pools bring down to 1 x 1;
    the three fully connected layers are 128 wide and, unlike torchvision's, without dropout. The weights follow from
    the seed alone.
    """
    norm: Norm = nn.BatchNorm2d if batch_norm else nn.Identity
    with Seeded(seed):
        channels, layers = 1, list[nn.Module]()
        for number, group in enumerate(CONVOLUTIONS):
            layers += [nn.MaxPool2d(2)] if number > 0 else []
            for width in group:
                layers.append(branch_layers([convolution(channels, width, 3, 1, not batch_norm)], [norm(width)]))
                channels = width
        head = nn.Sequential(
            OrderedDict(
                pool=nn.MaxPool2d(2),
                flatten=nn.Flatten(1),
                fc1=nn.Linear(channels, FULLY_CONNECTED),
                relu1=nn.ReLU(),
                fc2=nn.Linear(FULLY_CONNECTED, FULLY_CONNECTED),
                relu2=nn.ReLU(),
                fc=nn.Linear(FULLY_CONNECTED, classes),
            )
        )
        return ResidualNetwork(nn.ZeroPad2d(2), stages_of(layers), head)


def build_vgg(name: str, *, classes: int = 1000, seed: int = 0) -> ResidualNetwork:
    """Build torchvision's vgg11 or vgg16 (Simonyan and Zisserman 2015, arXiv:1409.1556, table 1, A and D), of its own
    layers.

    Every convolution is a plain block of one layer: deleted, it hands the stream on, zero-padded where the channels
    grow. A max pool belongs to the block that follows it and stays when that is deleted. Blocks of one channel count
    are a stage, so the last one holds two groups. There is no stem, no batch norm, and no dropout, which does nothing
    but in training. The weights follow from the seed alone.
    """
    with Seeded(seed):
        model = get_model(name, weights=None, num_classes=classes)
    layers = [
        nn.Sequential(OrderedDict(conv1=each)) if isinstance(each, nn.Conv2d) else each for each in model.features
    ]
    *before, last_pool = (layer for layer in layers if not isinstance(layer, nn.ReLU))  # each block has one of its own
    fc1, fc2, fc = (layer for layer in model.classifier if isinstance(layer, nn.Linear))
    head = nn.Sequential(
        OrderedDict(
            pool=last_pool,
            avgpool=model.avgpool,
            flatten=nn.Flatten(1),
            fc1=fc1,
            relu1=nn.ReLU(),
            fc2=fc2,
            relu2=nn.ReLU(),
            fc=fc,
        )
    )
    return called_as_in(model, ResidualNetwork(nn.Identity(), stages_of(before), head))


def stages_of(layers: Iterable[nn.Module]) -> list[list[PlainBlock]]:
    """Max pools, and convolutions with what belongs to each, as blocks of one layer."""
    stages: dict[int, list[PlainBlock]] = {}
    pool: OrderedDict[str, nn.Module] = OrderedDict()
    for each in layers:
        if isinstance(each, nn.MaxPool2d):
            pool = OrderedDict(pool=each)
            continue
        own = dict(each.named_children())
        first = own["conv1"]
        assert isinstance(first, nn.Conv2d)
        channels, width = first.in_channels, first.out_channels
        padding = OrderedDict(padding=ZeroPadding(channels, width, 1)) if width != channels else OrderedDict()
        block = PlainBlock("single-layer", nn.Sequential(pool | own), nn.Sequential(pool | padding))
        stages.setdefault(width, []).append(block)
        pool = OrderedDict()
    return list(stages.values())
