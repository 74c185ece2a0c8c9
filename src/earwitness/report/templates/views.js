// The overview, the analyses, and how to read it all.
const listeningFigure = () => {
  const { nyquist, top, lanes } = study.listening;
  const bars = (text) => {
    // a third of the columns, so that single bins neither vanish nor shout
    const levels = decode(text, "u1"), coarse = new Uint8Array(COLUMNS);
    for (let i = 0; i < COLUMNS; i += 3) coarse.fill(Math.max(levels[i], levels[i + 1], levels[i + 2]), i, i + 3);
    return outline(Array.from(coarse, (v) => (v ? (v / 255) * FLOOR : 255)), 40);
  };
  return h("section", { class: "lanes block" }, h("h2", null, "Where the models listen"),
    h("p", { class: "caption" }, `The share of each frequency’s ${study.unit}s that a model’s sufficient sets keep, on average over the clips with sounds. The tallest peak is ${percent(top)}.`),
    h("ul", null, lanes.map(({ model, sets, levels }) => h("li", null, nameOf(study.models[model]), h("span", { role: "img", "aria-label": `Share of sufficient ${study.unit}s of ${study.models[model].name} by frequency, mean of ${plural(sets, "set")}` }, drawing("lane", 40, s("path", { class: "lit sufficient", d: bars(levels) })))))),
    h("div", { class: "axis-row" }, h("span"), axisOf(nyquist)),
    saveDrawing("Where the models listen", () => lanesSvg("Where the models listen", nyquist, lanes.map(({ model, levels }) => [study.models[model].name, bars(levels)]))));
};

