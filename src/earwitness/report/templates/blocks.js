// What sections are made of: tables, estimates with intervals, curves, sounds. Each drawing has its numbers as a table.
const isNumber = (column, rows) => rows.some((row) => typeof row[column] === "number") && rows.every((row) => row[column] === null || typeof row[column] === "number");
// models by the names they have on this page; the overview says which is which
const shortly = (value) => (typeof value === "string" ? study.bySpec.reduce((text, model) => text.replaceAll(model.spec, model.name), value) : any(value));
const tableBlock = (block, size = 50) => {
  let page = 0;
  const numbers = block.columns.map((_, column) => isNumber(column, block.rows));
  const [box, draw] = slot("div", null, () => [
    tableOf(block.title, block.columns.map((name, column) => h("th", { scope: "col", class: numbers[column] ? "n" : null }, name.replaceAll("_", " "))),
      block.rows.slice(page * size, page * size + size).map((row) => h("tr", null, row.map((value, column) =>
        column === 0 ? h("th", { scope: "row", class: numbers[0] ? "n" : "text" }, shortly(value)) : h("td", { class: numbers[column] ? "n" : "text" }, shortly(value))))), null, () => [block.columns, ...block.rows]),
    pager(block.rows.length, page, size, (to) => { page = to; draw(); }, "Pages of " + block.title),
  ]);
  draw();
  return box;
};
const asTable = (block) => h("details", { class: "alternative" }, h("summary", null, "As a table"), tableBlock(block));

const niceTicks = (low, high) => {
  const raw = (high - low) / 5 || 1, power = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].find((k) => k * power >= raw) * power;
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-6; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return ticks;
};
const tickText = (tick) => String(Math.abs(tick) >= 1000 ? whole(tick) : Number(tick.toPrecision(6))).replace("-", "−");

const estimatesBlock = (block) => {
  const rows = block.rows.filter((row) => row[1] !== null);
  if (!rows.length) return h("p", { class: "soft" }, "nothing to show");
  const ends = rows.flatMap((row) => row.slice(1)).concat(block.reference ?? []).filter((value) => value !== null);
  let low = Math.min(...ends), high = Math.max(...ends);
  if (low >= 0 && high <= 1) { low = 0; high = 1; }
  const pad = (high - low) * 0.04 || 0.5;
  if (!(low === 0 && high === 1)) { low -= pad; high += pad; }
  const x = (value) => (100 * (value - low)) / (high - low) + "%";
  const dot = ([name, value, from, to]) => h("li", null, h("span", { class: "text" }, shortly(name)),
    h("span", { class: "track", "aria-hidden": "true" }, block.reference === null ? null : h("i", { class: "reference", vars: { x: x(block.reference) } }),
      from === null ? null : h("i", { class: "whisker", vars: { x: x(from), w: (100 * (to - from)) / (high - low) + "%" } }), h("i", { class: "dot", vars: { x: x(value) } })),
    h("span", { class: "n" }, any(value), from === null ? null : h("span", { class: "soft" }, ` ${any(from)} to ${any(to)}`)));
  return [
    h("ul", { class: "estimates" }, rows.map(dot)),
    h("div", { class: "estimates-axis", "aria-hidden": "true" }, h("ul", { class: "axis" }, niceTicks(low, high).map((tick) => tickAt(parseFloat(x(tick)), tickText(tick)))), h("span", { class: "soft" }, block.unit)),
    saveDrawing(block.title, () => estimatesSvg(block.title, block.unit, rows, low, high, block.reference)),
  ];
};

