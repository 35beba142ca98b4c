"""The frame of every page: the sidebar in which network and image are chosen, and the page inside it."""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from ..errors import InputError
from ..networks import zoo
from ..networks.device import describe_device
from ..networks.zoo import Entry, LoadedNetwork, WeightsUnavailable
from . import cached, links
from .export import export_button
from .lessons import presenter, recorder, waits_for_prediction
from .picker import choose_image
from .session import ITSELF, LARGEST_SEED, NOTHING, TWIN, Choices, Visit, choices, notice, palette
from .share import link_to, share

CSS = (Path(__file__).parent / "frame.css").read_text()
ICON = str(Path(__file__).parent / "icon.svg")  # a named icon would be fetched from the internet
UPLOADS = tempfile.TemporaryDirectory(prefix="resnet_viz-")  # goes with the server
TOLD_FOR = 20.0  # seconds that a notice stays, at least
UNTRAINED, TRAINED = "untrained", "trained"


def frame(page: StreamlitPage, pages: Sequence[StreamlitPage]) -> None:
    """Draw the sidebar, work out the visit, and run the page. What cannot be used is told in a sentence, never a traceback."""
    colours = palette()
    st.html(f"<style>:root {{ --muted: {colours.muted}; --background: {colours.background}; }}\n{CSS}</style>")
    st.session_state["page"], st.session_state["pages"], st.session_state["cards"] = page.url_path, pages, []
    for fault in links.receive(page.url_path):
        notice(f"The link could not be used as it is: {fault}.")
    told = st.empty()
    try:
        with st.sidebar:
            navigation(pages)
            st.session_state["visit"] = sidebar(page)
            links.send(page.url_path)
    except InputError as error:
        st.error(str(error))
        st.stop()
    show_notices(told)
    if not presenter(pages):
        return
    page.run()
    for name in sorted(choices().unread):
        notice(f"The link could not be used as it is: this page has no setting {name[:40]!r}.")
        choices().settings[page.url_path].pop(name, None)
    choices().unread.clear()
    show_notices(told)
    links.send(page.url_path)
    with st.sidebar:
        recorder(page.url_path)
        export_button(page, st.session_state["visit"])


def navigation(pages: Sequence[StreamlitPage]) -> None:
    """Links to the pages, each with the query of what is chosen: so Back finds it in the address."""
    st.markdown("**resnet_viz**")
    with st.container(gap="xsmall"):
        for page in pages:
            st.page_link(page, label=page.title, icon=page.icon, query_params=links.query_of(page.url_path, choices()))


def show_notices(place: st.delta_generator.DeltaGenerator) -> None:
    """Tell what there is to tell."""
    notices: dict[str, float] = st.session_state.get("notices", {})
    if told := [sentence for sentence, at in notices.items() if time.monotonic() - at < TOLD_FOR]:
        place.warning("  \n".join(told))


def sidebar(page: StreamlitPage) -> Visit:
    """The choice of network, weights and image; returns what the page works on."""
    chosen = choices()
    st.session_state["network_box"] = chosen.network
    st.session_state["weights_box"] = TRAINED if chosen.untrained is None else UNTRAINED
    st.session_state["seed_box"] = chosen.untrained or 0

    def take() -> None:
        chosen.network = st.session_state["network_box"]
        untrained = st.session_state["weights_box"] == UNTRAINED
        chosen.untrained = st.session_state.get("seed_box", 0) if untrained else None

    networks = cached.networks()
    if fault := cached.local_networks()[1]:
        st.error(fault)
    st.selectbox("Network", list(networks), key="network_box", on_change=take)
    st.segmented_control("Weights", [TRAINED, UNTRAINED], key="weights_box", required=True, on_change=take,
                         help="Untrained: seeded initial weights, batch norms set by one pass over fixed images.")  # fmt: skip
    if chosen.untrained is not None:
        st.number_input("Seed of the initial weights", 0, LARGEST_SEED, key="seed_box", on_change=take)
    entry = networks[chosen.network]
    loaded = load(entry, chosen.untrained)
    st.caption(facts(loaded, told=not waits_for_prediction()))
    if os.environ.get("RESNET_VIZ_UPLOADS") == "1":
        upload_weights()
    compared = beside(chosen, loaded)
    images = cached.images(entry)
    image, own = choose_image(chosen, loaded, images)
    predicted = int(cached.probabilities(loaded, image, (1.0,) * len(loaded.network.blocks)).argmax())
    if image.labels is None:
        st.caption(
            f"Nobody labelled this image: the predicted class, {entry.classes[predicted]}, stands in for its label."
        )
    link = link_to(page.url_path, links.query_of(page.url_path, chosen))
    share(link, image.names[0] not in images.names)
    st.caption(describe_device())
    label = predicted if image.labels is None else int(image.labels[0])
    return Visit(loaded, images, compared, image, own, label, image.labels is not None, palette(), link)


