"""Networks without some of their blocks: what a gate of 0 leaves out for one call is not there any more."""

from collections import OrderedDict
from collections.abc import Iterable

from torch import nn

from ..errors import InputError
from .blocks import Block, Shortcuts, with_children
from .description import leaves
from .exactness import exactly
from .network import ResidualNetwork, stage_of

__all__ = ["cut"]


def cut(network: ResidualNetwork, deleted: Iterable[str]) -> ResidualNetwork:
    """Return a network without the branches of the named blocks; its logits are those of the walk with their gates at 0.

    A deleted block keeps its shortcut and what follows its sum. Where both do nothing (an identity, and a ReLU on what comes
    out of one) it is gone; else they stand at the beginning of the next block, or of the head. A block of the user's own kind is
    kept whole, since nobody knows what it reads. The blocks that are left keep their names and their layers, which both networks
    share; the network given is left as it was. Raises InputError for an unknown block, and where none would be left.
    """
    indices = set(network.block_indices(deleted))
    if len(indices) == len(network.blocks):
        raise InputError(f"At least one block must be left; all {len(network.blocks)} were to be deleted: keep one.")
    blocks: dict[str, Block] = {}
    shortcuts: list[Block] = []
    never_negative = ends_in_relu(network.stem)
    for index, (name, block) in enumerate(network.blocks.items()):
        if index not in indices:
            blocks[name] = block.behind(shortcuts)
            shortcuts = []
        elif left := block.left(never_negative):
            shortcuts += left
        else:
            continue  # the next block is given what this one was
        never_negative = block.never_negative
    twin = with_children(network, {"head": behind(shortcuts, network.head)} if shortcuts else {})
    twin.blocks = blocks
    for stage in network.stage_sizes():
        left_here = {name.partition(".")[2]: block for name, block in blocks.items() if stage_of(name) == stage}
        twin._modules[stage] = nn.ModuleDict(left_here)  # a list would number them anew
    return twin


def ends_in_relu(stem: nn.Module) -> bool:
    """Whether a stem is known to hand on no negative value."""
    layers = [layer for _, layer in leaves(stem) if not exactly(layer, nn.MaxPool2d)]
    return bool(layers) and exactly(layers[-1], nn.ReLU)


def behind(shortcuts: list[Block], head: nn.Module) -> nn.Module:
    """A head that begins with what deleted blocks have left; its own layers keep their names."""
    layers = dict(head.named_children()) if exactly(head, nn.Sequential) else {"layers": head}
    earlier = layers.pop("shortcuts", None)  # of a network that was cut before
    if isinstance(earlier, Shortcuts):
        shortcuts = [*shortcuts, *earlier]
    return nn.Sequential(OrderedDict(shortcuts=Shortcuts(shortcuts), **layers))
