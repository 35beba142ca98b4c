"""Where else a shortcut carries the stream: highway networks, LSTMs and Transformers, beside a residual network."""

import numpy as np
import torch
from torch import Tensor

from ..networks.device import array_of
from ..networks.highway import HighwayBlock
from ..networks.network import ResidualNetwork
from ..networks.recurrent import LSTMStep
from ..networks.settled import require_settled
from .plan import Plan

__all__ = ["EARLY", "FORGET_PLAN", "HARMLESS", "LATE", "LESION_PLAN", "LITTLE", "MUCH", "NORM_PLAN", "SEEDS", "carries"]

SEEDS = (0, 1, 2)  # of untrained networks
HARMLESS, EARLY, LATE = 1.0, 15, 45  # points; layers, as the paper counts them
LITTLE, MUCH = 1e3, 1e4  # times that a gradient fades
LESION_PLAN = Plan(
    "Can a highway network lose a layer?",
    "the rise in error when the transform gates of one layer are closed, so that it hands on its input: the share of the 48 layers "
    f"that cost less than {HARMLESS:g} point, and the largest rise behind the layers {EARLY} to {LATE}; in the plain twin, in which a "
    "deleted layer hands on its input too, the median rise",
    "fashion-highway50; control fashion-highway50-plain",
    "the 1,000 bundled test images, 100 a class",
    "none are needed; one training of each network",
    "at least half of the layers cost less than a point, and none of the layers 15 to 45 more than 5 points; in the plain twin the "
    "median rise is above 50 points, if it has learned at all",
    "[Srivastava et al., 2015](https://arxiv.org/abs/1507.06228), section 4.2 and figure 4, on the training images of MNIST: the error "
    "rises where an early layer is removed, the layers 15 to 45 have close to no effect, and about 60 % of the layers contribute "
    "nothing; on CIFAR-100 removing any of the first 40 does harm",
)
FORGET_PLAN = Plan(
    "Does a forget bias of 1 carry the gradient through time?",
    "the norm of the gradient of the loss in the memory that enters the first time step, relative to that which enters the last: the "
    "geometric mean over seeds of untrained networks, and in the trained ones; and the median rise in error when a time "
    "step is deleted",
    "fashion-lstm (forget bias 1 at first), fashion-lstm-forget0 (0), fashion-rnn",
    "32 of the bundled test images; of the rise in error, all 1,000",
    "the untrained networks with the seeds 0, 1 and 2; one training of each network",
    "untrained it fades less than 1,000-fold with bias 1, more than 10,000-fold with bias 0, and most in the plain network; trained "
    "the order is the same; the median rise is below 5 points in both LSTMs, and in the plain network above that of both",
    "[Jozefowicz et al., 2015](https://proceedings.mlr.press/v37/jozefowicz15.html): with a forget bias of 1 the LSTM is as good as the "
    "best architectures that they tried",
    known="the untrained ratios of seed 0 on 16 images, 183, 243,000 and 1.5 billion,",
)
NORM_PLAN = Plan(
    "Does a norm on the stream slow the highway down?",
    "the norm of the gradient in the stream that enters the first block, relative to that which enters the last: the geometric mean over "
    "seeds of untrained networks, and in the trained ones, with the norm within the branch (pre-norm) and after the sum (post-norm); "
    "and the median rise in error when a block is deleted",
    "fashion-vit and fashion-vit-postnorm",
    "32 of the bundled test images; of the rise in error, all 1,000",
    "the untrained networks with the seeds 0, 1 and 2; one training of each network",
    "untrained and trained the ratio is smaller in the post-norm network; the median rise is below 5 points in the pre-norm network, "
    "and above that in the post-norm one, whose later norms expect the sum",
    "[Xiong et al., 2020](https://arxiv.org/abs/2002.04745): at the start of training, the gradients of a post-norm Transformer are large "
    "near the output, those of a pre-norm one are alike at all layers",
    known="the untrained ratios of seed 0 on 16 images in networks of 6 layers, 2.9 and 2.5,",
)


def carries(network: ResidualNetwork, inputs: Tensor) -> np.ndarray:
    """What share of the stream each gated block lets through on its shortcut, the mean over the units: float64 (images, blocks),
    0 ... 1. In a highway network it is 1 - T(x), in an LSTM the forget gate.

    Raises InputError for a network that is not in eval mode; blocks without a gate on the shortcut are left out.
    """
    require_settled(network)
    with torch.no_grad():
        pairs = zip(network.blocks.values(), network.streams(inputs), strict=False)
        found = [block.carry(stream) for block, stream in pairs if isinstance(block, HighwayBlock | LSTMStep)]
        return array_of(torch.stack([carry.double().mean(1) for carry in found], 1))
