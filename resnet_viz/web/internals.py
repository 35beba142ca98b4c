"""What Streamlit keeps to itself, asked for in one place."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from streamlit import file_util, runtime
from streamlit.navigation.page import StreamlitPage
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import RerunData, get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState
from streamlit.runtime.session_manager import SessionClient
from streamlit.runtime.uploaded_file_manager import UploadedFile

__all__ = [
    "Nobody",
    "StreamlitPage",
    "UploadedFile",
    "by_history",
    "draw_again",
    "fragment_id",
    "is_here",
    "session_id",
    "static_folder",
]


SOON = 0.01  # seconds
WISHES: dict[str, list[tuple[str | None, Callable[[], bool]]]] = {}  # what each session is to draw again, unless


def session_id() -> str:
    """The id of this visitor's session, '' outside of a server."""
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context else ""


def is_here(session: str) -> bool:
    """Whether a session's browser is connected."""
    return not runtime.exists() or runtime.get_instance().is_active_session(session)


def by_history() -> bool:
    """Whether the browser's Back or Forward has led here."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and context.is_history_navigation


def fragment_id() -> str | None:
    """The part of the page that is being drawn, None for the page itself."""
    return ThreadState.get().fragment_id if get_script_run_ctx(suppress_warning=True) else None


def draw_again(session: str, fragment: str | None, unless: Callable[[], bool]) -> None:
    """Have a part of a visitor's page drawn again, or all of it, ``unless`` that is no longer wanted when its time comes; from any
    thread. A part that is no longer there is not."""
    if runtime.exists():
        loop = runtime.get_instance()._get_async_objs().eventloop
        loop.call_soon_threadsafe(_wish, session, fragment, unless)


def _wish(session: str, fragment: str | None, unless: Callable[[], bool]) -> None:
    """Add to what a session is to draw again; on the server's own thread."""
    wishes = WISHES.setdefault(session, [])
    wishes.append((fragment, unless))
    if len(wishes) == 1:
        _draw(session)


def _draw(session: str) -> None:
    """What a browser's own wish does, without the values of its controls: those it last sent stand. It waits for the run that is
    under way, which may change address and page, and until all that it has drawn is sent: another's beginning would take it back."""
    info = runtime.get_instance()._session_mgr.get_active_session_info(session)
    if info is not None and (info.session._scriptrunner is not None or not info.session._browser_queue.is_empty()):
        asyncio.get_running_loop().call_later(SOON, _draw, session)
        return
    wishes = [fragment for fragment, unless in WISHES.pop(session) if not unless()]
    if info is None or not wishes:
        return
    whole = None in wishes
    parts = [each for each in dict.fromkeys(wishes) if each and not whole and info.session.has_fragment(each)]
    if not parts and not whole:
        return
    known = info.session._client_state
    info.session._create_scriptrunner(
        RerunData(
            query_string=known.query_string,
            page_script_hash=known.page_script_hash,
            fragment_id_queue=parts,
            is_auto_rerun=bool(parts),
            context_info=known.context_info if known.HasField("context_info") else None,
        )
    )


def static_folder() -> Path:
    """Where the scripts and styles lie that Streamlit sends to browsers."""
    return Path(file_util.get_static_dir())


class Nobody(SessionClient):
    """A visitor without a browser."""

    def __init__(self) -> None:
        self.seen = asyncio.Event()

    async def see_first_page(self) -> None:
        """Open the app, and leave when its first page is drawn."""
        server = runtime.get_instance()
        session = server.connect_session(self, {})
        opened = BackMsg()
        opened.rerun_script.query_string = ""
        server.handle_backmsg(session, opened)
        await self.seen.wait()
        server.close_session(session)

    def write_forward_msg(self, msg: ForwardMsg) -> None:
        if msg.WhichOneof("type") == "script_finished" and msg.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self.seen.set()
