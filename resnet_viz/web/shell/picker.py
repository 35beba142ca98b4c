"""The choice of the image: a bundled one, or the visitor's own, uploaded, photographed or drawn."""

import base64
from collections.abc import Sequence

import streamlit as st
import torch
from torch import Tensor

from ...errors import InputError
from ...figures.pictures import picture, pixels_of
from ...networks.images import FORMATS_TOLD, PIXEL_LIMIT, AsGiven, ImageSet
from ...networks.zoo import NamedNetwork
from ...recipes import measures
from ..internals import UploadedFile
from ..kit.gallery import gallery
from ..kit.pixel_editor import pixel_editor
from ..session import BUNDLED, Choices

UPLOAD, CAMERA, DRAW = "upload", "camera", "draw"
THUMBNAILS, MOST_OWN = 10, 32
DRAWN = (1, 28, 28)  # what the pixel editor takes


def choose_image(
    chosen: Choices, network: NamedNetwork, images: ImageSet
) -> tuple[ImageSet, ImageSet | None, int | None]:
    """Where the image comes from, and which it is. Returns a set of one image, the visitor's own if there are several, and
    the image's position in the set, None for a visitor's own."""
    how = network.entry.preprocessing
    if isinstance(how, AsGiven):
        return bundled(chosen, images), None, chosen.position
    sources = [BUNDLED, UPLOAD, CAMERA, *([DRAW] if how.shape == DRAWN else [])]
    st.session_state["source_box"] = chosen.source if chosen.source in sources else BUNDLED

    def take() -> None:
        chosen.source = st.session_state["source_box"]

    st.segmented_control(
        "Image",
        sources,
        key="source_box",
        required=True,
        on_change=take,
        help="A bundled image, or your own: it stays in this session and is in no link.",
    )
    source = st.session_state["source_box"]
    if source == BUNDLED:
        return bundled(chosen, images), None, chosen.position
    own = own_images(source, chosen, network, images)
    if not own:
        st.caption("Until you give one, you see the bundled image.")
        position = min(chosen.position, len(images) - 1)
        return images.subset([position]), None, position
    return *shown_one(chosen, network, own), None


def bundled(chosen: Choices, images: ImageSet) -> ImageSet:
    """Thumbnails of the set; returns the chosen one."""
    step = max(1, len(images) // THUMBNAILS)
    chosen.position = min(chosen.position, len(images) - 1)
    key = f"gallery_{chosen.network}"
    positions = [start + chosen.page_of_images % step for start in range(0, len(images), step)][:THUMBNAILS]

    def take() -> None:
        position = st.session_state[key][
            "choice"
        ]  # of the network that was shown: another may be chosen in the same moment
        if isinstance(position, int) and 0 <= position < len(images):
            chosen.position = position

    def turn() -> None:
        chosen.page_of_images += 1
        chosen.position = chosen.page_of_images % step

    gallery(images, positions, chosen.position, key=key, on_change=take)
    st.caption(f"{images.names[chosen.position]} · image={chosen.position} in links")
    if step > 1:
        st.button(
            "Other images",
            key="other_images",
            icon=":material/refresh:",
            on_click=turn,
            help="Ten others from the set.",
        )
    return images.subset([chosen.position])


def own_images(source: str, chosen: Choices, network: NamedNetwork, images: ImageSet) -> list[tuple[str, Tensor]]:
    """Names and pixels (as the network takes them) of what the visitor gives; what is not a picture is told in a sentence."""
    if source == DRAW:
        start = images.pixels[min(chosen.position, len(images) - 1), 0]
        drawn = pixel_editor(start.numpy().tobytes(), key=f"drawing_{network.entry.dataset.name}")
        pixels = torch.frombuffer(bytearray(base64.b64decode(drawn)), dtype=torch.uint8).view(1, *start.shape)
        return [("your drawing", pixels)]
    if source == CAMERA:
        if not secure_context():
            st.caption(
                "The browser gives a page its camera only over https or on this machine itself; take a photo and **upload** it."
            )
            return []
        photo = st.camera_input("A photo", key="camera", help="It goes to this server only, for this session.")
        given: Sequence[UploadedFile] = [photo] if photo else []
    else:
        given = st.file_uploader(
            f"Pictures of up to {PIXEL_LIMIT // 1_000_000} million pixels",
            accept_multiple_files=True,
            key="own_photos",
            help=f"{FORMATS_TOLD}, up to {MOST_OWN}: several become a batch, of which you choose one to look at.",
        )
        if len(given) > MOST_OWN:
            st.caption(f"Up to {MOST_OWN} pictures can be used; of the {len(given)} given, the first {MOST_OWN} are.")
    own = []
    for file in given[:MOST_OWN]:
        try:
            own.append((str(file.name), measures.own_photo(network.entry, str(file.name), file.getvalue())))
        except InputError as error:
            st.error(str(error))
    if own and network.entry.preprocessing.shape[0] == 1:
        st.caption(
            "Turned grey, inverted if light, made small: **unlike the images that this network was trained on.**"
        )
    return own


def secure_context() -> bool:
    """Whether the browser counts the address as secure: https, or this machine itself."""
    url = st.context.url or "http://localhost"
    return url.startswith(("https:", "http://localhost", "http://127.0.0.1"))


def shown_one(
    chosen: Choices, network: NamedNetwork, own: list[tuple[str, Tensor]]
) -> tuple[ImageSet, ImageSet | None]:
    """Show what the network sees, ask for the class, and take the images together."""
    entry = network.entry
    names, pixels = tuple(name for name, _ in own), torch.stack([each for _, each in own])
    together = ImageSet(f"{len(own)} own images", pixels, None, names)
    chosen.own_position = min(chosen.own_position, len(own) - 1)
    if len(own) > 1:

        def take() -> None:
            chosen.own_position = st.session_state["own_gallery"]["choice"]

        gallery(together, list(range(len(own))), chosen.own_position, key="own_gallery", on_change=take)
    position = chosen.own_position
    image = together.subset([position])
    st.image(
        picture(pixels_of(together, position)).resize((120, 120), 0),
        caption=f"{names[position]}, as the network sees it: {pixels.shape[-2]} × {pixels.shape[-1]}",
        alt=names[position],
    )
    options = ["as predicted", *entry.classes]
    key = f"own_label_{entry.dataset.name}"
    # Networks of one size may have other classes; what was said of an image is said in these.
    known = [(entry.dataset.name, together.subset([index]).digest) for index in range(len(own))]
    st.session_state[key] = options[chosen.own_labels.get(known[position], -1) + 1]

    def label() -> None:
        chosen.own_labels[known[position]] = options.index(st.session_state[key]) - 1

    st.selectbox(
        "Its class",
        options,
        key=key,
        on_change=label,
        help="What the image shows; the loss is computed against this class.",
    )
    predicted = measures.predicted(network, together)
    said = [chosen.own_labels.get(each, -1) for each in known]
    labels = torch.tensor([said if said >= 0 else int(guess) for said, guess in zip(said, predicted, strict=True)])
    labelled = ImageSet(together.title, pixels, labels, names)
    return (labelled.subset([position]) if said[position] >= 0 else image), labelled if len(own) > 1 else None
