// The network strip. Its SVG is built once for a network; afterwards only attributes, classes and words change, so that
// focus stays. place() decides where everything stands: on a new width, fold or bars. dress() shows what is chosen and
// what is deleted: after every press.
const SVG = "http://www.w3.org/2000/svg";
const BOX = 30, ARC = 14, LINE = 1.25; // heights: of a block, of the shortcut above it; of a line, of that of its letters
const WIDEST = 40, NARROWEST = 14, TOUCH = 24; // from block to block; at least TOUCH where fingers press
const END = 50, SHORT_END = 22; // widths of stem and head; on a phone their words stand upright
const GAP = 14, FOLDED = 10.4; // widths: between stages, of a folded one (of the height of letters)
const PHONE = 640; // pixels: narrower strips are for fingers
const PAGE = 10; // blocks that a press of Page Up or Page Down passes
const MANY = 120; // a network of more blocks starts with its stages folded
const BLOCK = { hit: "rect", arc: "path", box: "rect", strike: "line", ring: "rect", bar: "rect" };
// A stage: its label, and what it is folded into, a pile of boxes.
const STAGE = { hit: "rect", last: "rect", next: "rect", arc: "path", box: "rect", ring: "rect", bar: "rect", chevron: "path",
  name: "text", shape: "text", count: "text", state: "text" };
const strips = new WeakMap(); // by the element that Streamlit lets us draw into
const folds = new Map(); // by network: the stages that are folded, until the page is loaded again

function element(parent, name, attributes = {}, text = "") {
  const made = parent.appendChild(document.createElementNS(SVG, name));
  set(made, attributes);
  made.textContent = text;
  return made;
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
}

function build(root, network, data) {
  const [svg, told, title] = [".strip svg", ".told", ".bars"].map((selector) => root.querySelector(selector));
  svg.replaceChildren();
  const strip = { network, svg, told, title, host: root.host ?? root, items: [], blocks: [], mask: data.mask, sequence: data.sequence };
  strip.stream = element(svg, "path", { class: "stream" });
  strip.stem = end(svg, "stem");
  // In the order in which they are read and reached by the keyboard: a stage's label, then its blocks.
  strip.stages = data.stages.map((_, stage) => {
    const members = [...data.blocks.keys()].filter((index) => data.blocks[index].stage === stage);
    const made = button(strip, STAGE, { stage, members });
    for (const index of members) strip.blocks[index] = button(strip, BLOCK, { stage, index });
    return made;
  });
  strip.head = end(svg, "head");
  if (!folds.has(network)) {
    const closed = (stage) => data.blocks.length > MANY && stage.members.every((index) => data.mask[index] === "0");
    folds.set(network, new Set(strip.stages.filter(closed).map(({ stage }) => stage)));
  }
  strip.folded = folds.get(network);
  const chosen = strip.blocks[data.mode === "select" ? data.mask.indexOf("1") : 0];
  stop(strip, reachable(strip).includes(chosen) ? chosen : strip.items[0]);
  strip.observer = new ResizeObserver(() => strip.host.clientWidth !== strip.width && place(strip));
  return strip;
}

function end(svg, name) {
  const group = element(svg, "g", { class: `end ${name}` });
  element(group, "rect", { height: BOX, rx: 5 });
  element(group, "text", {}, name);
  return group;
}

function button(strip, parts, item) {
  item.node = element(strip.svg, "g", { role: "button", tabindex: -1 });
  for (const [part, kind] of Object.entries(parts)) {
    item[part] = element(item.node, kind, { class: part });
    item.node.append(" "); // so that the words of a label do not run together for a machine that reads them
  }
  const on = (type, act) => item.node.addEventListener(type, act);
  on("click", (event) => press(strip, item, event.shiftKey));
  on("keydown", (event) => key(strip, item, event));
  on("pointerenter", () => tell(strip, { hovered: item }));
  on("pointerleave", () => tell(strip, { hovered: null }));
  on("focus", () => (stop(strip, item), tell(strip, { focused: item })));
  on("blur", () => tell(strip, { focused: null }));
  strip.items.push(item);
  return item;
}

