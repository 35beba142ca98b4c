"""The block kinds: a branch, a shortcut, and a gate between them.

Every block computes ``activation(shortcut + gate * branch)``. The gate is an argument, so a shared network is never
edited: 1 leaves the block intact, 0 deletes its branch, values in between scale it.

What else is asked of a block, it answers itself. Each kind vouches for itself alone: of a subclass with a ``split``, ``gated`` or
``activation`` of its own nothing is known but what these compute, and everybody makes do with that.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from copy import copy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .exactness import exactly

__all__ = [
    "BehindShortcuts",
    "Block",
    "Gate",
    "PlainBlock",
    "PreactivationBlock",
    "Shortcuts",
    "SideBySide",
    "Way",
    "ZeroPadding",
    "add",
    "branch_layers",
    "held",
    "with_children",
]

Gate = float | Tensor
Way = tuple[list[nn.Module], Gate]  # layers in a row, and the factor on what they put out
Module = TypeVar("Module", bound=nn.Module)


class ZeroPadding(nn.Module):
    """Option A of He et al. 2015 (arXiv:1512.03385, section 3.3): subsample, then add channels of zeros.

    The new channels are split equally before and after, as in the public CIFAR-10 checkpoints.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.added_channels = out_channels - in_channels
        self.stride = stride

    def forward(self, stream: Tensor) -> Tensor:
        before = self.added_channels // 2
        subsampled = stream[:, :, :: self.stride, :: self.stride]
        if stream.is_contiguous(memory_format=torch.channels_last):  # odd sizes would fall back to the default layout
            subsampled = subsampled.contiguous(memory_format=torch.channels_last)
        return functional.pad(subsampled, (0, 0, 0, 0, before, self.added_channels - before))


