"""A network without some of its blocks, from a shell: measured, healed, and as a file."""

import hashlib
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..citation import VERSION
from ..errors import InputError
from ..experiments import cut, deletion
from ..experiments.cut import Healing, Timing
from ..experiments.training import replace
from ..networks import cutting, zoo
from ..networks.description import Description, describe
from ..networks.images import ImageSet
from .shell import LARGEST_SEED, bar, main, show
from .studies import images_row, lesion_row, load, weights_of


@main.command("cut")
@click.argument("network")
@click.option("--checkpoint", type=click.Path(path_type=Path), metavar="FILE", help="Take these weights.")
@click.option("--blocks", required=True, metavar="BLOCK,BLOCK", help="What to delete: layer1.2,layer3.0")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Where the weights that are left go, as safetensors; --checkpoint takes them.",
)
@click.option("--heal", type=click.IntRange(1, 100_000), metavar="STEPS", help="Train it for so many steps.")
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), default=Healing.seed, help="Of the batches trained on.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Measure on pictures in folders named by class, index or WordNet id, in place of what comes with the network.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Measure on N images spread evenly over the set.")
def cut_command(
    network: str,
    checkpoint: Path | None,
    blocks: str,
    output: Path,
    heal: int | None,
    seed: int,
    data: Path | None,
    limit: int | None,
) -> None:
    """Take blocks out of a network: its size, time and error beside the intact one's, and what is left as a file."""
    if output.suffix != ".safetensors":
        raise InputError(f"--output must end in .safetensors; got {output}.")
    if not output.parent.is_dir():
        raise InputError(f"{output.parent} is not a folder; give a file in one that exists.")
    row = zoo.entry_of(network)
    if heal:
        cut.training_images(row)  # refused before anything is fetched
    loaded = load(row, checkpoint, None)
    entry = loaded.entry  # a checkpoint may have classes of its own
    training = cut.training_images(entry) if heal else None
    images = zoo.images_of(entry, data, limit)
    if not loaded.trained:
        raise InputError(
            f"Networks to cut must be trained; got {entry.name} without weights: give some by --checkpoint."
        )
    whole, preprocessing = loaded.network, entry.preprocessing
    deleted = [name.strip() for name in blocks.split(",") if name.strip()]
    if not deleted:
        raise InputError(f"--blocks {blocks!r} names no block; give one or more: layer1.2,layer3.0")
    left = cutting.cut(whole, deleted)
    before = deletion.predict(whole, preprocessing, images)
    facts = {
        **weights_of(loaded),
        "digest": loaded.digest,
        "version": VERSION,
        "deleted": [name for name in whole.blocks if name in deleted],
        **images_row(images),
        "intact": size_row(describe(whole, preprocessing)) | intact_row(images, before),
        "cut": size_row(describe(left, preprocessing))
        | error_row(images, before, deletion.predict(left, preprocessing, images)),
        "time_ratio": time_row(cut.times(whole, preprocessing, images, deleted)),
    }
    if heal and training:
        healing = Healing(heal, seed=seed)
        with bar("Healing, steps") as progress:
            left = cut.heal(left, preprocessing, training, healing, progress)
        healed = error_row(images, before, deletion.predict(left, preprocessing, images))
        facts["healed"] = {**vars(healing), "training_images": len(training), **healed}
    content = cut.weights_file(loaded, left, deleted, heal or 0)
    replace(output, lambda unfinished: unfinished.write_bytes(content))
    show({**facts, "output": str(output), "output_digest": hashlib.sha256(content).hexdigest()})


def size_row(described: Description) -> dict[str, Any]:
    return {"blocks": len(described.blocks), "params": described.params, "macs": described.macs}


def intact_row(images: ImageSet, before: np.ndarray) -> dict[str, Any]:
    labels = deletion.label_array(images)
    return {} if labels is None else {"error_pct": deletion.percent(before != labels)}


def error_row(images: ImageSet, before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """What the cut costs; without labels only the share of predictions that change."""
    lesion = deletion.Lesion(before, after, deletion.label_array(images))
    return {"changed_pct": lesion.changed_pct} if lesion.labels is None else lesion_row(lesion)


def time_row(timing: Timing) -> dict[str, Any]:
    """CPU time of a forward pass of the cut network, as a multiple of the intact one's."""
    return {
        "median": timing.ratio,
        "least": min(timing.ratios),
        "largest": max(timing.ratios),
        "pairs": len(timing.ratios),
        "batch_size": timing.batch_size,
        "device": timing.device,
    }
