"""What a network is made of, against published figures and against the whole."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from resnet_viz.networks.adapt import adapt
from resnet_viz.networks.cutting import cut
from resnet_viz.networks.description import branch_layers_of, describe, layer_title, overview, stem_and_head
from resnet_viz.networks.zoo import entry_of

from ..conftest import SMALL_PREPROCESSING, UnluckyError, left_as_it_was, unlucky


def test_resnet18_has_its_published_size():
    entry = entry_of("imagenet-resnet18")
    description = describe(entry.build(seed=0).eval(), entry.preprocessing)
    assert description.params == 11_689_512
    assert description.macs / 1e9 == pytest.approx(1.814, abs=0.0005)
    assert description.layers == 18
    assert {block.origin for block in description.blocks} == {""}, "they are called so in torchvision, too"


def test_resnet34_has_the_shapes_of_the_papers_table_1():
    entry = entry_of("imagenet-resnet34")
    description = describe(entry.build(seed=0).eval(), entry.preprocessing)
    assert description.stem.in_shape == (3, 224, 224)
    assert description.stem.out_shape == (64, 56, 56)
    sides = {"layer1": (64, 56, 56), "layer2": (128, 28, 28), "layer3": (256, 14, 14), "layer4": (512, 7, 7)}
    assert [(block.stage, block.out_shape) for block in description.blocks] == [
        (stage, sides[stage]) for stage, count in zip(sides, (3, 4, 6, 3), strict=True) for _ in range(count)
    ]
    projections = [block.name for block in description.blocks if block.shortcut == "projection"]
    assert projections == ["layer2.0", "layer3.0", "layer4.0"]
    assert description.head.out_shape == (1000,)
    assert description.layers == 34
    # conv1 counts its 7x7x3 weights at each of 112x112 places.
    assert description.stem.macs == 64 * 112 * 112 * 7 * 7 * 3
    assert description.stem.params == 64 * 7 * 7 * 3 + 2 * 64


def test_the_parts_add_up_to_the_whole(case, network, images):
    description = describe(network, SMALL_PREPROCESSING)
    with FlopCounterMode(display=False) as counter:
        network(images[:1])
    assert description.macs == counter.get_total_flops() // 2
    assert description.params == sum(parameter.numel() for parameter in network.parameters())
    assert description.layers == 2 + 4 * (3 if "bottleneck" in case.kind else 2)
    shapes = [description.stem.out_shape, *(block.out_shape for block in description.blocks)]
    assert [block.in_shape for block in (*description.blocks, description.head)] == shapes
    assert shapes == [tuple(stream.shape[1:]) for stream in network.streams(images)]
    assert [(block.name, block.kind, block.shortcut) for block in description.blocks] == [
        (name, case.kind, block.shortcut_kind) for name, block in network.blocks.items()
    ]


TITLES = {
    "plain": "3x3 convolution, 4 → 8, stride 2|batch norm|ReLU|3x3 convolution, 8 → 8|batch norm|ReLU",
    "basic": "3x3 convolution, 4 → 8, stride 2|batch norm|ReLU|3x3 convolution, 8 → 8|batch norm",
    "bottleneck": "1x1 convolution, 16 → 8|batch norm|ReLU|3x3 convolution, 8 → 8, stride 2|batch norm|ReLU"
    "|1x1 convolution, 8 → 32|batch norm",
    "preactivation-basic": "batch norm|ReLU|3x3 convolution, 4 → 8, stride 2|batch norm|ReLU|3x3 convolution, 8 → 8",
    "preactivation-bottleneck": "batch norm|ReLU|1x1 convolution, 16 → 8|batch norm|ReLU"
    "|3x3 convolution, 8 → 8, stride 2|batch norm|ReLU|1x1 convolution, 8 → 32",
}


def test_the_layers_of_a_branch(case, network, images):
    stream = network.streams(images)[2]
    block = network.blocks["layer2.0"]
    layers = branch_layers_of(block, stream)
    assert [layer.kind for layer in layers] == TITLES[case.kind].split("|")
    assert layers[0].in_shape == tuple(stream.shape[1:])
    assert [layer.in_shape for layer in layers[1:]] == [layer.out_shape for layer in layers[:-1]]
    assert layers[-1].out_shape == tuple(block(stream).shape[1:])
    shortcut_params = sum(parameter.numel() for parameter in block.shortcut.parameters())
    assert sum(layer.params for layer in layers) + shortcut_params == sum(p.numel() for p in block.parameters())
    whole = next(part for part in describe(network, SMALL_PREPROCESSING).blocks if part.name == "layer2.0")
    shortcut_macs = 0 if case.option == "A" else stream.shape[1] * layers[-1].out_shape[0] * 4 * 4
    assert sum(layer.macs for layer in layers) + shortcut_macs == whole.macs


def test_the_first_preactivation_block_has_no_entry_of_its_own(network, images):
    layers = branch_layers_of(network.blocks["layer1.0"], network.streams(images)[0])
    assert layers[0].name == "conv1"
    assert layers[0].kind.endswith("convolution, 4 → 4")


def test_what_leads_to_a_branch_and_what_follows_the_sum(case, network):
    blocks = describe(network, SMALL_PREPROCESSING).blocks
    lead = "batch norm and ReLU" if case.kind.startswith("preactivation") else ""
    assert [block.lead for block in blocks] == ["", lead, lead, lead]
    assert [block.shared for block in blocks] == [
        2 if each.lead and each.shortcut == "projection" else 0 for each in blocks
    ]
    assert {block.activation for block in blocks} == {"ReLU" if case.kind in ("basic", "bottleneck") else ""}


def test_the_layers_of_stem_and_head(network, images):
    streams = network.streams(images)
    (stem,) = overview(network.stem, images)
    assert (stem.name, stem.kind) == ("conv1", "3x3 convolution, 1 → 4")
    assert (stem.in_shape, stem.out_shape) == ((1, 8, 8), (4, 8, 8))
    assert (stem.params, stem.macs) == (4 * 9, 4 * 9 * 8 * 8)
    channels = streams[-1].shape[1]
    pooling, connected = overview(network.head, streams[-1])
    assert (pooling.kind, pooling.out_shape) == ("average pool", (channels, 1, 1))
    assert (connected.kind, connected.out_shape) == (f"fully connected, {channels} → 10", (10,))
    assert (connected.params, connected.macs) == (10 * channels + 10, 10 * channels)


def test_the_parameters_of_convolutions(network):
    kernels = [parameter for parameter in network.parameters() if parameter.ndim == 4]
    assert describe(network, SMALL_PREPROCESSING).convolution_params == sum(kernel.numel() for kernel in kernels)


def test_describing_leaves_the_network_as_it_was(network, images):
    with left_as_it_was(network):
        describe(network, SMALL_PREPROCESSING)
        branch_layers_of(network.blocks["layer2.1"], network.streams(images)[3])


def test_a_failed_description_leaves_the_network_as_it_was(network, images):
    network = unlucky(network)
    with torch.no_grad():
        network(images)
    with left_as_it_was(network), pytest.raises(UnluckyError):
        describe(network, SMALL_PREPROCESSING)


class Theirs(nn.Module):
    """Two blocks under names of their own, and ways around layers of stem and head."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.scale = nn.Conv2d(1, 4, 3, padding=1), nn.Parameter(torch.ones(()))
        self.trunk = nn.ModuleDict({name: nn.Conv2d(4, 4, 3, padding=1) for name in ("first", "second")})
        self.classify = nn.Linear(4, 10)

    def forward(self, images):
        stream = self.patch(images) * self.scale
        for layer in self.trunk.values():
            stream = (stream + layer(stream)).relu()
        return self.classify(stream.mean((2, 3)))


