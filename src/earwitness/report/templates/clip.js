// One clip: what one model listened to in it, heard, seen, and judged by all.
const distributionBars = (raw, judge, claimed) => {
  const n = study.labels.length, all = decode(raw, "u2");
  const row = Array.from({ length: n }, (_, k) => [k, all[judge * n + k]]);
  if (row[0][1] === NONE) return h("p", { class: "soft" }, "no answer");
  row.sort((a, b) => b[1] - a[1]);
  const shown = row.slice(0, 5);
  if (claimed >= 0 && !shown.some(([k]) => k === claimed)) shown.push(row.find(([k]) => k === claimed));
  const rest = row.filter(([k]) => !shown.some(([seen]) => seen === k)).reduce((sum, [, v]) => sum + v, 0);
  const bar = (name, value, own) => h("li", { class: own ? "claimed" : null, vars: { p: (100 * value) / 65534 + "%" } }, h("span", { class: "text" }, name), h("span", { class: "n" }, share(value / 65534)));
  return h("ol", { class: "bars" }, shown.map(([k, value]) => bar(study.labels[k], value, k === claimed)), n > shown.length ? bar(`${n - shown.length} others`, rest, false) : null);
};

// what a model says to a signal: whether it accepts it, its answer, the probability of the label the signal was made for
const verdictParts = (signals, at, judge) => {
  const cell = at * study.models.length + judge, state = stateOf(signals, at, judge, study.epsilon);
  return [mark(state), h("span", { class: "hidden" }, STATES[state] + ": "), h("span", null, study.labels[signals.answer[cell]]), h("span", { class: "soft" }, " " + share(signals.probability[cell] / 65535))];
};
const survivalText = (signals, at) => (signals.held[at] === NONE ? "" : `${whole(signals.held[at])} of ${whole(study.drawn)} harmless changes`);

