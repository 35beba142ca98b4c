"""Two networks trained side by side on the same batches, watched as they learn."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch.nn import functional

from ..errors import InputError, NotFinite
from ..networks import datasets
from ..networks.device import device
from ..networks.images import ImageSet
from ..networks.network import ResidualNetwork
from ..networks.shortcuts import lend_generator
from ..networks.zoo import Entry, entry_of, load
from ..places import CHECKPOINTS
from .deepening import deepened
from .deletion import sweep
from .plan import Plan
from .trace import stream_gradient_norms
from .training import augment, loss_and_error, optimizer_of

__all__ = [
    "BLOCK_IMAGES",
    "DEEPENED",
    "FROM",
    "MOST_STEPS",
    "PLAN",
    "RECORDED",
    "SAMPLE",
    "SEEDS",
    "Race",
    "Racing",
    "Record",
    "Samples",
    "bundled",
    "recorded",
    "row_of",
    "samples",
]

SAMPLE = 500  # images of the fixed training sample, and of the fixed test sample
BLOCK_IMAGES = 100  # of each, behind the gradient norms and the deletions
EVERY = 10  # steps between two records
MOST_STEPS = 2000
FROM = "-from-"
RACES = CHECKPOINTS / "races"  # recorded by the command 'race'
SEEDS = (0, 1, 2)
RECORDED = "plain56-resnet56"
DEEPENED = {0.05: "plain56-from-plain20-plain56", 0.01: "plain56-from-plain20-plain56-rate0.01"}  # by learning rate
PLAN = Plan(
    "Does a deep plain network learn more slowly than a residual one, from the first step?",
    "error on 500 fixed training images, in eval mode, after 500 steps of 128 images at a learning rate of 0.05",
    "plain56 beside resnet56, same initial seed, same batches",
    "trained on the 4,000 bundled training images; the errors on 500 of them and on 500 of the lesion set",
    "0, 1 and 2",
    "the residual network's training error is at least 10 points lower, for each seed",
    "He et al. 2015, section 4.1: on ImageNet, ResNet-18 ends about as accurate as plain-18, but converges faster at first",
)


@dataclass(frozen=True)
class Race:
    """What is trained. ``left``, ``right``: names as ``entry_of`` takes them, without 'fashion-': 'plain56', 'resnet8-B',
    'preact20-without-batch-norm'; 'plain56-from-plain20' begins as the trained plain20, deepened by identity layers.

    SGD with Nesterov momentum 0.9 and weight decay 5e-4 at a constant learning rate. ``full``: on all 60,000 training
    images in place of the 4,000 bundled ones. ``seed``: of the initial weights and of the batches.
    """

    left: str = "plain56"
    right: str = "resnet56"
    steps: int = 500
    learning_rate: float = 0.05
    seed: int = 0
    batch_size: int = 128
    full: bool = False


@dataclass(frozen=True)
class Standing:
    """One network at one step: loss (nats) and error (per cent) on the fixed samples; for each block the norm of d loss /
    d stream entering it, and the rise in error (points) when it alone is deleted. ``batch_losses``: of the steps since
    the record before, in train mode."""

    batch_losses: Sequence[float]
    train_loss: float
    train_error_pct: float
    test_loss: float
    test_error_pct: float
    stream_gradient_norms: Sequence[float]
    deletion_rises: Sequence[float]


@dataclass(frozen=True)
class Record:
    """Both networks after a number of steps."""

    step: int
    left: Standing
    right: Standing


def bundled(name: str) -> list[tuple[Race, list[Record]]]:
    """A race that came with the project, once for each of SEEDS."""
    return [recorded(RACES / f"{name}-seed{seed}.jsonl") for seed in SEEDS]


def recorded(path: Path) -> tuple[Race, list[Record]]:
    """A race from the lines of JSON that the command 'race' has printed; null stands for NaN."""
    first, *rest = map(json.loads, path.read_text().splitlines())

    def standing(row: Mapping[str, Any]) -> Standing:
        return Standing(**{name: as_numbers(value) for name, value in row.items()})

    return Race(**first), [Record(row["step"], standing(row["left"]), standing(row["right"])) for row in rest]


def as_numbers(value: Any) -> Any:
    """A number or a list of them as JSON has it, NaN for null."""
    if isinstance(value, list):
        return [as_numbers(each) for each in value]
    return math.nan if value is None else value


@dataclass(frozen=True)
class Samples:
    """The images of a race: those trained on, and the two fixed samples."""

    training: ImageSet
    fixed: ImageSet
    test: ImageSet


def samples(full: bool) -> Samples:
    """Raises InputError where the full set is wanted and not at hand."""
    training = datasets.full_fashion()[0] if full else datasets.bundled_fashion("training")
    return Samples(training, training.limit(SAMPLE), datasets.bundled_fashion("lesion").limit(SAMPLE))


def row_of(name: str) -> Entry:
    """The row that a racer's weights are of. Raises InputError for an unknown name."""
    return entry_of(f"fashion-{name.partition(FROM)[0]}")