def test_blocks_of_others_say_where_they_stand_in_their_model(images):
    network = adapt(Theirs().eval(), images)
    assert [block.origin for block in describe(network, SMALL_PREPROCESSING).blocks] == ["trunk.first", "trunk.second"]
    (left,) = describe(cut(network, ["layer1.0"]), SMALL_PREPROCESSING).blocks
    assert (left.name, left.origin) == ("layer1.1", "trunk.second")


def test_the_layers_of_a_stem_and_a_head_that_are_no_rows(images):
    network = adapt(Theirs().eval(), images)
    stem, head = stem_and_head(network, SMALL_PREPROCESSING)
    assert [layer.kind for layer in stem] == ["3x3 convolution, 1 → 4"]
    assert [(layer.kind, layer.in_shape) for layer in head] == [("fully connected, 4 → 10", (4,))]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate, self.second = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, stream):
        return self.second(functional.relu(self.first(stream)) * self.gate(stream).sigmoid()).relu_()


class Layer(nn.Module):
    """Its two branches are called by what they are, or by what they do here."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.mlp = Attention(), nn.Sequential(nn.Linear(4, 4), nn.GELU())

    def forward(self, stream):
        stream = stream + self.attention(stream)
        return stream + self.mlp(stream)


def test_a_class_that_says_nothing_is_no_name_of_a_block():
    row = [Layer(), nn.Sequential(nn.Linear(4, 4), nn.ReLU())]

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.head = nn.ModuleList(row), nn.Linear(4, 2)

        def forward(self, rows):
            rows = self.layers[0](rows)
            return self.head(rows + self.layers[1](rows))

    blocks = adapt(Rows().eval(), torch.randn(2, 4)).blocks
    assert [block.kind for block in blocks.values()] == ["Attention", "mlp", "residual"]


def test_activations_that_are_called_as_functions_are_layers_of_a_branch():
    class Rows(nn.Sequential):
        def forward(self, rows):
            return self[1](rows + self[0](rows))

    (block,) = adapt(Rows(Attention(), nn.Linear(4, 2)).eval(), torch.randn(2, 4)).blocks.values()
    layers = branch_layers_of(block, torch.zeros(1, 4))
    assert [layer.kind for layer in layers] == ["fully connected, 4 → 4", "ReLU"], "not what lies on one of two ways"
    assert layers[1].out_shape == (4,) and layers[1].params == layers[1].macs == 0


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (nn.Conv1d(2, 4, 7, 2), "convolution of 7, 2 → 4, stride 2"),
        (nn.Conv2d(2, 4, (1, 7)), "1x7 convolution, 2 → 4"),
        (nn.Conv3d(2, 4, 3), "3x3x3 convolution, 2 → 4"),
    ],
)
def test_a_convolution_is_named_by_its_window(layer, told):
    assert layer_title(layer) == told
