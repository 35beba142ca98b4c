"""VGG-11, a plain network that nobody drew for residual learning: the control of Veit et al. 2016."""

from collections import OrderedDict

from torch import nn

from .blocks import PlainBlock, ZeroPadding, branch_layers
from .network import Norm, ResidualNetwork, convolution
from .seeds import Seeded

__all__ = ["build_vgg11"]

CONVOLUTIONS = ((16,), (32,), (64, 64), (128, 128), (128, 128))  # channels; a 2x2 max pool stands between the groups
FULLY_CONNECTED = 128


def build_vgg11(*, classes: int = 10, seed: int = 0, batch_norm: bool = True) -> ResidualNetwork:
    """Build torchvision's vgg11_bn (Simonyan and Zisserman 2015, arXiv:1409.1556, table 1, A) at a quarter of its widths.

    Every convolution is a plain block of one layer: deleted, it hands the stream on, zero-padded where the channels grow.
    A max pool belongs to the block that follows it and stays when that is deleted. Blocks of one channel count are a
    stage, so the last one holds two groups. Images of 28 x 28 are set into 32 x 32, which five pools bring down to 1 x 1;
    the three fully connected layers are 128 wide and, unlike torchvision's, without dropout. The weights follow
    from the seed alone.
    """
    norm: Norm = nn.BatchNorm2d if batch_norm else nn.Identity
    with Seeded(seed):
        channels, stages = 1, dict[int, list[PlainBlock]]()
        for number, group in enumerate(CONVOLUTIONS):
            for index, width in enumerate(group):
                pool = OrderedDict[str, nn.Module](pool=nn.MaxPool2d(2)) if number > 0 and index == 0 else OrderedDict()
                layers = branch_layers([convolution(channels, width, 3, 1, not batch_norm)], [norm(width)])
                padding = OrderedDict(padding=ZeroPadding(channels, width, 1)) if width != channels else OrderedDict()
                branch, carry = nn.Sequential(pool | dict(layers.named_children())), nn.Sequential(pool | padding)
                block = PlainBlock("single-layer", branch, carry)
                stages.setdefault(width, []).append(block)
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
        return ResidualNetwork(nn.ZeroPad2d(2), stages.values(), head)
