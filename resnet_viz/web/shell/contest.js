// The table of a contest: built anew when an entry comes or goes, and then focus stays on the button that had it.
const COLUMNS = ["place", "nickname", "blocks deleted", "multiply-adds removed", "rise, points"];
const drawn = new WeakMap(); // what each table shows

function cell(row, name, text) {
  const made = row.appendChild(document.createElement(name));
  made.textContent = text;
  return made;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const shown = JSON.stringify(data), place = parentElement.querySelector(".table");
  if (drawn.get(place) === shown) return;
  drawn.set(place, shown);
  parentElement.querySelector(".empty").hidden = data.rows.length > 0;
  const focused = parentElement.querySelector("button:focus")?.ariaLabel;
  const table = document.createElement("table");
  const head = table.createTHead().insertRow(), body = table.createTBody();
  for (const name of COLUMNS) cell(head, "th", name).scope = "col";
  cell(head, "td", "");
  data.rows.forEach((entry, index) => {
    const row = body.insertRow();
    row.className = entry.own ? "own" : "";
    const nickname = entry.own ? `${entry.nickname} (you)` : entry.nickname;
    for (const text of [index + 1, nickname, entry.blocks, entry.removed, entry.rise]) cell(row, "td", text);
    const actions = cell(row, "td", "");
    actions.className = "do";
    const does = [["Open", `Open the deletions of ${entry.nickname}`, "open"]];
    if (data.teaches) does.push(["Remove", `Remove ${entry.nickname}`, "remove"]);
    for (const [text, label, trigger] of does) {
      const button = cell(actions, "button", text);
      button.ariaLabel = button.title = label;
      button.onclick = () => setTriggerValue(trigger, entry.nickname);
    }
  });
  place.replaceChildren(...(data.rows.length ? [table] : []));
  if (focused) [...table.querySelectorAll("button")].find((each) => each.ariaLabel === focused)?.focus();
}
