// The files of one figure, made here in the visitor's browser: SVG and PNG as drawn, CSV of its numbers.
const LINE = 15, MARGIN = 10, LONGEST_WAIT = 20000;  // pixels, pixels, milliseconds

// The buttons stand there before the first figure of a visit is drawn: a click on one then waits for it.
async function plot(data) {
  const drawn = () => document.querySelector(`.st-key-${CSS.escape(data.figure)} .js-plotly-plot:has(.main-svg)`);
  for (let waited = 0; !drawn() && waited < LONGEST_WAIT; waited += 50) await new Promise((next) => setTimeout(next, 50));
  if (!drawn()) throw new Error(`The figure ${data.figure} has not been drawn; nothing can be saved of it.`);
  return drawn();
}

function save(data, ending, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = `${data.name}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Long lines are broken, so that the provenance stays inside the picture.
function footer(data, width) {
  const longest = Math.max(30, Math.floor((width - 2 * MARGIN) / 5.6));
  return [data.title, ...data.provenance].flatMap((line) => line.match(new RegExp(`.{1,${longest}}(\\s|$)|.{${longest}}`, "g")) ?? []);
}

async function svg(data) {
  const graph = await plot(data), { width, height } = graph.getBoundingClientRect();
  // An image has no web fonts: the texts are placed again, by the widths of the font that it will be drawn with.
  const font = { ...graph.layout.font, family: "sans-serif" };
  const uri = await window.Plotly.toImage({ data: graph.data, layout: { ...graph.layout, font } }, { format: "svg", width, height });
  const root = new DOMParser().parseFromString(decodeURIComponent(uri.slice(uri.indexOf(",") + 1)), "image/svg+xml").documentElement;
  const lines = footer(data, width), total = height + MARGIN + LINE * lines.length;
  root.setAttribute("height", total);
  root.setAttribute("viewBox", `0 0 ${width} ${total}`);
  const make = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    node.textContent = text;
    return node;
  };
  root.prepend(make("title", {}, data.title), make("desc", {}, data.provenance.join("\n")),
    make("rect", { width, height: total, fill: data.background }, ""));
  lines.forEach((line, i) => root.append(make("text", { x: MARGIN, y: height + LINE * (i + 0.8), fill: data.ink,
    style: "font: 10.5px sans-serif" }, line)));
  return { text: new XMLSerializer().serializeToString(root), width, total };
}

async function png(data) {
  const { text, width, total } = await svg(data), scale = 2;
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: width * scale, height: total * scale });
  canvas.getContext("2d").drawImage(image, 0, 0, width * scale, total * scale);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

// A row for each point that can be pointed at; lines that only guide the eye are left out, and so are empty columns and
// the coordinates of a drawing without axes.
async function csv(data) {
  const graph = await plot(data), layout = graph._fullLayout, drawn = layout.xaxis?.visible !== false;
  // An axis without a title of its own has that of the axis it matches: panels above one another share the lowest one's.
  const title = (id) => {
    const axis = layout[`${id[0]}axis${id.slice(1)}`], text = plain(axis?.title?.text).trim();
    return text && !text.startsWith("Click to enter") ? text : axis?.matches ? title(axis.matches) : id[0];
  };
  const plain = (value) => String(Array.isArray(value) ? value.join(" ") : value ?? "").replaceAll(/<[^>]*>/g, " ");
  // An axis of two levels keeps its categories in two rows.
  const at = (values, i) => (Array.isArray(values?.[0]) ? values.map((level) => level[i]).join(" ") : plain(values?.[i]));
  const rows = [], axes = new Set();
  for (const trace of graph._fullData) {
    if (trace.hoverinfo === "skip") continue;
    const series = trace.name && !/^trace \d+$/.test(trace.name) ? trace.name : "";
    const [across, up] = [title(trace.xaxis), title(trace.yaxis)];
    [across, up].forEach((axis) => axes.add(axis));
    if (trace.z) {
      trace.z.forEach((line, row) => Array.from(line).forEach((value, column) => {
        if (Number.isFinite(value)) rows.push({ series, [across]: column, [up]: row, value });
      }));
      continue;
    }
    // A number beside a text in customdata says what a click chooses.
    const texts = (value) => (Array.isArray(value) ? value.filter((part) => typeof part === "string") : value);
    const label = (i) => plain(Array.isArray(trace.text) ? trace.text[i] : texts(trace.customdata?.[i]));
    const count = Math.max(...[trace.x, trace.y].map((values) => (Array.isArray(values?.[0]) ? values[0].length : values?.length ?? 0)));
    const [errors, values] = trace.error_x?.array ? [trace.error_x, trace.x] : [trace.error_y, trace.y];
    for (let i = 0; i < count; i++) {
      const place = drawn ? { [across]: at(trace.x, i), [up]: at(trace.y, i) } : {};
      const ends = errors?.array ? { low: values[i] - errors.arrayminus[i], high: values[i] + errors.array[i] } : {};
      rows.push({ series, ...place, ...ends, label: label(i) });
    }
  }
  const columns = ["series", ...axes, "low", "high", "value", "label"].filter((name) => rows.some((row) => (row[name] ?? "") !== ""));
  const quoted = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  const text = [columns, ...rows.map((row) => columns.map((name) => row[name] ?? ""))].map((row) => row.map(quoted).join(",")).join("\n");
  return [data.title || data.figure, ...data.provenance].map((line) => `# ${line}\n`).join("") + text + "\n";
}

export default function ({ data, parentElement }) {
  const place = parentElement.querySelector(".files");
  const kinds = {
    SVG: async () => save(data, "svg", (await svg(data)).text, "image/svg+xml"),
    PNG: async () => save(data, "png", await png(data), "image/png"),
    CSV: async () => save(data, "csv", await csv(data), "text/csv"),
  };
  if (!place.children.length) {  // built once, so that focus stays
    place.append(...Object.keys(kinds).map((kind) => {
      const button = document.createElement("button");
      button.textContent = kind;
      button.setAttribute("aria-label", `Save this figure as ${kind}: ${data.title || data.figure}`);
      return button;
    }));
  }
  [...place.children].forEach((button) => { button.onclick = kinds[button.textContent]; });
}
