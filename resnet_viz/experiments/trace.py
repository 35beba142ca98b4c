"""One forward and one backward pass: activations and gradients at each block."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..networks.blocks import add
from ..networks.device import array_of, in_batches
from ..networks.network import ResidualNetwork
from ..networks.settled import require_settled
from .loss import image_losses, labels_of, loss_gradient
from .plan import Plan

__all__ = [
    "BATCH_SIZE",
    "FREE_PLAN",
    "Trace",
    "block_maps",
    "gradients_of",
    "image_norms",
    "record",
    "stream_gradient_norms",
    "trace",
    "with_gradient",
    "zeros_of_each",
]

BATCH_SIZE = 16
FREE_PLAN = Plan(
    "Does pre-activation leave the stream free?",
    "the share of zeros in the stream that leaves a block: where a ReLU has cut it to zero, no gradient comes back through the sum; "
    "the median over the blocks",
    "fashion-resnet56 and -resnet110, whose blocks end in a ReLU; fashion-preact56 and -preact110, in whose blocks batch norm and ReLU "
    "come first, within the branch",
    "the 1,000 bundled test images, 100 a class",
    "none are needed: nothing is drawn",
    "above 20 % in the original networks, below 1 % in the pre-activation ones",
    "He et al. 2016, section 3: with neither ReLU nor batch norm on the shortcut the signal goes from any block to any other unchanged",
    known="the shares of 64 images, 22 to 42 % and 0 % in the networks of 56 layers,",
)


@dataclass(frozen=True)
class Record:
    """The tensors of one pass; n blocks. ``streams``: n + 1, the input of each block and of the head; ``branches``: n,
    the branch outputs; ``stream_gradients`` and ``branch_gradients``: d loss / d of those; ``parameter_gradients``: by
    block name and 'stem', of the mean loss; ``logits``: (batch, classes)."""

    streams: list[Tensor]
    branches: list[Tensor]
    stream_gradients: list[Tensor]
    branch_gradients: list[Tensor]
    parameter_gradients: dict[str, list[Tensor]]
    logits: Tensor


@dataclass(frozen=True)
class Trace:
    """What a pass looks like at each block. Arrays of shape (blocks,); norms are L2 per image, then the mean over images.
    Of a stream, what blocks write to is looked at (``Block.state``).

    ``stream_gradient_norm``: of d loss / d stream entering the block. ``branch_gradient_norm``: of d loss / d branch
    output. ``parameter_gradient_norm``: L2 norm of the gradient of the mean loss with respect to the block's parameters;
    ``stem_gradient_norm`` is the stem's. ``stream_mean``, ``stream_deviation``, ``stream_zeros`` (a share, 0 ... 1)
    describe the stream leaving the block. ``branch_to_stream`` is |F(x)| / |x|, x the stream entering the block.
    """

    blocks: tuple[str, ...]
    images: int
    loss: float
    stream_gradient_norm: np.ndarray
    branch_gradient_norm: np.ndarray
    parameter_gradient_norm: np.ndarray
    stem_gradient_norm: float
    stream_mean: np.ndarray
    stream_deviation: np.ndarray
    stream_zeros: np.ndarray
    branch_to_stream: np.ndarray

    def gradient_norm(self, what: str, *, relative: bool = False) -> np.ndarray:
        """The norm with respect to 'stream', 'branch' or 'parameters'; ``relative`` to the last block's."""
        norms = {
            "stream": self.stream_gradient_norm,
            "branch": self.branch_gradient_norm,
            "parameters": self.parameter_gradient_norm,
        }[what]
        return norms / norms[-1] if relative else norms


def image_norms(tensor: Tensor, leading: int = 1) -> Tensor:
    """The L2 norm of each image over all dimensions but the ``leading`` ones, (images, ...) -> (images,) or (stack, images,
    ...) -> (stack, images): float64, since squares of the smallest would vanish."""
    return cast(Tensor, torch.linalg.vector_norm(tensor, dim=tuple(range(leading, tensor.ndim)), dtype=torch.float64))


def zeros_of_each(network: ResidualNetwork, images: Tensor) -> np.ndarray:
    """The share of zeros in the stream that leaves each block, 0 to 1, float64 (images, blocks).

    Raises InputError for a network that is not in eval mode.
    """
    require_settled(network)
    with torch.no_grad():
        shares = in_batches(
            lambda part: torch.stack(
                [(stream == 0).flatten(1).double().mean(1) for stream in network.streams(images[part])[1:]], 1
            ),
            len(images),
            BATCH_SIZE,
        )
    return array_of(torch.cat([found for _, found in shares]))


def norms_by_image(tensors: Sequence[Tensor]) -> Tensor:
    """The L2 norm of each image in each tensor: (tensors, images)."""
    return torch.stack([image_norms(tensor) for tensor in tensors])


def record(network: ResidualNetwork, images: Tensor, labels: Tensor) -> Record:
    """Run one forward and one backward pass and keep every block's activations and gradients.

    The loss is each image's own cross-entropy against its label. The network's weights, modes, .grad and hooks are left
    as they were; parameters that take no gradient are left out. Raises InputError for a network that is not in eval mode,
    for labels that do not fit, and in float16.
    """
    require_settled(network)
    labels = labels_of(images, labels)
    if images.dtype == torch.float16:
        raise InputError(
            "Images must be float32, float64 or bfloat16; got float16, in which small gradients vanish: call network.float() "
            "and give images.float()."
        )
    parameters = {
        name: [p for p in module.parameters() if p.requires_grad]
        for name, module in [("stem", network.stem), *network.blocks.items()]
    }
    with torch.enable_grad():
        streams, branches = [with_gradient(network.enter(images.detach()))], []
        for block in network.blocks.values():
            shortcut, branch = block.gated(*block.split(streams[-1]), 1.0)
            assert branch is not None  # it runs, since the gate is 1
            branches.append(with_gradient(branch))
            streams.append(with_gradient(block.activation(add(shortcut, branches[-1]))))
        logits = network.logits(streams[-1])
        direction, size = loss_gradient(logits, labels)
        flat = [parameter for group in parameters.values() for parameter in group]
        gradients = iter(gradients_of(logits, [*streams, *branches, *flat], direction * size[:, None]))
    return Record(
        [stream.detach() for stream in streams],
        [branch.detach() for branch in branches],
        [next(gradients) for _ in streams],
        [next(gradients) for _ in branches],
        {name: [next(gradients) / len(images) for _ in group] for name, group in parameters.items()},
        logits.detach(),
    )


