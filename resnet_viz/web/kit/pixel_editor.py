"""A small picture to draw on, pixel by pixel, for networks that look at grey images."""

import base64

import streamlit as st

from ..session import if_shown, state

EDITOR = st.components.v2.component(
    "resnet_viz_pixel_editor",
    html="""
<canvas tabindex='0' role='img' aria-label='Drawing, 28 by 28 pixels: draw with the pointer; arrow keys move, Space paints, Delete erases'></canvas>
<div class='tools'>
  <label>Grey <input type='range' min='0' max='255' value='230' aria-label='Grey level of the pen'></label>
  <button name='erase' aria-pressed='false'>Eraser</button><button name='clear'>Clear</button><button name='start'>Bundled image</button>
</div>""",
    css="""
canvas { width: 100%; aspect-ratio: 1; image-rendering: pixelated; border-radius: 7px; touch-action: none; cursor: crosshair; display: block; }
canvas:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.tools { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin-top: 7px; font-size: 13px; color: var(--st-text-color); }
input { width: 84px; vertical-align: middle; }
button { font: 500 12px var(--st-font, sans-serif); color: var(--st-text-color); background: none; border: 1px solid var(--st-border-color);
  border-radius: 7px; padding: 4px 9px; cursor: pointer; }
button[aria-pressed='true'] { border-color: var(--st-primary-color); color: var(--st-primary-color); }
""",
    js="""
const SIZE = 28, editors = new WeakMap();
const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const encode = (pixels) => btoa(String.fromCharCode(...pixels));

function build(root, data) {
  const canvas = root.querySelector("canvas"), grey = root.querySelector("input");
  const [erase, clear, start] = ["erase", "clear", "start"].map((name) => root.querySelector(`[name=${name}]`));
  const editor = { pixels: decode(data.pixels), cursor: [14, 14], last: null };
  canvas.width = canvas.height = SIZE;
  const context = canvas.getContext("2d");
  editor.paint = () => {
    const image = context.createImageData(SIZE, SIZE);
    editor.pixels.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
    if (canvas.matches(":focus-visible")) {
      const at = 4 * (editor.cursor[1] * SIZE + editor.cursor[0]);
      image.data.set([240, 168, 48, 255], at);
    }
    context.putImageData(image, 0, 0);
  };
  const put = (x, y) => {
    const rubber = erase.getAttribute("aria-pressed") === "true", pen = rubber ? 0 : Number(grey.value);
    for (const [dx, dy] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {  // a pen two pixels wide
      if (x + dx < SIZE && y + dy < SIZE && x >= 0 && y >= 0) editor.pixels[(y + dy) * SIZE + x + dx] = pen;
    }
  };
  const send = () => { editor.paint(); editor.send(encode(editor.pixels)); };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [Math.floor((event.clientX - box.left) / box.width * SIZE), Math.floor((event.clientY - box.top) / box.height * SIZE)];
  };
  canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); editor.last = at(event); put(...editor.last); editor.paint(); };
  canvas.onpointermove = (event) => {
    if (!editor.last) return;
    const [x, y] = at(event), [x0, y0] = editor.last, steps = Math.max(Math.abs(x - x0), Math.abs(y - y0), 1);
    for (let i = 1; i <= steps; i++) put(Math.round(x0 + (x - x0) * i / steps), Math.round(y0 + (y - y0) * i / steps));
    editor.last = [x, y];
    editor.paint();
  };
  canvas.onpointerup = canvas.onpointercancel = () => { if (editor.last) { editor.last = null; send(); } };
  canvas.onfocus = canvas.onblur = editor.paint;
  canvas.onkeydown = (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) editor.cursor = editor.cursor.map((value, i) => Math.min(SIZE - 1, Math.max(0, value + step[i])));
    else if (event.key === " ") { put(...editor.cursor); send(); }
    else if (event.key === "Delete" || event.key === "Backspace") { editor.pixels[editor.cursor[1] * SIZE + editor.cursor[0]] = 0; send(); }
    else return;
    event.preventDefault();
    editor.paint();
  };
  erase.onclick = () => erase.setAttribute("aria-pressed", erase.getAttribute("aria-pressed") !== "true");
  clear.onclick = () => { editor.pixels.fill(0); send(); };
  start.onclick = () => { editor.pixels = decode(editor.start); send(); };
  return editor;
}

export default function ({ data, parentElement, setStateValue }) {
  if (!editors.has(parentElement)) editors.set(parentElement, build(parentElement, data));
  const editor = editors.get(parentElement);
  editor.start = data.start;
  editor.send = (pixels) => setStateValue("pixels", pixels);
  editor.paint();
}
""",
)


def pixel_editor(start: bytes, *, key: str) -> str:
    """Draw 28 x 28 grey pixels, from ``start`` on; returns them, a byte each, row by row, in base64.

    The drawing outlives a change of page. Anything but 784 bytes from the browser counts as nothing drawn.
    """
    drawings = state().drawings
    encoded = base64.b64encode(start).decode()

    def take() -> None:
        pixels = st.session_state[key]["pixels"]
        try:
            if len(base64.b64decode(pixels, validate=True)) == len(start):
                drawings[key] = pixels
        except (TypeError, ValueError):
            return

    EDITOR(key=key, data={"pixels": drawings.get(key, encoded), "start": encoded}, on_pixels_change=if_shown(key, take))
    return drawings.get(key, encoded)
