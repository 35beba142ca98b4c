"""A class at several servers, from a shell."""

import os
from pathlib import Path

import click

from .shell import main


@main.command("class")
@click.option("--replicas", type=click.IntRange(1, 64), help="Servers of the app.  [default: one for every two cores]")
@click.option("--port", type=click.IntRange(1, 65535), default=8501)
@click.option("--host", default="0.0.0.0", help="0.0.0.0: all of your network.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("resnet-viz-class"),
    help="Where the configuration of HAProxy is written.",
)
def class_(replicas: int | None, port: int, host: str, folder: Path) -> None:
    """Serve a class from several servers of the app behind one address, until Ctrl-C."""
    from ..replicas import serve
    from ..web.shell.address import own_address, tell_address

    everywhere = host in ("0.0.0.0", "::")
    if everywhere:
        tell_address(port)
    count = replicas or max(1, (os.cpu_count() or 1) // 2)
    serve(count, "*" if everywhere else host, port, folder, own_address() if everywhere else host)