const overviewView = async () => {
  const { models, settings } = study, alone = models.length < 2;
  const table = {};
  if (study.kinds.includes("sufficient")) {
    const mine = await loadKind("sufficient"), found = count(mine, "alpha", 1, { label: -1, empty: true }), n = models.length;
    models.forEach((_, i) => {
      const sizes = [];
      for (let row = 0; row < mine.count; row++) if (mine.source[row] === i && mine.size[row] >= 0) sizes.push(mine.size[row]);
      sizes.sort((a, b) => a - b);
      table[i] = {
        convincing: meanOf(models.map((__, j) => (j === i ? null : found.share[i * n + j]))), convinced: meanOf(models.map((__, j) => (j === i ? null : found.share[j * n + i]))),
        median: sizes.length ? (sizes[(sizes.length - 1) >> 1] + sizes[sizes.length >> 1]) / 2 : null, sets: sizes.length, empty: sizes.filter((size) => size === 0).length,
      };
    });
  }
  const accurate = models.some((model) => model.accuracy !== null);
  const setting = (name, value) => h("div", null, h("dt", null, name), h("dd", null, value));
  return {
    title: study.name,
    nodes: [
      h("h1", { class: "title text" }, study.name),
      h("p", { class: "lead" }, `${plural(models.length, "model")} heard ${plural(study.clips.id.length, "recording")} and chose among ${plural(study.labels.length, "label")}. For each, the least that keeps a model’s answer was found${alone ? "." : ", and played to the other models: does it convince them too?"}`),
      alone ? h("p", { class: "notice" }, "There is one model, and so nobody else to convince. Add a second to the study to see what transfers.") : null,
      h("dl", { class: "headline" }, study.headline.map((number) => h("div", { class: number.id },
        h("dt", { class: "text" }, number.text),
        number.told ? h("dd", null, h("span", { class: "figure-number" }, (number.signed ? points : percent)(number.value)),
          number.low === null ? null : h("span", { class: "interval" }, number.id === "kept" ? "half of the sets: " : "95 %: ", `${(number.signed ? points : percent)(number.low)} to ${(number.signed ? points : percent)(number.high)}`),
          number.beside.length ? h("span", { class: "interval beside" }, number.beside.map(([name, value]) => `${name} ${percent(value)}`).join("; ")) : null)
          : h("dd", null, h("span", { class: "figure-number" }, "?"), h("span", { class: "interval" }, "too few recordings to tell"))))),
      alone ? null : h("p", { class: "caption" }, "Intervals: 95 %, bootstrap over clips. Means are over ordered pairs of different models."),
      study.failures.length ? h("p", { class: "notice" }, h("a", { href: "#/failures" }, `${plural(study.failures.length, "unit")} of work failed`), " and ", study.failures.length === 1 ? "is" : "are", " not in the numbers.") : null,
      ...models.filter((model) => model.unsteady > study.steady).map((model) => h("p", { class: "notice" }, h("strong", null, model.name), ` answers the same signal differently (probabilities by up to ${model.unsteady.toFixed(2)}): set `, h("code", null, "repeats"), " in the study file, or read its sets with care.")),
      alone ? null : h("p", { class: "actions" }, h("a", { class: "button", href: "#/transfer" }, "Explore the transfer matrix"), h("a", { class: "button", href: "#/clips" }, "Listen to the clips")),
      study.listening ? listeningFigure() : null,
      h("section", { class: "block" }, h("h2", null, "Models"),
        h("p", { class: "caption" }, "Convincing: mean α of its sufficient signals on the others. Convinced: mean α of the others’ on it."),
        tableOf("Models", ["model", "architecture", ...["parameters", ...(accurate ? ["accuracy"] : []), "convincing", "convinced", "median sufficient set", "empty sets"].map((name) => h("th", { scope: "col", class: "n" }, name))],
          models.map((model, i) => h("tr", null, h("th", { scope: "row", class: "text" }, keyOf(model), " ", model.spec), h("td", { class: "text" }, model.architecture), h("td", { class: "n" }, model.parameters ? whole(model.parameters) : "–"),
            accurate ? h("td", { class: "n" }, share(model.accuracy)) : null, h("td", { class: "n" }, share(table[i]?.convincing ?? null)), h("td", { class: "n" }, share(table[i]?.convinced ?? null)),
            h("td", { class: "n" }, table[i]?.median == null ? "–" : `${tickText(table[i].median)} ${study.unit}${table[i].median === 1 ? "" : "s"}`), h("td", { class: "n" }, table[i] ? `${whole(table[i].empty)} of ${whole(table[i].sets)}` : "–"))))),
      h("section", { class: "block" }, h("h2", null, "What was studied"),
        h("dl", { class: "settings" }, setting("labels", study.labels.join(", ")), setting("search", settings.search), setting("confidence kept, δ", settings.delta), setting("certainty, ε", study.epsilon),
          setting("sufficient sets a clip", settings.count), setting("effort", settings.effort), setting("precision", settings.precision), setting("questions allowed", whole(settings.budget)), setting("domain", settings.domain), setting("occlusion", settings.occlusion), setting("seed", settings.seed), setting("made by", "Earwitness " + study.version), setting("receipt", study.receipt),
          ...study.environments.map((made, i) => setting(i ? "and with" : "made with", made)))),
    ],
  };
};

const sectionView = async ({ argument }) => {
  if (!study.sections.some(([id]) => id === argument)) return overviewView();
  const section = await piece("section-" + argument);
  const players = [];
  return {
    title: section.title,
    nodes: [h("h1", null, section.title), h("p", null, section.intro), section.blocks.map((block) => blockNodes(block, (player) => players.push(player)))],
    leave: () => { for (const player of players) player.stop(); },
    keys: (key) => { if (key !== " " || !players.length) return false; players[0].toggle(); return true; },
  };
};

const failuresView = async () => ({
  title: "What failed",
  nodes: [h("h1", null, "What failed"), h("p", null, study.failures.length ? `${plural(study.failures.length, "unit")} of work failed and ${study.failures.length === 1 ? "is" : "are"} not in the numbers.` : "Nothing."),
    study.failures.length ? tableBlock({ title: "Failures", columns: ["stage", "clip", "model", "reason"], rows: study.failures.map((f) => [f.stage, f.clip, f.model || "–", f.reason]) }) : null],
});

