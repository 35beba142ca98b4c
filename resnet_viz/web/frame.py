"""The frame of every page: the sidebar in which network and image are chosen, and the page inside it."""

from pathlib import Path

import streamlit as st
import torch
from streamlit.navigation.page import StreamlitPage

from ..errors import InputError
from ..networks import zoo
from ..networks.device import describe_device
from ..networks.images import PIXEL_LIMIT, ImageSet
from ..networks.zoo import NETWORKS, Entry, LoadedNetwork, WeightsUnavailable
from . import cached
from .gallery import gallery, picture
from .session import Choices, Visit, choices, palette

CSS = (Path(__file__).parent / "frame.css").read_text()
ICON = str(Path(__file__).parent / "icon.svg")  # a named icon would be fetched from the internet
THUMBNAILS = 10


def frame(page: StreamlitPage) -> None:
    """Draw the sidebar, work out the visit, and run the page. What cannot be used is told in a sentence, never a traceback."""
    st.html(f"<style>{CSS}</style>")
    try:
        with st.sidebar:
            st.session_state["visit"] = sidebar()
    except InputError as error:
        st.error(str(error))
        st.stop()
    page.run()


def sidebar() -> Visit:
    """The choice of network, weights and image; returns what the page works on."""
    chosen = choices()
    st.markdown("**resnet_viz**")
    names = list(NETWORKS)
    chosen.network = st.selectbox("Network", names, index=names.index(chosen.network), key="network_box")
    entry = NETWORKS[chosen.network]
    weights = st.segmented_control("Weights", ["trained", "untrained"], default="trained" if chosen.untrained is None else "untrained",
                                   key="weights_box", required=True)  # fmt: skip
    if weights == "untrained":
        chosen.untrained = int(
            st.number_input("Seed of the initial weights", 0, 9999, chosen.untrained or 0, key="seed_box")
        )
    else:
        chosen.untrained = None
    loaded = load(entry, chosen.untrained)
    st.caption(facts(loaded))
    images = cached.images(entry)
    image = choose_image(chosen, loaded, images)
    predicted = int(cached.probabilities(loaded, image, (1.0,) * len(loaded.network.blocks)).argmax())
    label = predicted if image.labels is None else int(image.labels[0])
    if image.labels is None:
        st.caption(
            f"Nobody labelled this image: the predicted class, {entry.classes[predicted]}, stands in for its label."
        )
    st.caption(describe_device())
    return Visit(loaded, images, image, label, image.labels is not None, palette())


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


def show_download(bar: st.delta_generator.DeltaGenerator, entry: Entry, done: int, total: int) -> None:
    bar.progress(done / total if total else 0.0, f"Fetching {entry.name}: {done / 2**20:.0f} of {total / 2**20:.0f} MB")


def facts(loaded: LoadedNetwork) -> str:
    """One line about a network: blocks, parameters, error and where it was measured."""
    description = cached.description(loaded)
    text = f"{len(description.blocks)} blocks · {description.params / 1e6:.2f} M parameters"
    history = cached.history(loaded.entry.name)
    if not loaded.trained:
        return f"{text} · **{loaded.weights}**, batch norms calibrated"
    if history:
        return f"{text} · test error {history['test_error_pct']:.1f} % ({history['test_images']:,} images)"
    return f"{text} · published error {loaded.entry.published_error_pct:.1f} %"


def choose_image(chosen: Choices, loaded: LoadedNetwork, images: ImageSet) -> ImageSet:
    """Thumbnails of the set, or the visitor's own photo; returns a set of one image."""
    step = max(1, len(images) // THUMBNAILS)
    chosen.position = min(chosen.position, len(images) - 1)
    own = own_photo(loaded)
    if own is not None:
        return own
    positions = [start + chosen.page_of_images % step for start in range(0, len(images), step)][:THUMBNAILS]

    def take() -> None:
        position = st.session_state[f"gallery_{chosen.network}"]["choice"]
        if isinstance(position, int) and 0 <= position < len(images):
            chosen.position = position

    st.caption("Image")
    gallery(images, positions, chosen.position, key=f"gallery_{chosen.network}", on_change=take)
    image = images.subset([chosen.position])
    st.caption(image.names[0])
    if step > 1 and st.button("Other images", key="other_images", icon=":material/refresh:"):
        chosen.page_of_images += 1
        chosen.position = chosen.page_of_images % step
        st.rerun()
    return image


def own_photo(loaded: LoadedNetwork) -> ImageSet | None:
    """The visitor's own photo as the network sees it, if one was given."""
    entry = loaded.entry
    with st.expander("Your own photo"):
        file = st.file_uploader(f"A picture of up to {PIXEL_LIMIT // 1_000_000} million pixels", key="own_photo")
        if file is None:
            return None
        try:
            pixels = cached.fitted(entry, file)
        except InputError as error:
            st.error(str(error))
            return None
        st.image(
            picture(pixels).resize((120, 120), 0),
            caption=f"As the network sees it: {entry.preprocessing.crop} × {entry.preprocessing.crop}",
        )
        if entry.dataset == "Fashion-MNIST":
            st.caption("Turned grey, inverted if light, made small: **outside what this network was trained on.**")
        options = ["as predicted", *entry.classes]
        label = st.selectbox("Its class", options, key=f"own_label_{entry.dataset}")
    labels = None if label == options[0] else torch.tensor([entry.classes.index(label)])
    return ImageSet(file.name, pixels[None], labels, (file.name,))
