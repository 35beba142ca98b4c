"""The app, from a shell."""

import sys
from pathlib import Path

import click

from .shell import main


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8501)
@click.option("--host", default="localhost", help="0.0.0.0 serves a classroom, and prints the address and its QR code.")
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, exists=True),
    metavar="FOLDER",
    help="Your own files of weights for networks of the table.",
)
def app(port: int, host: str, checkpoints: Path | None) -> None:
    """Start the app, and serve it until Ctrl-C."""
    if host != "localhost":
        from ..web.shell.address import tell_address

        tell_address(port)
    from ..opening import start

    process = start(port, host, {"RESNET_VIZ_CHECKPOINTS": str(checkpoints.resolve())} if checkpoints else {})
    try:
        sys.exit(process.wait())
    finally:
        process.terminate()
        process.wait()
