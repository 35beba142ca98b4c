"""The Python under each figure: what makes it from ``loaded``, ``images``, ``image`` and ``gates`` (see Visit.python)."""

from collections.abc import Sequence

from ..networks.zoo import NETWORKS, Entry, LoadedNetwork


def stages(highlight: str, block: str) -> str:
    """The stage diagram."""
    return f"""from resnet_viz.figures.diagram import stage_diagram
from resnet_viz.networks.description import describe, stem_and_head

description = describe(loaded.network, loaded.entry.preprocessing)
stem, head = stem_and_head(loaded.network, loaded.entry.preprocessing)
figure = stage_diagram(description, stem, head, "{highlight}", "{block}", LIGHT)"""


def maps(title: str, field: str, block: str, networks: Sequence[LoadedNetwork]) -> str:
    """One tensor inside one block of the last of the networks."""
    return f"""from resnet_viz.experiments.trace import block_maps
from resnet_viz.figures.diagram import feature_maps

each = {loaded_list(networks)}[-1]
inside = block_maps(each.network, each.inputs(image), "{block}")
figure = feature_maps("{title}", inside.{field}, LIGHT)"""


def loaded_list(networks: Sequence[LoadedNetwork]) -> str:
    """'[loaded, load(NETWORKS["fashion-plain34"])]': the page's network comes first."""
    others = (f"load({row(each.entry)}{'' if each.trained else ', untrained=0'})" for each in networks[1:])
    return "[" + ", ".join(["loaded", *others]) + "]"


def row(entry: Entry) -> str:
    """How a program names a row of the table, or a file of the visitor's own."""
    return f'NETWORKS["{entry.name}"]' if entry.name in NETWORKS else f'local_entries(Path("{entry.weights}"))[0][0]'
