// Draws the strip once and afterwards only changes attributes, so that focus stays where it is.
const SVG = "http://www.w3.org/2000/svg";
const BOX = 30, ARC = 22, BAR = 34, ROW = 98, STEM = 50, GAP = 14, WIDEST = 36, NARROWEST = 15;
const strips = new WeakMap();

function element(parent, name, attributes = {}, text = null) {
  const made = parent.appendChild(document.createElementNS(SVG, name));
  set(made, attributes);
  if (text !== null) made.textContent = text;
  return made;
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
}

function build(root, data) {
  root.querySelector("svg")?.remove();
  const svg = document.createElementNS(SVG, "svg");
  root.appendChild(svg);
  svg.setAttribute("role", "group");
  const strip = { svg, blocks: [], stages: [], wires: element(svg, "g"), sequence: data.sequence, mask: data.mask };
  strip.stem = element(svg, "g");
  element(strip.stem, "rect", { width: STEM, height: BOX, rx: 5 });
  element(strip.stem, "text", { x: STEM / 2, y: BOX / 2 + 4, "text-anchor": "middle", fill: "#1F2430" }, "stem");
  for (const stage of data.stages) {
    strip.stages.push(element(svg, "text", {}, `${stage.name} · ${stage.shape}`));
  }
  data.blocks.forEach((block, index) => {
    const group = element(svg, "g", { class: "block", role: "button", tabindex: index ? -1 : 0 });
    const parts = {
      group, title: element(group, "title"), hit: element(group, "rect", { class: "hit", rx: 5 }),
      arc: element(group, "path", { fill: "none" }), box: element(group, "rect", { class: "box", rx: 5, height: BOX }),
      strike: element(group, "line"), bar: element(group, "rect", { opacity: 0.45, rx: 1 }),
    };
    group.addEventListener("click", (event) => choose(strip, index, event.shiftKey));
    group.addEventListener("keydown", (event) => key(strip, index, event));
    strip.blocks.push(parts);
  });
  strip.head = element(svg, "g");
  element(strip.head, "rect", { width: STEM, height: BOX, rx: 5 });
  element(strip.head, "text", { x: STEM / 2, y: BOX / 2 + 4, "text-anchor": "middle" }, "head");
  strip.caption = element(svg, "text", { class: "small" });
  strip.observer = new ResizeObserver(() => paint(strip));
  strip.root = root.host ?? root;
  return strip;
}

function key(strip, index, event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) {
    const next = strip.blocks[Math.min(Math.max(index + step, 0), strip.blocks.length - 1)].group;
    strip.blocks.forEach(({ group }) => set(group, { tabindex: group === next ? 0 : -1 }));
    next.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    choose(strip, index, event.shiftKey);
  } else {
    return;
  }
  event.preventDefault();
}

// A click sends the whole set, never "toggle": of several quick clicks the last one holds them all.
function choose(strip, index, run) {
  const mask = [...strip.mask];
  if (strip.data.mode === "select") {
    mask.fill("0");
    mask[index] = "1";
  } else if (run && strip.last !== undefined) {
    for (let i = Math.min(index, strip.last); i <= Math.max(index, strip.last); i++) mask[i] = mask[strip.last];
  } else {
    mask[index] = mask[index] === "1" ? "0" : "1";
  }
  strip.last = index;
  strip.mask = mask.join("");
  strip.sequence += 1;
  paint(strip);
  strip.send({ mask: strip.mask, sequence: strip.sequence });
}

// One row where the blocks fit, else one row (or several) a stage.
function layout(strip, width) {
  const { blocks, stages } = strip.data;
  const gaps = GAP * (stages.length + 1);
  const pitch = Math.min(WIDEST, (width - 2 * STEM - gaps - 4) / blocks.length);
  const places = [], labels = [];
  let row = 0;
  if (pitch >= NARROWEST) {
    let x = STEM + GAP, stage = null;
    const spare = (width - 2 * STEM - gaps - 4 - pitch * blocks.length) / (stages.length + 1);
    for (const block of blocks) {
      if (block.stage !== stage) {
        x += stage === null ? 0 : GAP + spare;
        stage = block.stage;
        labels.push({ x, row });
      }
      places.push({ x, row });
      x += pitch;
    }
    return { pitch, places, labels, stem: { x: 0, row }, head: { x: width - STEM - 2, row }, rows: 1 };
  }
  const narrow = Math.max(NARROWEST + 3, Math.min(WIDEST, (width - STEM - GAP) / Math.max(...stages.map((s) => blocks.filter((b) => b.stage === s.name).length))));
  const perRow = Math.max(1, Math.floor((width - STEM - GAP - 4) / narrow));
  stages.forEach((stage) => {
    const count = blocks.filter((block) => block.stage === stage.name).length;
    labels.push({ x: STEM + GAP, row });
    for (let i = 0; i < count; i++) places.push({ x: STEM + GAP + (i % perRow) * narrow, row: row + Math.floor(i / perRow) });
    row += Math.ceil(count / perRow);
  });
  return { pitch: narrow, places, labels, stem: { x: 0, row: 0 }, head: { x: 0, row: row - 1 }, rows: row, wrapped: true };
}

