"""What can be asked of a network, from a shell."""

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from torch import Tensor

from .. import findings, report
from ..errors import InputError
from ..experiments import deletion, lesion_studies, paths, trace, training
from ..experiments.lesion_studies import Study
from ..networks import zoo
from ..networks.description import BlockPart, Part, describe
from ..networks.device import device
from ..networks.images import ImageSet, open_photo
from ..networks.zoo import Entry, LoadedNetwork
from .shell import LARGEST_SEED, bar, main, number, show

BACKWARD_IMAGES = 32  # behind gradients and paths unless --limit says otherwise; they are means, which settle early
TOP = 5


def network_options(command: Callable[..., None]) -> Callable[..., None]:
    """Which network, with which weights."""
    command = click.option(
        "--untrained", type=click.IntRange(0, LARGEST_SEED), metavar="SEED", help="Take seeded initial weights."
    )(command)
    command = click.option("--checkpoint", type=click.Path(path_type=Path), metavar="FILE", help="Take these weights.")(
        command
    )
    return click.argument("network")(command)


def image_options(limit: int | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Which images; ``limit`` is the default of --limit."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        command = click.option(
            "--image", type=click.Path(path_type=Path), metavar="FILE", help="Take this one picture, unlabelled."
        )(command)
        command = click.option(
            "--limit",
            type=click.IntRange(1),
            default=limit,
            metavar="N",
            help="Take N images spread evenly over the set.",
        )(command)
        return click.option(
            "--data",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="Take pictures in folders named by class, index or WordNet id, in place of what comes with the network.",
        )(command)

    return add


