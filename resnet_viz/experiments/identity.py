"""Why is the identity hard? Stacks of blocks are trained to give back their own input."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..networks.device import device
from ..networks.images import ImageSet
from ..networks.network import ResidualNetwork, build_block
from ..networks.seeds import Seeded
from ..places import CHECKPOINTS
from .plan import Plan
from .training import optimizer_of

__all__ = [
    "ARMS",
    "DEPTHS",
    "LEARNING_RATES",
    "PLAN",
    "SEEDS",
    "TEST_IMAGES",
    "Arm",
    "Attempt",
    "Stacks",
    "best",
    "bundled",
    "train_stacks",
]

PATCH = 4  # pixels: each patch of 4 x 4 becomes 16 channels of one place, so that the width is constant without a stem
WIDTH = PATCH**2
LEARNING_RATES = (0.01, 0.05, 0.25)
DEPTHS = (1, 2, 5, 10, 20, 50)
SEEDS = (0, 1, 2)
TEST_IMAGES = 200
EVERY = 5  # steps between two measurements
PLAN = Plan(
    "Why is it hard to learn to do nothing?",
    "relative error |output - input| / |input| on 200 fixed images, the norms taken over all of them, after 200 steps",
    "stacks of 1 to 50 blocks without stem and head: plain; residual and pre-activation with the branch's last scale at 1, 0.1 and 0",
    "28 x 28 Fashion-MNIST images as 16 channels of 7 x 7 positions; trained on the 4,000 bundled training images",
    "0, 1 and 2; of the learning rates 0.01, 0.05 and 0.25 the best for each stack",
    "at 20 blocks the plain stack's error is at least 10 times that of the residual one with scale 0.1; with scale 1 the "
    "original residual stack is no better than the plain one; with scale 0 it starts at error 0 and has gradient 0",
    "He et al. 2015, section 3.1, give the idea without figures: if identity mappings are optimal, the solvers may simply drive the weights toward zero",
    known="figures of an earlier measurement",
)


@dataclass(frozen=True)
class Arm:
    """A kind of block, and the weight of its branch's last batch norm (pre-activation: a factor on the last convolution),
    None for a plain block, which has no such way to do nothing."""

    kind: str
    scale: float | None = None

    @property
    def title(self) -> str:
        """'residual, scale 0.1'."""
        name = {"plain": "plain", "basic": "residual", "preactivation-basic": "pre-activation"}[self.kind]
        return name if self.scale is None else f"{name}, scale {self.scale:g}"


ARMS = (Arm("plain"), *(Arm(kind, scale) for kind in ("basic", "preactivation-basic") for scale in (1.0, 0.1, 0.0)))


@dataclass(frozen=True)
class Attempt:
    """One stack trained once. ``steps``, ``errors``: the relative error after so many steps; ``gradient_norm``: of the loss
    with respect to all parameters, before the first step."""

    arm: Arm
    blocks: int
    learning_rate: float
    seed: int
    steps: Sequence[int]
    errors: Sequence[float]
    gradient_norm: float


@dataclass(frozen=True)
class Stacks:
    """What is trained: every arm at one number of blocks, with each learning rate."""

    blocks: int = 20
    steps: int = 200
    seed: int = 0
    batch_size: int = 64


def bundled() -> list[Attempt]:
    """What the command 'identity' has recorded: every arm, depth, learning rate and seed."""
    rows = json.loads((CHECKPOINTS / "identity.json").read_text())
    return [
        Attempt(
            **row
            | {"arm": Arm(**row["arm"]), "errors": [math.inf if error is None else error for error in row["errors"]]}
        )
        for row in rows
    ]


def stack(arm: Arm, blocks: int, seed: int) -> ResidualNetwork:
    """Blocks of one shape in a row, with seeded initial weights; it takes and returns (batch, WIDTH, height, width)."""
    with Seeded(seed):
        row = [build_block(arm.kind, WIDTH, WIDTH, 1, "A", nn.BatchNorm2d) for _ in range(blocks)]
    if arm.scale is not None:
        with torch.no_grad():
            for block in row:
                last = list(block.branch.children())[-1]
                last.get_parameter("weight").mul_(arm.scale)
    return ResidualNetwork(nn.Identity(), [row], nn.Identity())


def as_stream(images: ImageSet) -> Tensor:
    """Pixels from 0 to 1 as a stream of constant width: float32 (images, WIDTH, height / PATCH, width / PATCH)."""
    return functional.pixel_unshuffle(images.pixels.float() / 255, PATCH).contiguous(memory_format=torch.channels_last)


def relative_error(network: ResidualNetwork, stream: Tensor) -> float:
    """|output - input| / |input| over a whole batch, with the batch's own statistics, as the stack is trained."""
    with torch.no_grad():
        return float((network.walk(stream) - stream).norm() / stream.norm())


def attempt(arm: Arm, stacks: Stacks, learning_rate: float, training: Tensor, test: Tensor) -> Iterator[Attempt | None]:
    """Train one stack, where its input lies, to give it back (mean squared error): None after every step, at the end what
    came out.

    A stack whose error is no longer a number ends there.
    """
    network = stack(arm, stacks.blocks, stacks.seed).to(memory_format=torch.channels_last).to(training.device)
    optimizer = optimizer_of(network, learning_rate, weight_decay=0.0)
    generator = torch.Generator()
    done = Attempt(arm, stacks.blocks, learning_rate, stacks.seed, (0,), (relative_error(network, test),), 0.0)
    for step in range(1, stacks.steps + 1):
        chosen = torch.randint(
            0, len(training), (stacks.batch_size,), generator=generator.manual_seed(stacks.seed * 100_000 + step)
        )
        stream = training[chosen]
        optimizer.zero_grad()
        functional.mse_loss(network.walk(stream), stream).backward()
        if step == 1:
            gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
            norm = torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in gradients])).item()
            done = replace(done, gradient_norm=norm)
        optimizer.step()
        if step % EVERY == 0 or step == stacks.steps:
            error = relative_error(network, test)
            done = replace(done, steps=(*done.steps, step), errors=(*done.errors, error))
            if not error < math.inf:
                break
        yield None
    yield done


def train_stacks(
    stacks: Stacks, training: ImageSet, test: ImageSet, arms: Sequence[Arm] = ARMS
) -> Iterator[Attempt | None]:
    """Every arm with each learning rate, on ``device()``: an Attempt at the end of each, None after every step in between."""
    inputs, fixed = (as_stream(images).to(device()) for images in (training, test.limit(TEST_IMAGES)))
    for arm in arms:
        for learning_rate in LEARNING_RATES:
            yield from attempt(arm, stacks, learning_rate, inputs, fixed)


def best(attempts: Sequence[Attempt]) -> dict[tuple[Arm, int], list[Attempt]]:
    """For each arm and number of blocks, its attempts (one for each seed) at the learning rate that came out best.

    Best: the least mean of the last errors over the seeds; NaN counts as infinite.
    """
    groups: dict[tuple[Arm, int], dict[float, list[Attempt]]] = {}
    for each in attempts:
        groups.setdefault((each.arm, each.blocks), {}).setdefault(each.learning_rate, []).append(each)

    def mean_error(tried: list[Attempt]) -> float:
        last = [each.errors[-1] if each.errors[-1] < math.inf else math.inf for each in tried]
        return sum(last) / len(last)

    return {place: min(by_rate.values(), key=mean_error) for place, by_rate in groups.items()}
