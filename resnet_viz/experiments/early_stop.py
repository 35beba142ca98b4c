"""What if the network stopped after k blocks? All later branches deleted: gates 1 ... 1, 0 ... 0."""

import numpy as np
import torch
from torch import Tensor

from ..networks.images import ImageSet, Preprocessing
from ..networks.network import ResidualNetwork
from ..progress import Progress, no_progress
from .deletion import Sweep, label_array, predict_each
from .plan import Plan

PLAN = Plan(
    "Does a residual network refine one answer step by step, so that it could stop early?",
    "error when all branches after the k-th block are deleted, for k = 0 ... n; the head was never trained on these "
    "streams, so its probabilities are not calibrated",
    "fashion-resnet56 and -resnet110; control fashion-plain56",
    "the 1,000 bundled test images, 100 a class",
    "none are needed",
    "the last tenth of the blocks can be left out at a cost below 5 points in the residual networks, above 50 in the plain one",
)


def early_stops(blocks: int) -> list[list[float]]:
    """The gates of a network that stops after 0, 1 ... n blocks: n + 1 rows of n."""
    return [[1.0] * walked + [0.0] * (blocks - walked) for walked in range(blocks + 1)]


def probabilities_by_stop(network: ResidualNetwork, image: Tensor) -> np.ndarray:
    """Class probabilities of one image (1, channels, height, width) after each number of blocks: (n + 1, classes).

    All n + 1 lesions go through the network as one batch. The last row is the intact network's.
    """
    gates = torch.tensor(early_stops(len(network.blocks)), device=image.device)
    with torch.no_grad():
        return network(image.expand(len(gates), *image.shape[1:]), gates).softmax(1).cpu().numpy()


def stop_everywhere(
    network: ResidualNetwork, preprocessing: Preprocessing, images: ImageSet, progress: Progress = no_progress
) -> Sweep:
    """Predictions over a set when the network stops after 0, 1 ... n blocks: n + 1 lesions, the last one none."""
    gates = early_stops(len(network.blocks))
    predictions = predict_each(network, preprocessing, images, gates, progress=progress)
    names = tuple(f"after {walked} of {len(network.blocks)} blocks" for walked in range(len(gates)))
    return Sweep(names, predictions[-1], predictions, label_array(images))
