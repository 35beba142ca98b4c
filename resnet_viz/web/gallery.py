"""Thumbnails to choose one image from, by mouse or keyboard."""

import base64
import io
from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
import torch
from PIL import Image

from ..networks.images import ImageSet
from .cached import kept
from .card import Card
from .session import if_shown

CSS = """
.grid { display: grid; grid-template-columns: repeat(5, 1fr); gap: 6px; }
button { padding: 0; border: 2px solid transparent; border-radius: 7px; background: none; cursor: pointer; line-height: 0; }
button[aria-checked="true"] { border-color: var(--st-text-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 5px; image-rendering: auto; }
"""
JS = """
export default function ({ data, parentElement, setStateValue }) {
  const grid = parentElement.querySelector(".grid");
  if (grid.children.length !== data.images.length) {
    grid.replaceChildren(...data.images.map(() => {
      const button = document.createElement("button");
      button.setAttribute("role", "radio");
      button.appendChild(document.createElement("img"));
      return button;
    }));
  }
  [...grid.children].forEach((button, index) => {
    button.setAttribute("aria-checked", index === data.chosen);
    button.setAttribute("aria-label", data.names[index]);
    button.title = data.names[index];
    if (button.firstChild.src !== data.images[index]) button.firstChild.src = data.images[index];
    button.firstChild.alt = "";
    button.onclick = () => {
      [...grid.children].forEach((other) => other.setAttribute("aria-checked", other === button));
      setStateValue("choice", data.positions[index]);
    };
  });
}
"""
GALLERY = st.components.v2.component(
    "resnet_viz_gallery", html="<div class='grid' role='radiogroup' aria-label='Image'></div>", css=CSS, js=JS
)


def gallery(
    images: ImageSet, positions: list[int], chosen: int | None, *, key: str, on_change: Callable[[], None]
) -> None:
    """Show the images at ``positions``; the position clicked arrives in ``st.session_state[key]["choice"]``."""
    GALLERY(
        key=key,
        data={
            "images": [data_uri(png) for png in thumbnails(images, positions, 88)],
            "names": [images.names[position] for position in positions],
            "positions": positions,
            "chosen": positions.index(chosen) if chosen in positions else -1,
        },
        on_choice_change=if_shown(key, on_change),
    )


def flipped(images: ImageSet, classes: Sequence[str], before: np.ndarray, after: np.ndarray, most: int = 12) -> None:
    """Images whose predicted class has changed, spread over all of them; predicted classes (images,)."""
    changed = np.flatnonzero(before != after)
    more = f", {most} of them:" if len(changed) > most else "."
    shown = changed[[i * len(changed) // most for i in range(most)]] if len(changed) > most else changed
    says = f"**{len(changed)} of {len(images):,} predictions change**{more}"
    pictures(images, shown, [f"{classes[before[index]]} → {classes[after[index]]}" for index in shown], says)


def pictures(images: ImageSet, positions: Sequence[int] | np.ndarray, captions: Sequence[str], says: str = "") -> None:
    """What some images of a set say together, and each with its caption; a saved page has them, too."""
    if says:
        st.markdown(says)
    small = thumbnails(images, list(map(int, positions)), 84)
    saved = tuple((data_uri(png), caption) for png, caption in zip(small, captions, strict=True))
    st.session_state["cards"].append(Card("pictures", "", "", says, None, "", (), (), "", saved))
    with st.container(horizontal=True):
        for png, index, caption in zip(small, positions, captions, strict=True):
            st.image(png, width=84, caption=caption, alt=f"{images.names[index]}: {caption}")


def picture(pixels: torch.Tensor) -> Image.Image:
    """uint8 pixels (channels, height, width) as a PIL image."""
    array = pixels.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


@kept
def thumbnails(images: ImageSet, positions: Sequence[int], size: int) -> list[bytes]:
    """PNGs of ``size`` x ``size`` pixels."""
    made = []
    for position in positions:
        buffer = io.BytesIO()
        picture(images.pixels[position]).resize((size, size), Image.Resampling.BILINEAR).save(buffer, "PNG")
        made.append(buffer.getvalue())
    return made


def data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
