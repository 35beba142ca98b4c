"""A network without some of its blocks: how much smaller and faster it is, what it costs, and how far training heals it."""

import json
import time
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from statistics import median
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import save
from torch.nn import functional

from ..errors import InputError
from ..networks import datasets
from ..networks.cutting import cut
from ..networks.datasets import FASHION_MNIST
from ..networks.description import describe
from ..networks.device import describe_device, device
from ..networks.images import AnyPreprocessing, ImageSet
from ..networks.network import ResidualNetwork
from ..networks.zoo import Entry, LoadedNetwork, block_names, entry_of
from ..places import CHECKPOINTS
from ..progress import Progress, no_progress
from .deletion import Sweep, predicted, read_each
from .plan import Plan
from .stepwise import Stepping, stepwise
from .training import augment, optimizer_of

__all__ = [
    "CHOSEN_ON",
    "PLAN",
    "SEEDS",
    "SHARE",
    "Healing",
    "Timing",
    "blocks_at_random",
    "harmless_blocks",
    "heal",
    "predict_without",
    "recorded",
    "times",
    "training_images",
    "weights_file",
]

PAIRS = 15
MOST_IMAGES, MOST_MULTIPLY_ADDS = 32, 3e9  # of a forward pass that is timed: a tenth of a second of a core
SHARE = 1 / 3  # of the multiply-adds, which the study of healing removes
CHOSEN_ON = 1000  # training images, behind the sweep by which its blocks are chosen
SEEDS = (0, 1, 2)
PLAN = Plan(
    "Does a short training heal a network that has lost a third of its multiply-adds?",
    "error on the lesion set before and after 300 steps of 64 images, at a learning rate that falls linearly from 0.01 to 0: "
    "rise over the intact network, in points",
    "fashion-resnet56 and -resnet110 without the blocks whose single deletion raises the error least, as many as it takes to "
    "remove a third of the multiply-adds; the control: as many blocks, drawn at random",
    "blocks chosen by the error on 1,000 of the bundled training images, trained on all 4,000 of them; errors on the 1,000 of "
    "the lesion set, on which nothing is chosen or trained",
    "0 for the batches of the chosen ones; 0, 1 and 2 for the draws and batches of the control",
    "without the least harmful blocks, healed to at most 2 points above the intact network, for both; without random blocks, "
    "more than that on average, for both",
    known="the errors under single and random deletions of both networks",
)


@dataclass(frozen=True)
class Healing:
    """How a cut network is trained: SGD with Nesterov momentum 0.9 and weight decay 5e-4, on images flipped and shifted as in
    training, at a learning rate that falls linearly from ``learning_rate`` to 0. ``seed``: of the batches."""

    steps: int = 300
    learning_rate: float = 0.01
    batch_size: int = 64
    seed: int = 0