def batch_size_option(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """How many images go through the network at once."""
    return click.option("--batch-size", type=click.IntRange(1), default=default, metavar="N")


@main.command()
def networks() -> None:
    """List the networks."""
    rows = []
    for entry in zoo.NETWORKS.values():
        network = zoo.architecture(entry)
        rows.append(
            {
                "name": entry.name,
                "dataset": entry.dataset.name,
                "family": entry.family,
                "kind": next(iter(network.blocks.values())).kind,
                "blocks": len(network.blocks),
                "params": sum(parameter.numel() for parameter in network.parameters()),
                "weights": entry.weights,
                "provenance": entry.provenance,
                "licence": entry.licence,
                "published_error_pct": entry.published_error_pct,
                "plain": entry.plain,
            }
        )
    show(rows)


@main.command("describe")
@network_options
def describe_command(network: str, checkpoint: Path | None, untrained: int | None) -> None:
    """Shapes, parameters and multiply-adds of each block; needs no weights."""
    entry = zoo.entry_of(network)
    if checkpoint is None and untrained is None:
        facts = {"network": entry.name, "weights": "not needed for this: none loaded"}
        described = describe(zoo.architecture(entry), entry.preprocessing)
    else:
        loaded = load(entry, checkpoint, untrained)
        facts = weights_of(loaded)
        described = describe(loaded.network, entry.preprocessing)
    show(
        {
            **facts,
            "params": described.params,
            "gmacs": described.macs / 1e9,
            "layers": described.layers,
            "stem": part_row(described.stem),
            "blocks": [block_row(block) for block in described.blocks],
            "head": part_row(described.head),
        }
    )


@main.command()
@network_options
@image_options(BACKWARD_IMAGES)
@batch_size_option(trace.BATCH_SIZE)
def gradients(batch_size: int, **options: Any) -> None:
    """Gradient norms at each block: of the stream, the branch and the parameters."""
    loaded, images = chosen(**options)
    traced = trace.trace(loaded.network, *inputs_and_labels(loaded, images), batch_size)
    norms = zip(
        traced.blocks,
        traced.stream_gradient_norm,
        traced.branch_gradient_norm,
        traced.parameter_gradient_norm,
        strict=True,
    )
    show(
        {
            **weights_of(loaded),
            **images_row(images),
            "labels": label_source(images),
            "loss": number(traced.loss),
            "stem_gradient_norm": number(traced.stem_gradient_norm),
            "blocks": [
                {
                    "block": block,
                    "stream_gradient_norm": number(stream),
                    "branch_gradient_norm": number(branch),
                    "parameter_gradient_norm": number(parameter),
                }
                for block, stream, branch, parameter in norms
            ],
        }
    )


@main.command("paths")
@network_options
@image_options(BACKWARD_IMAGES)
@batch_size_option(paths.BATCH_SIZE)
def paths_command(batch_size: int, **options: Any) -> None:
    """The paths of each length: how many, and the gradient that flows through all of them and through single ones."""
    loaded, images = chosen(**options)
    pixels, labels = inputs_and_labels(loaded, images)
    with bar("Gradient by path length") as progress:
        exact = paths.gradient_by_length(loaded.network, pixels, labels, batch_size=batch_size, progress=progress)
    sampled = paths.sampled_path_norms(loaded.network, pixels, labels, batch_size=batch_size).mean(1)
    show(
        {
            **weights_of(loaded),
            **images_row(images),
            "labels": label_source(images),
            "blocks": len(loaded.network.blocks),
            "mean_length": number(exact.mean_length),
            "sum_relative_error": number(exact.sum_relative_error),
            "lengths": [
                {
                    "length": length,
                    "paths": count,
                    "gradient_norm": number(norm),
                    "sampled_gradient_norm": number(single),
                }
                for length, (count, norm, single) in enumerate(zip(exact.paths, exact.mean_norms, sampled, strict=True))
            ],
        }
    )


@main.command()
@network_options
@click.option("--blocks", required=True, metavar="BLOCK,BLOCK", help="What to delete: layer1.2,layer3.0")
@image_options()
@batch_size_option(deletion.BATCH_SIZE)
def delete(blocks: str, batch_size: int, **options: Any) -> None:
    """Delete blocks: the error before and after, or with --image the five likeliest classes."""
    loaded, images = chosen(**options)
    network, preprocessing = loaded.network, loaded.entry.preprocessing
    gates = network.gates_without(name.strip() for name in blocks.split(",") if name.strip())
    if all(gates):
        raise InputError(f"--blocks {blocks!r} names no block; give one or more: layer1.2,layer3.0")
    facts = {
        **weights_of(loaded),
        "deleted": [name for name, gate in zip(network.blocks, gates, strict=True) if gate == 0],
        **images_row(images),
    }
    if options["image"]:
        streams = deletion.intact_streams(network, loaded.inputs(images))
        before, after = (deletion.probabilities(network, streams, each)[0] for each in ([1.0] * len(gates), gates))
        show({**facts, "before": top_classes(loaded.entry, before), "after": top_classes(loaded.entry, after)})
        return
    with bar("Images") as progress:
        lesion = deletion.delete(network, preprocessing, images, gates, batch_size, progress)
    show(
        {
            **facts,
            "error_pct_before": lesion.error_pct_before,
            "error_pct_after": lesion.error_pct_after,
            "changed_pct": lesion.changed_pct,
        }
    )


@main.command()
@network_options
@image_options()
@batch_size_option(deletion.BATCH_SIZE)
def sweep(batch_size: int, **options: Any) -> None:
    """Delete every block in turn: the error, and the share of predictions that change."""
    loaded, images = chosen(**options)
    with bar("Deleted blocks x images") as progress:
        swept = deletion.sweep(loaded.network, loaded.entry.preprocessing, images, batch_size, progress)
    show(
        {
            **weights_of(loaded),
            **images_row(images),
            "error_pct": swept.error_pct,
            "blocks": [
                {"block": block, "error_pct": lesion.error_pct_after, "changed_pct": lesion.changed_pct}
                for block, lesion in zip(swept.blocks, swept.lesions, strict=True)
            ],
        }
    )


@main.command()
@network_options
@click.option(
    "--study",
    type=click.Choice(lesion_studies.STUDIES),
    default=lesion_studies.RANDOM,
    help="Every block in turn, ever more random blocks, or random swaps of blocks.",
)
@click.option(
    "--draws", type=click.IntRange(1), default=5, metavar="D", help="Draw each number of blocks or swaps D times."
)
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), default=0, help="Of the draws.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table of the lesions in place of JSON.")
@image_options()
def lesions(study: str, draws: int, seed: int, as_csv: bool, **options: Any) -> None:
    """Error under many lesions: blocks deleted one by one, at random, or reordered."""
    loaded, images = chosen(**options)
    settings = loaded.network, loaded.entry.preprocessing, images
    if images.labels is None:
        raise InputError(f"{images.title}: without labels there is no error to measure; give --data FOLDER.")
    with bar("Images x lesions") as progress:
        if study == lesion_studies.SINGLE:
            result = lesion_studies.single_deletions(*settings, progress)
        else:
            draw = {
                lesion_studies.RANDOM: lesion_studies.random_deletions,
                lesion_studies.REORDER: lesion_studies.random_swaps,
            }[study]
            result = draw(
                *settings, lesion_studies.ten_counts(len(loaded.network.blocks)), draws, seed, progress=progress
            )
    rows = lesion_rows(result)
    if as_csv:
        table = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        return
    rises, drawn = result.sweep.rises, {} if study == lesion_studies.SINGLE else {"draws": draws, "seed": seed}
    worst = [{"lesion": name, "error_pct": error} for name, error in result.sweep.worst()]
    show(
        {
            **weights_of(loaded),
            **images_row(images),
            "study": study,
            **drawn,
            "error_pct": result.sweep.error_pct,
            "mean_rise": float(rises.mean()),
            "median_rise": float(np.median(rises)),
            "worst": worst,
            "correlation": number(result.correlation()),
            "lesions": rows,
        }
    )