// The items that are not folded away.
function reachable(strip) {
  return strip.items.filter(({ index, stage }) => index === undefined || !strip.folded.has(stage));
}

// The Tab key stops at one item of the strip; arrows lead from there to the others.
function stop(strip, item) {
  strip.items.forEach(({ node }) => set(node, { tabindex: node === item.node ? 0 : -1 }));
}

function key(strip, item, event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    return press(strip, item, event.shiftKey);
  }
  const isBlock = ({ index }) => index !== undefined;
  const run = event.shiftKey && isBlock(item);
  const items = run ? reachable(strip).filter(isBlock) : reachable(strip), here = items.indexOf(item);
  const to = {
    ArrowRight: items[here + 1], ArrowLeft: items[here - 1], Home: items[0], End: items.at(-1),
    PageUp: items[Math.max(here - PAGE, 0)], PageDown: items[here + PAGE] ?? items.at(-1),
    ArrowUp: items.slice(0, here).findLast((each) => !isBlock(each)), // the labels of the stages before and after
    ArrowDown: items.slice(here + 1).find((each) => !isBlock(each)),
  };
  if (!(event.key in to)) return;
  event.preventDefault();
  const next = to[event.key] ?? item;
  next.node.focus();
  if (!run || strip.data.mode === "select") return;
  // A run by the arrows goes on where the last one ended; begun elsewhere, it deletes.
  if (strip.run?.to !== item.index) strip.run = { from: item.index, bit: "1", before: strip.mask };
  take(strip, next.index);
}

function press(strip, item, run) {
  strip.focused = item; // also where a tap gives no focus
  const { stage, index } = item;
  if (index === undefined) {
    if (!strip.folded.delete(stage)) strip.folded.add(stage);
    stop(strip, item);
    return place(strip);
  }
  if (strip.data.mode === "select") {
    strip.run = { from: index, bit: "1", before: "0".repeat(strip.mask.length) };
  } else if (!run || !strip.run) {
    strip.run = { from: index, bit: strip.mask[index] === "1" ? "0" : "1", before: strip.mask };
  }
  take(strip, index);
}

// Give every block from the run's first to this one the run's state. What is sent is the whole set, never "toggle": of
// several quick clicks the last one holds them all.
function take(strip, to) {
  const { from, bit, before } = strip.run;
  strip.run.to = to;
  const mask = [...before].fill(bit, Math.min(from, to), Math.max(from, to) + 1).join("");
  if (mask === strip.mask) return tell(strip);
  [strip.mask, strip.sequence] = [mask, strip.sequence + 1];
  dress(strip);
  strip.send({ mask, sequence: strip.sequence });
}

// Of all distances between blocks, the widest of those that need the fewest rows.
function layout(strip, width, labels) {
  const narrowest = width < PHONE || matchMedia("(pointer: coarse)").matches ? TOUCH : NARROWEST;
  let best = null;
  for (let pitch = WIDEST; pitch >= narrowest && best?.rows !== 1; pitch -= 0.5) {
    const flowed = flow(strip, width, pitch, labels);
    if (!best || flowed.rows < best.rows) best = flowed;
  }
  return best;
}

