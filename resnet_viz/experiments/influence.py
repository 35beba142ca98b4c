"""How much each block changes the stream: how far it turns and stretches it, how large its response is, and whether the branch
moves the stream down the gradient of the loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..networks.blocks import Block
from ..networks.device import array_of
from ..networks.exactness import is_batch_norm
from ..networks.network import ResidualNetwork
from .attribution import Importance, of_images, rank_correlation_interval, rank_correlations
from .deletion import Sweep, known
from .loss import finite
from .plan import Plan
from .trace import image_norms, record

__all__ = [
    "DESCENT_PLAN",
    "IMAGES",
    "PREDICTION_PLAN",
    "RESPONSE_PLAN",
    "Harm",
    "Influence",
    "influence",
    "joined",
    "last_factors",
]

IMAGES = 200
PREDICTION_PLAN = Plan(
    "Does a block's influence on the stream predict the harm of deleting it?",
    "Spearman's rank correlation over the blocks of the block influence, 1 - cosine of the stream that enters and the stream that "
    "leaves (where the shape changes, of what leaves the block with and without its branch), with the rise in error when the block "
    "alone is deleted",
    "fashion-resnet56 and -resnet110",
    f"the influence on {IMAGES} of the bundled test images, the rise in error on all 1,000",
    "none are needed",
    "above 0.5 in both: a block that hardly turns the stream can hardly be missed, but what it turns the stream towards counts, too",
    "[Men et al., 2024](https://arxiv.org/abs/2403.03853) order the layers of language models by it, and leave out those of the "
    "least influence; they compute the cosine at each token, here it is that of an image's whole stream",
    known="the correlation of |F(x)| / |x| with the rise in loss, 0.44 in resnet56,",
)
RESPONSE_PLAN = Plan(
    "Do residual networks have smaller responses than plain ones, and deeper ones smaller than shallower ones?",
    "the standard deviation of the response of each block's branch (after its last batch norm, before any ReLU and the addition) over "
    "images, channels and places; the ratio of two networks' medians over the blocks",
    "fashion-resnet20, -resnet56 and -resnet110; fashion-plain20 and -plain56",
    f"{IMAGES} of the bundled test images",
    "none are needed; one training of each network",
    "the residual network's median is below 0.8 of the plain one's at 20 and at 56 layers; that of resnet56 is below that of "
    "resnet20, that of resnet110 below that of resnet56",
    "[He et al., 2015](https://arxiv.org/abs/1512.03385), figure 7: the responses of residual networks are generally smaller than "
    "those of plain ones, and the deeper the network, the smaller; there of every 3x3 layer, here of the last one of each block, of "
    "networks trained on CIFAR-10",
)
DESCENT_PLAN = Plan(
    "Do the late branches move the stream down the gradient of the loss?",
    "the cosine of the branch F(x) with the negative gradient of the loss with respect to the stream x that enters the block; the "
    "mean over the blocks of the last third whose shape stays the same",
    "fashion-resnet56, -resnet110 and -preact110",
    f"{IMAGES} of the bundled test images",
    "none are needed",
    "above 0 in all three",
    "[Jastrzebski et al., 2018](https://arxiv.org/abs/1710.04773): residual blocks, the late ones most of all, move the stream along "
    "the negative gradient of the loss",
)


@dataclass(frozen=True)
class Influence:
    """What each of n blocks does to the stream of each image: arrays, float64 (images, n). x enters the block, y leaves it; of
    both, what blocks write to is looked at (``Block.state``).

    ``cosine``: of y with what leaves the block when its branch is deleted: x itself, or where the shape changes, what the
    shortcut makes of it; -1 ... 1. ``branch_to_stream``: |F(x)| / |x|; ``growth``: |y| / |x|. ``response_mean`` and
    ``response_square``: the means of the response and of its square over channels and places. ``descent``: the cosine of F(x)
    with -dL/dx, L the cross-entropy; NaN where the shape changes, and in plain blocks.
    """

    blocks: tuple[str, ...]
    cosine: np.ndarray
    branch_to_stream: np.ndarray
    growth: np.ndarray
    response_mean: np.ndarray
    response_square: np.ndarray
    descent: np.ndarray

    @property
    def importance(self) -> Importance:
        """The block influence, 1 - cosine, of Men et al. 2024 (arXiv:2403.03853), there at each token, here of an image's whole
        stream: 0 where the block turns the stream in no way."""
        return of_images(torch.from_numpy(1 - self.cosine))

    def response_deviation(self, images: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The standard deviation of each block's response over these images, its channels and places, (n,), as in He et al. 2015
        (arXiv:1512.03385), figure 7."""
        square = self.response_square[images].mean(0) - self.response_mean[images].mean(0) ** 2
        return cast(np.ndarray, np.sqrt(np.maximum(square, 0.0)))