const DASHES = ["", "6 3", "2 3", "8 3 2 3", "12 4", "4 6", "1 3", "10 2 2 2 2 2"];
const curvesBlock = (block) => {
  const curves = block.curves.filter(([, , y]) => y.some((value) => value !== null));
  if (!curves.length) return h("p", { class: "soft" }, "nothing to show");
  const xs = curves.flatMap(([, x]) => x), ys = curves.flatMap(([, , y]) => y.filter((value) => value !== null));
  const bounds = (values) => { const low = Math.min(...values), high = Math.max(...values); return low === high ? [low - 0.5, high + 0.5] : [low, high]; };
  const [x0, x1] = bounds(xs);
  let [y0, y1] = bounds(ys);
  if (y0 >= 0 && y1 <= 1) { y0 = 0; y1 = 1; }
  const px = (x) => (600 * (x - x0)) / (x1 - x0), py = (y) => 240 - (240 * (y - y0)) / (y1 - y0);
  const path = ([, x, y]) => x.map((at, i) => (y[i] === null ? "" : `${i && y[i - 1] !== null ? "L" : "M"}${px(at).toFixed(1)} ${py(y[i]).toFixed(1)}`)).join("");
  const pick = (k) => ({ class: "curve c" + (k % 8), "stroke-dasharray": DASHES[Math.floor(k / 8) % 8] || (k % 2 ? "7 3" : null) });
  return [
    h("ul", { class: "legend", "aria-hidden": "true" }, curves.map(([name], k) => h("li", null, s("svg", { class: "sample", viewBox: "0 0 24 8" }, s("path", { ...pick(k), d: "M0 4h24" })), shortly(name)))),
    h("div", { class: "curves", role: "img", "aria-label": `${block.title}: ${block.y} over ${block.x}; the numbers follow as a table` },
      h("ul", { class: "marks", "aria-hidden": "true" }, niceTicks(y0, y1).map((tick) => h("li", { vars: { y: 100 - (100 * (tick - y0)) / (y1 - y0) + "%" } }, tickText(tick)))),
      s("svg", { viewBox: "0 0 600 240", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, niceTicks(y0, y1).map((tick) => s("path", { class: "grid", d: `M0 ${py(tick)}h600` })), curves.map((curve, k) => s("path", { ...pick(k), d: path(curve) }))),
      h("ul", { class: "axis", "aria-hidden": "true" }, niceTicks(x0, x1).map((tick) => tickAt((100 * (tick - x0)) / (x1 - x0), tickText(tick))))),
    h("p", { class: "caption" }, `${block.y}, over ${block.x}`),
    saveDrawing(block.title, () => curvesSvg(block.title, block.x, block.y, curves, { px, py, xs: niceTicks(x0, x1), ys: niceTicks(y0, y1), path })),
  ];
};
// signals with one transport: a model's at a time, each with its spectrum
const soundsBlock = (block, onplayer) => {
  const { signals } = block, owners = [...new Set(signals.map((signal) => signal.model))];
  let chosen = Math.max(0, signals.findIndex((_, i) => block.sounds[i])), owner = signals[chosen].model;
  const names = Object.fromEntries(signals.map((signal, i) => [i, `${signal.name}, ${study.models[signal.model].name}`]));
  const player = makePlayer(block.sounds, String(chosen), Math.max(...signals.map((signal) => signal.seconds)), names, () => {});
  onplayer(player);
  const [told, tell] = slot("p", { class: "caption text", "aria-live": "polite" }, () => {
    const { name, hertz: intervals, intervals: count, seconds } = signals[chosen];
    return [`${name}: ${clock(seconds)}. `, intervals === null ? "" : count ? `Made of ${intervalsText(intervals, count)}.` : "Made of nothing: all of its signals are silence."];
  });
  const select = (i) => { chosen = i; player.choose(String(i)); tell(); };
  const row = (signal, i) => h("label", { class: "sound" },
    h("input", { type: "radio", name: "sound", value: i, checked: i === chosen, onchange: () => select(i) }),
    h("span", { class: "text" }, signal.name, h("span", { class: "facts" }, signal.facts, signal.levels === null ? "; silence" : block.sounds[i] ? "" : "; not in this file")),
    drawing("lane", 40, signal.levels === null ? null : s("path", { class: "lit sufficient", d: outline(decode(signal.levels, "u1"), 40) })));
  const [list, draw] = slot("fieldset", { class: "sounds" }, () => [h("legend", { class: "hidden" }, `${block.title}: ${study.models[owner].name}`), signals.map((signal, i) => (signal.model === owner ? row(signal, i) : null))]);
  const tabs = h("div", { class: "choices models", role: "group", "aria-label": "Whose" }, owners.map((model) => h("button", { type: "button", "aria-pressed": String(model === owner), onclick: (event) => {
    owner = model;
    for (const tab of tabs.children) tab.setAttribute("aria-pressed", String(tab === event.currentTarget));
    const first = signals.findIndex((signal, i) => signal.model === owner && block.sounds[i]);
    select(first < 0 ? signals.findIndex((signal) => signal.model === owner) : first);
    draw();
  } }, nameOf(study.models[model]))));
  draw();
  tell();
  return [tabs, player.box, list, h("div", { class: "sounds-axis" }, axisOf(block.nyquist)), told];
};
const curveRows = (block) => block.curves.flatMap(([name, x, y]) => x.map((at, i) => [name, at, y[i]]));
const blockNodes = (block, onplayer) => h("section", { class: "block" }, h("h2", null, block.title),
  block.kind === "table" ? tableBlock(block)
  : block.kind === "sounds" ? soundsBlock(block, onplayer)
  : block.kind === "estimates" ? [estimatesBlock(block), asTable({ title: block.title, columns: ["", "value", "from", "to"], rows: block.rows })]
  : [curvesBlock(block), asTable({ title: block.title, columns: ["", block.x, block.y], rows: curveRows(block) })],
  block.note ? h("p", { class: "caption" }, block.note) : null);
