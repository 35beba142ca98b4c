"""Training on short paths only, in two ways.

- As Veit et al. 2016 (arXiv:1605.06431, section 4.3) did: each batch is trained with k of the n blocks, drawn at random,
  the others deleted.
- Exactly: the whole network runs forward, but each parameter keeps only the gradient over the paths whose number of
  branches is in a chosen set.
"""

from collections.abc import Container, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..networks.blocks import add
from ..networks.network import ResidualNetwork
from .plan import Plan

__all__ = [
    "BLOCKS_PER_BATCH",
    "LONGEST_PATH",
    "MATCHED_BLOCKS",
    "MATCHED_PLAN",
    "PLAN",
    "SEEDS",
    "backward_over_paths",
    "random_gates",
    "share_of_short_paths",
]

# Of resnet20's 9. The paths of 4 blocks have 2 branches on average; those that carry its gradient have about 5.
BLOCKS_PER_BATCH = LONGEST_PATH = 4
SEEDS = (0, 1, 2)
PLAN = Plan(
    "Harsher than Veit et al.: are the long paths needed for training?",
    "error on all 10,000 test images, tested with all blocks: difference to ordinary training, in points",
    "fashion-resnet20, trained three ways: on all paths; on 4 of its 9 blocks a batch, drawn at random; on the gradient over "
    "paths of at most 4 branches",
    "trained on all 60,000, tested on all 10,000 images",
    "0, 1 and 2 for each way",
    "no difference beyond that between seeds, for both",
    "Veit et al., section 4.3: 5.96 % with 23 of 54 blocks a batch against 6.10 % (no significant difference)",
)
MATCHED_BLOCKS = 13  # of the 27 of resnet56: twice the mean length, 6.5, of the paths that carry its gradient
MATCHED_PLAN = Plan(
    "Does training on random blocks harm where their number matches the length of the paths that carry the gradient?",
    "error on all 10,000 test images, tested with all blocks: difference to ordinary training, in points; and the same after "
    "the batch norms' statistics are taken anew with all blocks",
    "fashion-resnet56, trained on all 27 blocks and on 13 of them a batch, drawn at random: the paths of 13 blocks have 6.5 "
    "branches on average, as many as the paths that carry resnet56's gradient; Veit et al. chose 23 of 54 for the same reason",
    "trained on all 60,000, tested on all 10,000 images",
    "0, 1 and 2 for each way",
    "tested as trained, more than 5 points worse, since the batch norms have seen streams to which half as many branches were "
    "added; with their statistics taken anew, at most 3 points worse",
    "Veit et al., section 4.3: 5.96 % with 23 of 54 blocks a batch against 6.10 % (no significant difference)",
    known="the errors of resnet20 trained on 4 of 9 blocks",
)


def share_of_short_paths(norms: np.ndarray, longest: int = LONGEST_PATH) -> float:
    """The share, 0 ... 1, that paths of at most ``longest`` branches have of the summed norms by length, (n + 1,)."""
    return float(norms[: longest + 1].sum() / norms.sum())


def random_gates(blocks: int, kept: int, generator: torch.Generator) -> list[float]:
    """Gates that are 1 for ``kept`` blocks drawn at random, 0 for the others."""
    gates = torch.zeros(blocks)
    gates[torch.randperm(blocks, generator=generator)[:kept]] = 1.0
    return gates.tolist()


def backward_over_paths(network: ResidualNetwork, images: Tensor, labels: Tensor, lengths: Container[int]) -> None:
    """Set .grad to the gradient of the mean cross-entropy over the paths whose length is in ``lengths``.

    The length that counts is, for a parameter in a branch, the number of branches from the loss down to and including
    its own; for one in a projection or in the stem, the number of branches above it. The head keeps its whole gradient.
    Works in the mode that the network is in, with the batch norms' own batch statistics when it trains: their backward
    pass is linear in the incoming gradient too. With every length, the gradient is autograd's; those of a set of lengths
    and of its complement add up to it, but for the head's. Lengths are carried up to the longest that can still matter.
    """
    blocks = list(network.blocks.values())
    longest = max((length for length in range(len(blocks) + 1) if length in lengths), default=-1)
    with torch.enable_grad():
        stem = network.stem(images)
        streams, parts = [stem.detach().requires_grad_()], []
        for block in blocks:
            shortcut, branch = block.gated(*block.split(streams[-1]), 1.0)
            total = add(shortcut, branch)
            out = block.activation(total)
            parts.append((shortcut, branch, total, out))
            streams.append(out.detach().requires_grad_())
        loss = functional.cross_entropy(network.logits(streams[-1]), labels)
    keep(network.head, [(loss, torch.ones_like(loss))])
    incoming = {
        0: pulled(loss, streams[-1], torch.ones_like(loss))
    }  # by the number of branches taken so far, from the loss down
    for block, stream, (shortcut, branch, total, out) in zip(
        reversed(blocks), reversed(streams[:-1]), reversed(parts), strict=True
    ):
        incoming = {length: pulled(out, total, gradient) for length, gradient in incoming.items()}
        through = [(output, taken) for taken, output in enumerate((shortcut, branch)) if output is not None]
        of_parameters = [
            (output, sum(gradient for length, gradient in incoming.items() if length + taken in lengths))
            for output, taken in through
        ]
        keep(block, of_parameters)
        outgoing: dict[int, Tensor] = {}
        for output, taken in through:
            for length, gradient in incoming.items():
                if length + taken <= longest:
                    part = pulled(output, stream, gradient)
                    outgoing[length + taken] = outgoing.get(length + taken, 0) + part
        incoming = outgoing
    keep(network.stem, [(stem, sum(gradient for length, gradient in incoming.items() if length in lengths))])


def pulled(output: Tensor, entering: Tensor, gradient: Tensor) -> Tensor:
    """J^T gradient, for J = d output / d entering; the graph is kept."""
    return torch.autograd.grad(output, entering, gradient, retain_graph=True)[0]


def keep(module: nn.Module, gradients: Sequence[tuple[Tensor, Tensor | int]]) -> None:
    """Set .grad of a module's parameters from the gradients at its outputs; 0 stands for an output without one."""
    known = [(output, gradient) for output, gradient in gradients if torch.is_tensor(gradient)]
    parameters = list(module.parameters())
    if known and parameters:
        outputs, incoming = zip(*known, strict=True)
        found = torch.autograd.grad(outputs, parameters, incoming, retain_graph=True, allow_unused=True)
        for parameter, gradient in zip(parameters, found, strict=True):
            parameter.grad = gradient
