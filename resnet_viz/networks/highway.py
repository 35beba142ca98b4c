"""Highway networks (Srivastava, Greff and Schmidhuber 2015, arXiv:1505.00387 and 1507.06228): shortcuts with a gate."""

from collections import OrderedDict
from typing import cast

import torch
from torch import Tensor, nn

from .blocks import Block, Gate, PlainBlock, Way, held
from .exactness import exactly
from .network import ResidualNetwork
from .seeds import Seeded

__all__ = ["HighwayBlock", "build_highway"]

CLOSED = -3.0  # the bias of a transform gate at first: sigmoid(-3) = 0.05, so that a block begins near the identity


class HighwayBlock(Block):
    """``y = T(x) H(x) + (1 - T(x)) x``: the transform gate T, between 0 and 1, is computed from the stream itself.

    ``branch`` is H, ``transform`` is T. A gate g stands on T, so that a deleted block is an identity. What the block adds is
    g T(x) H(x); on the shortcut, (1 - g T(x)) x, T is held fixed, and what comes back through T counts to the branch.
    """

    def __init__(self, branch: nn.Module, transform: nn.Module) -> None:
        super().__init__("highway", branch, nn.Identity())
        self.transform = transform
        self.last = nn.Identity()

    @property
    def shortcut_kind(self) -> str:
        return "gated"

    def carry(self, stream: Tensor) -> Tensor:
        """The factor on the shortcut, 1 - T(x): (batch, width), 0 ... 1."""
        return 1 - cast(Tensor, self.transform(stream))

    def gated(self, shortcut: Tensor, branch_input: Tensor, gate: Gate) -> tuple[Tensor | None, Tensor | None]:
        if not torch.is_tensor(gate) and gate == 0:
            return shortcut, None
        transform = gate * cast(Tensor, self.transform(branch_input))
        return held(1 - transform, shortcut, transform * self.branch(branch_input))

    def ways(self, gate: Gate) -> tuple[Way, Way] | None:
        if not exactly(self, HighwayBlock) or gate != 0:
            return None  # no row of layers has a carry that is held fixed
        return ([self.shortcut], 1.0), ([self.branch], gate)


def build_highway(
    blocks: int,
    width: int,
    *,
    gates: bool = True,
    pixels: int = 28 * 28,
    classes: int = 10,
    seed: int = 0,
    batch_norm: bool = True,  # noqa: ARG001  (every builder is asked; there is none in these)
) -> ResidualNetwork:
    """Build a fully connected network, with ``blocks`` + 2 layers, as section 3 of arXiv:1507.06228 does.

    ``gates``: False for its plain twin, the same layers with nothing beside them. H is fully connected with a tanh: without a
    norm, ReLUs let the stream grow until the training diverges. Weights: Glorot and Bengio 2010
    (proceedings.mlr.press/v9/glorot10a); they follow from the seed alone.
    """
    with Seeded(seed):
        stem = nn.Sequential(OrderedDict(flatten=nn.Flatten(1), fc=connected(pixels, width), tanh=nn.Tanh()))
        stage: list[Block] = []
        for _ in range(blocks):
            layer = OrderedDict[str, nn.Module](fc=connected(width, width))
            if gates:
                transform = connected(width, width, CLOSED)
                branch = nn.Sequential(OrderedDict(**layer, tanh=nn.Tanh()))
                gate = nn.Sequential(OrderedDict(fc=transform, sigmoid=nn.Sigmoid()))
                stage.append(HighwayBlock(branch, gate))
            else:
                stage.append(PlainBlock("single-layer", nn.Sequential(layer), nn.Identity(), nn.Tanh))
        return ResidualNetwork(stem, [stage], nn.Sequential(OrderedDict(fc=nn.Linear(width, classes))))


def connected(inputs: int, outputs: int, bias: float = 0.0) -> nn.Linear:
    """A fully connected layer with Glorot-initialised weights."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.constant_(layer.bias, bias)
    return layer
