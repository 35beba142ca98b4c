"""Measure everything, print a table and write it as JSON: ``python -m benchmarks [--json FILE]``."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from resnet_viz.experiments import deletion, paths, trace
from resnet_viz.experiments.training import optimizer_of
from resnet_viz.experiments.watching import watch
from resnet_viz.networks import zoo
from resnet_viz.networks.description import Description, describe
from resnet_viz.networks.device import describe_device
from resnet_viz.networks.network import ResidualNetwork

from .measure import Measurement, Program, extra_mib, in_turn, load

GEMM_SIZE = 2048
EVERY = 50  # steps, of which one is recorded: the default of watch
CLOSE = 1e-4  # logits closer than this may change places by rounding


def sweep(name: str = "fashion-resnet56", pairs: int = 3) -> Measurement:
    """Every block deleted in turn, 1,000 images, against one whole forward pass for each block."""
    loaded = load(name)
    entry, images = loaded.entry, zoo.images_of(loaded.entry)
    default_layout = load(name).network.to(memory_format=torch.contiguous_format)
    batches = [part.contiguous() for part in entry.preprocessing.normalise(images.pixels).split(deletion.BATCH_SIZE)]
    results: dict[str, np.ndarray] = {}

    def ours() -> None:
        results["predictions"] = deletion.sweep(loaded.network, entry.preprocessing, images).predictions

    def theirs() -> None:
        results["logits"] = whole_passes(default_layout, batches).numpy()

    seconds = in_turn(ours, theirs, pairs)
    best = np.sort(results["logits"])[..., -2:]
    differ = results["logits"].argmax(-1) != results["predictions"]
    clear = best[..., 1] - best[..., 0] > CLOSE
    macs = sweep_macs(describe(loaded.network, entry.preprocessing)) * len(images)
    rate = macs / median(seconds[0])
    mm_rate, convolution_rate = gemm_rates()
    notes = {
        "predictions": differ.size,
        "predictions that differ": int(differ.sum()),
        f"of these, best two logits more than {CLOSE:g} apart": int((differ & clear).sum()),
        "billion multiply-adds": macs / 1e9,
        "billion multiply-adds a second": rate / 1e9,
        "billion a second, torch.mm": mm_rate / 1e9,
        "billion a second, the same product as a 1x1 convolution": convolution_rate / 1e9,
        "share of torch.mm's rate": rate / mm_rate,
        "share of the 1x1 convolution's rate": rate / convolution_rate,
        "MiB above predicting only, resnet20": extra_mib("fashion-resnet20", "sweep"),
        "MiB above predicting only, resnet110": extra_mib("fashion-resnet110", "sweep"),
    }
    return Measurement("sweep", loaded.title, *seconds, target=1 / 2.5, notes=notes)


@torch.inference_mode()
def whole_passes(network: ResidualNetwork, batches: list[Tensor]) -> Tensor:
    """Logits (blocks, images, classes): for each block, a hook deletes its branch during whole forward passes."""
    rows = []
    for block in network.blocks.values():
        hook = block.register_forward_hook(lambda block, inputs, _: block.forward(inputs[0], 0.0))
        rows.append(torch.cat([network(batch) for batch in batches]))
        hook.remove()
    return torch.stack(rows)


def sweep_macs(parts: Description) -> int:
    """Multiply-adds for one image: the intact network, then after each deleted block all blocks behind it and the head.

    A deleted block itself counts nothing, which is so for every shortcut but a projection.
    """
    behind = sum(index * block.macs for index, block in enumerate(parts.blocks))
    return parts.macs + behind + len(parts.blocks) * parts.head.macs


def gemm_rates() -> tuple[float, float]:
    """Multiply-adds a second in a large float32 matrix product: torch.mm, and the same product as a 1x1 convolution.

    The two may run in different libraries, of which the second also runs the networks.
    """
    matrix = torch.randn(GEMM_SIZE, GEMM_SIZE)
    images = matrix.view(-1, 8, 8, GEMM_SIZE).movedim(-1, 1)  # channels_last: a row of the matrix is a pixel
    weights = matrix.view(GEMM_SIZE, GEMM_SIZE, 1, 1)
    seconds = in_turn(lambda: torch.mm(matrix, matrix), lambda: functional.conv2d(images, weights), pairs=10)
    return GEMM_SIZE**3 / median(seconds[0]), GEMM_SIZE**3 / median(seconds[1])


def gradient_by_length(name: str = "fashion-resnet110", pairs: int = 15) -> Measurement:
    """The gradient of every path length, 8 images, against one forward and backward pass of the same batch."""
    loaded = load(name)
    images, labels = batch_of(loaded.entry, 8)
    errors = []

    def ours() -> None:
        errors.append(paths.gradient_by_length(loaded.network, images, labels).sum_relative_error)

    seconds = in_turn(ours, training_pass(loaded.network, images, labels), pairs, runs=(1, 5))
    notes = {
        "relative error of the sum over lengths": max(errors),
        "MiB above predicting only, 256 images": extra_mib(name, "paths"),
        "MiB of the memory budget": paths.MEMORY_BUDGET / 2**20,
    }
    return Measurement("gradient by length", loaded.title, *seconds, target=12, notes=notes)


def tracing(name: str = "fashion-resnet56", pairs: int = 40) -> Iterator[Measurement]:
    """Every block's activations and gradients, 32 images, against a bare forward and backward pass."""
    loaded = load(name)
    images, labels = batch_of(loaded.entry, 32)
    bare = training_pass(loaded.network, images, labels)
    for title, program, target in (
        ("trace.record", trace.record, 1.15),
        ("trace.trace", trace.trace, None),
    ):
        seconds = in_turn(lambda program=program: program(loaded.network, images, labels), bare, pairs)
        yield Measurement(title, loaded.title, *seconds, target=target)


