"""A visitor without a browser: speaks the app's websocket as Streamlit's page does, and a server to visit."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0  # seconds without a word, after which a visitor gives up


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


def wait_for(port: int, seconds: float = 120.0) -> None:
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
    """One session. Each request yields what the app sends until nothing is on its way, and keeps what a browser would keep.

    ``elements``: those of the page by where they stand; ``query``: the address's; ``page``: the page's name in it.
    """

    def __init__(self, port: int) -> None:
        self.host = f"localhost:{port}"
        self.connected = ExitStack()
        self.page, self.query, self.received = "", "", 0
        self.elements: dict[tuple[int, ...], Element] = {}
        self.values: dict[str, WidgetState] = {}
        self._page_hash = ""
        self._kept: dict[str, ForwardMsg] = {}
        self._elements: dict[tuple[int, ...], Element] = {}  # as far as they have come
        self._running = False  # a run is under way
        self._redrawn: list[str] = []  # parts of the page whose own elements have not come yet

    def __enter__(self) -> "Visitor":
        connection = connect(
            f"ws://{self.host}/_stcore/stream", subprotocols=["streamlit"], origin=f"http://{self.host}", max_size=None
        )
        self.socket: ClientConnection = self.connected.enter_context(connection)
        return self

    def __exit__(self, *_: object) -> None:
        self.connected.close()

    def open(self, page: str, query: str = "") -> Iterator[ForwardMsg]:
        """Open a page (its name in the address), or run it again."""
        self.page, self.query, self._page_hash = page, query, ""
        yield from self._ask()

    def set(self, control: str, field: str, value: Any) -> Iterator[ForwardMsg]:
        """Set the control with this id, and run the page. ``field``: of WidgetState, in which its kind of control speaks.

        A trigger (a press) is sent once; every other value stays and is sent again with each request, as a browser does.
        """
        state = WidgetState(id=control)
        if field.endswith("array_value"):
            getattr(state, field).data.extend(value)
        elif field == "string_trigger_value":
            state.string_trigger_value.data = value
        else:
            setattr(state, field, value)
        if "trigger" in field:
            yield from self._ask(state)
        else:
            self.values[control] = state
            yield from self._ask()

    def set_component(self, control: str, name: str, value: Any) -> Iterator[ForwardMsg]:
        """Set a value of one of the app's own components."""
        yield from self.set(control, "json_value", json.dumps({name: value}))

    def _ask(self, *pressed: WidgetState) -> Iterator[ForwardMsg]:
        self._see_the_rest()
        asked = BackMsg()
        rerun = asked.rerun_script
        rerun.page_name, rerun.query_string, rerun.page_script_hash = self.page, self.query, self._page_hash
        rerun.widget_states.widgets.extend([*self.values.values(), *pressed])
        rerun.cached_message_hashes.extend(self._kept)
        self.socket.send(asked.SerializeToString())
        finished = False
        while not finished:
            message = self._receive(PATIENCE)
            finished = self._finishes(message)
            yield message

    def _see_the_rest(self) -> None:
        """What the app has sent of its own accord since the last request."""
        with suppress(TimeoutError):
            while True:
                self._finishes(self._receive(PATIENCE if self._running else 0.0))

    def _receive(self, seconds: float) -> ForwardMsg:
        """The next message, in full. Raises TimeoutError."""
        data = self.socket.recv(timeout=seconds)
        self.received += len(data)
        message = ForwardMsg.FromString(data)
        if message.WhichOneof("type") == "ref_hash":
            kept = ForwardMsg.FromString(self._kept[message.ref_hash].SerializeToString())
            kept.metadata.CopyFrom(message.metadata)
            message = kept
        elif message.metadata.cacheable:
            self._kept[message.hash] = message
        return message

    def _finishes(self, message: ForwardMsg) -> bool:
        """Do as a browser does; returns whether a run is over, and nothing on its way."""
        match message.WhichOneof("type"):
            case "new_session":
                self._running = True
                self._page_hash = message.new_session.page_script_hash
                self._redrawn = list(message.metadata.run.fragment_ids)
                self._elements = self._elements if self._redrawn else {}
            case "page_info_changed":
                self.query = message.page_info_changed.query_string
            case "delta":
                if message.delta.fragment_id in self._redrawn:  # the part itself: what it held goes
                    self._redrawn.remove(message.delta.fragment_id)
                    place = tuple(message.metadata.delta_path)
                    self._elements = {
                        path: each for path, each in self._elements.items() if path[: len(place)] != place
                    }
                if message.delta.WhichOneof("type") == "new_element":
                    self._elements[tuple(message.metadata.delta_path)] = message.delta.new_element
                    self._follow(message.delta.new_element)
            case "script_finished" if message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                self._running = False
                if any("class='on-its-way'" in each.html.body for each in self._elements.values()):
                    return False
                self.elements = dict(self._elements)
                shown = {
                    getattr(getattr(each, each.WhichOneof("type") or ""), "id", "") for each in self.elements.values()
                }
                self.values = {control: value for control, value in self.values.items() if control in shown}
                return True
        return False

    def figures(self) -> frozenset[str]:
        """The figures on the page."""
        return frozenset(each.plotly_chart.spec for each in self.elements.values() if each.HasField("plotly_chart"))

    def _follow(self, element: Element) -> None:
        """Take the value that the app gives a control, as a browser does."""
        kind = element.WhichOneof("type") or ""
        control = getattr(element, kind, None)
        if getattr(control, "set_value", False):
            self.values.pop(control.id, None)
