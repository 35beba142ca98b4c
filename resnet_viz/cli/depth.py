"""What the page *Which shortcut?* reads, from a shell: every kind of shortcut trained, and what was measured by depth."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..experiments import path_lengths, shortcuts, training
from ..experiments.deletion import known
from ..networks import datasets, zoo
from ..places import CHECKPOINTS
from .shell import bar, main, show


@main.command("shortcuts")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=CHECKPOINTS,
    metavar="FOLDER",
    help="Where the histories and the state to resume from are written.",
)
@click.option("--most", type=click.IntRange(1), metavar="N", help="Stop after so many runs.")
def train_shortcuts(output: Path, most: int | None) -> None:
    """Train every kind of shortcut, one after the other; runs that are there are left, one that was interrupted goes on."""
    missing = [
        (entry, schedule)
        for entry, schedule in shortcuts.runs()
        if not schedule.path(entry, output).with_suffix(".json").is_file()
    ]
    if missing:
        images = datasets.full_fashion()
    for entry, schedule in missing[:most]:
        with bar(f"{entry.name}, seed {schedule.seed}, steps", always=True) as progress:
            training.train(entry, *images, output, schedule, progress)
        schedule.path(entry, output).with_suffix(".safetensors").unlink()
        training.write_table(output)
    done = len(missing[:most])
    show({"trained": done, "missing": len(missing) - done})


@main.command("shortcut-gradients")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=shortcuts.RECORDED,
    metavar="FILE",
    help="Where the rows go.",
)
@click.option("--depth", "depths", type=int, multiple=True, default=shortcuts.DEPTHS, help="May be given again.")
@click.option("--seed", "seeds", type=int, multiple=True, default=shortcuts.SEEDS, help="May be given again.")
def measure_shortcuts(json_file: Path, depths: tuple[int, ...], seeds: tuple[int, ...]) -> None:
    """Follow the gradient back along the shortcuts of untrained networks, of every kind and depth."""
    wanted = [(name, depth, seed) for depth in depths for name in shortcuts.KINDS for seed in seeds]
    rows: list[dict[str, Any]] = []
    with bar("Networks", always=True) as progress:
        for name, depth, seed in wanted:
            entry = shortcuts.KINDS[name].entry(depth)
            loaded = zoo.load(entry, untrained=seed)
            images = zoo.images_of(entry, limit=shortcuts.IMAGES)
            found = shortcuts.along_shortcuts(loaded.network, loaded.inputs(images), known(images.labels))
            arrays = {key: [rounded(each) for each in values] for key, values in vars(found).items()}
            rows.append({"kind": name, "depth": depth, "seed": seed, **arrays})
            progress(len(rows), len(wanted))
    write_rows(json_file, rows)
    show({"rows": len(rows), "json": str(json_file)})


@main.command("path-lengths")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=path_lengths.RECORDED,
    metavar="FILE",
    help="Where the rows go, each as soon as it is measured.",
)
@click.option("--deepest", type=click.IntRange(8), default=path_lengths.DEEPEST, metavar="LAYERS")
def measure_path_lengths(json_file: Path, deepest: int) -> None:
    """Measure how long the paths are that carry the gradient, in networks of ever more layers."""
    wanted = [row for row in path_lengths.wanted() if row[1] <= deepest]
    rows: list[dict[str, Any]] = []
    with bar("Networks", always=True) as progress:
        for kind, depth, seed in wanted:
            few = path_lengths.FEW_IMAGES if depth == path_lengths.DEEPEST else path_lengths.IMAGES
            images = zoo.images_of(path_lengths.entry_of_depth(kind, depth), limit=few)
            rows.append(asdict(path_lengths.measured(kind, depth, seed, images)))
            write_rows(json_file, rows)
            progress(len(rows), len(wanted))
    show({"rows": len(rows), "json": str(json_file)})


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON with a row on each line."""
    lines = ",\n".join(json.dumps(row, allow_nan=False) for row in rows)
    training.replace(file, lambda path: path.write_text(f"[\n{lines}\n]\n"))


def rounded(value: float) -> float | None:
    """Four digits; None for NaN, which JSON does not know."""
    return None if np.isnan(value) else float(f"{value:.4g}")
