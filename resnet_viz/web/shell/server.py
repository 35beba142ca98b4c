"""The server: what is ready before its port opens, and how the browser's scripts are sent."""

import gc
import gzip
import mimetypes
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from threading import Lock

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ... import recipes
from ...engine import heap
from ...engine.folder import Folder
from ...engine.owner import InOwner
from ...engine.processes import FOLDER_LIMIT, start_for
from ...engine.tickets import use
from ...engine.workers import Start, Workers
from ..internals import Nobody, static_folder
from ..networks import HANDED_OVER
from ..session import Patience, patience

OBJECTS_BETWEEN_COLLECTIONS = 50_000, 5, 5  # about a rerun's worth; the whole after 25 times as many
BETWEEN_THREADS = 0.001  # seconds; a forward pass beside four busy threads: 0.05 s, where 0.35 s at the usual 0.005
PATIENCE = 0.1  # seconds that a run of a page waits for answers, all in all
YEAR = 365 * 24 * 3600


@asynccontextmanager
async def ready(_: st.App) -> AsyncIterator[None]:
    """Before the port opens, the first page has been drawn once, with its imports, network and figures. The processes that
    compute end with the server.
    """
    started = time.monotonic()
    heap.share()
    with TemporaryDirectory(prefix="resnet_viz-") as folder:
        modules = ",".join(f"{recipes.__name__}.{each}" for each in recipes.MODULES)
        if owner := InOwner.of_this_app():
            HANDED_OVER[owner.network.entry.name] = owner.network.entry
        start: Start = owner or start_for(modules, folder)
        workers = Workers(start, Folder(owner.folder if owner else folder, FOLDER_LIMIT), patience)
        use(workers)
        recipes.names()  # imports them all: nobody's first click waits for that
        await Nobody().see_first_page()
        settle()
        Patience.seconds = PATIENCE
        print(f"  Ready after {time.monotonic() - started:.1f} s.", flush=True)
        yield
        workers.close()


def settle() -> None:
    """Spare the garbage collector the half a million objects of the imports, and call it less often; let threads take turns
    more often.

    Streamlit's own full collection after every run is switched off in .streamlit/config.toml: it took two thirds of what
    an unchanged rerun cost, and held up every other visitor. A forward pass asks for the interpreter once a layer, and
    waits each time for as long as another visitor's page may hold it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*OBJECTS_BETWEEN_COLLECTIONS)
    sys.setswitchinterval(BETWEEN_THREADS)


HEADERS = {
    "X-Content-Type-Options": "nosniff",  # what a visitor has uploaded is no script, whatever it looks like
    "Referrer-Policy": "same-origin",  # an address says what is looked at, and a teacher's holds a secret
    "X-Frame-Options": "SAMEORIGIN",  # no other page lays itself over this one
}


class Guarded:
    """Tells browsers what pages of others may not do with this one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, told if scope["type"] == "http" else send)


class CompressedFiles:
    """Sends Streamlit's scripts and styles compressed, each of them compressed once. Streamlit sends them as they are, 6 MB to
    each visitor, since it would compress them anew each time."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        folder = static_folder()
        self.files = {
            f"/{path.relative_to(folder).as_posix()}": path
            for path in folder.rglob("static/**/*")
            if path.suffix in (".js", ".css")
        }
        self.compressed: dict[str, bytes] = {}  # 7 MB, if a browser asks for all
        self.lock = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and scope["path"] in self.files
            and "gzip" in Headers(scope=scope).get("accept-encoding", "")
        ):
            body = await run_in_threadpool(self.compress, scope["path"])
            headers = {
                "Content-Encoding": "gzip",
                "Vary": "Accept-Encoding",
                "Cache-Control": f"public, immutable, max-age={YEAR}",  # its name holds its hash
            }
            await Response(body, media_type=mimetypes.guess_type(scope["path"])[0], headers=headers)(
                scope, receive, send
            )
        else:
            await self.app(scope, receive, send)

    def compress(self, path: str) -> bytes:
        """A file as it is sent; thirty browsers may ask for it at once."""
        with self.lock:
            if path not in self.compressed:
                self.compressed[path] = gzip.compress(self.files[path].read_bytes(), 9)
            return self.compressed[path]
