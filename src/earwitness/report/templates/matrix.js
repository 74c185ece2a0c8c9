// The transfer matrix: counted here from the signals, so that class, ε and measure can be changed.
const MEASURES = { alpha: "accepted (α)", beta: "certain (β)", joint: "both" };
const MEASURE_TEXT = {
  alpha: "The cell is α: the share of the row’s signals that get the label they were made for from the column’s model.",
  beta: "The cell is β: the share of the row’s signals that the column’s model answers with certainty, whatever it says.",
  joint: "The cell is the share of the row’s signals that the column’s model accepts, and with certainty.",
};
const isHit = (signals, at, row, measure, limit) =>
  (measure === "beta" || signals.answer[at] === signals.label[row]) && (measure === "alpha" || signals.step[at] <= limit);

// wanted: {label: index or -1, empty: count empty sets too}
const wants = (signals, row, wanted) => (wanted.label < 0 || signals.label[row] === wanted.label) && (wanted.empty || signals.size[row] !== 0);
const count = (signals, measure, epsilon, wanted) => {
  const models = study.models.length, limit = Math.round(epsilon * 1000);
  const hits = new Float64Array(models * models), of = new Float64Array(models * models);
  for (let row = 0; row < signals.count; row++) {
    if (!wants(signals, row, wanted)) continue;
    for (let judge = 0; judge < models; judge++) {
      const at = row * models + judge, cell = signals.source[row] * models + judge;
      if (signals.answer[at] === NONE) continue;
      of[cell]++;
      if (isHit(signals, at, row, measure, limit)) hits[cell]++;
    }
  }
  return { hits, of, share: Array.from(hits, (hit, cell) => (of[cell] ? hit / of[cell] : null)) };
};
const meanOf = (values) => {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
};
// Wilson's interval, 95 %
const wilson = (hits, of) => {
  const z = 1.959964, p = hits / of, d = 1 + z * z / of;
  const middle = (p + z * z / (2 * of)) / d, half = (z / d) * Math.sqrt(p * (1 - p) / of + z * z / (4 * of * of));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
};
const heat = (value, difference) => {
  if (value === null) return "none";
  if (!difference) return "q" + Math.round(Math.min(1, Math.max(0, value)) * 10);
  const step = Math.round(Math.min(1, Math.abs(value)) * 5);
  return step === 0 ? "d0" : (value < 0 ? "m" : "d") + step;
};

const matrixTable = (title, note, values, tell, difference, picked, pick) => {
  const models = study.models, n = models.length;
  const show = difference ? signed : share;
  const off = (get) => meanOf(models.map((_, k) => get(k)));
  const cell = (i, j) => {
    const value = values[i * n + j], name = tell(i, j);
    const attributes = { class: heat(value, difference) + (i === j ? " own" : "") };
    if (value === null) return h("td", attributes, h("span", { class: "hidden" }, "none"), h("span", { "aria-hidden": "true" }, "–"));
    return h("td", attributes, h("button", {
      type: "button", title: name, "aria-label": name, "aria-pressed": String(picked === i + "-" + j),
      "data-cell": i + "-" + j, "data-value": value, onclick: () => pick(i, j),
    }, show(value)));
  };
  const mean = (value) => h("td", { class: "mean" }, show(value));
  return [h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title },
    h("table", { class: "matrix" },
      h("caption", null, h("strong", null, title), note),
      h("thead", null, h("tr", null, h("td"), models.map((m) => h("th", { scope: "col", title: m.spec }, keyOf(m), h("span", { class: "hidden" }, " " + m.name))), h("th", { scope: "col", class: "soft" }, "mean"))),
      h("tbody", null, models.map((m, i) => h("tr", null, h("th", { scope: "row" }, nameOf(m)), models.map((_, j) => cell(i, j)), mean(off((j) => (j === i ? null : values[i * n + j])))))),
      h("tfoot", null, h("tr", null, h("th", { scope: "row", class: "soft" }, "mean"), models.map((_, j) => mean(off((i) => (i === j ? null : values[i * n + j])))), h("td", { class: "mean all" }, show(meanOf(values.filter((_, k) => k % (n + 1))))))))),
    h("p", { class: "saves" }, saveTable(title, () => [["source", ...models.map((m) => m.spec)], ...models.map((m, i) => [m.spec, ...models.map((_, j) => values[i * n + j])])]), saveDrawing(title, () => matrixSvg(title, models, values, difference)))];
};

// a cell of the matrix as an address names it, and back: "0-1" where there is such a pair
const cellName = (cell) => (cell ? cell.split("-").map((place) => modelName(study.models[place])).join("~") : "");
const cellOf = (text) => {
  const places = text.includes("~") ? text.split("~").map(placeOfModel) : text.split("-").map((part) => (/^\d+$/.test(part) ? Number(part) : -1));
  return places.length === 2 && places.every((place) => study.models[place]) ? places.join("-") : "";
};

