"""What one visitor has chosen: network, weights, image, lesion. It lives in session_state under keys of no widget."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import streamlit as st

from ..figures.palette import DARK, LIGHT, Palette
from ..networks.description import Description
from ..networks.images import ImageSet
from ..networks.zoo import DEFAULT_NETWORK, LoadedNetwork
from . import cached


@dataclass
class Lesion:
    """The chosen blocks of one network, the gate they get, and how many changes the strip has seen."""

    blocks: list[str] = field(default_factory=list)
    gate: float = 0.0
    sequence: int = 0
    undone: list[list[str]] = field(default_factory=list)
    done: list[list[str]] = field(default_factory=list)


@dataclass
class Choices:
    """One visitor's choices. ``untrained``: the seed of initial weights, None for the trained ones."""

    network: str = DEFAULT_NETWORK
    untrained: int | None = None
    position: int = 200
    page_of_images: int = 0
    lesions: dict[str, Lesion] = field(default_factory=dict)
    block: dict[str, str] = field(default_factory=dict)

    def lesion(self, network: str) -> Lesion:
        return self.lesions.setdefault(network, Lesion())


@dataclass(frozen=True)
class Visit:
    """What a page works on. ``image``: a set of one image; ``label``: its class (where nobody knows it, the predicted one)."""

    loaded: LoadedNetwork
    images: ImageSet
    image: ImageSet
    label: int
    label_is_true: bool
    palette: Palette

    @property
    def description(self) -> Description:
        return cached.description(self.loaded)

    @property
    def class_name(self) -> str:
        return self.loaded.entry.classes[self.label]

    def gates(self, blocks: Iterable[str], gate: float = 0.0) -> tuple[float, ...]:
        """One gate for each block: ``gate`` for those named, else 1; a tuple, so that results can be kept under it."""
        return tuple(self.loaded.network.gates_without(blocks, gate))

    def labels(self, images: ImageSet) -> tuple[int, ...]:
        """The true classes of a set; where nobody knows them, those that the chosen network predicts."""
        known = images.labels
        return tuple(
            int(label)
            for label in (cached.predictions(self.loaded, images, self.gates([])) if known is None else known)
        )


def choices() -> Choices:
    """This visitor's choices."""
    if "choices" not in st.session_state:
        st.session_state["choices"] = Choices()
    return st.session_state["choices"]


def palette() -> Palette:
    """The colours of the theme that the visitor sees."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def change_lesion(network: str, blocks: Iterable[str], sequence: int | None = None) -> None:
    """Record a new lesion, so that it can be undone."""
    lesion = choices().lesion(network)
    lesion.done.append(lesion.blocks)
    lesion.undone.clear()
    lesion.blocks = list(blocks)
    lesion.sequence = lesion.sequence + 1 if sequence is None else sequence


def undo_lesion(network: str) -> None:
    """Go back to the lesion before."""
    lesion = choices().lesion(network)
    lesion.undone.append(lesion.blocks)
    lesion.blocks = lesion.done.pop()
    lesion.sequence += 1


def redo_lesion(network: str) -> None:
    """Go forward again to the lesion that was undone last."""
    lesion = choices().lesion(network)
    lesion.done.append(lesion.blocks)
    lesion.blocks = lesion.undone.pop()
    lesion.sequence += 1
