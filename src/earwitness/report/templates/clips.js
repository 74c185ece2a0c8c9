// All clips, a page at a time.
const clipsView = async ({ query }) => {
  const own = await loadKind("original"), clips = study.clips, n = study.models.length;
  const answers = new Uint16Array(clips.id.length * n).fill(NONE);
  for (let at = 0; at < own.count; at++) answers[own.clip[at] * n + own.source[at]] = own.label[at];
  const state = { q: query.get("q") ?? "", label: query.get("class") ?? "", only: query.get("only") ?? "", page: Math.max(0, (Number(query.get("page")) || 1) - 1) };
  const note = () => noteAddress(address("clips", "", { q: state.q, class: state.label, only: state.only, page: state.page ? state.page + 1 : "" }));
  const truths = [...new Set(clips.id.map((_, row) => clips.truth(row)))].filter(Boolean).sort();
  const size = 50;
  const found = () => {
    const words = state.q.toLowerCase();
    const rows = [];
    for (let row = 0; row < clips.id.length; row++) {
      if (words && !clips.name[row].toLowerCase().includes(words) && !clips.truth(row).toLowerCase().includes(words) && !clips.group(row).toLowerCase().includes(words)) continue;
      if (state.label && clips.truth(row) !== state.label) continue;
      const said = answers.subarray(row * n, row * n + n), agree = said.every((label) => label === said[0]);
      if ((state.only === "disagree" && agree) || (state.only === "agree" && !agree) || (state.only === "full" && !study.inFull.has(row))) continue;
      rows.push(row);
    }
    return rows;
  };
  const [list, refresh] = slot("div", { class: "clip-list" }, () => {
    const rows = found();
    state.page = Math.min(state.page, Math.max(0, Math.ceil(rows.length / size) - 1));
    note();
    say(plural(rows.length, "clip"));
    const page = rows.slice(state.page * size, state.page * size + size);
    if (!rows.length) return h("p", null, "No clip is like that.");
    return [
      tableOf("Clips", ["clip", ...(truths.length ? ["labelled"] : []), ...study.models.map((model) => h("th", { scope: "col" }, nameOf(model))), h("th", { scope: "col", class: "n" }, "seconds")],
        page.map((row) => {
          const said = Array.from(answers.subarray(row * n, row * n + n));
          return h("tr", { "data-clip": clips.id[row] },
            h("th", { scope: "row", class: "text" }, h("a", { href: clipAddress(row) }, clips.name[row]), study.inFull.has(row) ? h("span", { class: "badge", title: "with spectrogram and sounds" }, "♪", h("span", { class: "hidden" }, " with sounds")) : null),
            truths.length ? h("td", { class: "text" }, clips.truth(row)) : null,
            said.map((label) => h("td", { class: "text" + (label !== NONE && truths.length && study.labels[label].toLowerCase() === clips.truth(row).toLowerCase() ? " right" : "") }, label === NONE ? "–" : study.labels[label])),
            h("td", { class: "n" }, clips.seconds[row].toFixed(2)));
        }), { id: "clip-table" }),
      pager(rows.length, state.page, size, (to) => { state.page = to; refresh(); scrollTo(0, 0); }, "Pages of clips"),
    ];
  });
  const change = (name) => (event) => { state[name] = event.target.value; state.page = 0; refresh(); };
  const field = (label, control) => h("label", { class: "field" }, h("span", null, label), control);
  await refresh();
  const option = (value, text, chosen) => h("option", { value, selected: value === chosen }, text);
  return {
    title: "Clips",
    nodes: [
      h("h1", null, "Clips"),
      h("p", null, `${plural(clips.id.length, "recording")}`, study.full.length < clips.id.length ? `; ${whole(study.full.length)} of them (♪) with spectrogram, spectrum and sounds.` : ", all with spectrogram, spectrum and sounds.", " A column is what a model says to the recording."),
      h("form", { class: "controls", onsubmit: (event) => event.preventDefault() },
        field("Find", h("input", { type: "search", id: "find", value: state.q, oninput: change("q") })),
        truths.length ? field("Labelled", h("select", { onchange: change("label") }, option("", "anything", state.label), truths.map((label) => option(label, label, state.label)))) : null,
        field("Show", h("select", { id: "only", onchange: change("only") }, option("", "all", state.only), option("disagree", "models disagree", state.only), option("agree", "models agree", state.only), option("full", "with sounds", state.only)))),
      list,
    ],
  };
};
