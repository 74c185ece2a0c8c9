// What a clip's sets sound like through harmless changes, and how the answer returns as more of the clip is kept.
const evidenceBox = (full, source, hear, show) => {
  let set = null;
  const [changes, redraw] = slot("div", { class: "changes" }, () => {
    const there = set ? Object.entries(full.changes).filter(([name]) => full.sounds[`${set.name}-${name}`]) : [];
    if (!there.length) return null;
    const choose = (name, text, on) => h("button", { type: "button", "aria-pressed": String(on), onclick: (event) => {
      hear(name);
      for (const button of event.currentTarget.parentNode.children) button.setAttribute("aria-pressed", String(button === event.currentTarget));
    } }, text);
    return [h("p", { class: "soft" }, "Hear it"), h("div", { class: "choices", role: "group", "aria-label": "Through a harmless change" }, choose(set.name, "as it is", true), there.map(([name, text]) => choose(`${set.name}-${name}`, text, false)))];
  });
  const found = full.nested?.curves[source];
  const curve = found ? curveOf(full, source, found, hear, show) : null;
  redraw();
  return { changes, curve, follow: (signal) => { set = signal; redraw(); } };
};

const curveOf = (full, source, { levels, size, judges }, hear, show) => {
  const models = study.models, below = levels.map((_, k) => k).filter((k) => levels[k] < 1);
  const line = (name, values) => [name, below.map((k) => levels[k]), below.map((k) => values[k])];
  const lines = models.map((model, j) => (judges[j] ? line(model.name, judges[j].probability) : null)).filter(Boolean);
  if (full.nested.random[source]) lines.push(line(`${models[source].name}, random sets`, full.nested.random[source]));
  const block = { title: "As more of it is kept", x: `share of the recording’s energy, the ${study.unit}s that ${models[source].name} finds most telling first`, y: "probability of each model’s own answer", curves: lines };
  let at = Math.min(3, below.length - 1);
  const [told, tell] = slot("p", { class: "text", "aria-live": "polite" }, () => {
    const k = below[at], name = `nested-${source}-${k}`, level = `${percent(levels[k])} of the energy, ${whole(size[k])} ${study.unit}${size[k] === 1 ? "" : "s"}: `;
    const said = models.map((model, j) => (judges[j] ? `${model.name} ${judges[j].accepted[k] ? "says what it says to the recording" : "says something else"} (${share(judges[j].probability[k])})` : null)).filter(Boolean).join("; ");
    return [level, said, ".", full.nested.heard && !full.sounds[name] ? " Too quiet to be heard." : ""];
  });
  const play = () => {
    const name = `nested-${source}-${below[at]}`;
    if (full.sounds[name]) hear(name);
    if (full.sets[name]) show(full.sets[name], "nested");
  };
  const slider = h("input", { type: "range", id: "kept", min: 0, max: below.length - 1, step: 1, value: at, "aria-label": "Share of the energy that is kept", oninput: () => {
    at = Number(slider.value);
    slider.setAttribute("aria-valuetext", percent(levels[below[at]]));
    tell(); play();
  } });
  slider.setAttribute("aria-valuetext", percent(levels[below[at]]));
  tell();
  return h("section", { class: "block nested" }, h("h2", null, block.title), curvesBlock(block),
    h("p", { class: "field" }, h("span", null, "Keep"), slider), told,
    full.nested.heard ? h("p", { class: "caption" }, "Moving the slider chooses that part for the player above, and lights it in the spectrogram.") : null,
    asTable({ title: block.title, columns: ["", "energy", "probability"], rows: curveRows(block) }));
};
