"""How a network of the table is made ready for use: built, filled with its weights, or calibrated."""

import hashlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn

from ...errors import InputError
from ...places import CHECKPOINTS
from ...progress import Progress, no_progress
from ..description import Description
from ..device import device
from ..fitting import fill
from ..images import ImageSet
from ..network import ResidualNetwork
from ..weights import download, has_named_hash, read
from .local_files import read_as
from .table import Entry, has_batch_norm

__all__ = ["HANDED_OVER", "LoadedNetwork", "NamedNetwork", "WeightsUnavailable", "load", "weights_file", "weights_path"]


class WeightsUnavailable(InputError):
    """The weights of a network are neither here nor to be had."""


@dataclass(frozen=True)
class NamedNetwork:
    """A network by its name, with what is known of it: for whoever shows it without having it.

    ``weights``, ``digest`` and ``seed`` as in ``LoadedNetwork``; ``batch_norm``: whether it was built with batch norms.
    """

    entry: Entry
    seed: int | None
    batch_norm: bool
    weights: str
    digest: str
    description: Description

    @property
    def trained(self) -> bool:
        return self.seed is None

    @property
    def title(self) -> str:
        """The name, with 'untrained' wherever that is so."""
        return self.entry.name if self.trained else f"{self.entry.name} (untrained)"

    @property
    def blocks(self) -> list[str]:
        """The names of the blocks, in order."""
        return [block.name for block in self.description.blocks]

    @property
    def is_plain(self) -> bool:
        """Whether no block has a shortcut."""
        return all(block.shortcut == "none" for block in self.description.blocks)

    @property
    def intact(self) -> tuple[float, ...]:
        """The gates that leave every block as it is."""
        return (1.0,) * len(self.description.blocks)


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network ready for use, in eval mode on ``device()``. It is shared: nothing may change it.

    ``digest`` names the weights: the SHA-256 of their file, or how the untrained ones were made. ``seed``: of untrained ones.
    """

    entry: Entry
    network: ResidualNetwork
    weights: str
    digest: str
    seed: int | None = None

    @property
    def trained(self) -> bool:
        return self.seed is None

    @property
    def identity(self) -> tuple[str, str]:
        """What its results may be kept under: the digest alone is the same for two untrained networks of one seed."""
        return self.entry.name, self.digest

    @property
    def intact(self) -> tuple[float, ...]:
        """The gates that leave every block as it is."""
        return (1.0,) * len(self.network.blocks)

    def inputs(self, images: ImageSet) -> Tensor:
        """A set as the network takes it: normalised, on its device and in its precision."""
        return self.entry.preprocessing.inputs_of(self.network, images.pixels)


HANDED_OVER: dict[str, LoadedNetwork] = {}  # by digest, as long as somebody has its name


def load(
    entry: Entry,
    *,
    checkpoint: Path | None = None,
    untrained: int | None = None,
    batch_norm: bool = True,
    progress: Progress = no_progress,
) -> LoadedNetwork:
    """Build a network, fill in its weights and put it on ``device()`` in eval mode and channels_last.

    ``checkpoint``: a file of the user's in place of the row's weights, which gives the row its classes, shortcuts and
    blocks. ``untrained``: a seed, for initial weights with calibrated batch norms; only these can be had without batch
    norms. A network that was handed over is there as it is. Raises WeightsUnavailable where the weights are not here and cannot
    be downloaded, or give no finite logits; InputError for a file that does not fit.
    """
    if entry.weights in HANDED_OVER and untrained is None and batch_norm and checkpoint is None:
        return HANDED_OVER[entry.weights]
    if not entry.can_be_built:
        raise InputError(
            f"{entry.name} is only there as it was handed over, for as long as the program that did so keeps it."
        )
    if checkpoint is None and (untrained is not None or entry.weights is None or not batch_norm):
        seed = untrained or 0
        network = entry.build(seed=seed, **({} if batch_norm or not has_batch_norm(entry) else {"batch_norm": False}))
        calibrate(network, entry)
        norm = "" if batch_norm else ", without batch norm"
        return ready(entry, network, f"untrained, seed {seed}{norm}", f"untrained-{seed}{norm}", seed)
    path = checkpoint or weights_file(entry, progress)
    content, source = read(path), entry.provenance
    if checkpoint:
        entry, _ = read_as(entry, path, content)
        source = entry.provenance if entry.deleted else f"from {entry.provenance}"
    network = entry.build(seed=0)
    fill(network, content, path)
    loaded = ready(entry, network, source, hashlib.sha256(path.read_bytes()).hexdigest())
    if checkpoint or "://" not in str(entry.weights):  # what is downloaded is known by its hash
        black = torch.zeros(1, *entry.preprocessing.shape, dtype=torch.uint8, device=device())
        with torch.no_grad():
            if not loaded.network(entry.preprocessing.normalise(black)).isfinite().all():
                raise WeightsUnavailable(
                    f"{path} must hold weights with which {entry.name} gives finite logits; got NaN or infinity for a "
                    f"black image, since values grow too large on the way; give a file of a training that did not diverge."
                )
    return loaded


def ready(entry: Entry, network: ResidualNetwork, weights: str, digest: str, seed: int | None = None) -> LoadedNetwork:
    network = network.to(memory_format=torch.channels_last).to(device()).eval()
    return LoadedNetwork(entry, network, weights, digest, seed)


def calibrate(network: ResidualNetwork, entry: Entry) -> None:
    """Set batch-norm statistics by one pass over a fixed set of images (of the training set where one is bundled)."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    images = entry.dataset.calibration(entry.preprocessing)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(entry.preprocessing.normalise(images.pixels))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def weights_path(entry: Entry) -> Path:
    """Where the file with a row's weights lies once it is here: checkpoints/ or the torch hub cache."""
    assert entry.weights is not None
    if "://" not in entry.weights:
        return CHECKPOINTS / entry.weights
    return Path(torch.hub.get_dir()) / "checkpoints" / entry.weights.rsplit("/", 1)[1]


def weights_file(entry: Entry, progress: Progress = no_progress) -> Path:
    """The file with a row's weights, downloaded into the torch hub cache if need be, its hash checked."""
    path = weights_path(entry)
    if "://" not in str(entry.weights):
        if not path.is_file():
            raise WeightsUnavailable(f"{path} is missing; make it with: python -m resnet_viz train {entry.name}.")
        return path
    if not path.is_file():
        try:
            download(str(entry.weights), path, progress)
        except (OSError, ValueError, HTTPException) as error:
            reason = error.reason if type(error) is URLError else error  # an HTTPError says its code itself
            raise WeightsUnavailable(
                f"The weights of {entry.name} could not be fetched from {entry.weights} ({reason}); put the file at {path} by hand."
            ) from error
    elif not has_named_hash(path, path.name):
        raise WeightsUnavailable(
            f"{path} is damaged: its SHA-256 does not begin with the digits in its name; remove it to fetch it again."
        )
    return path
