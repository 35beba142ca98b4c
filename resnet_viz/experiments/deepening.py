"""The deeper network contains the shallower one: a trained plain network made deeper by layers that do nothing.

He et al. 2015 (arXiv:1512.03385, section 1): a solution for the deeper network exists by construction, the added layers
being identities; so the deeper network's training error should not be higher.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..networks.blocks import Block
from ..networks.datasets import CALIBRATION_IMAGES, bundled_fashion
from ..networks.images import ImageSet
from ..networks.network import ResidualNetwork
from ..networks.zoo import Entry
from .plan import Plan
from .stepwise import Stepping, stepwise
from .training import loss_and_error

__all__ = [
    "BATCH",
    "PLAN",
    "TRAINING_IMAGES",
    "Difference",
    "deepened",
    "difference",
    "error_deepened",
    "logits_apart",
    "training_images",
]

BATCH = 128
AT_ONCE = 125  # images of a step
TRAINING_IMAGES = 1000
PLAN = Plan(
    "Does the deeper plain network contain the shallower one, and does that help it?",
    "difference of the logits, and error on 1,000 training images; then the error on 500 of them after 500 steps of "
    "128 images at a learning rate of 0.05 (and, added after that failed, of 0.01)",
    "the trained plain20, the same deepened by identity layers to plain56, and a plain56 with fresh initial weights",
    "Fashion-MNIST: the 4,000 bundled training images",
    "0, 1 and 2 of the batches and of the fresh weights",
    "with frozen inserted norms the logits agree to 1e-5 in both modes and the training errors are equal; with live norms the "
    "train mode is off by more than 1 %; trained on, the deepened network stays at least 5 points below the fresh one",
    "He et al. 2015, section 1: such a solution exists by construction, but solvers do not find one as good",
    known="figures of an earlier measurement",
)


class FrozenNorm(nn.BatchNorm2d):
    """A batch norm that keeps its statistics in train mode too; weight and bias are trained."""

    def train(self, mode: bool = True) -> "FrozenNorm":  # noqa: ARG002  (nn.Module's signature)
        return super().train(False)


def deepened(shallow: ResidualNetwork, deep: Entry, *, live: bool = False) -> ResidualNetwork:
    """A network of the row ``deep`` that computes what ``shallow`` does, both plain and of the same widths.

    Each stage keeps its blocks; behind them come identity blocks: Dirac convolutions, batch norms with weight
    sqrt(variance + eps) and bias mean, whose statistics are those of the stream over 256 training images. The stream is
    not negative there, so that the ReLUs change nothing. Invariant: the logits equal the shallow network's to 1e-5,
    in eval and in train mode; with ``live`` norms, which take each batch's statistics in train mode, in eval mode only.
    Raises InputError where the blocks are not plain, or ``deep`` has fewer in a stage, or others (of other widths, or
    without batch norm).
    """
    network = deep.build(seed=0)
    plain = all(block.is_plain for block in [*network.blocks.values(), *shallow.blocks.values()])
    added = tuple(f"{name}." for name in network.blocks if name not in shallow.blocks)
    kept = {name: tensor.shape for name, tensor in network.state_dict().items() if not name.startswith(added)}
    same = kept == {name: tensor.shape for name, tensor in shallow.state_dict().items()}
    if not plain or not same or not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()):
        raise InputError(f"{deep.name} does not contain that network; give plain networks, the deeper one second.")
    network.load_state_dict(shallow.state_dict(), strict=False)
    network.eval()
    with torch.no_grad():
        inputs = deep.preprocessing.normalise(bundled_fashion("training").limit(CALIBRATION_IMAGES).pixels)
        stream = network.stem(inputs)
        for name, block in network.blocks.items():
            if name in shallow.blocks:
                stream = block(stream)
            else:
                become_identity(block, stream, live=live)
    return network


def become_identity(block: Block, stream: Tensor, *, live: bool) -> None:
    """Turn a plain block into one that hands on a stream that is not negative."""
    mean, variance = stream.mean((0, 2, 3)), stream.var((0, 2, 3))
    layers = block.branch.get_submodule("layers")
    for number in (1, 2):
        convolution = getattr(layers, f"conv{number}")
        nn.init.dirac_(convolution.weight)
        norm = nn.BatchNorm2d(len(mean)) if live else FrozenNorm(len(mean)).eval()
        norm.get_buffer("running_mean").copy_(mean)
        norm.get_buffer("running_var").copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean)
        setattr(layers, f"bn{number}", norm)


@dataclass(frozen=True)
class Difference:
    """|deep - shallow| / |shallow| of the logits over a batch, in eval and in train mode."""

    in_eval: float
    in_train: float


def difference(shallow: ResidualNetwork, deep: ResidualNetwork, images: Tensor) -> Difference:
    """Compare the logits of normalised images (batch, channels, height, width). The networks are left as they were."""
    both = deepcopy(shallow), deepcopy(deep)
    found = []
    with torch.no_grad():
        for mode in (False, True):
            expected, came = (network.train(mode)(images) for network in both)
            found.append(((came - expected).norm() / expected.norm()).item())
    return Difference(*found)


@stepwise
def logits_apart(shallow: ResidualNetwork, deep: Entry, *, live: bool) -> Stepping[Difference]:
    """What deepening a network changes, on the CPU: ``difference`` on BATCH bundled training images."""
    shallow = deepcopy(shallow).cpu()
    batch = deep.preprocessing.normalise(training_images().limit(BATCH).pixels)
    network = deepened(shallow, deep, live=live)
    yield 0.5
    return difference(shallow, network, batch)


@stepwise
def error_deepened(shallow: ResidualNetwork, deep: Entry) -> Stepping[float]:
    """The error in per cent of a network that is deepened (to its own row: of itself), on the CPU, on TRAINING_IMAGES."""
    network, images, wrong = deepened(deepcopy(shallow).cpu(), deep), training_images(), 0
    parts = images.parts(AT_ONCE)
    for done, part in enumerate(parts, start=1):
        wrong += round(loss_and_error(network, part, deep.preprocessing)[1] * len(part) / 100)
        yield done / len(parts)
    return 100 * wrong / len(images)


def training_images() -> ImageSet:
    """TRAINING_IMAGES of the bundled training images."""
    return bundled_fashion("training").limit(TRAINING_IMAGES)