def with_gradient(tensor: Tensor) -> Tensor:
    """The tensor, or where no gradient goes on from it (its weights take none, a layer cuts it off) a copy that takes one."""
    return tensor if tensor.requires_grad else tensor.detach().requires_grad_()


def gradients_of(logits: Tensor, tensors: Sequence[Tensor], direction: Tensor) -> Sequence[Tensor]:
    """What comes back from the logits to each tensor: zeros where they do not depend on it (an unused weight)."""
    if not logits.requires_grad:
        return [torch.zeros_like(tensor) for tensor in tensors]
    return torch.autograd.grad(logits, tensors, direction.to(logits), materialize_grads=True)


def states(network: ResidualNetwork, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Of tensors shaped as the streams at each block, one for each, the parts that blocks write to."""
    return [block.state(tensor) for block, tensor in zip(network.blocks.values(), tensors, strict=True)]


def trace(network: ResidualNetwork, images: Tensor, labels: Tensor, batch_size: int = BATCH_SIZE) -> Trace:
    """Summarise the forward and backward passes of normalised images (batch, channels, height, width), part by part.

    Raises InputError as ``record`` does, and NotFinite where the network's output is not finite.
    """
    labels = labels_of(images, labels)
    norms, statistics, losses = [], [], []
    summed: dict[str, list[Tensor]] = {}

    def compute(part: slice) -> Record:
        return record(network, images[part], labels[part])

    for part, kept in in_batches(compute, len(images), batch_size):
        share = len(kept.logits) / len(images)
        for name, group in kept.parameter_gradients.items():
            scaled = [share * gradient for gradient in group]
            summed[name] = [a + b for a, b in zip(summed[name], scaled, strict=True)] if name in summed else scaled
        losses.append(image_losses(kept.logits, labels[part]).mean().item() * share)
        stream, stream_gradient, branch, branch_gradient = (
            norms_by_image(states(network, each))
            for each in (kept.streams[:-1], kept.stream_gradients[:-1], kept.branches, kept.branch_gradients)
        )
        norms.append(torch.stack([stream_gradient, branch_gradient, branch / stream]))
        statistics.append(np.array([sums(leaving) for leaving in states(network, kept.streams[1:])]))
    stream_gradient_norm, branch_gradient_norm, branch_to_stream = torch.cat(norms, 2).mean(2).cpu().numpy()
    total, squares, zeros, count = np.sum(statistics, 0).T
    mean = total / count
    parameter_norms = {
        name: image_norms(torch.cat([g.flatten() for g in group]), 0).item() if group else 0.0
        for name, group in summed.items()
    }
    return Trace(
        blocks=tuple(network.blocks),
        images=len(images),
        loss=sum(losses),
        stream_gradient_norm=stream_gradient_norm,
        branch_gradient_norm=branch_gradient_norm,
        parameter_gradient_norm=np.array([parameter_norms[name] for name in network.blocks]),
        stem_gradient_norm=parameter_norms["stem"],
        stream_mean=mean,
        stream_deviation=np.sqrt(np.maximum(squares - total * mean, 0.0) / (count - 1)),
        stream_zeros=zeros / count,
        branch_to_stream=branch_to_stream,
    )


def sums(stream: Tensor) -> tuple[float, float, float, float]:
    """What mean, deviation and share of zeros are made of: sum, sum of squares, number of zeros, number of values."""
    total, squares = stream.sum(dtype=torch.float64).item(), stream.square().sum(dtype=torch.float64).item()
    return total, squares, stream.numel() - int(torch.count_nonzero(stream)), stream.numel()


@dataclass(frozen=True)
class BlockMaps:
    """What one image looks like inside one block: arrays (channels, height, width); ``shortcut`` is None in a plain block."""

    stream_in: np.ndarray
    branch: np.ndarray
    shortcut: np.ndarray | None
    stream_out: np.ndarray


def block_maps(network: ResidualNetwork, image: Tensor, name: str) -> BlockMaps:
    """Walk one image (1, channels, height, width) up to a named block and through its two ways."""
    require_settled(network)
    (index,) = network.block_indices([name])
    block = network.blocks[name]
    with torch.no_grad():
        stream = network.walk(network.enter(image), stop=index)
        shortcut, branch = block.gated(*block.split(stream), 1.0)
        out = block.activation(add(shortcut, branch))
    assert branch is not None  # it runs, since the gate is 1
    kept = [None if tensor is None else array_of(tensor[0]) for tensor in (stream, branch, shortcut, out)]
    return BlockMaps(*kept)  # type: ignore[arg-type]


def stream_gradient_norms(network: ResidualNetwork, images: Tensor, labels: Tensor) -> list[float]:
    """The norm of d loss / d stream entering each block: L2 per image, mean over the images, n values."""
    gradients = states(network, record(network, images, labels).stream_gradients[:-1])
    return norms_by_image([gradient.cpu() for gradient in gradients]).mean(1).tolist()  # MPS has no float64