def load(entry: Entry, untrained: int | None) -> LoadedNetwork:
    """The network, fetched with a progress bar if need be; untrained, and labelled so, where its weights cannot be had."""
    refused: dict[str, str] = st.session_state.setdefault("unavailable_weights", {})
    if untrained is not None:
        return cached.network(entry, untrained)
    if entry.name not in refused or st.button("Try to fetch the weights again", key="fetch_again"):
        refused.pop(entry.name, None)
        bar = st.empty()
        try:
            if not zoo.weights_path(entry).is_file():
                zoo.weights_file(entry, lambda done, total: show_download(bar, entry, done, total))
            return cached.network(entry)
        except WeightsUnavailable as error:
            refused[entry.name] = str(error)
        finally:
            bar.empty()
    st.warning(f"{refused[entry.name]} **Shown untrained.**")
    return cached.network(entry, 0)


def beside(chosen: Choices, loaded: LoadedNetwork) -> LoadedNetwork | None:
    """The network that stands beside the chosen one on every page: its twin with or without shortcuts, itself before
    training, or other weights of the same architecture."""
    entry, twin = loaded.entry, zoo.counterpart(loaded.entry)
    choice: dict[str, Callable[[], LoadedNetwork | None]] = {NOTHING: lambda: None}
    if loaded.trained:
        choice = {ITSELF: lambda: cached.network(entry, 0)} | choice
        if twin is not None and twin.weights is not None:
            choice = {TWIN: lambda: cached.network(twin)} | choice
    for row in zoo.same_architecture(entry, cached.networks().values()):
        choice[row.name] = partial(load, row, None)
    default = TWIN if TWIN in choice else NOTHING
    st.session_state["beside_box"] = chosen.beside if chosen.beside in choice else default

    def take() -> None:
        chosen.beside = st.session_state["beside_box"]

    st.selectbox(
        "Beside it",
        list(choice),
        key="beside_box",
        on_change=take,
        help="What it is compared with: its twin is the plain network of equal depth (or the residual one); plain networks are drawn in grey squares.",
    )
    return choice[st.session_state["beside_box"]]()


def upload_weights() -> None:
    """Take a file of weights from the visitor's browser, if the server was started to allow that: safetensors only."""
    file = st.file_uploader("Your weights", type="safetensors", key="uploaded_weights")
    if file is None:
        return
    place = Path(UPLOADS.name) / hashlib.sha256(file.getvalue()).hexdigest()[:16]
    place.mkdir(exist_ok=True)
    path = place / f"{Path(file.name).stem}.safetensors"
    path.write_bytes(file.getvalue())
    entries, faults = zoo.local_entries(path)
    if faults:
        st.error(faults[0])
        return
    entry = entries[0]
    if entry.name not in st.session_state.setdefault("uploaded_networks", {}):
        st.session_state["uploaded_networks"][entry.name] = entry
        choices().network = entry.name
        st.rerun()


def show_download(bar: st.delta_generator.DeltaGenerator, entry: Entry, done: int, total: int) -> None:
    bar.progress(done / total if total else 0.0, f"Fetching {entry.name}: {done / 2**20:.0f} of {total / 2**20:.0f} MB")


def facts(loaded: LoadedNetwork, *, told: bool) -> str:
    """One line about a network: blocks, parameters, and if it may be told the error and where it was measured."""
    description = cached.description(loaded)
    text = f"{len(description.blocks)} blocks · {description.params / 1e6:.2f} M parameters"
    history = cached.history(loaded.entry.name)
    if not told:
        return text
    if not loaded.trained:
        return f"{text} · **{loaded.weights}**, batch norms calibrated"
    if history:
        return f"{text} · test error {history['test_error_pct']:.1f} % ({history['test_images']:,} images)"
    if loaded.entry.published_error_pct is not None:
        return f"{text} · published error {loaded.entry.published_error_pct:.1f} %"
    return f"{text} · {loaded.weights}"
