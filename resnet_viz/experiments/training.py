"""The training behind checkpoints/: one-cycle SGD on Fashion-MNIST, seeded, resumable at any step."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from ..errors import InputError
from ..networks.device import device
from ..networks.images import AnyPreprocessing, ImageSet
from ..networks.network import ResidualNetwork
from ..networks.shortcuts import lend_generator
from ..networks.zoo import NETWORKS, Entry
from ..places import CHECKPOINTS
from ..progress import Progress, no_progress
from .short_paths import BLOCKS_PER_BATCH, LONGEST_PATH, MATCHED_BLOCKS, SEEDS, backward_over_paths, random_gates
from .trace import stream_gradient_norms

__all__ = [
    "Schedule",
    "augment",
    "backward",
    "difference",
    "every_seed",
    "histories",
    "loss_and_error",
    "optimizer_of",
    "replace",
    "short_path_runs",
    "train",
    "write_table",
]

HISTORY_IMAGES = 10_000  # training images behind the error of each epoch; the last epoch's is over all of them
GRADIENT_IMAGES = 500
STEPS_BETWEEN_SAVES = 100
HISTORIES = "histories"  # the folder of runs that depart from the bundled schedule
TABLE_HEAD = """# Bundled weights

Trained by this project on Fashion-MNIST (MIT licence). A row is reproduced by `python -m resnet_viz train NETWORK`, which
also writes this table; a run that is stopped goes on where it was. Batch 128, SGD with Nesterov momentum 0.9, weight
decay 5e-4, one-cycle learning rate (maximum 0.05, the first 30 % a warm-up), flips and shifts by up to 2 pixels. The same
seed gives the same weights on one kind of CPU at one number of threads.

Train error: all 60,000 training images in eval mode, without augmentation. Test error: all 10,000 test images. Beside
each network lies its history as JSON: loss and error on 10,000 training and all test images, and the norm of the stream's
gradient at each block (500 training images), once an epoch.

"""
TABLE_COLUMNS = """| network | seed | epochs | train error, % | test error, % | minutes (threads or device) | MB | sha256 |
|---|---|---|---|---|---|---|---|
"""
HISTORIES_HEAD = """
## Histories

Runs of other seeds or with a changed schedule, in histories/, of which only the history is kept. `seed1`: `--seed 1`;
`blocks4`: `--blocks-per-batch 4`, each batch is trained with 4 blocks drawn at random; `longest4`: `--longest-path 4`, each
parameter keeps only the gradient over paths of at most 4 branches; `epochs30`: `--epochs 30`, the one-cycle learning rate
stretched over them; `epochs3`: the kinds of shortcut, `python -m resnet_viz shortcuts`. Tested with all blocks; where batches
were trained with some of them, in brackets also with batch-norm statistics taken anew over 10,000 training images, with all
blocks.

"""


@dataclass(frozen=True)
class Schedule:
    """SGD with Nesterov momentum under a one-cycle learning rate, whose first 30 % is a warm-up from 1/25 of the maximum.

    ``blocks_per_batch`` and ``longest_path`` train on short paths only, as short_paths.py says. In files it stands under
    'recipe', so that older ones can be read.
    """

    epochs: int = 10
    batch_size: int = 128
    max_learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    shift: int = 2  # pixels, each way; flips as well
    seed: int = 0
    blocks_per_batch: int | None = None
    longest_path: int | None = None

    def path(self, entry: Entry, folder: Path) -> Path:
        """Where its files lie, without their ending: 'fashion-resnet20', or 'histories/fashion-resnet20-longest4-seed1'."""
        parts = {
            "blocks": self.blocks_per_batch,
            "longest": self.longest_path,
            "epochs": self.epochs if self.epochs != Schedule.epochs else None,
            "seed": self.seed or None,
        }
        changes = [f"-{part}{value}" for part, value in parts.items() if value is not None]
        return folder / HISTORIES / "".join([entry.name, *changes]) if changes else folder / entry.name


SHORT_PATHS = {  # by network: how it is trained, the ordinary way first
    "fashion-resnet56": {
        "all 27 blocks": Schedule(),
        f"{MATCHED_BLOCKS} of 27 blocks a batch": Schedule(blocks_per_batch=MATCHED_BLOCKS),
    },
    "fashion-resnet20": {
        "all paths": Schedule(),
        f"{BLOCKS_PER_BATCH} of 9 blocks a batch": Schedule(blocks_per_batch=BLOCKS_PER_BATCH),
        f"paths of at most {LONGEST_PATH} branches": Schedule(longest_path=LONGEST_PATH),
    },
}


def histories(entry: Entry, schedule: Schedule, folder: Path, seeds: Iterable[int] = SEEDS) -> list[dict[str, Any]]:
    """The histories of a schedule that lie in a folder, one for each seed that has been run."""
    paths = [changed(schedule, seed=seed).path(entry, folder).with_suffix(".json") for seed in seeds]
    return [json.loads(path.read_text()) for path in paths if path.is_file()]


def short_path_runs(name: str) -> dict[str, list[dict[str, Any]]]:
    """The bundled histories of a network of SHORT_PATHS, one for each seed, by how it was trained."""
    return {way: histories(NETWORKS[name], schedule, CHECKPOINTS) for way, schedule in SHORT_PATHS[name].items()}


def every_seed(runs: Mapping[str, Sequence[Any]]) -> bool:
    """Whether each way to train has been run with each of SEEDS."""
    return all(len(found) == len(SEEDS) for found in runs.values())


def difference(errors: Sequence[float], ordinary: Sequence[float]) -> tuple[float, float, float]:
    """The difference of two means over seeds and its 95 % interval, Welch's t."""
    test = stats.ttest_ind(errors, ordinary, equal_var=False)
    interval = test.confidence_interval()
    return float(np.mean(errors) - np.mean(ordinary)), float(interval.low), float(interval.high)


