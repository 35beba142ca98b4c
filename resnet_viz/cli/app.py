"""The app, from a shell."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from ..errors import InputError
from ..places import APP
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
    if find_spec("streamlit") is None:
        raise InputError('The app needs Streamlit: pip install "resnet-viz[app]".')
    if host != "localhost":
        from ..web.shell.address import tell_address

        tell_address(port)
    environment = os.environ | ({"RESNET_VIZ_CHECKPOINTS": str(checkpoints.resolve())} if checkpoints else {})
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(APP / "app.py"),
        f"--server.port={port}",
        f"--server.address={host}",
    ]
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)
