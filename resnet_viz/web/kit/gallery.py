"""Thumbnails to choose one image from, by mouse or keyboard."""

from collections.abc import Callable, Sequence

import streamlit as st

from ...engine.kept import kept
from ...figures.pictures import thumbnail
from ...networks.images import ImageSet
from ...recipes.document import data_uri
from ..session import if_shown

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


def thumbnails(images: ImageSet, positions: Sequence[int], size: int) -> list[bytes]:
    """PNGs of ``size`` x ``size`` pixels."""
    return [kept(thumbnail, images, position, size) for position in positions]
