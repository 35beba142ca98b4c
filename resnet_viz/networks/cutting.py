"""Networks without some of their blocks: what a gate of 0 leaves out for one call is not there any more."""

from collections import OrderedDict
from collections.abc import Iterable

from torch import nn

from ..errors import InputError
from .blocks import BehindShortcuts, Block, PlainBlock, PreactivationBlock, Shortcuts
from .description import leaves
from .exactness import exactly
from .folding import with_children
from .graph import GraphBlock
from .network import ResidualNetwork, stage_of

__all__ = ["cut"]


def cut(network: ResidualNetwork, deleted: Iterable[str]) -> ResidualNetwork:
    """Return a network without the branches of the named blocks; its logits are those of the walk with their gates at 0.

    A deleted block keeps its shortcut and what follows its sum. Where both do nothing (an identity, and a ReLU on what comes
    out of one) it is gone; else they stand at the beginning of the next block, or of the head. The blocks that are left keep
    their names and their layers, which both networks share; the network given is left as it was. Raises InputError for an
    unknown block, and where none would be left.
    """
    indices = set(network.block_indices(deleted))
    if len(indices) == len(network.blocks):
        raise InputError(f"At least one block must be left; all {len(network.blocks)} were to be deleted: keep one.")
    blocks: dict[str, Block] = {}
    shortcuts: list[Block] = []
    before: nn.Module = network.stem
    for index, (name, block) in enumerate(network.blocks.items()):
        if isinstance(block, BehindShortcuts):  # the network was cut before
            shortcuts += block.shortcuts
            block = block.block
        if index not in indices:
            blocks[name] = BehindShortcuts(Shortcuts(shortcuts), block) if shortcuts else block
            shortcuts = []
        elif not does_nothing(block, before):
            shortcuts.append(without_branch(block))
        before = block
    twin = with_children(network, {"head": behind(shortcuts, network.head)} if shortcuts else {})
    twin.blocks = blocks
    for stage in network.stage_sizes():
        left = {name.partition(".")[2]: block for name, block in blocks.items() if stage_of(name) == stage}
        twin._modules[stage] = nn.ModuleDict(left)  # a list would number them anew
    return twin


def does_nothing(block: Block, before: nn.Module) -> bool:
    """Whether a block without its branch hands on just what it is given; ``before``: the block before it, or the stem."""
    if not exactly(block.shortcut, nn.Identity) or (
        isinstance(block, GraphBlock) and not exactly(block.entry, nn.Identity)
    ):
        return False
    if isinstance(block, GraphBlock) and exactly(block.last_activation, nn.Identity):
        return exactly(block, GraphBlock)
    return exactly(block, PreactivationBlock, PlainBlock) or (ends_in_relu(block) and ends_in_relu(before))


def ends_in_relu(part: nn.Module) -> bool:
    """Whether a stem or block is known to hand on no negative value."""
    if isinstance(part, Block):
        if isinstance(part, GraphBlock):
            return exactly(part, GraphBlock) and exactly(part.last_activation, nn.ReLU)
        return exactly(part, Block)
    layers = [layer for _, layer in leaves(part) if not exactly(layer, nn.MaxPool2d)]
    return exactly(layers[-1], nn.ReLU)


def without_branch(block: Block) -> Block:
    """A block of which the shortcut is left, and what follows the sum."""
    unread = ["branch"]
    if exactly(block, PreactivationBlock) and block.shortcut_kind != "projection":
        unread.append("entry")
    return with_children(block, {name: nn.Identity() for name in unread})


def behind(shortcuts: list[Block], head: nn.Module) -> nn.Module:
    """A head that begins with what deleted blocks have left; its own layers keep their names."""
    layers = dict(head.named_children()) if exactly(head, nn.Sequential) else {"layers": head}
    earlier = layers.pop("shortcuts", None)  # of a network that was cut before
    if isinstance(earlier, Shortcuts):
        shortcuts = [*shortcuts, *earlier]
    return nn.Sequential(OrderedDict(shortcuts=Shortcuts(shortcuts), **layers))
