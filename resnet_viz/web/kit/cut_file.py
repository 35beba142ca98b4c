"""The file of a cut network: made in a worker when a visitor presses the button, not before."""

from functools import partial

import streamlit as st

from ...engine.tickets import engine
from ...recipes.layer_deletion import cut_file, deleted_blocks
from ...recipes.subject import Subject

LARGEST = 16_000_000  # parameters, 64 MB: larger files are made by the command
LONGEST = 60.0  # seconds that a browser waits for it


def cut_download(subject: Subject) -> None:
    """The button that fetches the network without its deleted blocks, and the command that makes the same file."""
    deleted, name = deleted_blocks(subject), subject.entry.of_table
    file = f"without-{len(deleted)}-block{'s' if len(deleted) > 1 else ''}.safetensors"
    if subject.description.params <= LARGEST:
        st.download_button(
            "Download what is left",
            partial(made, subject, deleted),
            file,
            icon=":material/download:",
            on_click="ignore",
            help="A safetensors file of the weights that are left. --checkpoint of the command line and CHECKPOINTS= of make run "
            "open it as a network of its own.",
        )
    own = "" if subject.entry.name == name else " --checkpoint FILE"
    st.caption(
        "The same from a shell, and with --heal STEPS trained for a while: "
        f"`python -m resnet_viz cut {name}{own} --blocks {','.join(deleted)} --output {file}`"
    )


def made(subject: Subject, deleted: tuple[str, ...]) -> bytes:
    """The file's content. Raises TimeoutError where nobody has had time to make it."""
    ticket = engine().submit(partial(cut_file, subject.network, deleted))
    if not ticket.wait(LONGEST):
        ticket.release()
        raise TimeoutError("The file could not be made in time; press again.")
    content: bytes = ticket.result()
    return content