// Stages in rows, as words in lines. One that is too long for a row takes several of equal length, and begins its own.
function flow(strip, width, pitch, labels) {
  const ends = width < PHONE ? SHORT_END : END;
  const left = ends + GAP, right = width - ends - GAP;
  let x = left, row = 0;
  const places = strip.stages.map(({ stage, members }) => {
    const folded = strip.folded.has(stage);
    const lines = folded ? 1 : Math.ceil(members.length / Math.max(1, Math.floor((right - left) / pitch)));
    const perLine = Math.ceil(members.length / lines);
    const span = Math.max(labels[stage], folded ? FOLDED * letters(strip) : perLine * pitch);
    if (x > left && (lines > 1 || x + span > right)) [x, row] = [left, row + 1];
    const place = { x, row, perLine };
    [x, row] = [x + span + GAP, row + lines - 1];
    return place;
  });
  if (row === 0) places.forEach((place, stage) => (place.x += (stage * Math.max(0, right + GAP - x)) / places.length));
  return { pitch, ends, places, rows: row + (x - GAP > right) + 1 };
}

// The height of letters, in pixels.
const letters = ({ svg }) => parseFloat(getComputedStyle(svg).fontSize);

// All that the width decides: the rows, and in pixels what stands where in them.
function measure(strip, width) {
  const { data, stages } = strip;
  stages.forEach(({ name, shape, stage }) => {
    [name.textContent, shape.textContent] = [data.stages[stage].name, data.stages[stage].shape];
  });
  const names = stages.map(({ name }) => 14 + name.getComputedTextLength()); // after the chevron
  const shapes = stages.map(({ shape }) => shape.getComputedTextLength());
  const labels = names.map((name, stage) => Math.max(name, 14 + shapes[stage])); // in two lines
  const { pitch, ends, places, rows } = layout(strip, width, labels);
  const room = ({ x, row }, stage) => (places[stage + 1]?.row === row ? places[stage + 1].x - GAP : width) - x;
  const oneLine = places.every((place, stage) => names[stage] + 6 + shapes[stage] <= room(place, stage));
  const bars = data.blocks.map(({ bar }) => bar).filter((bar) => bar !== null), barHeight = rows > 1 ? 24 : 34;
  const line = Math.round(LINE * letters(strip));
  const sizes = {
    width, pitch, ends, places, oneLine, barHeight, box: pitch * 0.74, off: pitch * 0.13, line, folded: FOLDED * letters(strip) - 8,
    label: (oneLine ? 1 : 2) * line + 10, // its button is 2 less high, and still as high as a finger needs
    shapeX: names.map((name) => (oneLine ? name + 6 : 14)),
    labelWidth: names.map((name, stage) => (oneLine ? name + 6 + shapes[stage] : labels[stage])),
    below: bars.length ? 6 + barHeight : 0,
    zero: bars.some((bar) => bar < 0) ? barHeight / 2 : 0, // bars hang down from here; negative ones stand up
    tops: [], height: 0,
  };
  for (let row = 0; row < rows; row++) {
    sizes.tops.push(sizes.height + ARC + (places.some((place) => place.row === row) ? sizes.label : line / 2));
    sizes.height = sizes.tops[row] + BOX + sizes.below;
  }
  return sizes;
}

function place(strip) {
  strip.width = strip.host.clientWidth;
  if (!strip.width) return; // in a hidden tab
  const sizes = measure(strip, strip.width), { width, pitch, ends, tops, places } = sizes;
  set(strip.svg, { height: sizes.height + 4, style: `--thick: ${Math.min(2.6, pitch / 8)}` });
  const lines = tops.map((y, row) => `M ${row ? 0 : ends} ${y + BOX / 2} H ${y < tops.at(-1) ? width : width - ends}`);
  set(strip.stream, { d: lines.join(" ") });
  placeEnd(strip.stem, ends, 1, tops[0]);
  placeEnd(strip.head, ends, width - ends - 1, tops.at(-1));
  strip.stages.forEach((item, stage) => {
    const { x, row, perLine } = places[stage];
    placeStage(strip, item, sizes, x, tops[row]);
    if (!strip.folded.has(stage)) item.members.forEach((index, nth) => {
      placeBlock(strip, strip.blocks[index], sizes, x + (nth % perLine) * pitch, tops[row + Math.floor(nth / perLine)]);
    });
  });
  strip.title.textContent = strip.data.bars_title;
  dress(strip);
}

