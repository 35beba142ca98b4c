"""A file of norms that a visitor has recorded in a training of their own."""

import streamlit as st

from ...errors import InputError
from ...experiments.norms import LARGEST_FILE, Norms
from ..session import if_shown, state

KEY = "norms_file"


def opened_norms() -> Norms | None:
    """The control that opens one; what the visitor has opened, also on an earlier visit of the page, None before that."""
    st.file_uploader(
        "Open a file of norms",
        type="jsonl",
        max_upload_size=LARGEST_FILE // 1_000_000,
        key=KEY,
        on_change=if_shown(KEY, take),
        help="What `resnet_viz.watch(model, file)` has recorded in a training of yours; only you see it.",
    )
    if fault := state().fault_of_norms:
        st.error(fault)
    return state().norms


def take() -> None:
    """Read what was given, or leave it."""
    now, file = state(), st.session_state[KEY]
    now.norms, now.fault_of_norms = None, ""
    if file is not None:
        try:
            now.norms = Norms.parse(file.name, file.getvalue())
        except InputError as error:
            now.fault_of_norms = f"{file.name} was not opened. {error}"