def augment(pixels: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Flip each image left to right with probability 1/2 and shift it by up to ``shift`` pixels, filling with black."""
    batch, _, height, width = pixels.shape
    padded = functional.pad(pixels, (shift, shift, shift, shift))
    top, left = torch.randint(0, 2 * shift + 1, (2, batch, 1), generator=generator)
    flipped = torch.rand(batch, 1, generator=generator) < 0.5
    rows = top + torch.arange(height)
    columns = left + torch.where(flipped, torch.arange(width).flip(0), torch.arange(width))
    return padded[torch.arange(batch)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def optimizer_of(
    network: nn.Module, learning_rate: float, momentum: float = 0.9, weight_decay: float = 5e-4
) -> torch.optim.SGD:
    """SGD with Nesterov momentum."""
    return torch.optim.SGD(
        network.parameters(), lr=learning_rate, momentum=momentum, nesterov=True, weight_decay=weight_decay
    )


@torch.no_grad()
def loss_and_error(network: ResidualNetwork, images: ImageSet, preprocessing: AnyPreprocessing) -> tuple[float, float]:
    """Mean cross-entropy and error in per cent, in eval mode, without augmentation, where the network lies."""
    network.eval()
    place = next(network.parameters()).device
    loss, wrong = 0.0, 0
    assert images.labels is not None
    for pixels, labels in zip(images.pixels.split(500), images.labels.split(500), strict=True):
        logits, labels = network(preprocessing.normalise(pixels.to(place))), labels.to(place)
        loss += functional.cross_entropy(logits, labels, reduction="sum").item()
        wrong += int((logits.argmax(1) != labels).sum())
    return loss / len(images), 100 * wrong / len(images)


def train(
    entry: Entry,
    training: ImageSet,
    test: ImageSet,
    folder: Path,
    schedule: Schedule,
    progress: Progress = no_progress,
) -> None:
    """Train a network on ``device()`` and write its weights (.safetensors) and its history (.json) at ``schedule.path``.

    A state file beside them is replaced at least every 100 steps; a run that finds one goes on from there, with the
    result that it would have had without the interruption (on a GPU up to rounding), on another device too: what is
    drawn at random is drawn on the CPU. Files are written whole or not at all.
    """
    path = schedule.path(entry, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    state_path = path.with_suffix(".partial.pt")
    network = entry.build(seed=schedule.seed).to(memory_format=torch.channels_last).to(device())
    steps = len(training) // schedule.batch_size
    optimizer = optimizer_of(network, schedule.max_learning_rate, schedule.momentum, schedule.weight_decay)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.max_learning_rate, total_steps=schedule.epochs * steps
    )
    done, history, seconds = 0, [], 0.0
    generator = torch.Generator()
    lend_generator(network, generator)
    if state_path.exists():
        state = torch.load(state_path, weights_only=True, map_location=device())
        if state["recipe"] != vars(schedule):
            raise InputError(f"{state_path} belongs to another schedule: {state['recipe']}; remove it to start again.")
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        rates.load_state_dict(state["schedule"])
        done, history, seconds = state["done"], state["history"], state["seconds"]

    def save() -> None:
        replace(
            state_path,
            lambda path: torch.save(
                {
                    "recipe": vars(schedule),
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": rates.state_dict(),
                    "done": done,
                    "history": history,
                    "seconds": seconds,
                },
                path,
            ),
        )

    assert training.labels is not None
    sample, gradient_sample = training.limit(HISTORY_IMAGES), training.limit(GRADIENT_IMAGES)
    assert gradient_sample.labels is not None
    gradient_pixels = gradient_sample.pixels.to(device())
    while done < schedule.epochs * steps:
        epoch, first = divmod(done, steps)
        order = torch.randperm(len(training), generator=generator.manual_seed(schedule.seed * 1000 + epoch))
        for step in range(first, steps):
            started = time.monotonic()
            network.train()
            chosen = order[step * schedule.batch_size : (step + 1) * schedule.batch_size]
            # Each step has a generator seed of its own, so that a run resumed here draws what the first would have drawn.
            generator.manual_seed((schedule.seed * 1000 + epoch) * 100_000 + step + 1)
            pixels = augment(training.pixels[chosen], schedule.shift, generator).to(device())
            optimizer.zero_grad()
            labels = training.labels[chosen].to(device())
            backward(network, entry.preprocessing.normalise(pixels), labels, schedule, generator)
            optimizer.step()
            rates.step()
            done += 1
            seconds += time.monotonic() - started
            progress(done, schedule.epochs * steps)
            if step == steps - 1:
                started = time.monotonic()
                train_loss, train_error = loss_and_error(network, sample, entry.preprocessing)
                test_loss, test_error = loss_and_error(network, test, entry.preprocessing)
                norms = stream_gradient_norms(
                    network, entry.preprocessing.normalise(gradient_pixels), gradient_sample.labels.to(device())
                )
                seconds += time.monotonic() - started
                history.append(
                    {
                        "epoch": epoch + 1,
                        "train_loss": train_loss,
                        "train_error_pct": train_error,
                        "test_loss": test_loss,
                        "test_error_pct": test_error,
                        "stream_gradient_norms": norms,
                    }
                )
            if done % STEPS_BETWEEN_SAVES == 0 or step == steps - 1:
                save()
    _, final_error = loss_and_error(network, training, entry.preprocessing)
    summary = {
        "network": entry.name,
        "recipe": vars(schedule),
        "history_images": len(sample),
        "gradient_images": len(gradient_sample),
        "epochs": history,
        "train_error_pct": final_error,
        "train_images": len(training),
        "test_error_pct": history[-1]["test_error_pct"],
        "test_images": len(test),
        "seconds": round(seconds),
        "device": device().type,
        "threads": torch.get_num_threads(),
    }
    if schedule.blocks_per_batch is not None:
        summary["test_error_reestimated_pct"] = error_with_own_statistics(network, sample, test, entry.preprocessing)
    weights = {key: tensor.cpu().contiguous() for key, tensor in network.state_dict().items()}
    replace(path.with_suffix(".safetensors"), lambda new: save_file(weights, new, {"network": entry.name}))
    replace(path.with_suffix(".json"), lambda new: new.write_text(json.dumps(summary, indent=1) + "\n"))
    state_path.unlink()


def error_with_own_statistics(
    network: ResidualNetwork, images: ImageSet, test: ImageSet, preprocessing: AnyPreprocessing
) -> float:
    """Test error in per cent after the batch norms' statistics are taken anew, with all blocks, over ``images``.

    A network that was trained without some of its blocks has statistics of streams to which fewer branches were added.
    """
    whole = deepcopy(network)
    place = next(network.parameters()).device
    update_bn((preprocessing.normalise(pixels.to(place)) for pixels in images.pixels.split(500)), whole)
    return loss_and_error(whole, test, preprocessing)[1]


def backward(
    network: ResidualNetwork, images: Tensor, labels: Tensor, schedule: Schedule, generator: torch.Generator
) -> None:
    """Set .grad to what the schedule trains with."""
    if schedule.longest_path is not None:
        backward_over_paths(network, images, labels, range(schedule.longest_path + 1))
        return
    kept = schedule.blocks_per_batch
    gates = None if kept is None else random_gates(len(network.blocks), kept, generator)
    functional.cross_entropy(network(images, gates), labels).backward()


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place, then move it there in one step."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_table(folder: Path) -> None:
    """Write ``folder/README.md``: a row for each run found there, read from its history and, if kept, its weights."""
    text = TABLE_HEAD + table(folder)
    if any((folder / HISTORIES).glob("*.json")):
        text += HISTORIES_HEAD + table(folder / HISTORIES)
    replace(folder / "README.md", lambda path: path.write_text(text))


def table(folder: Path) -> str:
    """A row for each history of a network in a folder; the recorded stacks lie there as JSON too."""
    rows = []
    for path in sorted(folder.glob("fashion-*.json")):
        summary, weights = json.loads(path.read_text()), path.with_suffix(".safetensors")
        kept = folder.name != HISTORIES
        size = f"{weights.stat().st_size / 1e6:.1f}" if kept else "-"
        anew = summary.get("test_error_reestimated_pct")
        test_error = f"{summary['test_error_pct']:.2f}" + ("" if anew is None else f" ({anew:.2f})")
        ran_on = summary["threads"] if summary.get("device", "cpu") == "cpu" else summary["device"]
        digest = f"`{hashlib.sha256(weights.read_bytes()).hexdigest()}`" if kept else "-"
        rows.append(
            f"| {path.stem} | {summary['recipe']['seed']} | {summary['recipe']['epochs']} | {summary['train_error_pct']:.2f} "
            f"| {test_error} | {summary['seconds'] / 60:.0f} ({ran_on}) | {size} | {digest} |\n"
        )
    return TABLE_COLUMNS + "".join(rows)
