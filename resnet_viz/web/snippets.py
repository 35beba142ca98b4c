"""The Python under each figure: what makes it from ``loaded``, ``images``, ``image`` and ``gates`` (see Visit.python)."""

from collections.abc import Mapping, Sequence

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


def importance(
    images: int, measures: Mapping[str, str], permutations: int, seed: int, networks: Sequence[LoadedNetwork]
) -> str:
    """Measures of importance by title, each the name of its function ("shapley": of permutations); true deletion in the
    network beside."""
    rows = "".join(
        f'\nmeasures["{title}"] = attribution.{name}(*settings)'
        for title, name in measures.items()
        if name != "shapley"
    )
    for title in (title for title, name in measures.items() if name == "shapley"):
        rows += f"\npermutations = [attribution.shapley_permutation(*settings, number, seed={seed}) for number in range({permutations})]"
        rows += f'\nmeasures["{title}"] = attribution.shapley(permutations)'
    return f"""from resnet_viz.experiments import attribution
from resnet_viz.experiments.deletion import labelled
from resnet_viz.figures.importance import importance_by_block

batch = {labelled_batch(f"images.limit({images})")}
settings = loaded.network, loaded.inputs(batch), batch.labels
measures, beside = {{}}, {{}}{rows}
for each in {loaded_list(networks)}[1:]:
    deleted = attribution.true_deletion(each.network, each.inputs(batch), batch.labels)
    beside[f"in {{each.title}}, nats"] = deleted
figure = importance_by_block(list(loaded.network.blocks), measures, LIGHT, beside)"""


def agreement(measured: str) -> str:
    """The rank correlations of what ``importance`` measures."""
    return (
        measured[: measured.rindex("figure = ")]
        + """from resnet_viz.figures.importance import correlation_matrix

figure = correlation_matrix(list(measures), list(measures.values()), LIGHT)"""
    )


def labelled_batch(batch: str) -> str:
    """The images of a backward pass, with their labels or predicted ones."""
    return f"labelled(loaded.network, loaded.entry.preprocessing, {batch})"


def loaded_list(networks: Sequence[LoadedNetwork]) -> str:
    """'[loaded, load(NETWORKS["fashion-plain34"])]': the page's network comes first."""
    others = (f"load({row(each.entry)}{'' if each.trained else ', untrained=0'})" for each in networks[1:])
    return "[" + ", ".join(["loaded", *others]) + "]"


def row(entry: Entry) -> str:
    """How a program names a row of the table, or a file of the visitor's own."""
    return f'NETWORKS["{entry.name}"]' if entry.name in NETWORKS else f'local_entries(Path("{entry.weights}"))[0][0]'
