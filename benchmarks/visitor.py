"""A visitor without a browser: speaks the app's websocket as Streamlit's page does, and a server to visit."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[1]


@contextmanager
def serving() -> Iterator[tuple[int, int]]:
    """Start the app on a free port; yields its port and its process id."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as server:
        try:
            wait_for(port)
            yield port, server.pid
        finally:
            server.terminate()


def wait_for(port: int, seconds: float = 60.0) -> None:
    """Wait until the server says that it is well. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://localhost:{port}/_stcore/health"):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"No app answers on port {port} after {seconds:g} s.")


class Visitor:
    """One session. ``run`` asks for a page and returns what the app sent until the run was over."""

    def __init__(self, port: int) -> None:
        self.socket: ClientConnection = connect(
            f"ws://localhost:{port}/_stcore/stream", subprotocols=["streamlit"], origin=f"http://localhost:{port}",
            max_size=None,
        )  # fmt: skip

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def run(self, page: str, query: str = "") -> list[ForwardMsg]:
        """Open a page (its name in the address), or run it again. Raises RuntimeError where the app shows a traceback."""
        message = BackMsg()
        message.rerun_script.page_name, message.rerun_script.query_string = page, query
        self.socket.send(message.SerializeToString())
        messages = []
        while not (messages and messages[-1].WhichOneof("type") == "script_finished"):
            message = ForwardMsg.FromString(self.socket.recv())
            if message.delta.new_element.WhichOneof("type") == "exception":
                raise RuntimeError(f"Page {page!r} raised {message.delta.new_element.exception.message}")
            messages.append(message)
        return messages