def watching(name: str = "fashion-resnet20", pairs: int = 10) -> Measurement:
    """Steps of training on 128 images, watched as ``watch`` does by default, against bare ones; and a recorded step alone."""
    entry = zoo.entry_of(name)
    images, labels = batch_of(entry, 128)

    def trained(every: int | None) -> Iterator[Program]:
        network = entry.build(seed=0).to(memory_format=torch.channels_last).train()
        optimizer = optimizer_of(network, 0.05)

        def step() -> None:
            optimizer.zero_grad()
            functional.cross_entropy(network(images), labels).backward()
            optimizer.step()

        with TemporaryDirectory() as folder:
            file = Path(folder) / "norms.jsonl"
            with watch(network, file, every) if every else nullcontext():
                yield step

    watched, recorded, bare = (contextmanager(trained)(every) for every in (EVERY, 1, None))
    with watched as ours, recorded as each, bare as theirs:
        seconds = in_turn(ours, theirs, pairs, runs=(EVERY, EVERY))
        alone = in_turn(each, theirs, pairs, runs=(EVERY // 5, EVERY // 5))
    notes = {"a recorded step alone, times a bare one": Measurement("", "", *alone).ratio}
    return Measurement("watch", f"{name}, untrained", *seconds, target=1.1, notes=notes)


def toggle(name: str, pairs: int = 20) -> Measurement:
    """One block of one image deleted, the mean over all blocks, against one whole forward pass."""
    loaded = load(name)
    network = loaded.network
    image, _ = batch_of(loaded.entry, 1)
    with torch.no_grad():
        streams = network.streams(image)
    gates = cycle([network.gates_without([block]) for block in network.blocks])
    seconds = in_turn(
        lambda: deletion.probabilities(network, streams, next(gates)),
        torch.no_grad()(lambda: network(image)),
        pairs,
        runs=(len(network.blocks), len(network.blocks)),
    )
    return Measurement("toggle a block", loaded.title, *seconds, target=0.6)


def batch_of(entry: zoo.Entry, count: int) -> tuple[Tensor, Tensor]:
    """Normalised images, and their labels."""
    images = zoo.images_of(entry, limit=count)
    assert images.labels is not None
    return entry.preprocessing.normalise(images.pixels), images.labels


def training_pass(network: ResidualNetwork, images: Tensor, labels: Tensor) -> Program:
    """One forward and one backward pass, with the gradients of all parameters."""

    def run() -> None:
        functional.cross_entropy(network(images), labels, reduction="sum").backward()
        network.zero_grad(set_to_none=True)

    return run


def measurements() -> Iterator[Measurement]:
    yield sweep()
    yield gradient_by_length()
    yield from tracing()
    yield watching()
    yield toggle("fashion-resnet56")
    yield toggle("fashion-resnet34")


def row(measurement: Measurement) -> str:
    """A line of the table, and below it the notes."""
    low, high = min(measurement.ratios), max(measurement.ratios)
    target = "" if measurement.target is None else f"{measurement.target:.4g}"
    line = (
        f"{measurement.name:<24}{measurement.network:<30}{1e3 * median(measurement.ours):>10.2f}"
        f"{1e3 * median(measurement.theirs):>10.2f}{measurement.ratio:>8.3f}  {f'{low:.3f}-{high:.3f}':<14}{target:>6}"
    )
    notes = [
        f"    {name}: {'unknown' if value is None else f'{value:,.4g}' if isinstance(value, float) else f'{value:,}'}"
        for name, value in measurement.notes.items()
    ]
    return "\n".join([line, *notes])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results.json", metavar="FILE")
    file = parser.parse_args().json
    print(describe_device())
    print(f"{'':<24}{'network':<30}{'ours ms':>10}{'theirs ms':>10}{'ratio':>8}  {'min-max':<14}{'target':>6}")
    done = []
    for measurement in measurements():
        print(row(measurement), flush=True)
        done.append(vars(measurement) | {"ratio": measurement.ratio})
    file.write_text(json.dumps({"device": describe_device(), "measurements": done}, indent=1) + "\n")


if __name__ == "__main__":
    main()