const clipView = async ({ argument, query }) => {
  const row = study.place.get(Number(argument));
  if (row === undefined) return { title: "No such clip", nodes: [h("h1", null, "No such clip"), h("p", null, "The study has no clip ", argument, ". ", h("a", { href: "#/clips" }, "All clips"), ".")] };
  const clips = study.clips, models = study.models, n = models.length;
  const own = await loadKind("original");
  const said = new Map(rowsOf(own, row).map((at) => [own.source[at], at]));
  const sets = study.kinds.filter((kind) => kind !== "original");
  const here = Object.fromEntries((await Promise.all(sets.map(loadKind))).map((signals) => [signals.kind, { signals, rows: rowsOf(signals, row) }]));
  const full = study.inFull.has(row) ? await loadClip(clips.id[row]) : null;
  const asked = Math.max(0, placeOfModel(query.get("model")));
  const seconds = clips.seconds[row];

  // the signals of one model, in order: the recording, its sets
  const signalsOf = (source) => {
    const found = [{ name: "original", kind: "original", title: "original", signals: own, at: said.get(source) }];
    for (const kind of SETS) {
      for (const at of here[kind]?.rows ?? []) {
        const { signals } = here[kind];
        if (signals.source[at] !== source) continue;
        found.push({ name: signals.size[at] < 0 ? kind + signals.draw[at] : String(signals.subset[at]), kind, title: kindName(kind) + (signals.draw[at] ? " " + (signals.draw[at] + 1) : ""), signals, at });
      }
    }
    return found;
  };

  const reading = (source) => {
    const model = models[source], listed = signalsOf(source), at = said.get(source);
    const there = listed.filter((signal) => signal.kind === "original" || signal.signals.size[signal.at] >= 0);
    const first = Object.fromEntries(there.slice().reverse().map((signal) => [signal.kind, signal.name]));
    const nodes = [];
    if (at !== undefined && own.size[at] < 0) nodes.push(h("p", { class: "notice text" }, "Not explained: ", own.why(at)));
    else if (at !== undefined && own.why(at)) nodes.push(h("p", { class: "soft text" }, own.why(at)));
    const names = Object.fromEntries(listed.map((signal) => [signal.name, `${signal.title}, ${model.name}, ${clips.name[row]}`]));

    // what the models say to the chosen signal, and its facts
    let chosen = there.find((signal) => signal.kind === query.get("signal") && (signal.kind === "original" || signal.signals.draw[signal.at] === Number(query.get("draw") ?? 0))) ?? there[0];
    const [told, tell] = slot("div", { class: "told" }, () => {
      const { signals, at: place, kind } = chosen, claimed = signals.label[place];
      const spread = full?.distributions[kind === "original" ? "original" : chosen.name];
      return h("ul", { class: "judges", "aria-label": `What the models say to the ${chosen.title} signal` }, models.map((judge, j) => {
        const status = kind === "original" ? "original" : stateOf(signals, place, j, study.epsilon), cell = place * n + j;
        return h("li", { class: status + (j === source ? " own" : "") },
          h("p", { class: "judge" }, nameOf(judge), kind === "original" ? null : [" ", mark(status), h("span", { class: "soft" }, STATES[status] ?? "not judged")]),
          spread ? distributionBars(spread, j, claimed)
          : signals.answer[cell] === NONE ? h("p", { class: "soft" }, "no answer")
          : h("p", { class: "text" }, h("strong", null, study.labels[signals.answer[cell]]), kind === "original" ? "" : `; ${study.labels[claimed]} ${share(signals.probability[cell] / 65535)}`));
      }));
    });

    let player = null, image = null, evidence = null;
    const select = (signal) => {
      chosen = signal;
      player?.choose(signal.name);
      evidence?.follow(signal);
      image?.show(signal.kind === "original" ? null : full.sets[signal.name], signal.title);
      for (const cell of table.querySelectorAll("[data-column]")) cell.classList.toggle("chosen", cell.dataset.column === signal.name);
      noteAddress(clipAddress(row, { model: modelName(model), signal: signal.kind === "original" ? "" : signal.kind, draw: signal.kind === "original" ? "" : signal.signals.draw[signal.at] || "" }));
      tell();
    };
    const choices = h("fieldset", { class: "signals" }, h("legend", { class: "hidden" }, "Signal"), there.map((signal, i) =>
      h("label", { class: signal.kind }, h("input", { type: "radio", name: "signal", value: signal.name, "data-kind": signal.kind, checked: signal === chosen, onchange: () => select(signal) }), h("span", null, signal.title, i < 9 ? h("kbd", { "aria-hidden": "true" }, i + 1) : null))));
    if (full && !full.trouble) {
      image = spectrogramFigure(full, seconds, (to) => player.seek(to), clips.name[row]);
      for (const name of Object.keys(full.sounds)) names[name] ??= `${name}, ${clips.name[row]}`;
      player = makePlayer(full.sounds, "original", seconds, names, (part) => image.move(part));
      evidence = evidenceBox(full, source, (name) => player.choose(name), (set, title) => image.show(set, title));
    }
    const table = verdicts(listed, source);
    nodes.push(choices);
    if (player) {
      nodes.push(player.box, evidence.changes, image.node, evidence.curve,
        spectrumFigure(full, first, full.responsibility[source], `Spectrum of ${clips.name[row]} with the parts that ${model.name} needs`),
        keptTable(full, first, study.unit));
    } else nodes.push(missing());
    nodes.push(h("h2", null, "What the models say to it"), told, h("h2", null, "All signals"), table);
    select(chosen);
    return { nodes, player, keys: (key) => {
      const signal = there[Number(key) - 1];
      if (!signal) return false;
      const input = [...choices.querySelectorAll("input")][Number(key) - 1];
      input.checked = true; input.focus(); select(signal);
      return true;
    } };
  };

  const missing = () => h("div", { class: "notice" },
    full ? h("p", null, full.trouble[0].toUpperCase() + full.trouble.slice(1) + ". The numbers are those of the study.")
    : [h("p", null, "Spectrogram, spectrum and sounds of this clip were not made. They are with:"),
       h("pre", { tabindex: 0 }, h("code", null, `${study.command} --clip ${clips.id[row]}`))]);

  const verdicts = (listed, source) => {
    const chance = Object.entries(here).filter(([kind]) => !kind.includes("_of_") && !SETS.includes(kind))
      .map(([kind, { signals, rows }]) => [kind, signals, rows.filter((at) => signals.source[at] === source)]).filter(([, , rows]) => rows.length);
    const fact = (name, make) => h("tr", null, h("th", { scope: "row", class: "soft" }, name), listed.map((signal) => h("td", { "data-column": signal.name }, signal.kind === "original" || signal.signals.size[signal.at] < 0 ? "" : make(signal.signals, signal.at))), chance.map(() => h("td")));
    const verdict = (judge, j) => h("tr", null, h("th", { scope: "row" }, nameOf(judge)),
      listed.map((signal) => {
        const { signals, at } = signal;
        if (at === undefined || (signal.kind !== "original" && signals.size[at] < 0)) return h("td", { "data-column": signal.name }, "–");
        const cell = at * n + j, state = stateOf(signals, at, j, study.epsilon);
        if (signals.answer[cell] === NONE) return h("td", { "data-column": signal.name }, "–");
        const original = signal.kind === "original";
        return h("td", { class: "text " + (original ? "" : state), "data-column": signal.name }, original ? h("span", null, study.labels[signals.answer[cell]]) : verdictParts(signals, at, j));
      }),
      chance.map(([, signals, rows]) => {
        const asked = rows.filter((at) => signals.answer[at * n + j] !== NONE);
        return h("td", null, `${asked.filter((at) => signals.answer[at * n + j] === signals.label[at]).length} of ${asked.length} accepted`);
      }));
    const remark = ({ kind, signals, at }) => {
      const why = kind === "original" ? "" : signals.why(at);
      return signals.size[at] < 0 && kind !== "original" ? "none: " + why : signals.certificate(at).includes(why) ? "" : why;
    };
    const of = own.size[said.get(source)];
    return h("div", null, tableOf("All signals and what the models say", [h("td"), listed.map((signal) => h("th", { scope: "col", "data-column": signal.name }, signal.title)), chance.map(([kind]) => h("th", { scope: "col" }, kindName(kind)))].flat(), [
      models.map(verdict),
      fact(study.unit + "s kept", (signals, at) => `${whole(signals.size[at])} of ${whole(of)}`),
      fact("energy kept", (signals, at) => percent(signals.energy[at])),
      study.drawn ? fact("survives", survivalText) : null,
      fact("minimal up to", (signals, at) => signals.certificate(at)),
      fact("questions", (signals, at) => whole(signals.queries[at])),
      listed.some((signal) => remark(signal)) ? h("tr", null, h("th", { scope: "row", class: "soft" }, "remarks"), listed.map((signal) => h("td", { class: "text", "data-column": signal.name }, remark(signal))), chance.map(() => h("td"))) : null,
      listed.some((signal) => signal.signals.size[signal.at] === 0) ? h("tr", null, h("th", { scope: "row", class: "soft" }, "finding"), listed.map((signal) => h("td", { "data-column": signal.name }, signal.kind !== "original" && signal.signals.size[signal.at] === 0 ? (study.settings.occlusion === "zero" ? "Silence suffices" : "The occlusion alone suffices") : "")), chance.map(() => h("td"))) : null,
    ], { class: "plain verdict-table" }), h("p", { class: "caption" }, h("span", { class: "legend inline" }, Object.entries(STATES).map(([state, text]) => h("span", null, mark(state), text)))),
      h("p", { class: "caption" }, "The number is the probability of the label that the signal was made for."));
  };

  let shown = null;
  const [body, redraw] = slot("div", { class: "reading" }, () => { shown?.player?.stop(); shown = other >= 0 ? besideBody({ row, full, own, said, seconds, signalsOf, missing }, [source, other], query.get("signal"), compare) : reading(source); return shown.nodes; });
  let source = asked, other = placeOfModel(query.get("beside"));
  if (other === asked) other = -1;
  // the kind of set that is compared, and with whom
  const compare = (kind) => {
    query.set("signal", kind ?? "");
    noteAddress(clipAddress(row, { model: modelName(models[source]), beside: other < 0 ? "" : modelName(models[other]), signal: kind ?? "" }));
    return redraw();
  };
  const tabs = h("div", { class: "choices models", role: "group", "aria-label": "Whose signals" }, models.map((model, i) => h("button", {
    type: "button", "aria-pressed": String(i === source), onclick: (event) => {
      source = i;
      if (other === i) other = -1;
      for (const tab of tabs.children) tab.setAttribute("aria-pressed", String(tab === event.currentTarget));
      offer();
      compare(other < 0 ? "" : query.get("signal"));
    },
  }, nameOf(model), said.has(i) ? h("span", { class: "hears text" }, "hears " + study.labels[own.label[said.get(i)]]) : null)));
  const [others, offer] = slot("select", { id: "beside", onchange: (event) => { other = Number(event.target.value); compare(""); } }, () =>
    [h("option", { value: -1 }, "nobody"), models.map((model, i) => (i === source ? null : h("option", { value: i, selected: i === other }, `${model.key} ${model.name}`)))]);
  const beside = models.length > 1 ? h("p", null, h("label", { class: "field" }, h("span", null, "Beside"), others)) : null;
  const meta = [clips.truth(row) && `labelled ${clips.truth(row)}`, `${seconds.toFixed(2)} s at ${whole(clips.rate[row])} Hz`, clips.fitted(row), clips.dataset(row), clips.group(row), `clip ${clips.id[row]}`].filter(Boolean).join(" · ");
  const go = (to, text, key) => h("a", { href: to >= 0 && to < clips.id.length ? clipAddress(to, { model: modelName(models[source]) }) : null, "aria-disabled": to < 0 || to >= clips.id.length, "data-key": key }, text);
  await offer();
  await redraw();
  return {
    title: clips.name[row],
    nodes: [
      h("nav", { class: "crumbs", "aria-label": "Clips" }, h("a", { href: "#/clips" }, "All clips"), go(row - 1, "Previous", "k"), go(row + 1, "Next", "j")),
      h("h1", { class: "clip-name text" }, clips.name[row]),
      h("p", { class: "soft text meta" }, meta, h("br"), clips.folder(row)),
      tabs, beside, body,
      h("p", { class: "caption keys" }, "Keys: space plays and pauses, 1 to 9 choose a signal, j and k go to the next and the previous clip."),
    ],
    leave: () => shown?.player?.stop(),
    keys: (key) => {
      if (key === " " && shown.player) { shown.player.toggle(); return true; }
      if (key === "j" || key === "k") { const to = row + (key === "j" ? 1 : -1); if (to >= 0 && to < clips.id.length) location.hash = clipAddress(to, { model: modelName(models[source]) }); return true; }
      return /^[1-9]$/.test(key) && shown.keys(key);
    },
  };
};
