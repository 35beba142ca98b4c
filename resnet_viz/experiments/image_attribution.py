"""Where in an image the evidence for a class lies: Captum's Grad-CAM at a block, and integrated gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam
from torch import Tensor, nn

from ..errors import InputError
from ..networks.device import array_of
from ..networks.images import AnyPreprocessing, ImageSet
from ..networks.network import ResidualNetwork, stage_of
from ..networks.settled import require_settled
from .loss import logit_of

__all__ = ["GradCam", "Integrated", "correlation", "grad_cam", "integrated_gradients", "stage_ends"]

STEPS = 128, 256  # the second where the first leaves too large an error; the paper advises 20 to 300
TOLERANCE = 0.05  # of the difference of the logits, as in the paper
BATCH_SIZE = 16  # steps at a time


@dataclass(frozen=True)
class GradCam:
    """``cells``: the map as large as the stream, (height, width); ``picture``: upsampled to the image. Both float32, >= 0."""

    cells: np.ndarray
    picture: np.ndarray

    @property
    def half(self) -> int:
        """In how many cells, the strongest ones, half of the map's sum lies."""
        sums = np.cumsum(np.sort(self.cells, axis=None)[::-1], dtype=np.float64)
        return int(np.searchsorted(sums, sums[-1] / 2)) + 1


@dataclass(frozen=True)
class Integrated:
    """``picture``: the attribution of each pixel, summed over the channels, float64 (height, width); ``rise``: the logit of
    the image less that of black; ``steps``: of the integral."""

    picture: np.ndarray
    rise: float
    steps: int

    @property
    def error(self) -> float:
        """The completeness error, in units of the logit: the attributions should add up to the rise."""
        return abs(float(self.picture.sum()) - self.rise)


def grad_cam(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    image: ImageSet,
    label: int,
    gates: Sequence[float],
    block: str,
) -> GradCam:
    """Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) of the logit of class ``label``, at the stream A that leaves a block.

    ReLU(sum over channels k of w_k A_k), where w_k is the mean over all places of d logit / d A_k, upsampled bilinearly.
    Raises InputError for an unknown block or class, for streams without height and width, or where ``image`` is not one image.
    """
    (index,) = network.block_indices([block])
    inputs = normalised(network, preprocessing, image.pixels)
    with torch.no_grad():
        leaving = network.walk(network.enter(inputs), gates, stop=index + 1)
    if leaving.ndim != 4:
        raise InputError(
            f"Grad-CAM needs a stream with channels, height and width; behind {block} it is {' × '.join(map(str, leaving.shape[1:]))}: "
            "look at the integrated gradients."
        )
    stream = nn.Identity()  # of this call alone: Captum hooks it, and never the network that others share

    def rest(given: Tensor) -> Tensor:
        return logit_of(network.logits(network.walk(stream(given), gates, start=index + 1)), label)

    cells = LayerGradCam(rest, stream).attribute(leaving, relu_attributions=True).detach()
    picture = LayerAttribution.interpolate(cells, inputs.shape[2:], "bilinear")
    return GradCam(array_of(cells[0, 0]), array_of(picture[0, 0]))


def integrated_gradients(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, image: ImageSet, label: int, gates: Sequence[float]
) -> Integrated:
    """Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) of the logit of class ``label``, from black to the image.

    (x - b) * integral from 0 to 1 of d logit / d x at b + t (x - b), by Gauss-Legendre quadrature; b is the image whose
    pixels are all 0, normalised as x is; of images that come normalised, all zeros. Of the logit, as Grad-CAM, since the probability of a sure network hardly
    changes near the image. Raises InputError for an unknown class, or where ``image`` is not one image.
    """

    def logit(images: Tensor) -> Tensor:
        nothing = 0 * images.flatten(1).sum(1)  # through it autograd answers 0 where a stem lets no gradient through
        return logit_of(network(images, gates), label) + nothing

    inputs = normalised(network, preprocessing, image.pixels)
    black = normalised(network, preprocessing, torch.zeros_like(image.pixels))
    with torch.no_grad():
        rise = float(logit(inputs)[0].double() - logit(black)[0].double())
    for steps in STEPS:
        attributions = IntegratedGradients(logit).attribute(
            inputs, black, n_steps=steps, internal_batch_size=BATCH_SIZE
        )
        found = Integrated(attributions[0].detach().cpu().double().sum(0).numpy(), rise, steps)
        if found.error <= TOLERANCE * abs(rise):
            break
    return found


def normalised(network: ResidualNetwork, preprocessing: AnyPreprocessing, pixels: Tensor) -> Tensor:
    """One image as the network takes it, where the network is. Raises InputError for more or fewer, and for a network that is
    not in eval mode."""
    require_settled(network)
    if len(pixels) != 1:
        raise InputError(f"An attribution is of one image; got {len(pixels)}. Take one with images.subset([0]).")
    return preprocessing.inputs_of(network, pixels)


def stage_ends(blocks: Sequence[str], chosen: str) -> list[str]:
    """The last block of each stage, and the chosen one, in their order."""
    last = {stage_of(block): block for block in blocks}
    return [block for block in blocks if block in last.values() or block == chosen]


def correlation(before: np.ndarray, after: np.ndarray) -> float:
    """Pearson's correlation of two maps of one shape, place by place, -1 ... 1; NaN where one is the same everywhere."""
    one, other = (each.ravel() - each.mean(dtype=np.float64) for each in (before, after))
    size = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / size) if size else float("nan")
