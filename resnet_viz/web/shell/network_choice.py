"""The choice of the network: which, with which weights, and which one stands beside it for comparison."""

import os
from pathlib import Path

import streamlit as st

from ...networks import zoo
from ...networks.zoo import Entry, NamedNetwork, WeightsUnavailable
from ...recipes import measures
from ...recipes.about import network_line
from ..networks import add_weights, comparisons, local_networks, networks
from ..session import ITSELF, LARGEST_SEED, NOTHING, TWIN, Choices, choices, state
from .classroom import waits

UNTRAINED, TRAINED = "untrained", "trained"


def choose_network(chosen: Choices) -> tuple[NamedNetwork, NamedNetwork | None]:
    """The controls in the sidebar; returns the chosen network and the one beside it."""
    network_key, weights_key = box("network", chosen), box("weights", chosen)
    st.session_state[network_key] = chosen.network
    st.session_state[weights_key] = TRAINED if chosen.untrained is None else UNTRAINED
    st.session_state["seed_box"] = chosen.untrained or 0

    def take() -> None:
        chosen.network = st.session_state[network_key]
        untrained = st.session_state[weights_key] == UNTRAINED
        chosen.untrained = st.session_state.get("seed_box", 0) if untrained else None

    choosable, fault = networks(), local_networks()[1]
    if fault:
        st.error(fault)
    st.selectbox(
        "Network",
        list(choosable),
        key=network_key,
        on_change=take,
        help="What every page looks at; fashion-* come with this app, the others are fetched when first chosen.",
    )
    if choosable[chosen.network].weights is None:
        st.caption("This network was never trained: its weights are the initial ones.")
    elif choosable[chosen.network].can_be_built:
        st.segmented_control(
            "Weights",
            [TRAINED, UNTRAINED],
            key=weights_key,
            required=True,
            on_change=take,
            help="Untrained: seeded initial weights, batch norms set by one pass over fixed images.",
        )
    else:
        chosen.untrained = None
    if chosen.untrained is not None:
        st.number_input(
            "Seed of the initial weights",
            0,
            LARGEST_SEED,
            key="seed_box",
            on_change=take,
            help=f"The same seed gives the same initial weights. From 0 to {LARGEST_SEED:,}.",
        )
    network = load(choosable[chosen.network], chosen.untrained)
    running = chosen.lesson
    st.caption(network_line(network, told=not (running and waits(running))))
    if os.environ.get("RESNET_VIZ_UPLOADS") == "1":
        upload_weights()
    return network, beside(chosen, network)


def box(name: str, chosen: Choices) -> str:
    """The key of a control. It changes when networks are taken along from a run: a drawing of the run's page that the browser
    asked for before brings the controls' old values, which must not overtake the new ones."""
    return f"{name}_box" + (f"_{chosen.taken}" if chosen.taken else "")


def load(entry: Entry, untrained: int | None) -> NamedNetwork:
    """The network, fetched with a progress bar if need be; untrained, and labelled so, where its weights cannot be had."""
    refused = state().unavailable_weights
    if entry.weights is None:
        return measures.named(entry, untrained or 0)
    if untrained is not None or not entry.can_be_built:
        return measures.named(entry, untrained)
    if entry.name not in refused or st.button(
        "Try to fetch the weights again",
        key=f"fetch_again_{entry.name}",
        help="Once there is internet, or the file is in its place.",
    ):
        refused.pop(entry.name, None)
        bar = st.empty()
        try:
            if not zoo.weights_path(entry).is_file():
                zoo.weights_file(entry, lambda done, total: show_download(bar, entry, done, total))
            return measures.named(entry)
        except WeightsUnavailable as error:
            refused[entry.name] = str(error)
        finally:
            bar.empty()
    st.warning(f"{refused[entry.name]} **Shown untrained.**")
    return measures.named(entry, 0)


def beside(chosen: Choices, network: NamedNetwork) -> NamedNetwork | None:
    """The network that stands beside the chosen one on every page."""
    options = comparisons(network.entry, network.trained)
    default = TWIN if TWIN in options else NOTHING
    beside_key = box("beside", chosen)
    st.session_state[beside_key] = chosen.beside if chosen.beside in options else default

    def take() -> None:
        chosen.beside = st.session_state[beside_key]

    st.selectbox(
        "Beside it",
        options,
        key=beside_key,
        on_change=take,
        help="What it is compared with: its twin is the plain network of equal depth (or the residual one); plain networks are drawn as grey squares.",
    )
    name, twin = st.session_state[beside_key], zoo.counterpart(network.entry)
    if name == NOTHING:
        return None
    if name == ITSELF:
        return measures.named(network.entry, 0)
    return measures.named(twin) if name == TWIN and twin else load(networks()[name], None)


def upload_weights() -> None:
    """Take a file of weights from the visitor's browser, if the server was started to allow that: safetensors only."""
    file = st.file_uploader(
        "Your weights",
        type="safetensors",
        key="uploaded_weights",
        help="A safetensors file for a network of the list; only you see it.",
    )
    faults = state().faults_of_uploads
    if file is None:
        return
    if file.file_id in faults:
        if faults[file.file_id]:
            st.error(faults[file.file_id])
        return
    faults[file.file_id], entries = add_weights(Path(file.name).stem, file.getvalue())
    for entry in entries:
        choices().network = entry.name
    st.rerun()


def show_download(bar: st.delta_generator.DeltaGenerator, entry: Entry, done: int, total: int) -> None:
    bar.progress(done / total if total else 0.0, f"Fetching {entry.name}: {done / 2**20:.0f} of {total / 2**20:.0f} MB")
