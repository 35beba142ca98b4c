"""What do the words mean, and where does everything come from? Glossary, papers, licences, versions."""

from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from ..citation import CITE
from ..networks.device import describe_device
from ..networks.zoo import NETWORKS, NamedNetwork, has_batch_norm
from . import measures
from .shown import Shown, recipe

__all__ = ["networks", "software", "words"]

LIBRARIES = ("streamlit", "torchvision", "captum", "plotly", "networkx", "scipy", "numpy")
PHOTOS = "Sample photos: scikit-image, under the licences given there."


@recipe()
def words() -> Shown:
    """The glossary, and the papers."""
    return Shown(says=Path(__file__).with_suffix(".md").read_text())


@recipe()
def networks() -> Shown:
    """Where the weights of each network come from, and under which licence."""
    rows = tuple(
        {"network": row.name, "data set": row.dataset.name, "weights": row.provenance, "licence": row.licence}
        for row in NETWORKS.values()
    )
    return Shown(title="Networks, weights and licences", rows=rows)


@recipe()
def software() -> Shown:
    """How to cite it, what it runs on, and with which libraries."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES if find_spec(name))
    return Shown(title="This software", says=f"{CITE}. {describe_device()}; {versions}. {PHOTOS}")


def network_line(network: NamedNetwork, *, told: bool) -> str:
    """One line about a network: blocks, parameters, and if it may be ``told`` the error and where it was measured."""
    description, history = network.description, measures.history(network.entry.name)
    text = f"{len(description.blocks)} blocks · {description.params / 1e6:.2f} M parameters"
    if not told:
        return text
    if not network.trained:
        calibrated = ", batch norms calibrated" if has_batch_norm(network.entry) else ""
        return f"{text} · **{network.weights}**{calibrated}"
    if history:
        return f"{text} · test error {history['test_error_pct']:.1f} % ({history['test_images']:,} images)"
    if network.entry.published_error_pct is not None:
        return f"{text} · published error {network.entry.published_error_pct:.1f} %"
    return f"{text} · {network.weights}"
