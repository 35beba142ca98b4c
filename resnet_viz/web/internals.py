"""What Streamlit keeps to itself, asked for in one place."""

import asyncio
from pathlib import Path

from streamlit import file_util, runtime
from streamlit.navigation.page import StreamlitPage
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.session_manager import SessionClient
from streamlit.runtime.uploaded_file_manager import UploadedFile

__all__ = [
    "Nobody",
    "StreamlitPage",
    "UploadedFile",
    "by_history",
    "is_here",
    "leave_if_asked",
    "session_id",
    "static_folder",
]


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


def leave_if_asked() -> None:
    """End this run, by the exception that Streamlit ends runs with, if the visitor has gone or asked for another one."""
    if context := get_script_run_ctx(suppress_warning=True):
        "visit" in context.session_state  # noqa: B015  (Streamlit looks at every access to the state)


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
