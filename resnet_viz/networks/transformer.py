"""A small vision Transformer: two residual blocks a layer, attention and MLP, with the norm before or after."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from .blocks import Block, PreactivationBlock
from .network import ResidualNetwork
from .seeds import Seeded

__all__ = ["build_vit"]

PATCH, PATCHES, HEADS, EXPANSION = 7, 4, 4, 4


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each patch; the stream is (batch, channels, height, width)."""

    def forward(self, stream: Tensor) -> Tensor:
        return super().forward(stream.movedim(1, -1)).movedim(-1, 1)


class Attention(nn.Module):
    """Every patch looks at every other (Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2): queries, keys and values, side by
    side in (batch, 3 * channels, height, width), become (batch, channels, height, width)."""

    def forward(self, stream: Tensor) -> Tensor:
        asked, offered, given = (
            stream.flatten(2).unflatten(1, (3, HEADS, -1)).unbind(1)
        )  # (batch, heads, width, patches)
        likeness = asked.mT @ offered / asked.shape[2] ** 0.5
        seen: Tensor = given @ likeness.softmax(-1).mT
        return seen.flatten(1, 2).view(len(stream), -1, *stream.shape[2:])


class Position(nn.Module):
    """Adds to each patch's vector one that says where it is, and that is learned."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.added = nn.Parameter(torch.empty(width, PATCHES, PATCHES))
        nn.init.trunc_normal_(self.added, std=0.02)

    def forward(self, stream: Tensor) -> Tensor:
        return stream + self.added


def build_vit(
    layers: int,
    width: int,
    *,
    norm_first: bool = True,
    classes: int = 10,
    seed: int = 0,
    batch_norm: bool = True,  # noqa: ARG001  (every builder is asked; its norms are layer norms)
) -> ResidualNetwork:
    """Build a Transformer on the 16 patches of an image of 28 x 28 (Dosovitskiy et al. 2021, arXiv:2010.11929).

    It takes the mean over the patches in place of a class token. ``norm_first``: y = x + F(norm(x)), pre-norm; else
    y = norm(x + F(x)), post-norm, as in Vaswani et al. 2017, where a norm stands on the stream. The stream is (batch, ``width``,
    4, 4), and what works on each patch by itself is a 1x1 convolution. The weights follow from the seed alone.
    """
    with Seeded(seed):
        blocks: list[Block] = []
        for _ in range(layers):
            attention = OrderedDict(
                heads=nn.Conv2d(width, 3 * width, 1), attention=Attention(), joined=nn.Conv2d(width, width, 1)
            )
            mlp = OrderedDict(
                fc1=nn.Conv2d(width, EXPANSION * width, 1), gelu=nn.GELU(), fc2=nn.Conv2d(EXPANSION * width, width, 1)
            )
            for kind, branch in (("attention", attention), ("MLP", mlp)):
                blocks.append(block_of(kind, nn.Sequential(branch), ChannelNorm(width), norm_first))
        head = nn.Sequential(
            OrderedDict(
                **({"norm": ChannelNorm(width)} if norm_first else {}),
                avgpool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(1),
                fc=nn.Linear(width, classes),
            )
        )
        stem = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, width, PATCH, PATCH), position=Position(width)))
        return ResidualNetwork(stem, [blocks], head)


def block_of(kind: str, branch: nn.Module, norm: nn.Module, norm_first: bool) -> Block:
    """A branch with its norm before it, or after the sum."""
    if norm_first:
        return PreactivationBlock(kind, norm, branch, nn.Identity())
    block = Block(kind, branch, nn.Identity())
    block.last = norm
    return block
