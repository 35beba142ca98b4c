"""The same block with another shortcut, or its activations in another order: what He et al. 2016 compared (arXiv:1603.05027)."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import InputError
from .blocks import Block, Gate, held
from .network import ResidualNetwork, build, convolution, stage_of
from .seeds import Seeded

__all__ = [
    "HALF",
    "MOSTLY_OPEN",
    "VARIANTS",
    "GatedShortcut",
    "Scale",
    "ShortcutDropout",
    "build_variant",
    "lend_generator",
]

HALF = 0.5  # the factor of the scaled shortcut, and the share that dropout drops
MOSTLY_OPEN = -6.0  # a gate's bias: sigmoid(-6) = 0.0025, so that the shortcut begins near an identity


class Scale(nn.Module):
    """A factor on every number: a constant, or learned from a first value on."""

    def __init__(self, factor: float, *, learned: bool = False) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor)) if learned else factor

    def forward(self, stream: Tensor) -> Tensor:
        return stream * self.factor


class ShortcutDropout(nn.Dropout):
    """Dropout that draws from a generator lent to it, and never from one that threads share.

    ``generator``: on the CPU. Nothing is dropped without one, or in eval mode.
    """

    generator: torch.Generator | None = None

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.generator is None:
            return input
        kept = torch.rand(input.shape, generator=self.generator) >= self.p
        return input * kept.to(input) / (1 - self.p)


def lend_generator(network: nn.Module, generator: torch.Generator) -> None:
    """Let a network that its caller trains draw from a generator, where it draws."""
    for layer in network.modules():
        if isinstance(layer, ShortcutDropout):
            layer.generator = generator


class GatedShortcut(Block):
    """A block whose shortcut is multiplied by 1 - g(x), with g(x) = sigmoid(W x + b), a 1x1 convolution.

    ``exclusive``: the branch is multiplied by g(x), as in a highway network; else it is left as it is. What comes back along the
    shortcut is J_s^T (1 - g) d, the factor held fixed; that the factor itself depends on x counts to the branch, so that
    both together are the whole derivative. Where the branch is deleted, the factor's derivative has the shortcut alone to
    go to.
    """

    def __init__(
        self, kind: str, branch: nn.Module, shortcut: nn.Module, gate: nn.Module, *, exclusive: bool = False
    ) -> None:
        super().__init__(kind, branch, shortcut)
        self.gate = gate
        self.exclusive = exclusive

    @property
    def shortcut_kind(self) -> str:
        return "gated"

    def factor(self, stream: Tensor) -> Tensor:
        """1 - g(x), 0 ... 1, shaped as what the shortcut carries."""
        return cast(Tensor, 1 - self.gate(stream))

    def gated(self, shortcut: Tensor, branch_input: Tensor, gate: Gate) -> tuple[Tensor | None, Tensor | None]:
        factor = self.factor(branch_input)
        _, branch = super().gated(shortcut, branch_input, gate)
        if branch is None:
            return factor * shortcut, None
        return held(factor, shortcut, (1 - factor) * branch if self.exclusive else branch)


def halved(block: Block) -> Block:
    """0.5 x + 0.5 F(x): a gate that is frozen half-open."""
    shortcut = nn.Sequential(OrderedDict(carried=block.shortcut, scale=Scale(HALF)))
    return Block("basic, halved", followed(block.branch, scale=Scale(HALF)), shortcut)


def dropped(block: Block) -> Block:
    """x, of which dropout drops a half in training, + F(x)."""
    shortcut = nn.Sequential(OrderedDict(carried=block.shortcut, dropout=ShortcutDropout(HALF)))
    return Block("basic, dropout on the shortcut", block.branch, shortcut)


def rezero(block: Block) -> Block:
    """x + alpha F(x), alpha learned from 0 on (Bachlechner et al. 2020, arXiv:2003.04887)."""
    return Block("basic, ReZero", followed(block.branch, scale=Scale(0.0, learned=True)), block.shortcut)


def gated(kind: str, bias: float, *, exclusive: bool = False) -> Callable[[Block], Block]:
    """What puts a gate on the shortcut of a block; ``bias``: that of the gate at the start."""

    def with_gate(block: Block) -> Block:
        convolutions = [layer for layer in block.branch.children() if isinstance(layer, nn.Conv2d)]
        first, last = convolutions[0], convolutions[-1]
        gate = convolution(first.in_channels, last.out_channels, 1, first.stride[0], bias=True)
        nn.init.constant_(cast(Tensor, gate.bias), bias)
        layers = nn.Sequential(OrderedDict(conv=gate, sigmoid=nn.Sigmoid()))
        return GatedShortcut(kind, block.branch, block.shortcut, layers, exclusive=exclusive)

    return with_gate


def norm_after_addition(block: Block) -> Block:
    """The last batch norm stands behind the sum."""
    layers = dict(block.branch.named_children())
    return with_last(
        Block("basic, BN after addition", nn.Sequential(OrderedDict(list(layers.items())[:-1])), block.shortcut),
        nn.Sequential(OrderedDict(bn=layers["bn2"], relu=nn.ReLU())),
    )


def relu_before_addition(block: Block) -> Block:
    """The last ReLU stands in the branch, which then adds nothing negative."""
    branch = followed(block.branch, relu2=nn.ReLU())
    return with_last(Block("basic, ReLU before addition", branch, block.shortcut), nn.Identity())


def relu_first(block: Block) -> Block:
    """The last ReLU stands at the head of the next branch; batch norm still ends each branch."""
    layers = OrderedDict[str, nn.Module](relu0=nn.ReLU(), **dict(block.branch.named_children()))
    return with_last(Block("basic, ReLU-only pre-activation", nn.Sequential(layers), block.shortcut), nn.Identity())


VARIANTS: Mapping[str, Callable[[Block], Block]] = MappingProxyType(
    {
        "halved": halved,
        "exclusive": gated("basic, exclusive gate", MOSTLY_OPEN, exclusive=True),
        "gated": gated("basic, shortcut-only gate", 0.0),
        "opened": gated("basic, shortcut-only gate", MOSTLY_OPEN),
        "dropout": dropped,
        "rezero": rezero,
        "normafter": norm_after_addition,
        "relubefore": relu_before_addition,
        "relufirst": relu_first,
    }
)


def build_variant(
    variant: str, blocks: Sequence[int], widths: Sequence[int], *, seed: int = 0, **settings: Any
) -> ResidualNetwork:
    """Build a network of basic blocks, each changed as VARIANTS says; stem, branches and head keep the initial weights that
    ``build`` gives them for this seed. ``settings``: those of ``build``. Raises InputError for another variant."""
    if variant not in VARIANTS:
        raise InputError(f"Variant must be one of {', '.join(VARIANTS)}; got {variant!r}.")
    network = build("basic", blocks, widths, seed=seed, **settings)
    stages: dict[str, list[Block]] = {}
    with Seeded(seed + 1):  # of the gates, which must not begin like the stem
        for name, block in network.blocks.items():
            stages.setdefault(stage_of(name), []).append(VARIANTS[variant](block))
    head = network.head
    if variant == "relufirst":  # nothing has cut the last stream at zero
        head = nn.Sequential(OrderedDict(relu=nn.ReLU(), **dict(head.named_children())))
    return ResidualNetwork(network.stem, stages.values(), head)


def followed(branch: nn.Module, **layers: nn.Module) -> nn.Sequential:
    """A branch and what stands at its end."""
    return nn.Sequential(OrderedDict(**dict(branch.named_children()), **layers))


def with_last(block: Block, last: nn.Module) -> Block:
    """The block with something else behind its sum."""
    block.last = last
    return block
