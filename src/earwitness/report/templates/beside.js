// Two models on one clip, side by side: what each needs, heard one after the other, and what both need.
const overlapLane = (traces) => {
  const both = traces[0].share.map((share, x) => Math.min(share, traces[1].share[x]));
  return h("div", { class: "with-lanes both" }, h("div", { class: "lane-row" }, h("span", { class: "lane-name" }, "both"), drawing("strip both", 8, lane(both))));
};

// clip: {row, full, own, said, seconds, signalsOf, missing}; pair: the places of two models
const besideBody = (clip, pair, asked, choose) => {
  const models = study.models, n = models.length, { row, full, own, said } = clip, name = study.clips.name[row];
  const listed = pair.map((source) => clip.signalsOf(source).filter((signal) => signal.kind !== "original" && signal.signals.size[signal.at] >= 0));
  const kinds = SETS.filter((kind) => PARTS.some((part) => part.kind === kind) && listed.every((signals) => signals.some((signal) => signal.kind === kind)));
  if (!kinds.length) return { nodes: [h("p", { class: "notice text" }, "There is no kind of set that both have here.")] };
  const kind = kinds.includes(asked) ? asked : kinds[0];
  const sets = listed.map((signals) => signals.find((signal) => signal.kind === kind));
  const hears = (source) => (said.has(source) ? study.labels[own.label[said.get(source)]] : "nothing that it was asked for");

  const verdict = ({ signals, at }, judge) => (signals.answer[at * n + judge] === NONE ? "–" : verdictParts(signals, at, judge));
  const line = (title, tell) => h("tr", null, h("th", { scope: "row", class: "soft" }, title), pair.map((source, k) => h("td", { class: "text" }, tell(sets[k], source, k))));
  const table = tableOf(`${kindName(kind)}: ${models[pair[0]].name} beside ${models[pair[1]].name}`, [h("td"), ...pair.map((source) => h("th", { scope: "col" }, nameOf(models[source])))], [
    line("hears in the recording", (_, source) => hears(source)),
    ...pair.map((judge) => line([`${models[judge].name} says to what is kept`], (set) => verdict(set, judge))),
    line(study.unit + "s kept", ({ signals, at }) => whole(signals.size[at])),
    line("energy kept", ({ signals, at }) => percent(signals.energy[at])),
    study.drawn ? line("survives", ({ signals, at }) => survivalText(signals, at)) : null,
    line("minimal up to", ({ signals, at }) => signals.certificate(at)),
    full && !full.trouble ? line("kept frequencies", (set) => { const kept = full.sets[set.name]; return intervalsText(kept.runs.slice(0, 12), kept.runCount) || "nothing"; }) : null,
  ], { class: "plain verdict-table pair-table" });
  const kindChoice = h("div", { class: "choices", role: "group", "aria-label": "Kind of set" }, kinds.map((one) => h("button", { type: "button", "aria-pressed": String(one === kind), "data-kind": one, onclick: () => choose(one) }, kindName(one))));
  if (!full || full.trouble) return { nodes: [kindChoice, clip.missing(), table] };

  const heard = [{ name: "original", title: "the recording" }, ...pair.map((source, k) => ({ name: sets[k].name, title: `kept for ${models[source].name}` }))];
  const titles = Object.fromEntries(heard.map(({ name: key, title }) => [key, `${title}, ${name}`]));
  const player = makePlayer(full.sounds, "original", clip.seconds, titles, () => {});
  const choices = h("fieldset", { class: "signals" }, h("legend", { class: "hidden" }, "Signal"), heard.map((one, i) =>
    h("label", { class: i ? kind : "original" }, h("input", { type: "radio", name: "signal", value: one.name, checked: i === 0, onchange: () => player.choose(one.name) }), h("span", null, one.title, h("kbd", { "aria-hidden": "true" }, i + 1)))));
  const spectrum = (source, k) => h("div", null, h("h2", null, nameOf(models[source])),
    spectrumFigure(full, { [kind]: sets[k].name }, full.responsibility[source], `Spectrum of ${name} with the ${kindName(kind)} set of ${models[source].name}`));
  return {
    nodes: [kindChoice, choices, player.box, h("div", { class: "pair" }, pair.map(spectrum)),
      h("p", { class: "caption" }, "Where both keep something, on the same scale of frequencies:"), overlapLane(sets.map((set) => traceOf(full.sets[set.name]))),
      table],
    player,
    keys: (key) => {
      const input = choices.querySelectorAll("input")[Number(key) - 1];
      if (!input) return false;
      input.checked = true; input.focus(); player.choose(input.value);
      return true;
    },
  };
};
