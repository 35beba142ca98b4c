"""The networks that are known by name, and how one is made ready for use."""

from .handed_over import hand_over
from .loading import LoadedNetwork, NamedNetwork, WeightsUnavailable, load, weights_file, weights_path
from .local_files import local_entries
from .table import (
    DEPTHS,
    KINDS,
    NETWORKS,
    Entry,
    architecture,
    block_names,
    entry_of,
    has_batch_norm,
    images_of,
    trainable,
)
from .twins import counterpart, with_the_same_blocks

__all__ = [
    "DEPTHS",
    "KINDS",
    "NETWORKS",
    "Entry",
    "LoadedNetwork",
    "NamedNetwork",
    "WeightsUnavailable",
    "architecture",
    "block_names",
    "counterpart",
    "entry_of",
    "hand_over",
    "has_batch_norm",
    "images_of",
    "load",
    "local_entries",
    "trainable",
    "weights_file",
    "weights_path",
    "with_the_same_blocks",
]
