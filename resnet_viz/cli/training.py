"""What trains, from a shell: the bundled networks, races of two, stacks that learn the identity."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..experiments import identity, training
from ..experiments import race as races
from ..figures.document import html_document, html_figure
from ..figures.palette import LIGHT
from ..figures.race import race_figures
from ..networks import datasets, zoo
from ..places import CHECKPOINTS
from .shell import LARGEST_SEED, bar, main, number, show


@main.command()
@click.argument("network")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The four IDX files of Fashion-MNIST, in place of Debian's or a download.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=CHECKPOINTS,
    metavar="FOLDER",
    help="Where weights, history and the state to resume from are written.",
)
@click.option("--epochs", type=click.IntRange(1), default=training.Schedule.epochs)
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), default=training.Schedule.seed)
@click.option("--blocks-per-batch", type=click.IntRange(1), metavar="K", help="Train each batch with K random blocks.")
@click.option(
    "--longest-path",
    type=click.IntRange(0),
    metavar="K",
    help="Train with the gradient over paths of at most K branches.",
)
def train(network: str, data: Path | None, output: Path, **schedule_options: Any) -> None:
    """Train a fashion-* network; a run that was interrupted goes on where it stopped."""
    entry = zoo.entry_of(network)
    if entry.family != "fashion":
        possible = ", ".join(name for name, row in zoo.NETWORKS.items() if row.family == "fashion")
        raise InputError(f"Network must be one of {possible}; got {network!r}.")
    blocks, wanted = len(zoo.block_names(entry)), schedule_options["blocks_per_batch"]
    if wanted is not None and schedule_options["longest_path"] is not None:
        raise InputError("--blocks-per-batch and --longest-path cannot be combined; give one of them.")
    if wanted is not None and wanted > blocks:
        raise InputError(f"--blocks-per-batch must be 1 to {blocks} for {network}; got {wanted}.")
    source = data or datasets.fashion_folder()
    doing = "Downloading Fashion-MNIST into" if data is None and not source.is_dir() else "Reading Fashion-MNIST from"
    click.echo(f"{doing} {source}", err=True)
    train_set, test_set = datasets.full_fashion(data)
    schedule = training.Schedule(**schedule_options)
    with bar(f"Training {network}, steps", always=True) as progress:
        training.train(entry, train_set, test_set, output, schedule, progress)
    training.write_table(output)
    weights, history = (schedule.path(entry, output).with_suffix(suffix) for suffix in (".safetensors", ".json"))
    errors = {key: value for key, value in json.loads(history.read_text()).items() if key.endswith("_error_pct")}
    show({"network": network, "trained": True, "weights": str(weights), "history": str(history), **errors})


@main.command()
@click.option(
    "--left",
    default=races.Race.left,
    metavar="NAME",
    help="plain56, resnet8-B, preact20-without-batch-norm, plain56-from-plain20 ...",
)
@click.option("--right", default=races.Race.right, metavar="NAME", help="The other one.")
@click.option("--steps", type=click.IntRange(1, races.MOST_STEPS), default=races.Race.steps)
@click.option("--learning-rate", type=click.FloatRange(0, 10, min_open=True), default=races.Race.learning_rate)
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), default=races.Race.seed, help="Of weights and batches.")
@click.option("--full", is_flag=True, help="Train on all 60,000 images in place of the 4,000 bundled ones.")
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the figures as one page.",
)
def race(html_file: Path | None, **settings: Any) -> None:
    """Train two networks side by side on the same batches; a line of JSON for every tenth step."""
    wanted = races.Race(**settings)
    racing = races.Racing(wanted, races.samples(wanted.full))
    click.echo(json.dumps(asdict(wanted)))
    records = []
    with bar("Steps") as progress:
        for step, record in enumerate(racing):
            progress(step, wanted.steps)
            if record is not None:
                records.append(record)
                click.echo(json.dumps(finite(asdict(record)), allow_nan=False))
    if html_file:
        plots = race_figures(wanted, records, [network.blocks for network in racing.networks], LIGHT)
        page = html_document(
            f"{wanted.left} beside {wanted.right}, {wanted.steps} steps, seed {wanted.seed}",
            [html_figure(plot.json()) for plot in plots],
            LIGHT,
        )
        training.replace(html_file, lambda path: path.write_text(page))


def finite(value: Any) -> Any:
    """The same without NaN and infinity, which JSON does not know."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return number(value) if isinstance(value, float) else value


@main.command("identity")
@click.option(
    "--blocks",
    type=click.IntRange(1, 50),
    multiple=True,
    default=identity.DEPTHS,
    help="Of a stack; may be given again.",
)
@click.option(
    "--seed",
    "seeds",
    type=click.IntRange(0, LARGEST_SEED),
    multiple=True,
    default=identity.SEEDS,
    help="May be given again.",
)
@click.option("--steps", type=click.IntRange(1, races.MOST_STEPS), default=identity.Stacks.steps)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the attempts go, in place of stdout.",
)
def identity_command(blocks: tuple[int, ...], seeds: tuple[int, ...], steps: int, json_file: Path | None) -> None:
    """Train stacks of blocks to give back their own input: every kind, with each learning rate."""
    images = races.samples(full=False)
    wanted = [identity.Stacks(each, steps, seed) for each in blocks for seed in seeds]
    attempts = []
    with bar("Stacks", always=True) as progress:
        for done, stacks in enumerate(wanted):
            progress(done, len(wanted))
            attempts += [each for each in identity.train_stacks(stacks, images.training, images.test) if each]
    rows = finite([asdict(each) for each in attempts])
    if json_file:
        training.replace(json_file, lambda path: path.write_text(json.dumps(rows, indent=1) + "\n"))
    show({"attempts": len(rows), "json": str(json_file)} if json_file else rows)