function paint(strip) {
  const { data, svg } = strip;
  const width = strip.root.clientWidth;
  if (!width) return;
  const { pitch, places, labels, stem, head, rows, wrapped } = layout(strip, width);
  strip.row = ROW + (data.blocks.some((block) => block.bar > 0) ? BAR : 0);
  const top = (row) => row * strip.row + 26 + ARC;
  const box = pitch * 0.74, { ink, line, muted, background } = data.colours;
  set(svg, { height: rows * strip.row + 20, "aria-label": data.mode === "delete" ? "The network's blocks: press one to delete or restore it" : "The network's blocks: press one to choose it" });
  set(strip.stem, { transform: `translate(${stem.x},${top(stem.row)})` });
  set(strip.stem.firstChild, { fill: data.colours.stem });
  set(strip.head, { transform: `translate(${head.x},${wrapped && rows > 1 ? top(head.row) : wrapped ? top(0) + BOX + 6 : top(head.row)})` });
  set(strip.head.firstChild, { fill: background, stroke: muted });
  set(strip.head.lastChild, { fill: ink });
  strip.stages.forEach((text, i) => set(text, { x: labels[i].x, y: top(labels[i].row) - ARC - 8, fill: data.stages[i].colour, "font-weight": 600 }));
  strip.wires.replaceChildren();
  for (let row = 0; row < rows; row++) {
    const inRow = places.filter((place) => place.row === row);
    const from = wrapped && row ? inRow[0].x - GAP : STEM - 2, to = wrapped ? inRow.at(-1).x + pitch : head.x;
    element(strip.wires, "line", { x1: from, x2: to, y1: top(row) + BOX / 2, y2: top(row) + BOX / 2, stroke: line, "stroke-width": 3 });
  }
  strip.blocks.forEach((parts, i) => {
    const block = data.blocks[i], { x, row } = places[i], y = top(row), off = (pitch - box) / 2;
    const chosen = strip.mask[i] === "1", deleted = chosen && data.mode === "delete";
    const colour = data.stages.find((stage) => stage.name === block.stage).colour;
    const drawn = !data.plain || deleted;
    set(parts.group, { transform: `translate(${x},${y})`, "aria-pressed": chosen, "data-block": block.name,
      "aria-label": `${block.name}${block.shortcut === "identity" ? "" : ", shortcut: " + block.shortcut}${deleted ? ", deleted" : chosen ? ", chosen" : ""}${block.says ? ", " + block.says : ""}` });
    parts.title.textContent = `${block.name} · shortcut: ${block.shortcut}${block.says ? " · " + block.says : ""}`;
    set(parts.hit, { x: 0, y: -ARC, width: pitch, height: ARC + BOX + BAR });
    set(parts.arc, { d: `M ${-off * 0.3} ${BOX / 2} C ${-off * 0.3} ${-ARC}, ${pitch + off * 0.3} ${-ARC}, ${pitch + off * 0.3} ${BOX / 2}`,
      stroke: deleted ? ink : muted, "stroke-width": deleted ? 2.6 : 1, "stroke-dasharray": block.shortcut === "projection" ? "2 3" : "none", opacity: drawn ? 1 : 0 });
    set(parts.box, { x: off, width: box, fill: deleted ? background : colour, stroke: chosen && !deleted ? ink : colour,
      "stroke-width": chosen ? (deleted ? 1.5 : 3) : 0, "stroke-dasharray": deleted ? "3 2" : "none" });
    set(parts.strike, { x1: off + 3, y1: 4, x2: off + box - 3, y2: BOX - 4, stroke: colour, "stroke-width": 1.5, opacity: deleted ? 1 : 0 });
    set(parts.bar, { x: off, y: BOX + 6, width: box, height: Math.max(0, block.bar * BAR), fill: colour });
  });
  strip.caption.textContent = data.bars_title;
  set(strip.caption, { x: 0, y: rows * strip.row + 12, fill: muted });
}

export default function ({ data, parentElement, setStateValue }) {
  const shape = data.blocks.map((block) => block.name).join();
  let strip = strips.get(parentElement);
  if (!strip || strip.shape !== shape) {
    strip?.observer.disconnect();
    strip = build(parentElement, data);
    strip.shape = shape;
    strips.set(parentElement, strip);
  }
  strip.observer.observe(strip.root);
  strip.data = data;
  strip.send = (choice) => setStateValue("choice", choice);
  if (data.sequence >= strip.sequence) {
    strip.mask = data.mask;
    strip.sequence = data.sequence;
  }
  paint(strip);
  return () => strip.observer.disconnect();
}