function placeEnd(group, width, x, y) {
  const [box, word] = group.children, upright = width === SHORT_END;
  set(group, { transform: `translate(${x},${y})` });
  set(box, { width });
  const turned = upright ? `translate(${width / 2 + 4},${BOX / 2}) rotate(-90)` : `translate(${width / 2},${BOX / 2 + 4})`;
  set(word, { transform: turned, "font-size": upright ? "84%" : "100%" });
}

function placeStage({ data, folded }, item, sizes, x, y) {
  const { stage, members } = item, { label, line, off } = sizes, open = !folded.has(stage), wide = sizes.folded;
  const nameY = -ARC - label + line + 2;
  set(item.node, { transform: `translate(${x + off},${y})`, style: `--stage: ${data.stages[stage].colour}`, "aria-expanded": open });
  set(item.hit, { x: -4, y: -ARC - label + 2, width: open ? sizes.labelWidth[stage] + 8 : wide + 12, rx: 5,
    height: label - 2 + (open ? 0 : ARC + BOX + sizes.below + 4) });
  set(item.chevron, { d: open ? "M 0 -8 h 10 l -5 7 z" : "M 1 -9 l 8 5 l -8 5 z", transform: `translate(0,${nameY})` });
  set(item.name, { x: 14, y: nameY });
  set(item.shape, { x: sizes.shapeX[stage], y: nameY + (sizes.oneLine ? 0 : line) });
  [item.box, item.next, item.last].forEach((box, nth) => set(box, { x: 3 * nth, y: -3 * nth, width: wide, height: BOX, rx: 5 }));
  set(item.ring, { x: -3, y: -3, width: wide + 6, height: BOX + 6, rx: 7 });
  set(item.arc, { d: shortcutOver(-GAP / 2, wide + GAP, 1.8 * ARC) });
  item.mean = mean(members.map((index) => data.blocks[index].bar).filter((bar) => bar !== null));
  hang(item.bar, item.mean, wide, sizes);
}

function placeBlock({ data }, item, sizes, x, y) {
  const { stage, index } = item, { pitch, box, off, below } = sizes;
  set(item.node, { transform: `translate(${x + off},${y})`, style: `--stage: ${data.stages[stage].colour}` });
  set(item.hit, { x: -off, y: -ARC, width: pitch, height: ARC + BOX + below, rx: 5 });
  set(item.arc, { d: shortcutOver(-off, pitch, 1.6 * ARC) });
  set(item.box, { width: box, height: BOX, rx: Math.min(5, box / 3) });
  set(item.strike, { x1: 3, y1: 4, x2: box - 3, y2: BOX - 4 });
  set(item.ring, { x: -3, y: -3, width: box + 6, height: BOX + 6, rx: 7 });
  hang(item.bar, data.blocks[index].bar, box, sizes);
}

function shortcutOver(x, width, up) {
  return `M ${x} ${BOX / 2} C ${x} ${-up}, ${x + width} ${-up}, ${x + width} ${BOX / 2}`;
}

function hang(node, bar, width, { zero, barHeight }) {
  const height = Math.max(1, Math.abs(bar) * (zero || barHeight));
  const sign = bar === null ? "gone" : bar < 0 ? "bar negative" : "bar";
  set(node, { class: sign, width, height, rx: 1.5, y: BOX + 6 + zero - (bar < 0 ? height : 0) });
}

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

const isChosen = ({ data, mask }, index) => data.mode === "select" && mask[index] === "1";
const isDeleted = ({ data, mask }, index) => (data.mode === "delete" ? mask : data.deleted)[index] === "1";

// A gate above 0 leaves a part of the branch: such a block is drawn paler, not struck out.
const lesioned = ({ gate }) => (gate ? `gate ${gate}` : "deleted");

