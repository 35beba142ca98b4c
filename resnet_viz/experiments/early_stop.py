"""What if the network stopped after k blocks? All later branches deleted: gates 1 ... 1, 0 ... 0. And what a linear probe
reads from the stream there."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..networks.images import AnyPreprocessing, ImageSet
from ..networks.network import ResidualNetwork, check_batch
from ..networks.settled import require_settled
from ..progress import Progress, no_progress
from .deletion import BATCH_SIZE, Sweep, intact_streams, known, label_array, predict_each, probabilities
from .loss import finite
from .plan import Plan
from .stepwise import Stepping, in_batches, share_of, stepwise

__all__ = [
    "PLAN",
    "REFINING_PLAN",
    "Probed",
    "largest_fall",
    "probabilities_by_stop",
    "probe_everywhere",
    "stop_everywhere",
]

RIDGE = 0.01  # of the probes: the penalty on squared weights, beside a mean squared error; features are standardised
PLAN = Plan(
    "Could a residual network stop early?",
    "error when all branches after the k-th block are deleted, for k = 0 ... n; the head was never trained on these "
    "streams, so its probabilities are not calibrated",
    "fashion-resnet56 and -resnet110; control fashion-plain56",
    "the 1,000 bundled test images, 100 a class",
    "none are needed",
    "the last tenth of the blocks can be left out at a cost below 5 points in the residual networks, above 50 in the plain one",
)
REFINING_PLAN = Plan(
    "Does a residual network refine one answer step by step?",
    "error when all branches after the k-th block are deleted: after half and after three quarters of the blocks, and the largest "
    "fall at a single block, as a share of the whole fall; beside it the error of a linear probe of each stream (ridge "
    "regression of the class on the channels' means)",
    "fashion-resnet56 and -resnet110; control fashion-plain56",
    "the 1,000 bundled test images, 100 a class; the probes are fitted to the 4,000 bundled training images",
    "none are needed",
    "what the claim needs in the residual networks: at most 50 % after half the blocks, at most 25 % after three quarters, and no "
    "single block with more than a quarter of the fall; and what would set them apart: in the plain network, the probe's error after "
    "half the blocks is more than 10 points above that at the end, in the residual ones it is not",
    known="the errors after half the blocks, 63 and 71 %, and that a probe's error falls early in the plain network too,",
)


@dataclass(frozen=True)
class Probed:
    """What is said after 0, 1 ... n blocks, n + 1 lesions each: ``head``, by the network's own head when it stops there;
    ``probe``, by a linear probe of the stream there."""

    head: Sweep
    probe: Sweep


def early_stops(blocks: int) -> list[list[float]]:
    """The gates of a network that stops after 0, 1 ... n blocks: n + 1 rows of n."""
    return [[1.0] * walked + [0.0] * (blocks - walked) for walked in range(blocks + 1)]


def probabilities_by_stop(network: ResidualNetwork, image: Tensor) -> np.ndarray:
    """Class probabilities of one image (1, channels, height, width) after each number of blocks: (n + 1, classes).

    The walk up to each stop is shared; what follows is the shortcuts alone. The last row is the intact network's. Raises
    InputError for a network that is not in eval mode, NotFinite where logits are not finite.
    """
    check_batch(image)
    streams, gates = intact_streams(network, image), early_stops(len(network.blocks))
    return np.concatenate([probabilities(network, streams, each) for each in gates])


@stepwise
def stop_everywhere(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet, progress: Progress = no_progress
) -> Stepping[Sweep]:
    """Predictions over a set when the network stops after 0, 1 ... n blocks: n + 1 lesions, the last one none."""
    gates = early_stops(len(network.blocks))
    predictions = yield from predict_each.steps(network, preprocessing, images, gates, progress=progress)
    names = tuple(f"after {walked} of {len(network.blocks)} blocks" for walked in range(len(gates)))
    return Sweep(names, predictions[-1], predictions, label_array(images))


def largest_fall(error_pct: np.ndarray) -> float:
    """How much of the fall from the first to the last of some errors, (n + 1,), the largest single step has: a share."""
    return float(-np.diff(error_pct).min() / (error_pct[0] - error_pct[-1]))


@stepwise
def probe_everywhere(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, training: ImageSet, test: ImageSet
) -> Stepping[np.ndarray]:
    """What a linear probe of the stream after 0, 1 ... n blocks says of a test set: classes, int64 (n + 1, images).

    A probe is fitted to the channels' means over all places, for each training image, standardised, in closed form: ridge
    regression of the one-hot classes; it says the class with the largest value.
    """
    targets = functional.one_hot(known(training.labels)).double()
    said, whole = [], len(training) + len(test)
    means, done = [], 0
    for images in (training, test):
        of_set = channel_means(network, preprocessing, images)
        means.append((yield from share_of(of_set, done / len(images), whole / len(images))))
        done += len(images)
    for fitted, read in zip(*means, strict=True):
        centre, spread = fitted.mean(0), fitted.std(0) + 1e-9
        features, seen = (fitted - centre) / spread, (read - centre) / spread
        square = features.T @ features / len(features) + RIDGE * torch.eye(features.shape[1], dtype=torch.float64)
        weights = torch.linalg.solve(square, features.T @ (targets - targets.mean(0)) / len(features))
        said.append((seen @ weights + targets.mean(0)).argmax(1).numpy())
    return np.stack(said)


def channel_means(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet
) -> Stepping[list[Tensor]]:
    """The mean over all places of each channel of each of the n + 1 streams: float64 (images, channels) on the CPU.

    Raises InputError for a network that is not in eval mode, NotFinite where a mean is not finite."""
    require_settled(network)
    *_, last = network.blocks.values()

    @torch.no_grad()
    def compute(part: slice) -> Stepping[list[Tensor]]:
        streams = network.streams(preprocessing.inputs_of(network, images.pixels[part]))
        blocks = [*network.blocks.values(), last]
        means = [
            finite(over_places(block.state(stream)), "streams").cpu().double()
            for block, stream in zip(blocks, streams, strict=True)
        ]
        yield 1.0
        return means

    parts = yield from in_batches(compute, len(images), BATCH_SIZE)
    return [torch.cat(of_stream) for of_stream in zip(*(means for _, means in parts), strict=True)]


def over_places(stream: Tensor) -> Tensor:
    """The mean over all places of a stream (images, channels, ...), of any number of dimensions: (images, channels)."""
    places = tuple(range(2, stream.ndim))
    return stream.mean(places) if places else stream  # torch takes no dimensions for all of them