def influence(network: ResidualNetwork, inputs: Tensor, labels: Tensor) -> Influence:
    """One forward and one backward pass of normalised images (batch, channels, height, width), against a class each.

    Raises what ``record`` raises, and NotFinite where logits are not finite.
    """
    kept = record(network, inputs, labels)
    finite(kept.logits)
    ways = zip(
        network.blocks.values(), kept.streams, kept.streams[1:], kept.branches, kept.stream_gradients, strict=False
    )
    with torch.no_grad():
        rows = [of_block(*each) for each in ways]
    return Influence(tuple(network.blocks), *torch.stack(rows, -1).numpy())


def of_block(block: Block, entering: Tensor, leaving: Tensor, branch: Tensor, gradient: Tensor) -> Tensor:
    """The numbers of one block, in the order of the fields of ``Influence``: (6, images)."""
    goes_down = branch.shape == entering.shape and not block.is_plain
    response, handed_on = block.response(entering, branch), block(entering, 0.0)
    entering, leaving, handed_on, branch, gradient, response = map(
        block.state, (entering, leaving, handed_on, branch, gradient, response)
    )
    size = lengths(entering)
    numbers = [
        cosines(leaving, handed_on),
        lengths(branch) / size,
        lengths(leaving) / size,
        rows_of(response).mean(1),
        rows_of(response).square().mean(1),
        cosines(branch, -gradient) if goes_down else torch.full_like(size, torch.nan),
    ]
    return torch.stack(numbers)


def last_factors(network: ResidualNetwork) -> np.ndarray:
    """The factors of the last batch norm in each block's branch, all blocks' in one row. They set how far its channels spread,
    and so the response of an original or a plain block. Blocks without batch norm have none: (0,) where all are such."""
    norms = [[each for each in block.branch.modules() if is_batch_norm(each)] for block in network.blocks.values()]
    return np.concatenate([np.empty(0, np.float32), *(array_of(each[-1].weight) for each in norms if each)])


def rows_of(tensor: Tensor) -> Tensor:
    """A row of float64 for each image, on the CPU, since MPS has no float64."""
    return tensor.cpu().double().flatten(1)


def lengths(tensor: Tensor) -> Tensor:
    """The L2 norm of each image, (images,)."""
    return image_norms(rows_of(tensor))


def cosines(one: Tensor, other: Tensor) -> Tensor:
    """The cosine of two tensors for each image, (images,); 0 where one of them is 0. (torch's own takes what is shorter than
    1e-8 for 0, as the gradient of a sure network may be.)"""
    smallest = torch.finfo(torch.float64).tiny
    units = [functional.normalize(rows_of(each), dim=1, eps=smallest) for each in (one, other)]
    return (units[0] * units[1]).sum(1)


def joined(parts: Sequence[Influence]) -> Influence:
    """What was measured of parts of a set of images, as one."""
    names = [name for name in vars(parts[0]) if name != "blocks"]
    return Influence(parts[0].blocks, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Harm:
    """The influence of each of n blocks beside the rise in error when that block alone is deleted, in percentage points."""

    blocks: tuple[str, ...]
    influence: Importance
    rise: Importance

    @classmethod
    def of(cls, found: Influence, sweep: Sweep) -> "Harm":
        """From what the blocks do to the stream, and the deletion of each over a set, which may be another one. Raises
        ValueError for a sweep without labels."""
        labels = known(sweep.labels)
        rise = (sweep.predictions != labels).astype(float) - (sweep.intact != labels)
        return cls(found.blocks, found.importance, of_images(torch.from_numpy(100 * rise.T)))

    @property
    def correlation(self) -> float:
        """Spearman's rank correlation over the blocks, -1 ... 1."""
        return float(rank_correlations([self.influence, self.rise])[0, 1])

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval over the blocks: see ``rank_correlation_interval``."""
        return rank_correlation_interval(self.influence, self.rise)
