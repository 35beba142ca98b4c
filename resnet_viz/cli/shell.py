"""What every command needs: the group, how errors end, JSON to stdout, a progress bar on stderr."""

import json
import math
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from tqdm import tqdm

from ..errors import InputError
from ..networks.device import device
from ..progress import Progress

LARGEST_SEED = 2**31 - 1


class Commands(click.Group):
    """A group whose errors are one line on stderr, with exit status 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and exit: 0, 2 for input that cannot be used, 130 after Ctrl-C."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a library's warning would be another line
                sys.exit(super().main(*args, **extra | {"standalone_mode": False}))
        except click.Abort:
            sys.exit(130)
        except (click.ClickException, InputError) as error:
            click.echo(" ".join(complaint(error).split()), err=True)
            sys.exit(2)


def complaint(error: click.ClickException | InputError) -> str:
    """The error's sentence; click's own is followed by what can be given."""
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return error.message if isinstance(error, click.ClickException) else str(error)
    command = error.ctx.command
    if isinstance(command, click.Group):
        possible = f"the command must be one of {', '.join(command.commands)}."
    elif isinstance(error, click.NoSuchOption):
        options = (option.opts[0] for option in command.params if isinstance(option, click.Option))
        possible = f"an option must be one of {', '.join(options)}."
    else:
        possible = f"see {error.ctx.command_path} --help."
    return f"{error.format_message().removesuffix('.')}; {possible}"


@click.command(cls=Commands, no_args_is_help=False, context_settings={"show_default": True})
def main() -> None:
    """Explore residual networks: describe them, delete blocks, trace gradients, unravel paths."""
    device()  # a RESNET_VIZ_DEVICE that cannot be used is told before anything is computed


def number(value: float) -> float | None:
    """A number as JSON knows it: it has neither NaN nor infinity."""
    return float(value) if math.isfinite(value) else None


def show(result: Any) -> None:
    """Print a result as JSON."""
    click.echo(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))


@contextmanager
def bar(title: str, *, always: bool = False) -> Iterator[Progress]:
    """A progress bar on stderr, where that is a terminal or ``always``."""
    with tqdm(desc=title, disable=False if always else None, leave=always) as shown:

        def progress(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield progress
