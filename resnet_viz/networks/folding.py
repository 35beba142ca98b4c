"""Batch norms folded into the convolutions before them, in a private copy: fewer passes over memory when sweeping."""

from copy import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .blocks import Block, Shortcuts, with_children
from .exactness import exactly, is_batch_norm, is_convolution
from .network import ResidualNetwork
from .settled import require_settled

__all__ = ["folded"]


def folded(network: ResidualNetwork) -> ResidualNetwork:
    """Return a network in eval mode whose convolutions have taken up the batch norms that follow them.

    Only these convolutions are new; every other layer is the given network's own, with its hooks, and only layers that are
    exactly Conv2d and BatchNorm2d are folded. The logits differ by rounding only (1e-5 relative). The network given is left
    as it was. Raises InputError for one that is not in eval mode.
    """
    require_settled(network)
    twin = with_children(network, {"stem": fold(network.stem), "head": fold(network.head)})
    twin.blocks = {name: folded_block(block) for name, block in network.blocks.items()}
    for stage in network.stage_sizes():
        blocks = [block for name, block in twin.blocks.items() if name.startswith(f"{stage}.")]
        twin._modules[stage] = nn.ModuleList(blocks)
    return twin


def folded_block(block: Block) -> Block:
    """A copy of a block, with the children folded of one that does with them just what their classes say."""
    children = block.named_children() if block.ways(1.0) else ()
    return with_children(block, {name: fold(child) for name, child in children})


def fold(layer: nn.Module) -> nn.Module:
    """The layer itself, or for a Sequential, a block, or several that were deleted, one of the same names, folded."""
    if isinstance(layer, Block):
        return folded_block(layer)
    if exactly(layer, Shortcuts):
        return with_children(layer, {name: fold(each) for name, each in layer.named_children()})
    if not exactly(layer, nn.Sequential):
        return layer
    layers = {
        name: each for name, each in layer._modules.items() if each
    }  # named_children() names what is called twice once
    for (name, convolution), (next_name, norm) in pairwise(list(layers.items())):
        if is_convolution(convolution) and is_batch_norm(norm):
            layers[name], layers[next_name] = fused(convolution, norm), nn.Identity()
    return with_children(layer, {name: fold(each) for name, each in layers.items()})


def fused(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution that does the norm's work, too."""
    assert norm.running_mean is not None and norm.running_var is not None  # else the network is not settled
    twin = copy(convolution)
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    twin._parameters = {"weight": weight, "bias": bias}
    return twin