// what the words of the page mean: name, how they stand in a text, meaning
const terms = () => {
  const unit = study.unit, certain = (study.epsilon * Math.log2(study.labels.length)).toFixed(2);
  return [
    ["Sufficient", /sufficient/i, `A set of ${unit}s of the clip’s Fourier transform that alone gets the model’s answer to the clip, with at least ${study.settings.delta} of its confidence. One of many such sets: another search may find another.`],
    ["Complete", /complete/i, "Sufficient, and without it the model’s answer changes."],
    ["One-complete", /one-complete/i, "Complete, and with the full confidence that the model has in the clip."],
    ["Inverse", /inverse/i, "What is left of the clip once the complete set is removed."],
    study.drawn ? ["Robust", /robust/i, `A set whose signal keeps the answer, with ${study.settings.delta} of the confidence the recording has then, as it is and through harmless changes (${study.views.join(", ")}): ${study.drawn} of these are drawn afresh, and it must surely hold in nearly all. Mostly a few ${unit}s more than the smallest set, which is often an accident: it holds only as it is.`] : null,
    study.drawn ? ["Survives", /surviv/i, `In how many of the ${study.drawn} changes a set’s signal keeps its answer.`] : null,
    study.sections.some(([id]) => id === "evidence") ? ["Shared evidence", /shared evidence/i, "How much of what a model’s own map shows it another model’s map shows it too, beyond other variables as many and as loud: 1, as good as its own; 0, no better than those."] : null,
    ["Random signals", /random|chance/i, `As many ${unit}s as the set, or as much of the clip’s energy, or both, drawn at random: what a rate is to be read against.`],
    ["α", /α|alpha/i, "The share of the other models that give a signal the same label as its own model."],
    ["β", /β|beta/i, "The share of the other models that are certain of some answer to a signal, whichever it is."],
    ["Flat-earther", /flat-earther/i, "A model that neither convinces the others nor is convinced by them, while they convince each other."],
    ["Interval", /\bto 0|interval|\[/i, "From resampling recordings: where the rate would lie for other recordings of the same kind, in 95 of 100 studies. It says nothing of other models."],
    ["p", /\bp\b|adjusted/, "How often chance alone would give a difference so large. Adjusted: for all rows of the table, since of many differences some are large by accident."],
    ["Entropy", /entropy/i, "How undecided an answer is, in bits; of a spectrum, how evenly its energy is spread."],
    ["Signal-to-noise ratio", /\bsnr\b|signal-to-noise/i, "How far, in decibels, a change lies under the recording."],
    ["Responsibility", /responsibility/i, `How much each ${unit} speaks for the answer, as the search has estimated it.`],
    [`No single ${unit} can be dropped`, /dropped|minimal|certified/i, "Each was tried on the final set, and without it the property was lost. With groups, so for each of that many groups. Not certified: the questions ran out first; the set is verified but may not be minimal."],
    ["Accepts", /accept/i, `The judging model’s first answer is the label the signal was made for. Certain: the entropy of its answer is below ε · log₂ ${study.labels.length} = ${certain} bits.`],
    ["Spectra", /spectr/i, "Magnitude in decibels over 72 dB, on the mel scale, which is even to the ear. A column is lit up to the loudest it keeps; the lanes below are the stronger, the larger the share of the column they keep."],
    ["Spectrogram", /spectrogram/i, "The recording over time, on the same scale. Choosing a signal leaves what it keeps in colour and the rest in grey."],
    ["Sound", /loudness|play/i, "Files are 16-bit and scaled to one peak, −1 dBFS; the player turns each down to its own level beside the loudest signal of its clip, or of the composites. Equal loudness: to one loudness by ITU-R BS.1770, measured on each file."],
  ].filter(Boolean);
};
const listOf = (found) => h("dl", { class: "terms" }, found.map(([name, , text]) => [h("dt", null, name), h("dd", null, text)]));
const readingView = async () => ({ title: "How to read this", nodes: [h("h1", null, "How to read this"), listOf(terms())] });
// the words that stand on the view that is shown, for whoever opens it
const wordsHere = () => {
  const box = h("details", { class: "words", ontoggle: () => {
    if (!box.open || box.querySelector("dl")) return;
    const text = [...$("main").children].filter((part) => part !== box).map((part) => part.textContent).join(" ");
    box.append(listOf(terms().filter(([, pattern]) => pattern.test(text))));
  } }, h("summary", null, "Words on this page"));
  return box;
};
