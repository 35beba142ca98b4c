"""What Streamlit keeps to itself, asked for in one place."""

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx


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
