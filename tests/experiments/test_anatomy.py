"""What layers cost, by arithmetic, against real modules; what is printed, against what is built."""

import pytest
import torch
from torch import nn
from torchvision.models import get_model
from torchvision.models.googlenet import Inception

from resnet_viz.experiments.anatomy import (
    ENSEMBLES,
    PRINTED_MULTIPLY_ADDS,
    SINGLE_MODEL,
    TEN_CROP,
    Layer,
    blocks_of_width,
    bottleneck_near,
    inception_rows,
    params_with_auxiliary_heads,
    strided_as_in_the_paper,
    weights_of,
)
from resnet_viz.networks.description import describe
from resnet_viz.networks.multiply_adds import MultiplyAdds
from resnet_viz.networks.network import build_block
from resnet_viz.networks.zoo import NETWORKS, architecture


def test_the_papers_own_example():
    few, bottleneck, basic, throughout = blocks_of_width(256, 4)
    assert basic.weights == 2 * 9 * 256 * 256 == 1_179_648
    assert bottleneck.weights == 256 * 64 + 9 * 64 * 64 + 64 * 256 == 69_632
    assert bottleneck.terms == "256 · 64 + 9 · 64 · 64 + 64 · 256" and basic.terms == "9 · 256 · 256 + 9 · 256 · 256"
    assert few.weights == 2 * 9 * 64 * 64
    assert throughout.weights == 256 * 256 + 9 * 256 * 256 + 256 * 256


@pytest.mark.parametrize(("width", "reduction", "side"), [(64, 2, 5), (256, 4, 3), (128, 16, 7)])
def test_blocks_cost_what_modules_cost(width, reduction, side):
    """The bottleneck of the project's own has a reduction of 4, the others are put together here."""
    few = width // reduction
    stacks = dict(zip(("few", "bottleneck", "basic", "throughout"), blocks_of_width(width, reduction), strict=True))
    modules = {
        "few": build_block("basic", few, few, 1, "A", nn.Identity).branch,
        "basic": build_block("basic", width, width, 1, "A", nn.Identity).branch,
        "bottleneck": nn.Sequential(
            nn.Conv2d(width, few, 1, bias=False),
            nn.Conv2d(few, few, 3, padding=1, bias=False),
            nn.Conv2d(few, width, 1, bias=False),
        ),
        "throughout": nn.Sequential(
            *(nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False) for kernel in (1, 3, 1))
        ),
    }
    if reduction == 4:
        modules["bottleneck"] = build_block("bottleneck", width, few, 1, "A", nn.Identity).branch
    for name, stack in stacks.items():
        assert stack.weights == sum(parameter.numel() for parameter in modules[name].parameters()), name
        channels = stack.layers[0].in_channels
        with MultiplyAdds() as counted:
            modules[name](torch.zeros(1, channels, side, side))
        assert stack.weights * side**2 == counted.macs, name
        assert stack.weights == sum(eval(terms.replace("·", "*")) for terms in stack.terms.split(" + ")), name


@pytest.mark.parametrize("module", ["3a", "3b", "4a", "4e", "5b"])
def test_the_rows_of_an_inception_module_are_torchvisions(module):
    side, rows = inception_rows(module)
    with torch.device("meta"):
        theirs = get_model("googlenet", weights=None, init_weights=False, aux_logits=False)
        inception = theirs.get_submodule(f"inception{module}")
    convolutions = [each for each in inception.modules() if isinstance(each, nn.Conv2d)]
    assert sum(weights_of(layers) for layers, _ in rows.values()) == sum(each.weight.numel() for each in convolutions)
    assert side == {"3": 28, "4": 14, "5": 7}[module[0]]
    with torch.device("meta"), MultiplyAdds() as counted:
        inception(torch.zeros(1, convolutions[0].in_channels, side, side))
    assert counted.macs == sum(weights_of(layers) for layers, _ in rows.values()) * side**2


def test_without_reductions_a_row_reads_what_the_module_reads():
    _, rows = inception_rows("3a")
    without = {name: reduced for name, (_, reduced) in rows.items()}
    assert list(without.values()) == [None, Layer(3, 192, 128), Layer(3, 192, 32), None]
    naive = Inception(192, 64, 192, 128, 192, 32, 32)  # a 1x1 that reduces nothing, and is left out here
    kernels = (naive.branch1.conv, naive.branch2[1].conv, naive.branch3[1].conv, naive.branch4[1].conv)
    direct = sum(reduced.weights if reduced else weights_of(layers) for layers, reduced in rows.values())
    assert direct == sum(each.weight.numel() for each in kernels)


@pytest.mark.parametrize(("channels", "width"), [(192, 256), (480, 512), (832, 1024), (4000, 2048)])
def test_the_bottleneck_beside_is_the_nearest(channels, width):
    stack, whole = bottleneck_near(channels)
    assert [(each.in_channels, each.out_channels) for each in stack.layers] == [
        (width, width // 4),
        (width // 4, width // 4),
        (width // 4, width),
    ]
    assert whole == Layer(3, width, width)
    alike = [part for part in torchvision_bottlenecks() if part[0] == width]
    norms = 2 * (width // 4 + width // 4 + width)
    assert {params for _, params in alike} == {stack.weights + norms}


def torchvision_bottlenecks() -> list[tuple[int, int]]:
    """Width and parameters of torchvision's ResNet-50's blocks without projections."""
    with torch.device("meta"):
        model = get_model("resnet50", weights=None)
    blocks = [block for number in range(1, 5) for block in getattr(model, f"layer{number}") if block.downsample is None]
    return [(block.conv1.in_channels, sum(each.numel() for each in block.parameters())) for block in blocks]


def test_the_papers_stride_brings_the_counts_to_the_printed_ones():
    for depth in (34, 50, 101, 152):
        entry = NETWORKS[f"imagenet-resnet{depth}"]
        built, moved = describe(architecture(entry), entry.preprocessing), strided_as_in_the_paper(entry)
        printed = PRINTED_MULTIPLY_ADDS[f"resnet{depth}"]
        assert moved.params == built.params and moved.layers == built.layers
        assert moved.macs / 1e9 == pytest.approx(printed, rel=0.02)
        assert (moved.macs == built.macs) == (depth == 34)
        if depth == 50:
            assert round(built.macs / 1e9, 2) == 4.09 and built.macs / 1e9 > 1.05 * printed
            assert [block.out_shape for block in moved.blocks] == [block.out_shape for block in built.blocks]


def test_googlenet_with_its_auxiliary_heads():
    assert params_with_auxiliary_heads() == 13_004_888


def test_what_is_printed_is_of_networks_that_can_be_described():
    names = {name.replace("plain", "resnet") for name in (*PRINTED_MULTIPLY_ADDS, *TEN_CROP, *SINGLE_MODEL)}
    assert all(f"imagenet-{name}" in NETWORKS for name in names)
    assert ENSEMBLES["ResNet"] < min(top5 for _, top5 in SINGLE_MODEL.values())
    for name, (top1, top5) in SINGLE_MODEL.items():
        assert top1 < TEN_CROP[name][0] and top5 < TEN_CROP[name][1], "its protocol is the more generous one"