def racer(name: str, seed: int) -> tuple[Entry, ResidualNetwork]:
    """A network as it enters a race, and the row that its weights are of. Raises InputError for an unknown name,
    and for one that is to begin as a network without trained weights."""
    entry, (_, deepens, shallow) = row_of(name), name.partition(FROM)
    network = entry.build(seed=seed)
    if deepens:
        start = load(entry_of(f"fashion-{shallow}"))
        if not start.trained:
            raise InputError(f"{shallow} has no trained weights to begin with; {FROM}plain20 has.")
        network = deepened(start.network, entry)
    return entry, network.to(memory_format=torch.channels_last).to(device())


class Racing:
    """A race that is being run on ``device()``: iterate over it for a Record every EVERY steps, None after every other step.

    A race repeats exactly on one CPU at a fixed number of threads.
    """

    def __init__(self, race: Race, images: Samples) -> None:
        if not race.learning_rate > 0:  # NaN is not, either
            raise InputError(f"Learning rate must be above 0; got {race.learning_rate}.")
        self.race, self.images = race, images
        self.entries, self.networks = zip(*(racer(name, race.seed) for name in (race.left, race.right)), strict=True)

    def __iter__(self) -> Iterator[Record | None]:
        race, training = self.race, self.images.training
        preprocessing = self.entries[0].preprocessing
        optimizers = [optimizer_of(network, race.learning_rate) for network in self.networks]
        batch_losses: list[list[float]] = [[], []]
        generator = torch.Generator()
        for network in self.networks:
            lend_generator(network, generator)
        assert training.labels is not None
        yield self.record(0, batch_losses)
        for step in range(1, race.steps + 1):
            # A seed for each step, as in training.py: what a step draws does not depend on the steps before.
            generator.manual_seed(race.seed * 100_000 + step)
            chosen = torch.randint(0, len(training), (race.batch_size,), generator=generator)
            images = preprocessing.normalise(augment(training.pixels[chosen], 2, generator).to(device()))
            labels, drawn = training.labels[chosen].to(device()), generator.get_state()
            for network, optimizer, losses in zip(self.networks, optimizers, batch_losses, strict=True):
                generator.set_state(drawn)  # dropout draws the same, whoever stands beside it
                network.train()
                optimizer.zero_grad()
                loss = functional.cross_entropy(network(images), labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            yield self.record(step, batch_losses) if step % EVERY == 0 or step == race.steps else None

    def record(self, step: int, batch_losses: list[list[float]]) -> Record:
        """Measure both networks, and begin new lists of batch losses."""
        both = [self.standing(*each) for each in zip(self.entries, self.networks, batch_losses, strict=True)]
        for losses in batch_losses:
            losses.clear()
        return Record(step, *both)

    def standing(self, entry: Entry, network: ResidualNetwork, batch_losses: list[float]) -> Standing:
        fixed, test, preprocessing = self.images.fixed, self.images.test, entry.preprocessing
        few = fixed.limit(BLOCK_IMAGES)
        assert few.labels is not None
        train, tested = (loss_and_error(network, images, preprocessing) for images in (fixed, test))
        inputs = preprocessing.normalise(few.pixels.to(device()))
        norms = stream_gradient_norms(network, inputs, few.labels.to(device()))
        try:
            rises = sweep(network, preprocessing, test.limit(BLOCK_IMAGES)).rises.tolist()
        except NotFinite:  # too large a step: the race goes on, and shows it
            rises = [math.nan] * len(network.blocks)
        return Standing(tuple(batch_losses), *train, *tested, tuple(norms), tuple(rises))

    def files(self) -> dict[str, bytes]:
        """The weights as they are now, as safetensors files that name their network: 'left' and 'right'."""
        return {
            side: save(
                {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()},
                {"network": entry.name},
            )
            for side, entry, network in zip(("left", "right"), self.entries, self.networks, strict=True)
        }
