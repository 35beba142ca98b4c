"""The drawing of a whole network: every block, stage and layer is on it, in its place; and of one block, of any kind."""

import pytest
import torch
from torch import fx, nn
from torch.nn import functional

from resnet_viz.figures.diagram import arrange, block_graph, stage_diagram
from resnet_viz.figures.palette import LIGHT
from resnet_viz.networks.blocks import Block
from resnet_viz.networks.cutting import cut
from resnet_viz.networks.description import branch_layers_of, describe, stem_and_head
from resnet_viz.networks.graph import GraphBlock
from resnet_viz.networks.network import ResidualNetwork, convolution
from resnet_viz.networks.zoo import NETWORKS, architecture

from ..conftest import SMALL_PREPROCESSING


def test_every_block_stage_and_layer_is_drawn():
    entry = NETWORKS["fashion-resnet20"]
    description = describe(architecture(entry), entry.preprocessing)
    stem, head = stem_and_head(architecture(entry), entry.preprocessing)
    layout = stage_diagram(description, stem, head, "blocks", "layer2.1", LIGHT).figure().layout
    places = arrange(description)
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


class OwnActivation(Block):
    def activation(self, total):
        return total.tanh()


FOLLOWING = {  # the sum: as it is told, and as it is drawn
    "nothing": (GraphBlock, nn.Identity(), ""),
    "a GELU": (GraphBlock, nn.GELU(), "GELU"),
    "two layers": (GraphBlock, nn.Sequential(nn.ReLU(), nn.Dropout()), "ReLU and Dropout"),
    "functions": (GraphBlock, fx.symbolic_trace(lambda total: functional.relu6(total).sqrt()), "relu6, sqrt"),
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
