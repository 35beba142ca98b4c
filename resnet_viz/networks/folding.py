"""Batch norms folded into the convolutions before them, in a private copy: fewer passes over memory when sweeping."""

from copy import deepcopy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .network import ResidualNetwork


def folded(network: ResidualNetwork) -> ResidualNetwork:
    """Return a copy of a network in eval mode whose convolutions have taken up the batch norms that follow them.

    The logits differ by rounding only (1e-5 relative). The network given is left as it was.
    """
    copy = deepcopy(network).eval()
    for module in copy.modules():
        if isinstance(module, nn.Sequential):
            layers = list(module.named_children())
            for (name, layer), (next_name, following) in pairwise(layers):
                if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                    setattr(module, name, fuse_conv_bn_eval(layer, following))
                    setattr(module, next_name, nn.Identity())
    return copy
