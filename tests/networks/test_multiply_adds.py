"""Multiply-adds: those of PyTorch's own counter, and of attention, which it misses on a CPU."""

import pytest
import torch
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.utils.flop_counter import FlopCounterMode

from resnet_viz.networks.multiply_adds import MultiplyAdds

LAYERS = {
    "convolution": (nn.Conv2d(4, 6, 3, stride=2, groups=2), (2, 4, 9, 9)),
    "three dimensions": (nn.Conv3d(2, 3, 3), (1, 2, 5, 6, 7)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2), (1, 4, 5, 5)),
    "linear": (nn.Linear(5, 7), (3, 5)),
    "linear over tokens": (nn.Linear(5, 7), (3, 4, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_count_as_in_pytorchs_own_counter(name):
    layer, shape = LAYERS[name]
    with FlopCounterMode(display=False) as theirs:
        layer(torch.zeros(shape))
    with MultiplyAdds() as ours:
        layer(torch.zeros(shape))
    assert 0 < ours.macs == theirs.get_total_flops() // 2


@pytest.mark.parametrize("training", [False, True])
def test_attention_counts_whichever_way_pytorch_takes(training):
    tokens, width = 6, 8
    layer = nn.TransformerEncoderLayer(width, 2, 4 * width, batch_first=True, dropout=0.0).train(training)
    with torch.enable_grad(), MultiplyAdds() as counted:
        layer(torch.zeros(1, tokens, width, requires_grad=True))
    projections, scores, perceptron = 4 * tokens * width**2, 2 * tokens**2 * width, 8 * tokens * width**2
    assert counted.macs == projections + scores + perceptron


def test_no_module_is_hooked_while_it_counts():
    with MultiplyAdds():
        assert not module_hooks._global_forward_pre_hooks and not module_hooks._global_forward_hooks
        assert not module_hooks._global_backward_hooks and not module_hooks._global_backward_pre_hooks
