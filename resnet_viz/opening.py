"""Opening the app: from a shell, and from a program with a network of its own."""

import os
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.request import urlopen

from torch import Tensor, nn

from .engine.owner import Owner
from .errors import InputError
from .networks.images import Preprocessing
from .networks.zoo import NamedNetwork, hand_over
from .places import APP

__all__ = ["App", "show", "start"]

LONGEST_START = 180.0  # seconds
FIRST_PAGE = "stage_diagram"


def start(
    port: int, host: str, environment: Mapping[str, str], options: Sequence[str] = (), *, apart: bool = False
) -> subprocess.Popen[bytes]:
    """Start the app's server; ``apart``: where no Ctrl-C reaches it."""
    where = [f"--server.port={port}", f"--server.address={host}"]
    command = [sys.executable, "-m", "streamlit", "run", str(APP / "app.py"), *where, *options]
    return subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=apart)


class App:
    """An app that this program has opened and computes for. ``url``: its page with the network."""

    def __init__(self, network: NamedNetwork, process: subprocess.Popen[bytes], url: str) -> None:
        self.network, self.url, self._process = network, url, process

    def __repr__(self) -> str:
        return f"<the app with {self.network.entry.name}: {self.url}>"

    def wait(self) -> None:
        """Go on when the app has ended, or end it after Ctrl-C."""
        try:
            self._process.wait()
        except KeyboardInterrupt:
            self.close()

    def close(self) -> None:
        """End the app."""
        self._process.terminate()
        self._process.wait()


def show(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    name: str = "",
    port: int | None = None,
) -> App:
    """Open the app with a network of one's own, as it is now, in the browser: the strip, all pages and links work for it.

    This program keeps the network and computes, in a thread of its own; the app only draws, and ends with this program. A script
    waits here until the app is ended with Ctrl-C; a notebook or an interactive Python goes on, and ``close`` of what is returned
    ends the app. All but ``port`` (None: a free one) is as in ``hand_over``, which says what is raised.
    """
    if port and in_use(port):
        raise InputError(f"Port {port} is in use; give another one, or leave it out.")
    network = hand_over(model, images, labels, classes=classes, preprocessing=preprocessing, name=name)
    print(f"  {network.entry.name}: {len(network.blocks)} blocks; the app starts ...", flush=True)
    port, owner = port or free_port(), Owner(network)
    app = App(
        network,
        start(
            port,
            "localhost",
            owner.environment,
            ["--server.headless=true", "--logger.hideWelcomeMessage=true"],
            apart=True,
        ),
        f"http://localhost:{port}/{FIRST_PAGE}?network={network.entry.name}",
    )
    try:
        wait_for(port, app._process)
    except BaseException:
        app.close()
        owner.close()
        raise
    print(f"  {network.entry.name} is shown at {app.url}")
    webbrowser.open(app.url)
    if not hasattr(sys, "ps1"):  # set where Python is interactive
        app.wait()
    return app


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return int(one.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers. Raises InputError where it ends before, or takes too long."""
    until = time.monotonic() + LONGEST_START
    while time.monotonic() < until and process.poll() is None:
        if is_ready(port):
            return
        time.sleep(0.1)
    how = "ended before it was ready; see what it printed" if process.poll() is not None else "did not get ready"
    raise InputError(f"The app {how}.")


def is_ready(port: int) -> bool:
    """Whether the app answers at a port of this machine: its first page has been drawn by then."""
    with suppress(OSError), urlopen(f"http://localhost:{port}/_stcore/health", timeout=5):
        return True
    return False


def in_use(port: int) -> bool:
    """Whether somebody answers at a port of this machine."""
    with socket.socket() as one:
        return one.connect_ex(("localhost", port)) == 0
