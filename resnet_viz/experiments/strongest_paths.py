"""The strongest single paths of one image, and any path picked by hand.

After Veit, Wilber and Belongie 2016 (arXiv:1605.06431), who looked at single paths drawn at random. The gradient is the
sum of those of all 2^n paths, for the activations of this forward pass. A path is as strong as its share of that sum: one
with a large gradient that points elsewhere is cancelled by others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..networks.device import array_of
from ..networks.network import ResidualNetwork, check_batch
from .paths import (
    add_pulled,
    block_pulls,
    checked_pulls,
    path_gradients,
    paths_at_once,
    pull_of,
    stream_gradients,
    zeros_like_stream,
)
from .plan import Plan
from .stepwise import Stepping, stepwise
from .trace import image_norms

__all__ = ["MOST_BLOCKS", "PLAN", "WIDTH", "StrongestPaths", "path_gradient", "recall", "strongest_paths"]

WIDTH = 64
PLAN = Plan(
    "Which single paths carry most, and does a search find them?",
    "share of the 64 strongest paths of an image that a beam search of width 64 finds, against all 512; a path is as strong as "
    "its share of the whole gradient, <g_p, g> / <g, g>",
    "fashion-resnet20",
    "ten of the bundled test images, one by one",
    "none are needed",
    "above 0.7",
    known="the figures of this search and of one by the norms of the paths",
)
MOST_BLOCKS = 9  # whose 512 paths are walked one by one


@dataclass(frozen=True)
class StrongestPaths:
    """Single paths, the one with the largest share first. A path's gradient g_p is taken at the first block's input.

    ``takes_branch``: (paths, blocks), bool. ``shares``: (paths,), <g_p, g> / <g, g>, g the true gradient: over all 2^n
    paths they add up to 1, and one may be negative (NaN where g is 0). ``norms``: (paths,), |g_p|.
    """

    takes_branch: np.ndarray
    norms: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True)
class PathGradient:
    """The gradient along one path alone. ``picture``: with respect to the normalised image, (channels, height, width);
    ``norm`` and ``share`` at the first block's input, as in ``StrongestPaths``."""

    picture: np.ndarray
    norm: float
    share: float


@stepwise
def strongest_paths(
    network: ResidualNetwork, image: Tensor, label: Tensor, gates: list[float] | None = None, width: int = WIDTH
) -> Stepping[StrongestPaths]:
    """Search for the strongest paths of one normalised image (1, channels, height, width) with its label (1,).

    A beam search: partial paths grow from the loss down; at each block the gradient of each goes on through the shortcut
    and through the branch, and the ``width`` with the largest share of this stream's gradient are kept. So these are the
    strongest *found*: a path that is weak half-way is lost (``recall`` counts how many). With ``width`` >= 2^n nothing is
    lost. Paths that carry nothing (in a plain network, all but one) are left out. Raises InputError for several images
    and for a width below 1. Memory: about four stacks of ``width`` gradients of the widest stream.
    """
    if width < 1:
        raise InputError(f"Width must be 1 or more; got {width}.")
    streams, true, size = stream_gradients(network, one(image), label, gates)
    kept = true[-1][None]
    takes_branch = torch.zeros(1, 0, dtype=torch.bool, device=kept.device)
    for stream, whole, (through_shortcut, through_branch) in zip(
        reversed(streams[:-1]),
        reversed(true[:-1]),
        checked_pulls(block_pulls(network, streams, gates), true),
        strict=True,
    ):
        count = len(kept)
        grown = zeros_like_stream(stream, 2 * count)
        add_pulled(kept, through_branch, grown[:count])
        add_pulled(kept, through_shortcut, grown[count:])
        norms, shares = image_norms(grown, 2)[:, 0], shares_of(grown, whole)
        carrying = shares.where(norms > 0, -torch.inf)
        order = carrying.argsort(descending=True, stable=True)[: min(width, max(1, int(norms.count_nonzero())))]
        kept = grown[order]
        takes_branch = torch.cat([(order < count)[:, None], takes_branch[order % count]], 1)
        yield takes_branch.shape[1] / len(network.blocks)
    return StrongestPaths(takes_branch.cpu().numpy(), (norms[order] * size).cpu().numpy(), shares[order].cpu().numpy())


def path_gradient(
    network: ResidualNetwork,
    image: Tensor,
    label: Tensor,
    takes_branch: Sequence[bool] | np.ndarray,
    gates: list[float] | None = None,
) -> PathGradient:
    """Take the gradient of one image's loss back along one path, and on through the stem to the image.

    ``takes_branch``: one choice for each block, in order. Over all 2^n paths the pictures add up to autograd's gradient
    of the loss at the image. A path that does not exist (in a plain network, all but one) carries 0. Raises InputError
    for several images and for another number of choices.
    """
    if len(takes_branch) != len(network.blocks):
        raise InputError(
            f"Choices of branch must be one for each of {len(network.blocks)} blocks; got {len(takes_branch)}."
        )
    streams, true, size = stream_gradients(network, one(image), label, gates)
    gradient = path_gradients(network, streams, true, torch.tensor(takes_branch, dtype=torch.bool)[None], gates)
    picture = pull_of(network.stem, image)(gradient)[0, 0] * size.to(image)
    norm, share = image_norms(gradient, 2)[0] * size, shares_of(gradient, true[0])
    return PathGradient(array_of(picture), norm.item(), share.item())


def recall(
    network: ResidualNetwork,
    image: Tensor,
    label: Tensor,
    gates: list[float] | None = None,
    width: int = WIDTH,
    looked_at: int | None = None,
) -> tuple[int, int]:
    """Count how many of the first m paths that ``strongest_paths`` finds are among the true m strongest: (how many, m).

    m is ``looked_at``; all that were found (``width`` at most), if None or fewer. All 2^n paths are walked one by one,
    in portions that stay below MEMORY_BUDGET. Raises InputError for more than MOST_BLOCKS blocks.
    """
    blocks = len(network.blocks)
    if blocks > MOST_BLOCKS:
        raise InputError(
            f"Blocks must be at most {MOST_BLOCKS}, so that all 2^n paths can be walked; got a network of {blocks}."
        )
    found = strongest_paths(network, image, label, gates, width).takes_branch[:looked_at]
    streams, true, _ = stream_gradients(network, image, label, gates)
    every = torch.tensor(list(product((False, True), repeat=blocks)))
    portions = every.split(paths_at_once(network, image))
    gradients = (path_gradients(network, streams, true, portion, gates) for portion in portions)
    shares = torch.cat([shares_of(each, true[0]) for each in gradients]).cpu().numpy()
    rounding = 1e-5 * np.abs(shares).max()  # two ways of computing one path differ by so much
    rows = found @ (1 << np.arange(blocks)[::-1])
    return int((shares[rows] >= np.sort(shares)[-len(found)] - rounding).sum()), len(found)


def one(image: Tensor) -> Tensor:
    """The image. Raises InputError where there are several."""
    check_batch(image)
    if len(image) != 1:
        raise InputError(f"Number of images must be 1; got {len(image)}.")
    return image


def shares_of(gradients: Tensor, true: Tensor) -> Tensor:
    """<g_p, g> / <g, g> for a stack of gradients (paths, 1, ...): (paths,), float64."""
    whole = true.flatten().double()
    return torch.stack([gradient.flatten().double() @ whole for gradient in gradients]) / (whole @ whole)
