"""The card of a cut network beyond its numbers: its file, and healing it. Files are made in a worker when a visitor presses the
button, not before."""

from functools import partial

import streamlit as st

from ...engine.tickets import Call, engine, key_of_call
from ...recipes.cut_network import HEALING, cut_file, deleted_blocks, healed, healed_file
from ...recipes.shown import Shown
from ...recipes.subject import Subject
from ..session import state
from .ask import show

LARGEST = 16_000_000  # parameters, 64 MB: larger files are made by the command
LONGEST = 60.0  # seconds that a browser waits for it


def cut_download(subject: Subject) -> None:
    """The button that fetches the network without its deleted blocks, and the command that makes the same file."""
    deleted, name, file = deleted_blocks(subject), subject.entry.of_table, file_name(subject)
    if subject.description.params <= LARGEST:
        download("Download what is left", partial(cut_file, subject.network, deleted), file)
    own = "" if subject.entry.name == name else " --checkpoint FILE"
    st.caption(
        "The same from a shell, and with --heal STEPS trained for a while: "
        f"`python -m resnet_viz cut {name}{own} --blocks {','.join(deleted)} --output {file}`"
    )


def healing(subject: Subject) -> None:
    """The training that heals what is left, if it is asked for, for these blocks anew, and the file of what comes out."""
    asked = key_of_call(partial(healed, subject))
    if state().healing != asked:  # a minute's work is not done again for the next block
        state().healing = asked
        state().cancelled.pop(healed.name, None)
    show(healed, subject, ask_first=True, below=partial(healed_download, subject))


def healed_download(subject: Subject, _: Shown) -> None:
    """The button that fetches the healed network."""
    call = partial(healed_file, subject.network, subject.images, deleted_blocks(subject))
    download("Download what is healed", call, file_name(subject, f"-healed-{HEALING.steps}"))


def file_name(subject: Subject, what: str = "") -> str:
    """'without-2-blocks.safetensors', with what else was done to the network."""
    count = len(deleted_blocks(subject))
    return f"without-{count}-block{'s' if count > 1 else ''}{what}.safetensors"


def download(label: str, call: Call, file: str) -> None:
    """The button that fetches a file of weights."""
    st.download_button(
        label,
        partial(made, call),
        file,
        icon=":material/download:",
        on_click="ignore",
        help="A safetensors file of the weights that are left. --checkpoint of the command line and CHECKPOINTS= of make run "
        "open it as a network of its own.",
    )


def made(call: Call) -> bytes:
    """The file's content. Raises TimeoutError where nobody has had time to make it."""
    ticket = engine().submit(call)
    if not ticket.wait(LONGEST):
        ticket.release()
        raise TimeoutError("The file could not be made in time; press again.")
    content: bytes = ticket.result()
    return content
