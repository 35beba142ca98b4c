"""What a question is asked of."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError
from ..figures.deletion import seen_sentence
from ..networks import zoo
from ..networks.description import Description
from ..networks.images import ImageSet
from ..networks.network import block_indices, gates_without
from ..networks.zoo import Entry, LoadedNetwork, NamedNetwork
from . import measures
from .measures import Gates

IMAGE = 447  # what the app opens with
ONLY_AS_IT_IS = "{name} was handed over as it is and cannot be had untrained, so what compares it with its untrained self is left out."


@dataclass(frozen=True)
class Subject:
    """A network, a set of images, one image with its class, and a lesion; all by name, so that it can be asked about anywhere.

    ``label``: the class of ``image``; where nobody knows it (``label_is_true``), the predicted one. ``gates``: one for each
    block. ``own``: a visitor's own images, if there are several. ``position``: that of ``image`` in the set; None for a
    visitor's own.
    """

    network: NamedNetwork
    images: ImageSet
    image: ImageSet
    label: int
    label_is_true: bool
    gates: Gates
    own: ImageSet | None = None
    position: int | None = None

    @classmethod
    def of(
        cls,
        network: str | Path | NamedNetwork,
        *,
        untrained: int | None = None,
        image: int | ImageSet | None = None,
        images: ImageSet | None = None,
        deleted: Iterable[str] = (),
        gate: float = 0.0,
    ) -> "Subject":
        """A network of the table by its name, a file of weights of one, or one that is known already; with the images that
        come with it, or others.

        ``untrained``: a seed, for initial weights. ``image``: a position in the set, or an image of one's own. ``deleted``: the
        blocks whose gate is ``gate``, 0 to 1, all others being intact. Raises InputError for a name, a block or a position
        that does not exist, and what ``zoo.load`` raises.
        """
        named = network if isinstance(network, NamedNetwork) else measures.named(row_of(network), untrained)
        images = images or measures.images(named.entry)
        position = opening(images) if image is None else image
        if isinstance(position, int) and not 0 <= position < len(images):
            raise InputError(f"Image must be 0 to {len(images) - 1}, a position in {images.title}; got {position}.")
        chosen = images.subset([position]) if isinstance(position, int) else position
        known = None if chosen.labels is None else int(chosen.labels[0])
        label = measures.predicted(named, chosen)[0] if known is None else known
        gates = tuple(gates_without(named.blocks, deleted, gate))
        at = position if isinstance(position, int) else None
        return cls(named, images, chosen, label, known is not None, gates, None, at)

    def beside(self, network: str | Path | NamedNetwork, *, untrained: int | None = None) -> "Subject":
        """Another network whose blocks have the same names, for the same images and lesion. Raises what ``of`` raises, and
        InputError for a network of other images."""
        named = network if isinstance(network, NamedNetwork) else measures.named(row_of(network), untrained)
        if named.entry.preprocessing.shape != self.entry.preprocessing.shape or (
            self.images.normalised and named.entry != self.entry
        ):
            raise InputError(
                f"A network beside {self.title} must look at the same images; {named.title} looks at others."
            )
        return replace(self, network=named)

    def untrained(self, seed: int = 0) -> "Subject":
        """The same network with seeded initial weights."""
        return replace(self, network=measures.named(self.entry, seed))

    @property
    def loaded(self) -> LoadedNetwork:
        """The network itself."""
        return measures.loaded(self.network)

    @property
    def entry(self) -> Entry:
        return self.network.entry

    @property
    def title(self) -> str:
        """The network's name, with 'untrained' wherever that is so."""
        return self.network.title

    @property
    def is_plain(self) -> bool:
        return self.network.is_plain

    @property
    def blocks(self) -> list[str]:
        """The names of the blocks, in order."""
        return self.network.blocks

    def block(self, name: str) -> str:
        """The block of this name, the last one for ''. Raises InputError where there is none."""
        (index,) = block_indices(self.blocks, [name or self.blocks[-1]])
        return self.blocks[index]

    @property
    def description(self) -> Description:
        """Shapes, parameters and multiply-adds of each block."""
        return self.network.description

    @property
    def intact(self) -> Gates:
        """The gates that leave every block as it is."""
        return self.network.intact

    @property
    def lesioned(self) -> list[str]:
        """The blocks whose gate is not 1, in order."""
        return [name for name, gate in zip(self.blocks, self.gates, strict=True) if gate != 1]

    @property
    def class_name(self) -> str:
        return self.entry.classes[self.label]

    @property
    def whose_class(self) -> str:
        """'Coat, its label'."""
        return f"{self.class_name}, {'its label' if self.label_is_true else 'predicted'}"

    @property
    def probabilities(self) -> tuple[np.ndarray, np.ndarray]:
        """Class probabilities of the image in the intact network and with the lesion, (classes,) each."""
        before, after = (measures.probabilities(self.loaded, self.image, gates) for gates in (self.intact, self.gates))
        return before, after

    @property
    def sees(self) -> str:
        """'Pullover → Coat (probability 0.61)'."""
        return seen_sentence(self.entry.classes, *self.probabilities)

    @property
    def chance_pct(self) -> float:
        """The error of guessing."""
        return 100 - 100 / len(self.entry.classes)

    def without_lesion(self) -> "Subject":
        """The same, every block intact: for what looks at the whole network, so that it is asked once for all lesions."""
        return replace(self, gates=self.intact)

    def without_image(self) -> "Subject":
        """The same with the image that the app opens with: for what looks at the set, so that it is asked once for all images."""
        position, labels = opening(self.images), self.images.labels
        label = 0 if labels is None else int(labels[position])
        image, known = self.images.subset([position]), labels is not None
        return replace(self, image=image, label=label, label_is_true=known, own=None, position=position)

    def batch(self, most: int) -> ImageSet:
        """The images of a forward and backward pass: the one image, or ``most`` of the set (a visitor's own, if several)."""
        return self.image if most == 1 else self.own or self.images.limit(most)

    def sample(self, most: int) -> ImageSet:
        """The first ``most`` of the set, labelled; where nobody knows the classes, with those that the network predicts."""
        images = self.images.limit(most)
        return replace(images, labels=torch.tensor(self.labels(images)))

    def labels(self, images: ImageSet) -> tuple[int, ...]:
        """The true classes of a set; where nobody knows them, those that the network predicts."""
        return measures.predicted(self.network, images) if images.labels is None else tuple(images.labels.tolist())


def row_of(network: str | Path) -> Entry:
    """A row of the table by its name, or by a file of weights of it. Raises InputError for what is neither."""
    if isinstance(network, str):
        return zoo.entry_of(network)
    rows, faults = zoo.local_entries(network)
    if faults:
        raise InputError(faults[0])
    return rows[0]


def opening(images: ImageSet) -> int:
    """The position of the image that the app opens with, in a set."""
    return min(IMAGE, len(images) - 1)
