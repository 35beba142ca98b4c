"""Take other people's networks and compare each with itself: ``make models``, ``python -m benchmarks.models [NAMES]``.

Prints docs/models.md. Exit status 1 where a model differs from what was taken of it.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch

from .catalogue import MODELS, Model
from .comparison import Row, compared, installed
from .pretrained import NOT_RUN, pretrained_table

HEAD = """# Networks that this project did not write

`resnet_viz.adapt` takes each of these, and each is compared with its model in another way: hooks on modules of the
model's own, named by hand, make a branch 0 or read a gradient. `make models` prints this page. The models are the
smallest that the package's settings allow, with initial weights (seed 0), all moved a little so that no branch adds
zero, and batch norms that have seen a batch; two images of noise, eval mode, float32 on a CPU.

- *logits*: of the model and of its walk.
- *deleted*: the logits without the first block, and without the middle one, against those when a hook makes the output
  of the branch's module zero; left open where no module of the model's own is the branch.
- *gradient at the branches*: of the loss, at each branch's output, against autograd's at that module; *at the streams*:
  at what enters a block, against autograd's in the model, at as many blocks as have a module that is given just the
  stream.
- *all paths*: how far the gradients of all paths together are from autograd's.

Differences are the largest, relative to the largest value; *equal*: the same bits. More than 3e-4 would be a failure.
"""
COLUMNS = (
    "package",
    "model",
    "blocks by stage",
    "kinds of branch",
    "logits",
    "deleted",
    "gradient at the branches",
    "at the streams",
    "all paths",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="packages or models; all, if there is none")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the rows with all their digits, and the seconds"
    )
    parser.add_argument(
        "--pretrained", action="store_true", help=f"add a table of networks with trained weights. {NOT_RUN}"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="labelled ImageNet pictures for it, a folder for each class"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)  # small tensors are slower on more
    warnings.simplefilter("ignore")  # the packages' own
    models = [model for model in MODELS if not given.names or {model.package, model.name} & {*given.names}]
    if unknown := {*given.names} - {name for model in models for name in (model.package, model.name)}:
        known = ", ".join(dict.fromkeys(model.package for model in MODELS))
        parser.error(f"NAME must be a package ({known}) or one of its models; got {', '.join(sorted(unknown))}")
    print(HEAD)
    print(versions(models), end="\n\n")
    rows = list(printed(models))
    print_apart(rows)
    if given.pretrained:
        for line in pretrained_table(given.data):
            print(line, flush=True)
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    sys.exit(any(row.outcome == "failed" for row in rows))


def versions(models: list[Model]) -> str:
    packages = dict.fromkeys(["torch", *(model.package for model in models if installed(model))])
    return f"With {', '.join(f'{package} {version(package)}' for package in packages)}."


def printed(models: list[Model]) -> Iterator[Row]:
    """The rows, each printed when it is known."""
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for model in models:
        row = compared(model)
        if row.outcome == "taken":
            print(line_of(row), flush=True)
        yield row


def line_of(row: Row) -> str:
    cells = [
        row.package,
        row.model,
        " + ".join(map(str, row.stages)),
        ", ".join(f"{count} {kind}" for kind, count in row.kinds),
        told(row.logits),
        told(row.deletions),
        told(row.branch_gradients),
        f"{told(row.stream_gradients)} ({row.streams_seen} of {sum(row.stages)})",
        told(row.paths),
    ]
    return f"| {' | '.join(cells)} |"


def told(difference: float | None) -> str:
    if difference is None:
        return "–"
    return f"{difference:.0e}" if difference else "equal"


def print_apart(rows: list[Row]) -> None:
    """What was not taken, and why."""
    for outcome in ("refused", "not installed", "failed"):
        if apart := [row for row in rows if row.outcome == outcome]:
            print(f"\n## {outcome.capitalize()}\n")
            print("\n".join(f"- {row.package} `{row.model}`: {row.reason}" for row in apart))


if __name__ == "__main__":
    main()