// What there is to say about a block or a stage, in words.
function facts(strip, { stage, index, members, mean }) {
  const { data } = strip;
  if (index !== undefined) {
    const { name, origin, shortcut, says } = data.blocks[index];
    return [name, origin, shortcut === "none" ? "no shortcut" : `shortcut: ${shortcut}`, isChosen(strip, index) && "chosen",
      isDeleted(strip, index) && lesioned(data), says].filter(Boolean);
  }
  const { name, shape } = data.stages[stage];
  return [name, shape, blocks(members.length), ...counts(strip, members),
    mean !== null && `mean bar ${mean.toFixed(2)} of the longest`].filter(Boolean);
}

const blocks = (count) => `${count.toLocaleString("en")} block${count === 1 ? "" : "s"}`;

function counts(strip, members) {
  return [[isChosen, "chosen"], [isDeleted, lesioned(strip.data)]]
    .map(([is, word]) => [members.filter((index) => is(strip, index)).length, word])
    .filter(([count]) => count).map(([count, word]) => `${count} ${word}`);
}

function dress(strip) {
  const { data } = strip;
  const lesion = data.gate ? "scaled" : "deleted";
  strip.host.style.setProperty("--gate", data.gate);
  strip.blocks.forEach((item, index) => {
    const { name, shortcut } = data.blocks[index];
    const state = { gone: strip.folded.has(item.stage), [lesion]: isDeleted(strip, index), chosen: isChosen(strip, index),
      plain: shortcut === "none", dotted: shortcut !== "none" && shortcut !== "identity" };
    set(item.node, { class: classes("block", state), "data-block": name, "aria-pressed": strip.mask[index] === "1",
      "aria-label": facts(strip, item).join(", ") });
  });
  strip.stages.forEach((item, stage) => {
    const state = { open: !strip.folded.has(stage), [lesion]: item.members.every((index) => isDeleted(strip, index)),
      chosen: item.members.some((index) => isChosen(strip, index)) };
    set(item.node, { class: classes("stage", state), "aria-label": facts(strip, item).join(", ") });
    item.count.textContent = blocks(item.members.length);
    item.state.textContent = counts(strip, item.members).join(", ");
    set(item.count, { x: 8, y: item.state.textContent ? BOX / 2 - 2 : BOX / 2 + 4 });
    set(item.state, { x: 8, y: BOX - 3 });
  });
  tell(strip);
}

function classes(name, state) {
  return [name, ...Object.keys(state).filter((key) => state[key])].join(" ");
}

// One line under the strip, for mouse, keyboard and finger alike.
function tell(strip, change = {}) {
  Object.assign(strip, change);
  const item = strip.hovered ?? strip.focused ?? (strip.data.mode === "select" ? strip.blocks[strip.mask.indexOf("1")] : null);
  strip.told.textContent = item ? facts(strip, item).join(" · ")
    : strip.data.mode === "select" ? "Point at a block to read its value; press a stage's name to fold or unfold it."
    : "Press a block to delete or restore it, with Shift a run of them; press a stage's name to fold or unfold it.";
}

export default function ({ data, parentElement, setStateValue }) {
  const network = data.blocks.map((block) => block.name).join();
  let strip = strips.get(parentElement);
  if (strip?.network !== network) {
    strip?.observer.disconnect();
    strip = build(parentElement, network, data);
    strips.set(parentElement, strip);
  }
  strip.data = data;
  strip.send = (choice) => setStateValue("choice", choice);
  if (data.sequence >= strip.sequence) {
    if (data.mask !== strip.mask) strip.run = null;
    [strip.mask, strip.sequence] = [data.mask, data.sequence];
  }
  for (const [role, colour] of Object.entries(data.colours)) strip.host.style.setProperty(`--${role}`, colour);
  set(strip.svg, { "aria-label": `The network's blocks: press one to ${data.mode === "delete" ? "delete or restore" : "choose"} it` });
  strip.observer.observe(strip.host);
  place(strip);
  return () => strip.observer.disconnect();
}
