"""A file of norms: what ``resnet_viz.watch`` has recorded in somebody's training, as it is written and as it is read.

JSON Lines: a first line that says what was watched, then one for each recorded step. None stands where there was no finite number.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError

__all__ = ["BLOCKS", "LARGEST_FILE", "LAYERS", "QUANTITIES", "SUMS", "Norms", "first_line", "step_line"]

QUANTITIES = ("stream_gradient_norm", "parameter_gradient_norm", "stream_norm", "branch_to_stream")
SUMS, LAYERS, BLOCKS = "sums on the stream", "layers in a row", "blocks of a ResidualNetwork"  # what the blocks are
FORMAT, VERSION = "resnet_viz norms", 1
LARGEST_FILE = 8_000_000  # bytes
MOST_BLOCKS, LONGEST_NAME, LAST_STEP = 2_000, 200, 10**12
DIGITS = 5


@dataclass(frozen=True, eq=False, repr=False)
class Norms:
    """Norms at each block of a network, step by step. Norms are L2 per image, then the mean over the images of the step.

    ``values``: by quantity, arrays (steps, blocks), NaN where there was no finite number. ``stream_norm``, of the stream entering
    the block; the others are as in ``trace.Trace``. Quantities without any number are left out. ``steps``: (steps,), whole numbers that
    increase. ``found``: what the blocks are, SUMS, LAYERS or BLOCKS; ``places``: where each stands in the model, 'blocks.3.attn'.
    """

    file: str
    model: str
    found: str
    blocks: tuple[str, ...]
    places: tuple[str, ...]
    steps: np.ndarray
    values: Mapping[str, np.ndarray]

    def __repr__(self) -> str:
        return f"Norms.read({self.file!r})"

    @classmethod
    def read(cls, file: str | Path) -> "Norms":
        """What stands in a file. Raises InputError where it cannot be read, or holds something else."""
        try:
            with Path(file).open("rb") as content:
                return cls.parse(str(file), content.read(LARGEST_FILE + 1))
        except OSError as error:
            raise InputError(
                f"{file} cannot be read ({error.strerror}); give a file that resnet_viz.watch has written."
            ) from error

    @classmethod
    def parse(cls, file: str, content: bytes) -> "Norms":
        """The same from the content of a file of that name. A last line that is cut short, as by a killed run, is left out."""
        if len(content) > LARGEST_FILE:
            raise InputError(
                f"A file of norms must have at most {LARGEST_FILE:,} bytes; got more: record fewer steps, or leave lines out."
            )
        *lines, last = content.split(b"\n")
        try:
            parsed = [json.loads(line) for line in lines if line.strip()] + whole(last)
            if not parsed or parsed[0]["format"] != FORMAT:
                raise ValueError("its first line does not say so")
            first, *records = parsed
            if first["version"] != VERSION:
                raise InputError(
                    f"A file of norms must be of version {VERSION}; got {str(first['version'])[:40]}: update resnet_viz."
                )
            if not records:
                raise InputError(
                    "The file must hold a recorded step; got its first line alone: wait until the next step is recorded."
                )
            blocks, places = names_of(first["blocks"]), names_of(first["places"])
            model, found = names_of([first["model"], first["found"]])
            if len(blocks) != len(places) or found not in (SUMS, LAYERS, BLOCKS):
                raise ValueError("its first line is not whole")
            steps = np.array([step_of(record["step"]) for record in records])
            if (np.diff(steps) <= 0).any():
                raise ValueError("its steps do not increase")
            values = {name: array_of([record[name] for record in records], len(blocks)) for name in QUANTITIES}
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            missing = f"it has no {error}" if isinstance(error, KeyError) else "its lines are other ones"
            reason = str(error) if type(error) is ValueError else missing
            raise InputError(
                f"This is not a file of norms ({reason}); open one that resnet_viz.watch has written."
            ) from error
        values = {name: array for name, array in values.items() if np.isfinite(array).any()}
        if not values:
            raise InputError("The file must hold a finite number; got none: no gradient came to any block.")
        return cls(file, model, found, blocks, places, steps, values)


def first_line(model: str, found: str, every: int, blocks: Sequence[str], places: Sequence[str]) -> str:
    """What was watched."""
    names = {"model": model, "found": found, "every": every, "blocks": list(blocks), "places": list(places)}
    return json.dumps({"format": FORMAT, "version": VERSION, **names, "recorded": QUANTITIES}) + "\n"


def step_line(step: int, images: int, values: Mapping[str, Sequence[float]]) -> str:
    """One recorded step: for each quantity a number a block."""
    rounded = {
        name: [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in row]
        for name, row in values.items()
    }
    return json.dumps({"step": step, "images": images, **rounded}, allow_nan=False) + "\n"


def whole(line: bytes) -> list[Any]:
    """A last line without an end, if all of it is there."""
    try:
        return [json.loads(line)]
    except ValueError:
        return []


def names_of(given: Any) -> tuple[str, ...]:
    """Texts of one line each. Raises ValueError for something else."""
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_BLOCKS:
        raise ValueError(f"it must name 1 to {MOST_BLOCKS:,} blocks")
    if not all(isinstance(name, str) and len(name) <= LONGEST_NAME and name.isprintable() for name in given):
        raise ValueError("its names must be short texts")
    return tuple(given)


def step_of(given: Any) -> int:
    """The number of a step. Raises ValueError for something else."""
    if type(given) is not int or not 0 <= given <= LAST_STEP:
        raise ValueError("its steps must be whole numbers")
    return given


def array_of(rows: Sequence[Any], blocks: int) -> np.ndarray:
    """Norms (steps, blocks). Raises ValueError for something else."""
    try:
        array = np.array(rows, dtype=float)
        if array.shape != (len(rows), blocks):
            raise ValueError(array.shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"each step must have {blocks} numbers, one a block") from error
    array[~np.isfinite(array)] = np.nan
    if (array < 0).any():
        raise ValueError("a norm is negative")
    return array
