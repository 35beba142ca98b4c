"""Recurrent networks that read an image row by row, unrolled: a time step is a block, and the memory is the stream."""

from collections import OrderedDict
from typing import cast

import torch
from torch import Tensor, nn

from .blocks import Block, Gate, PlainBlock, Way, held
from .exactness import exactly
from .network import ResidualNetwork
from .seeds import Seeded

__all__ = ["LSTMStep", "RNNStep", "Step", "build_lstm", "build_rnn"]

ROWS, PIXELS = 28, 28  # of an image: time steps, and what is read in each


class LSTMCell(nn.Module):
    """The weights that all steps share: the four gates' (Gers, Schmidhuber and Cummins 2000, doi:10.1162/089976600300015015)."""

    def __init__(self, width: int, forget_bias: float) -> None:
        super().__init__()
        self.gates = nn.Linear(PIXELS + width, 4 * width)
        nn.init.zeros_(self.gates.bias)
        nn.init.constant_(self.gates.bias[width : 2 * width], forget_bias)

    def forward(self, memory: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """The carry and the update of the memory (batch, 2 * width): of the cell state c and the hidden state h, side by side."""
        cell, hidden = memory.chunk(2, 1)
        entering, forget, candidate, leaving = self.gates(torch.cat([row, hidden], 1)).chunk(4, 1)
        forget, written = forget.sigmoid(), entering.sigmoid() * candidate.tanh()
        shown = leaving.sigmoid() * (forget * cell + written).tanh()
        return torch.cat([forget, torch.zeros_like(hidden)], 1), torch.cat([written, shown], 1)


class RNNCell(nn.Module):
    """The weights that all steps share (Elman 1990, doi:10.1207/s15516709cog1402_1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(PIXELS + width, width)
        nn.init.zeros_(self.layer.bias)

    def forward(self, memory: Tensor, row: Tensor) -> Tensor:
        """The hidden state h (batch, width) after one more row."""
        return cast(Tensor, self.layer(torch.cat([row, memory], 1))).tanh()


class Unrolled(nn.Module):
    """The stem: an empty memory, and behind it all rows, which the stream carries to the steps that read them.

    It keeps the weights of the cell, since every step uses the same.
    """

    def __init__(self, cell: nn.Module, memory: int) -> None:
        super().__init__()
        self.cell, self.memory = cell, memory

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 1, 28, 28) -> (batch, memory + 784)."""
        return torch.cat([images.new_zeros(len(images), self.memory), images.flatten(1)], 1)


class Step(nn.Module):
    """What a time step adds to the stream (batch, memory + 784); it reads its own row there."""

    def __init__(self, cell: nn.Module, memory: int, step: int) -> None:
        super().__init__()
        self.shared = (cell,)  # in a tuple, since its weights are the stem's
        self.memory = memory
        self.row = slice(memory + step * PIXELS, memory + (step + 1) * PIXELS)

    def read(self, stream: Tensor) -> tuple[Tensor, ...]:
        """What the cell makes of the memory and the row."""
        (cell,) = self.shared
        found = cell(stream[:, : self.memory], stream[:, self.row])
        return found if isinstance(found, tuple) else (found,)


class LSTMUpdate(Step):
    """``[i * tanh(...), o * tanh(c'), 0]``, c' the new cell state."""

    def both(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        """The carry, 0 ... 1, and the update of the whole stream."""
        carry, update = self.read(stream)
        rows = stream[:, self.memory :]
        return torch.cat([carry, torch.ones_like(rows)], 1), torch.cat([update, torch.zeros_like(rows)], 1)

    def forward(self, stream: Tensor) -> Tensor:
        return self.both(stream)[1]


class RNNUpdate(Step):
    """``[tanh(W [row, h] + b), rows]``: nothing of the memory is carried past it."""

    def forward(self, stream: Tensor) -> Tensor:
        (hidden,) = self.read(stream)
        return torch.cat([hidden, stream[:, self.memory :]], 1)


class LSTMStep(Block):
    """A time step of an LSTM: ``c' = f * c + i * tanh(...)``, ``h' = o * tanh(c')``.

    The shortcut is ``f * c``, with the forget gate f held fixed; all else is the branch, also what h' owes to c. A gate g scales
    the step: c and h become (1 - g) times the old ones plus g times the new, so that a deleted step keeps both.
    """

    def __init__(self, cell: LSTMCell, memory: int, step: int) -> None:
        super().__init__("LSTM step", LSTMUpdate(cell, memory, step), nn.Identity())
        self.last = nn.Identity()

    @property
    def shortcut_kind(self) -> str:
        return "gated"

    def state(self, stream: Tensor) -> Tensor:
        return stream[..., : cast(LSTMUpdate, self.branch).memory]

    def carry(self, stream: Tensor) -> Tensor:
        """The factor on the cell state, the forget gate: (batch, width), 0 ... 1."""
        carry, _ = cast(LSTMUpdate, self.branch).read(stream)
        return carry.chunk(2, 1)[0]

    def gated(self, shortcut: Tensor, branch_input: Tensor, gate: Gate) -> tuple[Tensor | None, Tensor | None]:
        if not torch.is_tensor(gate) and gate == 0:
            return shortcut, None
        carry, update = cast(LSTMUpdate, self.branch).both(branch_input)
        return held(1 - gate * (1 - carry), shortcut, gate * update)

    def ways(self, gate: Gate) -> tuple[Way, Way] | None:
        if not exactly(self, LSTMStep) or gate != 0:
            return None  # no row of layers has a carry that is held fixed
        return ([self.shortcut], 1.0), ([self.branch], gate)


class RNNStep(PlainBlock):
    """A time step of a plain recurrent network: ``h' = tanh(W [row, h] + b)``, without a shortcut. A deleted step keeps h."""

    def __init__(self, cell: RNNCell, memory: int, step: int) -> None:
        Block.__init__(self, "RNN step", RNNUpdate(cell, memory, step), nn.Identity())
        self.last = nn.Identity()

    def state(self, stream: Tensor) -> Tensor:
        return stream[..., : cast(RNNUpdate, self.branch).memory]

    def ways(self, gate: Gate) -> tuple[Way, Way] | None:
        return (([self.shortcut], 1 - gate), ([self.branch], gate)) if exactly(self, RNNStep) else None

    def response(self, stream: Tensor, branch: Tensor) -> Tensor:  # noqa: ARG002  (no layer comes before its tanh)
        return branch


class Hidden(nn.Module):
    """The hidden state h of the stream: the last ``width`` numbers of the memory."""

    def __init__(self, memory: int, width: int) -> None:
        super().__init__()
        self.place = slice(memory - width, memory)

    def forward(self, stream: Tensor) -> Tensor:
        return stream[:, self.place]


def build_lstm(
    width: int,
    *,
    forget_bias: float = 1.0,
    classes: int = 10,
    seed: int = 0,
    batch_norm: bool = True,  # noqa: ARG001  (every builder is asked; there is none in these)
) -> ResidualNetwork:
    """Build an LSTM that reads the rows of an image of 28 x 28, from above, and then says a class.

    The stream is (c, h), ``width`` numbers each, and the 784 pixels. ``forget_bias``: that of the forget gate at first; 1 is
    usual since Jozefowicz et al. 2015 (proceedings.mlr.press/v37/jozefowicz15). The weights follow from the seed alone.
    """
    with Seeded(seed):
        cell = LSTMCell(width, forget_bias)
        steps = [LSTMStep(cell, 2 * width, step) for step in range(ROWS)]
        return unrolled(cell, steps, 2 * width, width, classes)


def build_rnn(
    width: int,
    *,
    classes: int = 10,
    seed: int = 0,
    batch_norm: bool = True,  # noqa: ARG001  (every builder is asked; there is none in these)
) -> ResidualNetwork:
    """Build a plain recurrent network that reads an image as ``build_lstm``'s does. The stream is h and the 784 pixels."""
    with Seeded(seed):
        cell = RNNCell(width)
        return unrolled(cell, [RNNStep(cell, width, step) for step in range(ROWS)], width, width, classes)


def unrolled(
    cell: nn.Module, steps: list[LSTMStep] | list[RNNStep], memory: int, width: int, classes: int
) -> ResidualNetwork:
    """The steps in a row, and a fully connected layer on the last hidden state."""
    head = nn.Sequential(OrderedDict(hidden=Hidden(memory, width), fc=nn.Linear(width, classes)))
    return ResidualNetwork(Unrolled(cell, memory), [steps], head)
