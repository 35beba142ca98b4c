"""The recipe behind checkpoints/: one-cycle SGD on Fashion-MNIST, seeded, resumable at any step."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from ..networks.images import ImageSet, Preprocessing
from ..networks.network import ResidualNetwork
from ..networks.zoo import Entry
from ..progress import Progress, no_progress
from .trace import stream_gradient_norms

HISTORY_IMAGES = 10_000  # training images behind the error of each epoch; the last epoch's is over all of them
GRADIENT_IMAGES = 500
STEPS_BETWEEN_SAVES = 100
TABLE_HEAD = """# Bundled weights

Trained by this project on Fashion-MNIST (MIT licence). A row is reproduced by `python -m resnet_viz train NETWORK`, which
also writes this table; a run that is stopped goes on where it was. Batch 128, SGD with Nesterov momentum 0.9, weight
decay 5e-4, one-cycle learning rate (maximum 0.05, the first 30 % a warm-up), flips and shifts by up to 2 pixels. The same
seed gives the same weights on one kind of machine at one number of threads.

Train error: all 60,000 training images in eval mode, without augmentation. Test error: all 10,000 test images. Beside
each network lies its history as JSON: loss and error on 10,000 training and all test images, and the norm of the stream's
gradient at each block (500 training images), once an epoch.

| network | seed | epochs | train error, % | test error, % | minutes (threads) | MB | sha256 |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov momentum under a one-cycle learning rate, whose first 30 % is a warm-up from 1/25 of the maximum."""

    epochs: int = 10
    batch_size: int = 128
    max_learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    shift: int = 2  # pixels, each way; flips as well
    seed: int = 0


def augment(pixels: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Flip each image left to right with probability 1/2 and shift it by up to ``shift`` pixels, filling with black."""
    batch, _, height, width = pixels.shape
    padded = functional.pad(pixels, (shift, shift, shift, shift))
    top, left = torch.randint(0, 2 * shift + 1, (2, batch, 1), generator=generator)
    flipped = torch.rand(batch, 1, generator=generator) < 0.5
    rows = top + torch.arange(height)
    columns = left + torch.where(flipped, torch.arange(width).flip(0), torch.arange(width))
    return padded[torch.arange(batch)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@torch.no_grad()
def loss_and_error(network: ResidualNetwork, images: ImageSet, preprocessing: Preprocessing) -> tuple[float, float]:
    """Mean cross-entropy and error in per cent, in eval mode, without augmentation."""
    network.eval()
    loss, wrong = 0.0, 0
    assert images.labels is not None
    for pixels, labels in zip(images.pixels.split(500), images.labels.split(500), strict=True):
        logits = network(preprocessing.normalise(pixels))
        loss += functional.cross_entropy(logits, labels, reduction="sum").item()
        wrong += int((logits.argmax(1) != labels).sum())
    return loss / len(images), 100 * wrong / len(images)


def train(
    entry: Entry,
    training: ImageSet,
    test: ImageSet,
    folder: Path,
    recipe: Recipe,
    progress: Progress = no_progress,
) -> None:
    """Train a network and write ``folder/NAME.safetensors`` and ``folder/NAME.json`` (its history).

    A state file beside them is replaced at least every 100 steps; a run that finds one goes on from there, with the
    result that it would have had without the interruption. Files are written whole or not at all.
    """
    state_path = folder / f"{entry.name}.partial.pt"
    network = entry.build(seed=recipe.seed).to(memory_format=torch.channels_last)
    steps = len(training) // recipe.batch_size
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.max_learning_rate,
        momentum=recipe.momentum,
        nesterov=True,
        weight_decay=recipe.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.max_learning_rate, total_steps=recipe.epochs * steps
    )
    done, history, seconds = 0, [], 0.0
    generator = torch.Generator()
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        if state["recipe"] != vars(recipe):
            raise InputError(f"{state_path} belongs to another recipe: {state['recipe']}; remove it to start again.")
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        done, history, seconds = state["done"], state["history"], state["seconds"]

    def save() -> None:
        replace(
            state_path,
            lambda path: torch.save(
                {
                    "recipe": vars(recipe),
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
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
    while done < recipe.epochs * steps:
        epoch, first = divmod(done, steps)
        order = torch.randperm(len(training), generator=generator.manual_seed(recipe.seed * 1000 + epoch))
        for step in range(first, steps):
            started = time.monotonic()
            network.train()
            chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            # Each step has a generator seed of its own, so that a run resumed here draws what the first would have drawn.
            generator.manual_seed((recipe.seed * 1000 + epoch) * 100_000 + step + 1)
            images = entry.preprocessing.normalise(augment(training.pixels[chosen], recipe.shift, generator))
            loss = functional.cross_entropy(network(images), training.labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            seconds += time.monotonic() - started
            progress(done, recipe.epochs * steps)
            if step == steps - 1:
                started = time.monotonic()
                train_loss, train_error = loss_and_error(network, sample, entry.preprocessing)
                test_loss, test_error = loss_and_error(network, test, entry.preprocessing)
                norms = stream_gradient_norms(
                    network, entry.preprocessing.normalise(gradient_sample.pixels), gradient_sample.labels
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
        "recipe": vars(recipe),
        "history_images": len(sample),
        "gradient_images": len(gradient_sample),
        "epochs": history,
        "train_error_pct": final_error,
        "train_images": len(training),
        "test_error_pct": history[-1]["test_error_pct"],
        "test_images": len(test),
        "seconds": round(seconds),
        "threads": torch.get_num_threads(),
    }
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    replace(folder / f"{entry.name}.safetensors", lambda path: save_file(weights, path, {"network": entry.name}))
    replace(folder / f"{entry.name}.json", lambda path: path.write_text(json.dumps(summary, indent=1) + "\n"))
    state_path.unlink()


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place, then move it there in one step."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_table(folder: Path) -> None:
    """Write ``folder/README.md``: a row for each network trained there, read from its history and its weights."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        summary, weights = json.loads(path.read_text()), path.with_suffix(".safetensors")
        rows.append(
            f"| {path.stem} | {summary['recipe']['seed']} | {summary['recipe']['epochs']} | {summary['train_error_pct']:.2f} "
            f"| {summary['test_error_pct']:.2f} | {summary['seconds'] / 60:.0f} ({summary['threads']}) "
            f"| {weights.stat().st_size / 1e6:.1f} | `{hashlib.sha256(weights.read_bytes()).hexdigest()}` |"
        )
    text = TABLE_HEAD + "\n".join(rows) + "\n"
    replace(folder / "README.md", lambda path: path.write_text(text))