@main.command("report")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=findings.REPORT,
    metavar="FILE",
    help="Where the numbers go.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    metavar="FILE",
    help="Where the page goes.",
)
def report_command(json_file: Path, html_file: Path) -> None:
    """Ask the bundled networks every question of the report; write the answers as JSON and as one HTML file."""
    with bar("Questions", always=True) as progress:
        found, figures = report.report(progress)
    training.replace(json_file, lambda path: path.write_text(findings.as_json(found)))
    training.replace(html_file, lambda path: path.write_text(findings.as_html(found, figures)))
    asked = [
        {"question": finding.plan.question, "as_expected": finding.as_expected, "seconds": finding.seconds}
        for finding in found
    ]
    show({"json": str(json_file), "html": str(html_file), "findings": asked})


def chosen(
    network: str,
    checkpoint: Path | None,
    untrained: int | None,
    data: Path | None,
    limit: int | None,
    image: Path | None,
) -> tuple[LoadedNetwork, ImageSet]:
    """What the options ask for."""
    if image is not None and data is not None:
        raise InputError("--image and --data cannot be combined; give one of them.")
    loaded = load(zoo.entry_of(network), checkpoint, untrained)
    if image is None:
        return loaded, zoo.images_of(loaded.entry, data, limit)  # a checkpoint may have classes of its own
    pixels = loaded.entry.preprocessing.fit(open_photo(image))
    return loaded, ImageSet(image.name, pixels[None], None, (image.name,))


def load(entry: Entry, checkpoint: Path | None, untrained: int | None) -> LoadedNetwork:
    """The network with its weights, which are fetched if need be."""
    if checkpoint is not None and untrained is not None:
        raise InputError("--checkpoint and --untrained cannot be combined; give one of them.")
    try:
        with bar(f"Fetching {entry.name}, bytes") as progress:
            return zoo.load(entry, checkpoint=checkpoint, untrained=untrained, progress=progress)
    except zoo.WeightsUnavailable as error:
        advice = "Or give other weights with --checkpoint FILE, or take the untrained network with --untrained SEED."
        raise InputError(f"{error} {advice}") from error


def inputs_and_labels(loaded: LoadedNetwork, images: ImageSet) -> tuple[Tensor, Tensor]:
    """A set as the network's input, with its labels; where nobody knows them, the predicted classes."""
    labels = deletion.known(deletion.labelled(loaded.network, loaded.entry.preprocessing, images).labels)
    return loaded.inputs(images), labels.to(device())


def weights_of(loaded: LoadedNetwork) -> dict[str, Any]:
    return {"network": loaded.entry.name, "trained": loaded.trained, "weights": loaded.weights}


def lesion_rows(study: Study) -> list[dict[str, Any]]:
    """One row for each lesion, with the paired 95 % interval of the rise in error, in points."""
    rows = []
    columns = zip(study.sweep.blocks, study.steps, study.amounts, study.sweep.lesions, strict=True)
    for name, steps, amount, lesion in columns:
        rows.append({"lesion": name, "steps": int(steps), "amount": float(amount), **lesion_row(lesion)})
    return rows


def lesion_row(lesion: deletion.Lesion) -> dict[str, Any]:
    """The error and its rise over the intact network's, with the paired 95 % interval, in points. Raises ValueError without
    labels."""
    low, high = lesion.rise_interval()
    return {
        "error_pct": lesion.error_pct_after,
        "rise": lesion.rise,
        "rise_low": low,
        "rise_high": high,
        "changed_pct": lesion.changed_pct,
    }


def images_row(images: ImageSet) -> dict[str, Any]:
    return {"images": len(images), "image_set": images.title}


def label_source(images: ImageSet) -> str:
    """Against which classes the loss was computed."""
    return "of the set" if images.labels is not None else "predicted"


def part_row(part: Part) -> dict[str, Any]:
    return {
        "in_shape": part.in_shape,
        "out_shape": part.out_shape,
        "params": part.params,
        "macs": part.macs,
    }


def block_row(block: BlockPart) -> dict[str, Any]:
    return {
        "block": block.name,
        "stage": block.stage,
        "kind": block.kind,
        "shortcut": block.shortcut,
        **part_row(block),
    }


def top_classes(entry: Entry, probabilities: Sequence[float]) -> list[dict[str, Any]]:
    """The likeliest classes, best first."""
    order = sorted(range(len(entry.classes)), key=lambda index: -probabilities[index])[:TOP]
    return [{"class": entry.classes[index], "probability": number(probabilities[index])} for index in order]
