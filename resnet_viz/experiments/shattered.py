"""Do gradients shatter? The gradient on the input at neighbouring points of a line between two images, how alike they are."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ..errors import InputError
from ..networks.device import array_of
from ..networks.images import AnyPreprocessing, ImageSet
from ..networks.network import ResidualNetwork
from ..networks.settled import require_settled
from .loss import finite
from .plan import Plan

__all__ = ["DEPTHS", "PAIRS", "PARTS", "PLAN", "POINTS", "SEEDS", "Shattering", "along_line", "gradients_at"]

POINTS = 128
PARTS = 8  # that a line is measured in: none of them takes long
DEPTHS = (20, 56, 110)
SEEDS = (0, 1, 2)  # of the untrained networks
PAIRS = 10  # of images, for the trained ones
PLAN = Plan(
    "Do gradients shatter with depth?",
    f"the cosine between the gradients on the input (of the logit of the first image's class) at neighbouring points of the line "
    f"between two images, {POINTS} points; the mean over the pairs of neighbours",
    "residual and plain networks of 20, 56 and 110 layers, untrained, with and without batch norm; trained: those of 20 and 56 "
    "layers, fashion-resnet110",
    f"the line from bundled test image 0 to 447, a T-shirt and a coat; for the trained networks {PAIRS} lines between images of two "
    "classes each",
    "0, 1 and 2 of the untrained networks",
    "at 56 layers, untrained, with batch norm, the residual network's cosine is at least 0.5 above the plain one's; without batch "
    "norm it is lower than with it; training does not mend the plain network: at 56 layers its cosine is less than half of the "
    "residual one's",
    "[Balduzzi et al., 2017](https://arxiv.org/abs/1702.08591): with L layers the correlation falls as 2^-L in plain networks, as "
    "(3/4)^L in residual ones without batch norm, and as 1/sqrt(L) in residual ones with it",
    known="the untrained cosines with batch norm, 0.92 and 0.61 at 20 layers, 0.82 and 0.00 at 56, 0.71 and 0.01 at 110,",
)


@dataclass(frozen=True)
class Shattering:
    """``gradients``: at neighbouring points of a line, of the normalised input, float32 (points, channels, height, width)."""

    gradients: np.ndarray

    @cached_property
    def cosines(self) -> np.ndarray:
        """Between neighbours, float64 (points - 1,), -1 ... 1."""
        flat = self.gradients.reshape(len(self.gradients), -1).astype(np.float64)
        norms = np.linalg.norm(flat, axis=1)
        return np.asarray((flat[1:] * flat[:-1]).sum(1) / (norms[1:] * norms[:-1]))

    @property
    def mean(self) -> float:
        """Near 1: the gradient changes smoothly; near 0: neighbours have nothing in common, as in white noise."""
        return float(self.cosines.mean())


def along_line(network: ResidualNetwork, preprocessing: AnyPreprocessing, pair: ImageSet, label: int) -> Shattering:
    """The gradients at POINTS points of the line between two images (Balduzzi et al. 2017, arXiv:1702.08591, section 2).

    Raises what ``gradients_at`` raises.
    """
    parts = [gradients_at(network, preprocessing, pair, label, part) for part in range(PARTS)]
    return Shattering(np.concatenate(parts))


def gradients_at(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, pair: ImageSet, label: int, part: int
) -> np.ndarray:
    """The gradients of the logit of class ``label`` at the points of one of PARTS parts of the line, from the first of two images
    to the second, both included: float32 (POINTS / PARTS, *that of an image), of the normalised input.

    Raises InputError for another number of images, two that are the same, or a network that is not in eval mode; NotFinite
    where logits are not finite.
    """
    require_settled(network)
    if len(pair) != 2 or torch.equal(pair.pixels[0], pair.pixels[1]):
        raise InputError(f"A line needs two images that differ; got {', '.join(pair.names)}.")
    first, last = preprocessing.inputs_of(network, pair.pixels).split(1)
    places = torch.linspace(0, 1, POINTS, device=first.device).chunk(PARTS)[part]
    inputs = torch.lerp(first, last, places.view(-1, *[1] * (first.ndim - 1))).requires_grad_()
    (gradients,) = torch.autograd.grad(finite(network(inputs))[:, label].sum(), inputs)
    return array_of(gradients)
