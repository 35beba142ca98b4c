"""GoogLeNet: reduce by 1x1 and work on few channels, before there were bottlenecks."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.googlenet import BasicConv2d, Inception

from .blocks import PlainBlock, SideBySide, ZeroPadding
from .network import ResidualNetwork, called_as_in
from .seeds import Seeded

__all__ = ["MODULES", "build_googlenet"]

MODULES = (
    ("3a", "3b"),
    ("4a", "4b", "4c", "4d", "4e"),
    ("5a", "5b"),
)  # a 3x3 or 2x2 max pool stands between the stages
IMAGENET = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))  # mean and standard deviation of each colour
AUXILIARY = ("aux1.", "aux2.")


class Renormalised(nn.Module):
    """Images normalised as torchvision's ResNets take them, as GoogLeNet was trained: to a mean and standard deviation
    of 0.5.

    The same operations as torchvision's ``transform_input``, so that not a bit differs."""

    def forward(self, images: Tensor) -> Tensor:
        colours = (
            images[:, index : index + 1] * (std / 0.5) + (mean - 0.5) / 0.5
            for index, (mean, std) in enumerate(IMAGENET)
        )
        return torch.cat(tuple(colours), 1)


def build_googlenet(*, classes: int = 1000, seed: int = 0, batch_norm: bool = True) -> ResidualNetwork:
    """Build torchvision's googlenet (Szegedy et al. 2015, arXiv:1409.4842, table 1), of its own layers.

    An Inception module is a plain block: deleted, it hands the stream on, zero-padded where the channels grow. A max
    pool between stages belongs to the block that follows it and stays when that is deleted. As torchvision builds it
    for its weights: images are normalised once more inside, the auxiliary heads are left out, each convolution is
    followed by a batch norm, and the branch that the paper gives a 5x5 convolution has a 3x3. There is no dropout,
    which does nothing but in training. The weights follow from the seed alone.
    """
    with Seeded(seed):
        model = get_model(
            "googlenet", weights=None, num_classes=classes, transform_input=True, aux_logits=False, init_weights=False
        )
    if not batch_norm:
        for layer in model.modules():
            if isinstance(layer, BasicConv2d):
                layer.bn = nn.Identity()
    stem = nn.Sequential(
        OrderedDict(
            renormalised=Renormalised(),
            conv1=in_a_row(model.conv1),
            maxpool1=model.maxpool1,
            conv2=in_a_row(model.conv2),
            conv3=in_a_row(model.conv3),
            maxpool2=model.maxpool2,
        )
    )
    pools = nn.Identity(), model.maxpool3, model.maxpool4
    stages = [
        [
            inception_block(model.get_submodule(f"inception{name}"), pool if name == names[0] else nn.Identity())
            for name in names
        ]
        for names, pool in zip(MODULES, pools, strict=True)
    ]
    head = nn.Sequential(OrderedDict(avgpool=model.avgpool, flatten=nn.Flatten(1), fc=model.fc))
    return called_as_in(model, ResidualNetwork(stem, stages, head), AUXILIARY)


def in_a_row(layer: BasicConv2d, *, relu: bool = True) -> nn.Sequential:
    """The convolution and batch norm of one of torchvision's layers, and the ReLU that it calls as a function."""
    return nn.Sequential(OrderedDict(conv=layer.conv, bn=layer.bn, **({"relu": nn.ReLU()} if relu else {})))


def inception_block(module: Inception, pool: nn.Module) -> PlainBlock:
    """An Inception module behind what pools before it. The ReLU at the end of its rows is the block's: one for all."""
    rows, width = SideBySide(), 0
    for name, row in module.named_children():
        *before, last = row if isinstance(row, nn.Sequential) else [row]
        layers = [in_a_row(each) if isinstance(each, BasicConv2d) else each for each in before]
        rows[name] = nn.Sequential(*layers, in_a_row(last, relu=False))
        assert isinstance(last, BasicConv2d)
        width += last.conv.out_channels
    channels = module.branch1.conv.in_channels
    pooled = {"pool": pool} if isinstance(pool, nn.MaxPool2d) else {}
    padding = {"padding": ZeroPadding(channels, width, 1)} if width != channels else {}
    branch = nn.Sequential(OrderedDict(**pooled, rows=rows))
    return PlainBlock("inception", branch, nn.Sequential(OrderedDict(**pooled, **padding)))
