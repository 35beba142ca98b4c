"""Which networks may stand beside one: its twin with or without shortcuts, and others of the same architecture."""

from collections.abc import Iterable
from functools import cache, partial

from torch import nn

from ..blocks import PlainBlock, ZeroPadding
from ..network import ResidualNetwork, stage_of
from .table import NETWORKS, Entry, architecture, block_names

__all__ = ["counterpart", "with_the_same_blocks"]


def with_the_same_blocks(entry: Entry, networks: Iterable[Entry]) -> list[Entry]:
    """The other rows whose blocks have the same names and that look at the same images: other weights of one architecture,
    or another kind of block in each place."""
    others = [row for row in networks if row.name != entry.name and row.dataset == entry.dataset]
    return [row for row in others if block_names(row) == block_names(entry)]


@cache
def plain_entry(entry: Entry) -> Entry | None:
    """The plain network of equal depth: the trained one of the table, else the same layers without their shortcuts
    (untrained only). None for a network that is plain itself, cut or handed over, or whose pre-activation blocks have no such twin."""
    if entry.plain:
        return NETWORKS[entry.plain]
    if not entry.can_be_built:
        return None
    kinds = {block.kind for block in architecture(entry).blocks.values()}
    if entry.deleted or not kinds <= {"basic", "bottleneck"}:
        return None
    return Entry(
        f"plain {entry.name}",
        entry.dataset,
        partial(build_without_shortcuts, entry),
        None,
        entry.preprocessing,
        f"{entry.name} without its shortcuts",
        "MIT",
    )


def counterpart(entry: Entry) -> Entry | None:
    """The plain network of a residual one, the residual network of a plain one; None where there is none."""
    return next((row for row in NETWORKS.values() if row.plain == entry.name), None) or plain_entry(entry)


def build_without_shortcuts(entry: Entry, *, seed: int = 0, batch_norm: bool = True) -> ResidualNetwork:
    """The network of ``entry`` with the same initial weights, its blocks plain."""
    network = entry.build(seed=seed, batch_norm=batch_norm)
    stages: dict[str, list[PlainBlock]] = {}
    for name, block in network.blocks.items():
        convolutions = [layer for layer in block.branch.modules() if isinstance(layer, nn.Conv2d)]
        stride = max(layer.stride[0] for layer in convolutions)
        carry: nn.Module = block.shortcut
        if block.shortcut_kind == "projection":
            carry = ZeroPadding(convolutions[0].in_channels, convolutions[-1].out_channels, stride)
        stages.setdefault(stage_of(name), []).append(PlainBlock("plain", block.branch, carry))
    return ResidualNetwork(network.stem, stages.values(), network.head)
