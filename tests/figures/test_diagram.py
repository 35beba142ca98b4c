"""The drawing of a whole network: every block, stage and layer is on it, in its place; and of one block, of any kind."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.nn import functional

from resnet_viz.figures.diagram import arrange, block_graph, feature_maps, shortcut_reason, stage_diagram
from resnet_viz.figures.palette import LIGHT
from resnet_viz.networks.blocks import Block
from resnet_viz.networks.cutting import cut
from resnet_viz.networks.description import BlockPart, Description, Part, branch_layers_of, describe, stem_and_head
from resnet_viz.networks.graph import GraphBlock
from resnet_viz.networks.network import ResidualNetwork, convolution
from resnet_viz.networks.zoo import NETWORKS, architecture

from ..conftest import SMALL_PREPROCESSING


def test_every_block_stage_and_layer_is_drawn():
    entry = NETWORKS["fashion-resnet20"]
    description = describe(architecture(entry), entry.preprocessing)
    stem, head = stem_and_head(architecture(entry), entry.preprocessing)
    layout = stage_diagram(description, stem, head, "blocks", "layer2.1", LIGHT).figure().layout
    rows = arrange(description, "layer2.1")
    places = {block.name: (x + 0.5, row.y) for row in rows for x, block in enumerate(row.blocks)}
    boxes = [shape for shape in layout.shapes if shape.type == "rect"]
    blocks = [box for box in boxes if box.fillcolor in LIGHT.stages]
    assert [((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for box in blocks] == list(places.values())
    assert [box.line.width for box in blocks] == [3 if name == "layer2.1" else 0 for name in places]
    texts = [note.text for note in layout.annotations]
    assert [(note.x, note.y, note.text) for note in layout.annotations if note.text.isdigit()] == [
        (*place, name.split(".")[1]) for name, place in places.items()
    ]
    assert [text.split(":")[0] for text in texts if "blocks, stream" in text] == [f"<b>layer{n}</b>" for n in (1, 2, 3)]
    assert len(boxes) == 2 * len(places) + len(stem) + len(head)
    assert len(texts) == len(places) + 3 + len(stem) + len(head)
    assert len(layout.shapes) - len(boxes) == len(places), "a line of the stream behind each"


SHAPE = (4, 14, 14)
END = Part("stem", "stem", SHAPE, SHAPE, 1, 1)
BLOCK = BlockPart("", "basic", SHAPE, SHAPE, 288, 56448, "", "identity", "", 0, "ReLU")


def deep(*kinds: str) -> Description:
    """1,000 blocks in one stage, the kinds taking turns."""
    names = [f"layer1.{number}" for number in range(1000)]
    blocks = [
        replace(BLOCK, name=name, stage="layer1", kind=kinds[number % len(kinds)], origin=f"blocks.{number}")
        for number, name in enumerate(names)
    ]
    return Description(END, tuple(blocks), END, 1002, 1)


@pytest.mark.parametrize("kinds", [["basic"], ["attention", "MLP"]], ids=len)
def test_rows_that_repeat_the_row_above_are_folded_but_not_the_chosen_block(kinds):
    description = deep(*kinds)
    rows = arrange(description, "layer1.500")
    assert [block for row in rows for block in row.blocks] == list(description.blocks), "each block once, in order"
    assert [len(row.blocks) for row in rows] == [12, 480, 12, 492, 4]
    assert [row.folded for row in rows] == [False, True, False, True, False]
    assert "layer1.500" in [block.name for block in rows[2].blocks]


def test_a_block_that_differs_is_drawn_by_itself():
    description = deep("basic")
    other = replace(description.blocks[700], shortcut="projection")
    blocks = (*description.blocks[:700], other, *description.blocks[701:])
    rows = arrange(replace(description, blocks=blocks), "layer1.0")
    assert [row.folded for row in rows if other in row.blocks] == [False]


def test_a_thousand_blocks_are_a_small_figure_and_the_folded_can_be_pointed_at():
    plot = stage_diagram(deep("attention", "MLP"), [], [], "shortcuts", "layer1.999", LIGHT)
    assert len(plot.json()) < 50_000
    notes = [note["text"] for note in plot.layout["annotations"]]
    assert "layer1.12 ... layer1.995: 984 like those above" in notes
    assert "<b>layer1</b>: 1,000 attention and MLP blocks, stream 4 × 14²" in notes
    assert notes.count("stem<br>4 × 14²") == 2, "stem and head without layers to show are a box each"
    (pointed,) = [trace for trace in plot.data if "customdata" in trace]
    assert [name for name, _ in pointed["customdata"]] == [f"layer1.{n}" for n in (*range(13), *range(996, 1000))]
    assert all(says.startswith("in the model: blocks.") for _, says in pointed["customdata"])


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        (((64, 56, 56), (128, 28, 28)), "projection: 64 → 128 channels, stride 2"),
        (((64, 57, 57), (64, 29, 29)), "projection: stride 2"),
        (((64, 56, 56), (64, 56, 56)), "projection shortcut"),
        (((64, 14, 14), (32, 28, 28)), "projection: 64 → 32 channels, 14² → 28²"),
        (((56, 56, 96), (28, 28, 192)), "projection: 56 × 56 × 96 → 28 × 28 × 192"),
        (((197, 768), (50, 768)), "projection: 197 × 768 → 50 × 768"),
        (((64, 8, 8, 8), (128, 4, 4, 4)), "projection: 64 × 8³ → 128 × 4³"),
        (((64,), (32,)), "projection: 64 → 32"),
    ],
)
def test_why_a_shortcut_is_no_identity(shapes, says):
    assert shortcut_reason(replace(BLOCK, in_shape=shapes[0], out_shape=shapes[1], shortcut="projection")) == says


class OwnActivation(Block):
    def activation(self, total):
        return total.tanh()


FOLLOWING = {  # the sum: as it is told, and as it is drawn
    "nothing": (GraphBlock, nn.Identity(), ""),
    "a GELU": (GraphBlock, nn.GELU(), "GELU"),
    "two layers": (GraphBlock, nn.Sequential(nn.ReLU(), nn.Dropout()), "ReLU and Dropout"),
    "functions": (GraphBlock, fx.symbolic_trace(lambda total: functional.relu6(total).sqrt()), "ReLU6, sqrt"),
    "one's own": (OwnActivation, None, "activation"),
}


@pytest.mark.parametrize("kind", FOLLOWING)
def test_a_block_of_any_kind_is_drawn_with_what_follows_its_sum(kind):
    make, last, told = FOLLOWING[kind]
    layers = convolution(1, 1, 3, 1, False), nn.Identity()
    pooled = nn.Sequential(nn.MaxPool2d(1, 1), nn.SiLU())  # leads to branch and shortcut
    block = make("basic", *layers) if last is None else make("basic", pooled, *layers, last)
    network = ResidualNetwork(nn.Identity(), [[block]], nn.Flatten(1)).eval()
    (part,) = describe(network, SMALL_PREPROCESSING).blocks
    assert part.activation == told
    graph = block_graph(part, branch_layers_of(block, torch.zeros(1, *part.in_shape)))
    assert list(graph.successors("+")) == [told or "out"]
    start = "in" if last is None else "2 SiLU"
    assert [source for source, _, edge in graph.edges(data="kind") if edge == "shortcut"] == [start]


def test_a_block_behind_deleted_ones_is_drawn_behind_their_shortcuts(case, network):
    left = cut(network, ["layer2.0"])
    part = describe(left, SMALL_PREPROCESSING).blocks[-1]
    graph = block_graph(part, branch_layers_of(left.blocks[part.name], torch.zeros(1, *part.in_shape)))
    assert next(graph.successors("in")) == "1 shortcuts of deleted blocks"
    assert (case.kind == "plain") == ("+" not in graph)
    own = "3 ReLU" if case.kind.startswith("preactivation") and case.option == "C" else "1 shortcuts of deleted blocks"
    assert case.kind == "plain" or own in graph.predecessors("+")


def test_numbers_in_a_row_are_drawn_as_a_square() -> None:
    picture = feature_maps("stream", np.arange(1.0, 8.0), LIGHT).data[0]["z"]
    assert picture.shape == (3, 3)
    assert np.array_equal(picture, [[1, 2, 3], [4, 5, 6], [7, np.nan, np.nan]], equal_nan=True)