@dataclass(frozen=True)
class Timing:
    """Forward passes of a cut network beside the intact one. ``ratios``: the time of each pass to that of the intact
    network's just before it; CPU time of this process, on another device that of a watch."""

    batch_size: int
    device: str
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median over the pairs: whatever else the machine does slows both passes of a pair."""
        return median(self.ratios)


@stepwise
def times(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet, deleted: Sequence[str]
) -> Stepping[Timing]:
    """Time a batch of a set in the intact and in the cut network, in turn, after a first pair that does not count.

    The batch is of 32 images, or so many that a pass takes no more than some tenths of a second of one core. Raises what
    ``cut`` raises.
    """
    most = int(MOST_MULTIPLY_ADDS / describe(network, preprocessing).macs)
    batch = images.pixels[: min(MOST_IMAGES, max(1, most))]
    inputs, pair = preprocessing.inputs_of(network, batch), (network, cut(network, deleted))
    ratios = []
    for done in range(PAIRS + 1):
        seconds = []
        for each in pair:
            started = clock()
            with torch.no_grad():
                each(inputs)
            seconds.append(clock() - started)
        ratios.append(seconds[1] / seconds[0])
        yield done / (PAIRS + 1)
    return Timing(len(batch), describe_device(), tuple(ratios[1:]))


def clock() -> float:
    """Seconds of the processors that this process has used, or where another device works, of a watch when it is done."""
    if device().type == "cpu":
        return time.process_time()
    torch.accelerator.synchronize()
    return time.perf_counter()


@stepwise
def predict_without(
    network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet, deleted: Sequence[str]
) -> Stepping[np.ndarray]:
    """The classes that the cut network predicts for a set, int64 (images,). Raises what ``cut`` and ``read_each`` raise."""
    shorter = cut(network, deleted)
    intact = [1.0] * len(shorter.blocks)
    found = yield from read_each.steps(shorter, preprocessing, images, [intact], predicted)
    return cast(np.ndarray, found[0])


@stepwise
def heal(
    network: ResidualNetwork,
    preprocessing: AnyPreprocessing,
    training: ImageSet,
    healing: Healing,
    progress: Progress = no_progress,
) -> Stepping[ResidualNetwork]:
    """Train a copy of a network; it comes back in eval mode, and the network given is left as it was.

    It repeats exactly on one CPU at a fixed number of threads. Raises InputError for images without labels and for a
    learning rate that is not above 0.
    """
    if not healing.learning_rate > 0:  # NaN is not, either
        raise InputError(f"Learning rate must be above 0; got {healing.learning_rate}.")
    if training.labels is None:
        raise InputError(f"Images to train on must have labels; {training.title} have none.")
    copy = deepcopy(network)
    place = next(copy.parameters()).device
    optimizer, generator = optimizer_of(copy, healing.learning_rate), torch.Generator()
    for step in range(healing.steps):
        copy.train()
        # A seed for each step, as in race.py: what a step draws does not depend on the steps before.
        generator.manual_seed(healing.seed * 100_000 + step + 1)
        chosen = torch.randint(0, len(training), (healing.batch_size,), generator=generator)
        images = preprocessing.normalise(augment(training.pixels[chosen], 2, generator).to(place))
        for group in optimizer.param_groups:
            group["lr"] = healing.learning_rate * (1 - step / healing.steps)
        optimizer.zero_grad()
        with torch.enable_grad():
            functional.cross_entropy(copy(images), training.labels[chosen].to(place)).backward()
        optimizer.step()
        progress(step + 1, healing.steps)
        yield (step + 1) / healing.steps
    optimizer.zero_grad()
    return copy.eval()


def training_images(entry: Entry) -> ImageSet:
    """What a network is healed on. Raises InputError for one that no bundled images are for."""
    if entry.dataset != FASHION_MNIST:
        raise InputError(
            f"Networks to heal must be of Fashion-MNIST, whose training images are bundled; got {entry.name} "
            f"of {entry.dataset.name}."
        )
    return datasets.bundled_fashion("training")


def weights_file(loaded: LoadedNetwork, network: ResidualNetwork, deleted: Iterable[str], healed: int = 0) -> bytes:
    """A safetensors file of a cut network, which says of itself what it is cut from and which blocks it lacks.

    ``network``: ``loaded``'s, without the ``deleted`` blocks, and trained for ``healed`` steps. ``zoo.local_entries`` finds its
    row.
    """
    gone = {*loaded.entry.deleted, *deleted}
    names = [name for name in block_names(entry_of(loaded.entry.of_table)) if name in gone]
    weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    told = {"network": loaded.entry.of_table, "deleted": ",".join(names)}
    return in_order(save(weights, told | ({"healed": str(healed)} if healed else {})))


def in_order(file: bytes) -> bytes:
    """A safetensors file with its header sorted: safetensors writes what a file says of itself in an order of chance, and equal
    files should have equal digests."""
    length = int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the tensors behind it stay aligned
    return len(header).to_bytes(8, "little") + header + file[8 + length :]


def harmless_blocks(network: ResidualNetwork, preprocessing: AnyPreprocessing, swept: Sweep, share: float) -> list[str]:
    """The blocks whose single deletion raises the error least, as few as remove a share of the multiply-adds, 0 to 1; in
    their order. Raises InputError where all blocks but one do not remove as much."""
    whole = describe(network, preprocessing).macs
    order = np.argsort(swept.rises, kind="stable")
    for count in range(1, len(order)):
        names = [swept.blocks[index] for index in sorted(order[:count])]
        if describe(cut(network, names), preprocessing).macs <= (1 - share) * whole:
            return names
    raise InputError(f"Share must be such that blocks can remove it; got {share:g}, and one block has to be left.")


def recorded(network: str) -> list[dict[str, Any]]:
    """What ``resnet_viz cut NETWORK --blocks ... --heal 300 --seed N`` has printed, on one thread of a CPU, but for the file that it
    wrote: without the blocks of ``harmless_blocks`` (seed 0), and for each of SEEDS without those of ``blocks_at_random``. Those
    that have been run."""
    paths = [
        CHECKPOINTS / "healed" / f"{network}-{way}.json" for way in ("least", *(f"random{seed}" for seed in SEEDS))
    ]
    return [json.loads(path.read_text()) for path in paths if path.is_file()]


def blocks_at_random(blocks: Sequence[str], count: int, seed: int) -> list[str]:
    """So many blocks drawn at random, in their order."""
    drawn = np.random.default_rng(seed).choice(len(blocks), count, replace=False)
    return [blocks[index] for index in sorted(drawn)]
