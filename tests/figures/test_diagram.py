"""The drawing of a whole network: every block, stage and layer is on it, in its place."""

from resnet_viz.figures.diagram import arrange, stage_diagram
from resnet_viz.figures.palette import LIGHT
from resnet_viz.networks.description import describe, stem_and_head
from resnet_viz.networks.zoo import NETWORKS, architecture


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