class Block(nn.Module):
    """One residual unit: ``activation(shortcut + gate * branch)``.

    As it stands it is the original block of He et al. 2015, basic or bottleneck: ``last``, the layer after the sum, is a ReLU.
    ``origin``: where the branch stands in somebody else's model.
    """

    last: nn.Module
    origin = ""

    def __init__(self, kind: str, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.kind = kind
        self.branch = branch
        self.shortcut = shortcut
        self.last = nn.ReLU()

    @property
    def shortcut_kind(self) -> str:
        """'identity', 'option A' (subsampled, zero-padded), 'projection' (a strided 1x1 convolution, or whatever has weights) or
        'parameter-free'; in other kinds of block also 'gated' (times a gate of the block's own) and 'none'."""
        if isinstance(self.shortcut, nn.Identity):
            return "identity"
        if isinstance(self.shortcut, ZeroPadding):
            return "option A"
        return "parameter-free" if next(self.shortcut.parameters(), None) is None else "projection"

    @property
    def is_plain(self) -> bool:
        """Whether it has no shortcut."""
        return self.shortcut_kind == "none"

    @property
    def lead(self) -> list[nn.Module]:
        """The layers between the stream and the branch."""
        return []

    def state(self, stream: Tensor) -> Tensor:
        """The part of a stream (..., features) that blocks write to: all of it, unless it also carries what later ones read."""
        return stream

    def split(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the shortcut delivers to the sum, and what the branch reads."""
        return self.shortcut(stream), stream

    def activation(self, total: Tensor) -> Tensor:
        """What happens after the sum."""
        return cast(Tensor, self.last(total))

    def gated(self, shortcut: Tensor, branch_input: Tensor, gate: Gate) -> tuple[Tensor | None, Tensor | None]:
        """Return the two terms of the sum, None for a term that is absent.

        A branch whose gate is the number 0 is not run: 0 * inf would be NaN.
        """
        if not torch.is_tensor(gate) and gate == 0:
            return shortcut, None
        branch = self.branch(branch_input)
        return shortcut, branch if not torch.is_tensor(gate) and gate == 1 else gate * branch

    def forward(self, stream: Tensor, gate: Gate = 1.0) -> Tensor:
        """Pass the stream (batch, channels, height, width), or of any other shape, through the block.

        ``gate`` is a number for the whole batch or a tensor of shape () or (batch,). Where a tensor carries no gradient,
        the branch is not run for the images whose gate is 0.
        """
        if torch.is_tensor(gate):
            gate = gate.to(stream.dtype)  # so that it changes no precision
            if not gate.requires_grad:
                deleted = (gate == 0).expand(len(stream))
                if deleted.all():
                    return self.forward(stream, 0.0)
                if deleted.any():
                    output = self.forward(stream, 0.0).clone()
                    output[~deleted] = self.forward(stream[~deleted], gate[~deleted])
                    return output
            gate = gate.view(-1, *[1] * (stream.ndim - 1))
        return self.activation(add(*self.gated(*self.split(stream), gate)))

    def ways(self, gate: Gate) -> tuple[Way, Way] | None:
        """The two terms of the sum, the shortcut's and the branch's, as layers from the stream on; ``last`` is all that follows it.

        The shortcut itself stands last in its row. None where nobody vouches for that: for a subclass, and for a block with hooks.
        """
        return (([self.shortcut], 1.0), ([self.branch], gate)) if exactly(self, Block) else None

    def response(self, stream: Tensor, branch: Tensor) -> Tensor:  # noqa: ARG002  (a plain block reads the stream)
        """What the branch puts out, in a plain block before its last ReLU; ``branch``: what all of the branch puts out."""
        return branch

    @property
    def never_negative(self) -> bool:
        """Whether it is known to hand on no negative value, with its branch or without."""
        return self.ways(1.0) is not None and exactly(self.last, nn.ReLU)

    def left(self, never_negative: bool) -> list["Block"]:
        """What is left of it when it is deleted for good, as blocks with a gate of 0: nothing where it then hands on just what it is
        given (``never_negative``: in which no value is), all of it where nobody knows what it reads."""
        ways = self.ways(0.0)
        if ways is None:
            return [self]
        (layers, _), _ = ways
        does_nothing = (nn.Identity, nn.ReLU) if never_negative else (nn.Identity,)
        if all(exactly(layer, nn.Identity) for layer in layers) and exactly(self.last, *does_nothing):
            return []
        unread = [name for name, layer in self._modules.items() if layer not in [*layers, self.last]]
        return [with_children(self, {name: nn.Identity() for name in unread})]

    def behind(self, deleted: Sequence["Block"]) -> "Block":
        """The block behind what is left of deleted ones."""
        return BehindShortcuts(Shortcuts(deleted), self) if deleted else self


class PreactivationBlock(Block):
    """The block of He et al. 2016 (arXiv:1603.05027): batch norm and ReLU come first, nothing follows the sum.

    ``entry`` is that BN-ReLU (an identity in the network's first block, whose stem already ends in one), in a pre-norm Transformer
    a layer norm. A projection reads the entry's output, as the branch does; any other shortcut reads the raw stream.
    """

    def __init__(self, kind: str, entry: nn.Module, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__(kind, branch, shortcut)
        self.entry = entry
        self.last = nn.Identity()

    @property
    def lead(self) -> list[nn.Module]:
        return [self.entry]

    def split(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        branch_input = self.entry(stream)
        return self.shortcut(branch_input if self.shortcut_kind == "projection" else stream), branch_input

    def ways(self, gate: Gate) -> tuple[Way, Way] | None:
        if not exactly(self, PreactivationBlock):
            return None
        lead = self.lead if self.shortcut_kind == "projection" else []
        return ([*lead, self.shortcut], 1.0), ([self.entry, self.branch], gate)


class PlainBlock(Block):
    """The same layers without a shortcut: ``relu(F(x))``, or another ``activation`` in place of the ReLU.

    Deleted, it hands the stream on as ``shortcut`` carries it (subsampled and zero-padded where the shape changes).
    A gate strictly between 0 and 1 mixes the two, which no plain network does: it is a schematic device.
    """

    def __init__(self, kind: str, branch: nn.Module, carry: nn.Module, activation: type[nn.Module] = nn.ReLU) -> None:
        layers = {"layers": branch, activation.__name__.lower(): activation()}
        super().__init__(kind, nn.Sequential(OrderedDict(layers)), carry)
        self.last = nn.Identity()

    @property
    def shortcut_kind(self) -> str:
        return "none"

    def gated(self, shortcut: Tensor, branch_input: Tensor, gate: Gate) -> tuple[Tensor | None, Tensor | None]:
        if not torch.is_tensor(gate) and gate == 1:
            return None, self.branch(branch_input)
        carried, branch = super().gated(shortcut, branch_input, gate)
        return (1 - gate) * shortcut if branch is not None else carried, branch

    def ways(self, gate: Gate) -> tuple[Way, Way] | None:
        return (([self.shortcut], 1 - gate), ([self.branch], gate)) if exactly(self, PlainBlock) else None

    def response(self, stream: Tensor, branch: Tensor) -> Tensor:  # noqa: ARG002  (it holds the last ReLU)
        return cast(Tensor, self.branch.get_submodule("layers")(self.split(stream)[1]))


class SideBySide(nn.ModuleDict):
    """Layers that read the same stream; what they make of it is joined along the channels: the Inception module of
    Szegedy et al. 2015 (arXiv:1409.4842, figure 2)."""

    def forward(self, stream: Tensor) -> Tensor:
        return torch.cat([each(stream) for each in self.values()], 1)


class Shortcuts(nn.ModuleList):
    """Deleted blocks in a row: what they hand on, each through its shortcut and what follows its sum."""

    def __iter__(self) -> Iterator["Block"]:
        return cast(Iterator[Block], super().__iter__())

    def forward(self, stream: Tensor) -> Tensor:
        for block in self:
            stream = block(stream, 0.0)
        return stream


class BehindShortcuts(Block):
    """A block of a cut network, which begins with what the deleted blocks before it have left.

    It is a block in its own right: what reaches its sum beside the branch is its own shortcut behind theirs.
    """

    def __init__(self, shortcuts: Shortcuts, block: Block) -> None:
        nn.Module.__init__(self)  # branch and shortcut are the block's, and stand in the state dict once
        self.kind, self.origin = block.kind, block.origin
        self.shortcuts = shortcuts
        self.block = block

    @property
    def branch(self) -> nn.Module:  # type: ignore[override]
        return self.block.branch

    @property
    def shortcut(self) -> nn.Module:  # type: ignore[override]
        return self.block.shortcut

    @property
    def last(self) -> nn.Module:  # type: ignore[override]
        return self.block.last

    @property
    def shortcut_kind(self) -> str:
        """That of theirs and its own together: 'gated' or 'projection' where one of them is."""
        kinds = {self.block.shortcut_kind, *(each.shortcut_kind for each in self.shortcuts)}
        ranked = ("none", "gated", "projection", "parameter-free", "option A", "identity")
        return next(kind for kind in ranked if kind in kinds)

    @property
    def lead(self) -> list[nn.Module]:
        return [self.shortcuts, *self.block.lead]

    def state(self, stream: Tensor) -> Tensor:
        return self.block.state(stream)

    def split(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        return self.block.split(self.shortcuts(stream))

    def activation(self, total: Tensor) -> Tensor:
        return self.block.activation(total)

    def gated(self, shortcut: Tensor, branch_input: Tensor, gate: Gate) -> tuple[Tensor | None, Tensor | None]:
        return self.block.gated(shortcut, branch_input, gate)

    def ways(self, gate: Gate) -> tuple[Way, Way] | None:
        ways = self.block.ways(gate) if exactly(self, BehindShortcuts) else None
        if ways is None:
            return None
        (shortcut, factor), (branch, gate) = ways
        return ([self.shortcuts, *shortcut], factor), ([self.shortcuts, *branch], gate)

    def response(self, stream: Tensor, branch: Tensor) -> Tensor:
        return self.block.response(self.shortcuts(stream), branch)

    def left(self, never_negative: bool) -> list[Block]:  # noqa: ARG002  (the last of its shortcuts knows better)
        *_, before = self.shortcuts
        return [*self.shortcuts, *self.block.left(before.never_negative)]

    def behind(self, deleted: Sequence[Block]) -> Block:
        return self.block.behind([*deleted, *self.shortcuts])


def with_children(module: Module, children: dict[str, nn.Module]) -> Module:
    """A copy of a module that shares its children but for these."""
    twin = copy(module)
    twin._modules = {**module._modules, **children}
    return twin


def add(shortcut: Tensor | None, branch: Tensor | None) -> Tensor:
    """The sum of a block, of which one term may be absent."""
    terms = [term for term in (shortcut, branch) if term is not None]
    return terms[0] if len(terms) == 1 else terms[0] + terms[1]


def held(carry: Tensor, stream: Tensor, update: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms of ``carry * stream + update`` where the carry is itself made of the stream.

    On the shortcut the carry is held fixed, so that dy/dx there is the carry alone. What comes back through the carry counts to
    the branch, whose value is the update's.
    """
    return carry.detach() * stream, update + (carry - carry.detach()) * stream.detach()


def branch_layers(
    convolutions: Sequence[nn.Module], norms: Sequence[nn.Module], *, relu_last: bool = False
) -> nn.Sequential:
    """Interleave convolutions, norms and ReLUs under torchvision's names: conv1, bn1, relu1, conv2, bn2 ..."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True), start=1):
        layers[f"conv{number}"] = convolution
        layers[f"bn{number}"] = norm
        if relu_last or number < len(convolutions):
            layers[f"relu{number}"] = nn.ReLU()
    return nn.Sequential(layers)
