// Elements, and numbers as text. Text from outside becomes text nodes only.
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, set] of Object.entries(value)) element.style.setProperty("--" + key, set);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};
const $ = (id) => document.getElementById(id);
const say = (text) => { $("status").textContent = text; };
// an element whose content is made anew whenever asked
const slot = (tag, attributes, make) => {
  const element = h(tag, attributes);
  const update = async () => element.replaceChildren(...[await make()].flat(Infinity).filter(Boolean));
  return [element, update];
};

const thin = "\u202f";
const whole = (value) => Math.round(value).toLocaleString("en-GB").replaceAll(",", thin);
const share = (value) => (value === null || Number.isNaN(value) ? "–" : value.toFixed(2));
const signed = (value) => (value === null || Number.isNaN(value) ? "–" : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2));
const points = (value) => (value === null || Number.isNaN(value) ? "–" : (value < 0 ? "−" : value > 0 ? "+" : "") + percent(Math.abs(value)));
const plural = (count, word) => whole(count) + " " + word + (count === 1 ? "" : "s");
const percent = (value) => {
  if (value === null || Number.isNaN(value)) return "–";
  if (value < 0) return "−" + percent(-value);
  const hundred = 100 * value;
  if (hundred > 0 && hundred < 0.01) return "<0.01" + thin + "%";
  const digits = hundred === 0 || hundred === 100 ? 0 : hundred < 1 ? 2 : hundred < 10 ? 1 : hundred < 99.5 ? 0 : 1;
  return hundred.toFixed(digits) + thin + "%";
};
const hertz = (value) => (value >= 1000 ? (value / 1000).toFixed(value >= 10000 ? 1 : 2) + " kHz" : value.toFixed(value < 100 ? 1 : 0) + " Hz");
const clock = (seconds) => seconds.toFixed(1) + thin + "s";
const any = (value) => {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return whole(value);
  const size = Math.abs(value);
  return (size >= 1000 ? whole(value) : size >= 0.01 || size === 0 ? value.toFixed(size >= 100 ? 1 : 3) : value.toExponential(1)).replace("-", "−");
};

const KINDS = {
  original: "the recordings", robust: "robust", robust_complete: "robust complete", sufficient: "sufficient", complete: "complete", one_complete: "one-complete", inverse: "inverse",
  null_size: "random, same size", null_energy: "random, same energy", null_profile: "random, same size and energy", silence: "silence",
};
const kindName = (kind) => {
  const [base, of] = kind.split("_of_");
  return (KINDS[base] ?? base.replaceAll("_", " ")) + (of ? " as " + KINDS[of] : base.startsWith("null_") ? " as sufficient" : "");
};
// kinds of set, in the order in which they are shown
const SETS = ["robust", "robust_complete", "sufficient", "complete", "one_complete", "inverse"];
const kindText = {
  robust: "The least found that keeps the model’s answer through harmless changes.",
  robust_complete: "Robust, and without it the answer changes, through harmless changes too.",
  original: "The recordings themselves: how often two models agree.",
  sufficient: "The least that gets the model’s answer.",
  complete: "Sufficient, and without it the answer changes.",
  one_complete: "Complete, with the full confidence of the recording.",
  inverse: "What is left once the complete set is removed.",
  null_size: "Chance: as many variables as the set, drawn at random.",
  null_energy: "Chance: as much energy as the set, drawn at random.",
  null_profile: "Chance: each variable of the set replaced by another of like energy.",
  silence: "Nothing at all.",
};

// what is saved from here: names that any system takes, and no cell of a table that a spreadsheet would run
const fileName = (name, ending) => (name.replace(/[^\w.-]+/g, "-").replace(/^[-.]+|-+$/g, "").slice(0, 120) || "earwitness") + "." + ending;
const saveText = (name, type, text) => {
  const link = h("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};
const csvOf = (rows) => rows.map((row) => row.map((value) => {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(text) && Number.isNaN(Number(text)) ? "'" + text : text;
  return /[",\n\r]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
}).join(",")).join("\n") + "\n";
const saveTable = (label, rows) => h("button", { type: "button", class: "save", onclick: () => saveText(fileName(label, "csv"), "text/csv", csvOf(rows())) }, "Save as CSV");
const cellsOf = (table) => [...table.rows].map((row) => [...row.cells].map((cell) => [...cell.childNodes].map((part) => part.textContent).join(" ").trim().replaceAll(thin, "").replace(/^−(?=[\d.])/, "-")));

// a table that scrolls by itself where it is too wide; exact: its rows as they are saved, where what is shown is rounded
const tableOf = (label, head, rows, attributes, exact) => {
  const table = h("table", { class: "plain", ...attributes },
    h("thead", null, h("tr", null, head.map((cell) => (cell instanceof Node ? cell : h("th", { scope: "col" }, cell))))),
    h("tbody", null, rows));
  return [h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table), saveTable(label, exact ?? (() => cellsOf(table)))];
};
const mark = (state) => {
  const shapes = {
    certain: [s("circle", { class: "full", cx: 6, cy: 6, r: 4.6 })],
    accepts: [s("circle", { cx: 6, cy: 6, r: 4.6 }), s("path", { class: "full", stroke: "none", d: "M6 1.4a4.6 4.6 0 0 0 0 9.2z" })],
    rejects: [s("path", { d: "M2.5 2.5l7 7m0-7l-7 7" })],
  };
  return s("svg", { class: "mark", viewBox: "0 0 12 12", "aria-hidden": "true", focusable: "false" }, shapes[state] ?? []);
};
const STATES = { certain: "accepts, certain", accepts: "accepts, unsure", rejects: "gives another answer" };
const keyOf = (model) => h("span", { class: "key" }, model.key);
const nameOf = (model) => h("span", { class: "text", title: model.spec }, keyOf(model), " ", model.name);

// pages of a long list: the rows of one page and the buttons to the others
const pager = (count, page, size, go, label) => {
  const pages = Math.max(1, Math.ceil(count / size));
  if (pages === 1) return null;
  const step = (text, to, off) => h("button", { type: "button", disabled: off, onclick: () => go(to) }, text);
  return h("nav", { class: "pager", "aria-label": label },
    step("First", 0, page === 0), step("Previous", page - 1, page === 0),
    h("span", null, `${whole(page * size + 1)} to ${whole(Math.min(count, (page + 1) * size))} of ${whole(count)}`),
    step("Next", page + 1, page >= pages - 1), step("Last", pages - 1, page >= pages - 1));
};