const transferView = async ({ query }) => {
  const kindsHere = study.kinds.filter((kind) => kind !== "inverse");
  const state = {
    kind: kindsHere.includes(query.get("kind")) ? query.get("kind") : kindsHere[0],
    minus: kindsHere.includes(query.get("minus")) ? query.get("minus") : "",
    measure: query.get("measure") in MEASURES ? query.get("measure") : "alpha",
    label: query.has("class") ? study.labels.indexOf(query.get("class")) : -1,
    epsilon: Number(query.get("eps")) > 0 && Number(query.get("eps")) <= 1 ? Number(query.get("eps")) : study.epsilon,
    empty: query.get("empty") !== "without",
    cell: cellOf(query.get("cell") ?? ""),
    show: ["accepted", "rejected"].includes(query.get("show")) ? query.get("show") : "all",
    page: 0,
  };
  const note = () => noteAddress(address("transfer", "", {
    kind: state.kind, minus: state.minus, measure: state.measure === "alpha" ? "" : state.measure,
    class: state.label < 0 ? "" : study.labels[state.label], eps: state.epsilon === study.epsilon ? "" : state.epsilon,
    empty: state.empty ? "" : "without", cell: cellName(state.cell), show: state.show === "all" ? "" : state.show,
  }));
  const byConstruction = () => ["robust", "robust_complete", "sufficient", "complete", "one_complete", "original"].includes(state.kind) && !state.minus && state.measure === "alpha";
  const wanted = () => ({ label: state.label, empty: state.empty });

  const draw = async () => {
    const mine = await loadKind(state.kind), found = count(mine, state.measure, state.epsilon, wanted());
    const other = state.minus && state.minus !== state.kind ? count(await loadKind(state.minus), state.measure, state.epsilon, wanted()) : null;
    const n = study.models.length;
    const values = other ? found.share.map((value, k) => (value === null || other.share[k] === null ? null : value - other.share[k])) : found.share;
    const unit = state.kind === "original" ? "clip" : "signal";
    const construction = byConstruction();
    const tell = (i, j) => {
      const k = i * n + j, a = study.models[i], b = study.models[j];
      const start = `${a.name} judged by ${b.name}: `;
      if (other) return `${start}${signed(values[k])}, ${share(found.share[k])} minus ${share(other.share[k])}`;
      return `${start}${share(values[k])}, ${whole(found.hits[k])} of ${plural(found.of[k], unit)}${i === j && construction ? "; is 1 by construction" : ""}`;
    };
    const title = kindName(state.kind) + (other ? " minus " + kindName(state.minus) : "");
    const text = other ? "The difference of the two rates." : kindText[state.kind.split("_of_")[0]] ?? "";
    return matrixTable(title[0].toUpperCase() + title.slice(1), text, values, tell, other !== null, state.cell, (i, j) => {
      state.cell = i + "-" + j; state.page = 0; note(); refresh(); list().then(() => { $("behind")?.focus(); });
    });
  };

  const behind = async () => {
    if (!state.cell) return h("p", { class: "soft" }, "Choose a cell for the clips behind it.");
    const [i, j] = state.cell.split("-").map(Number), n = study.models.length;
    if (i >= n || j >= n) return null;
    const signals = await loadKind(state.kind), limit = Math.round(state.epsilon * 1000);
    const rows = [];
    let hits = 0, of = 0;
    for (let row = 0; row < signals.count; row++) {
      const at = row * n + j;
      if (signals.source[row] !== i || signals.answer[at] === NONE || !wants(signals, row, wanted())) continue;
      const hit = isHit(signals, at, row, state.measure, limit);
      of++;
      hits += hit ? 1 : 0;
      if (state.show === "all" || (state.show === "accepted") === hit) rows.push(row);
    }
    const page = rows.slice(state.page * 25, state.page * 25 + 25);
    const [low, high] = of ? wilson(hits, of) : [null, null];
    const a = study.models[i], b = study.models[j], hitName = state.measure === "beta" ? "certain" : "accepted";
    const choose = (value, text) => h("button", { type: "button", "aria-pressed": String(state.show === value), onclick: () => { state.show = value; state.page = 0; note(); list(); } }, text);
    return [
      h("h2", { id: "behind", tabindex: -1 }, a.name, " → ", b.name),
      h("p", null, state.kind === "original"
        ? `${b.name} says what ${a.name} says to ${whole(hits)} of ${plural(of, "recording")}.`
        : `${whole(hits)} of ${whole(of)} ${kindName(state.kind)} signals made for ${a.name} ${hits === 1 ? "is" : "are"} ${hitName} by ${b.name}`
          + (of ? `: ${percent(hits / of)}, 95 % interval ${percent(low)} to ${percent(high)} (Wilson, signals taken as independent).` : ".")),
      h("div", { class: "choices", role: "group", "aria-label": "Which clips" }, choose("all", "All " + whole(of)), choose("accepted", `${hitName[0].toUpperCase() + hitName.slice(1)} ${whole(hits)}`), choose("rejected", `Not ${hitName} ${whole(of - hits)}`)),
      tableOf("Clips behind the cell", ["clip", `${a.name} says`, `${b.name} says`, "verdict", h("th", { scope: "col", class: "n" }, "probability"), h("th", { scope: "col", class: "n" }, study.unit + "s kept")],
        page.map((row) => {
          const at = row * n + j, status = stateOf(signals, row, j, state.epsilon);
          return h("tr", { "data-clip": study.clips.id[signals.clip[row]] },
            h("th", { scope: "row", class: "text" }, h("a", { href: clipAddress(signals.clip[row], { model: modelName(a), signal: state.kind, draw: signals.draw[row] || "" }) }, study.clips.name[signals.clip[row]]), signals.draw[row] ? ` (set ${signals.draw[row] + 1})` : ""),
            h("td", { class: "text" }, study.labels[signals.label[row]]), h("td", { class: "text" }, study.labels[signals.answer[at]]),
            h("td", { class: "verdict" }, mark(status), h("span", null, STATES[status])),
            h("td", { class: "n" }, state.kind === "original" ? "" : share(signals.probability[at] / 65535)),
            h("td", { class: "n" }, state.kind === "original" || signals.size[row] < 0 ? "" : whole(signals.size[row])));
        }), { id: "behind-table" }),
      pager(rows.length, state.page, 25, (to) => { state.page = to; list(); }, "Pages of clips"),
    ];
  };

  const [matrix, refresh] = slot("div", { class: "matrix-box" }, draw);
  const [clips, list] = slot("section", { class: "behind", "aria-label": "The chosen cell" }, behind);
  const change = (set) => async (event) => { set(event.target); note(); state.page = 0; await refresh(); await retell(); await list(); };
  const options = (pairs, chosen) => pairs.map(([value, text]) => h("option", { value, selected: value === chosen }, text));
  const slider = h("input", { type: "range", id: "epsilon", min: 0.01, max: 1, step: 0.01, value: state.epsilon });
  const level = h("output", { for: "epsilon" }, state.epsilon.toFixed(2));
  slider.addEventListener("input", change((target) => { state.epsilon = Number(target.value); level.textContent = state.epsilon.toFixed(2); }));
  const field = (label, control) => h("label", { class: "field" }, h("span", null, label), control);
  const [measureText, retell] = slot("p", null, () => MEASURE_TEXT[state.measure] + (byConstruction() ? " A model on its own signals is 1 by construction." : ""));
  const view = [
    h("h1", null, "Transfer"),
    study.models.length < 2 ? h("p", null, "There is one model, and so nobody else to convince. Add a second to the study to see what transfers.") : null,
    h("p", null, "A row is the model that a signal was made for; a column is the model that judges it. Means leave the diagonal (outlined) out."),
    measureText,
    h("form", { class: "controls", onsubmit: (event) => event.preventDefault() },
      field("Signals", h("select", { id: "kind", onchange: change((t) => { state.kind = t.value; }) }, options(kindsHere.map((kind) => [kind, kindName(kind)]), state.kind))),
      field("minus", h("select", { id: "minus", onchange: change((t) => { state.minus = t.value; }) }, options([["", "nothing"], ...kindsHere.map((kind) => [kind, kindName(kind)])], state.minus))),
      field("Share that is", h("select", { id: "measure", onchange: change((t) => { state.measure = t.value; }) }, options(Object.entries(MEASURES), state.measure))),
      field("Class", h("select", { id: "class", onchange: change((t) => { state.label = Number(t.value); }) }, options([["-1", "all"], ...study.labels.map((label, k) => [String(k), label])], String(state.label)))),
      field("Certain below ε", h("span", { class: "range" }, slider, level)),
      h("label", { class: "check" }, h("input", { type: "checkbox", id: "empty", checked: state.empty, onchange: change((t) => { state.empty = t.checked; }) }), "count empty sets")),
    h("p", { class: "caption" }, `Certain: the entropy of the answer is below ε · log₂ ${study.labels.length}. It moves β and “both”; α does not depend on ε.`),
    matrix, clips,
  ];
  await refresh(); await retell(); await list();
  return { title: "Transfer", nodes: view };
};
