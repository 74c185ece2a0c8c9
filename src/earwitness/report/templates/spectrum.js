// The pictures of a clip: its spectrum with the parts of the sets, and its spectrogram with what is kept lit.
const COLUMNS = 600, FLOOR = 72;
const mel = (f) => 2595 * Math.log10(1 + f / 700);
const unmel = (m) => 700 * (10 ** (m / 2595) - 1);
const ticksOf = (nyquist) => {
  const wanted = [0, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000].filter((f) => f <= nyquist);
  if (mel(nyquist) - mel(wanted.at(-1)) > 0.06 * mel(nyquist)) wanted.push(nyquist);
  return wanted.map((f, i) => {
    const last = i === wanted.length - 1;
    const text = f >= 1000 ? String(Number((f / 1000).toPrecision(3))) + (last ? " kHz" : "k") : Number(f.toPrecision(3)) + (last ? " Hz" : "");
    return [(100 * mel(f)) / mel(nyquist), text];
  });
};
// a tick at a place in percent; those at the ends stay inside
const tickAt = (x, text) => h("li", { class: x < 1 ? "first" : x > 99 ? "last" : null, vars: { x: x + "%" } }, text);
const axisOf = (nyquist) => h("ul", { class: "axis", "aria-hidden": "true" }, ticksOf(nyquist).map(([x, text]) => tickAt(x, text)));

// columns standing on the base line (255: none there)
const outline = (levels, height) => {
  let path = "", before = -1;
  for (let i = 0; i < levels.length;) {
    let stop = i + 1;
    while (stop < levels.length && levels[stop] === levels[i]) stop++;
    const level = levels[i] === 255 ? -1 : Math.max(1, (levels[i] * height) / FLOOR), width = stop - i;
    if (level < 0) { if (before >= 0) path += "V" + height; }
    else path += (before < 0 ? `M${i} ${height}` : "") + `V${(height - level).toFixed(1)}h${width}`;
    before = level;
    i = stop;
  }
  return path + (before >= 0 ? "V" + height : "");
};
// a lane that is the stronger, the larger the share it keeps
const lane = (shares) => {
  const steps = [0.1, 0.4, 0.75, 1], paths = ["", "", "", ""];
  for (let i = 0; i < shares.length;) {
    const kind = shares[i] === 0 ? -1 : steps.findIndex((top) => shares[i] / 255 <= top);
    let stop = i + 1;
    while (stop < shares.length && (shares[stop] === 0 ? -1 : steps.findIndex((top) => shares[stop] / 255 <= top)) === kind) stop++;
    if (kind >= 0) paths[kind] += `M${i} 0h${stop - i}v8h-${stop - i}z`;
    i = stop;
  }
  return paths.map((d, kind) => (d ? s("path", { class: "k" + (kind + 1), d }) : null));
};
const drawing = (name, height, ...content) =>
  s("svg", { class: name, viewBox: `0 0 ${COLUMNS} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, content);

// the parts of the paper's Figure 1, from the largest set to the smallest, so that the smaller lies on top
const PARTS = [
  { kind: "robust", name: "robust", text: "what suffices through harmless changes" },
  { kind: "one_complete", name: "full confidence", text: "what the full confidence needs besides" },
  { kind: "complete", name: "necessary", text: "what makes it complete" },
  { kind: "sufficient", name: "sufficient", text: "what suffices" },
];
const traceOf = (raw) => ({ level: decode(raw.level, "u1"), share: decode(raw.share, "u1") });

const spectrumFigure = (clip, sets, responsibility, label) => {
  const whole = traceOf(clip.original);
  const parts = PARTS.filter((part) => sets[part.kind]).map((part) => ({ ...part, ...traceOf(clip.sets[sets[part.kind]]) }));
  const legend = parts.slice().reverse().map((part) => h("li", null, h("span", { class: "swatch " + part.kind }), part.name));
  if (responsibility) legend.push(h("li", null, h("span", { class: "swatch responsibility" }), "responsibility"));
  legend.push(h("li", null, h("span", { class: "swatch rest" }), "the rest of the recording"));
  const height = 120;
  const line = responsibility ? Array.from(decode(responsibility, "u1"), (v, i) => `${i ? "L" : "M"}${i + 0.5} ${(height - 2 - (v / 255) * (height - 4)).toFixed(1)}`).join("") : null;
  const cursor = h("div", { class: "cursor", "aria-hidden": "true" }), tip = h("div", { class: "tip", "aria-hidden": "true" });
  const plot = h("div", { class: "plot", role: "img", "aria-label": label },
    drawing("trace", height, s("path", { class: "ghost", d: outline(whole.level, height) }), parts.map((part) => s("path", { class: "lit " + part.kind, d: outline(part.level, height) })), line ? s("path", { class: "responsibility-line", d: line }) : null),
    cursor, tip);
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect(), x = Math.min(COLUMNS - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * COLUMNS)));
    cursor.style.left = tip.style.left = (100 * (x + 0.5)) / COLUMNS + "%";
    tip.classList.toggle("left", x > COLUMNS * 0.6);
    const kept = parts.filter((part) => part.share[x]).map((part) => part.name).reverse();
    tip.textContent = `${hertz(unmel(((x + 0.5) / COLUMNS) * mel(clip.nyquist)))} · ${whole.level[x] - FLOOR} dB · ${kept.join(", ") || "not kept"}`.replace("-", "−");
  });
  const lanes = parts.slice().reverse().map((part) => h("div", { class: "lane-row" }, h("span", { class: "lane-name" }, part.name), drawing("strip " + part.kind, 8, lane(part.share))));
  return h("figure", { class: "spectrum" },
    h("ul", { class: "legend", "aria-label": "Legend" }, legend),
    h("div", { class: "with-lanes" }, plot, lanes, axisOf(clip.nyquist)),
    saveDrawing(label, () => spectrumSvg(label, clip.nyquist, whole, parts, line)));
};

// intervals of frequencies, of which not all need be given
const intervalsText = (intervals, count) =>
  intervals.map((ends) => [...new Set(ends.map(hertz))].join(" to ")).join("; ") + (count > intervals.length ? `; and ${whole(count - intervals.length)} more` : "");
// what is kept, as text
const keptTable = (clip, sets, unit) => {
  const rows = PARTS.slice().reverse().concat([{ kind: "inverse", name: "inverse" }]).filter((part) => sets[part.kind]).map((part) => {
    const set = clip.sets[sets[part.kind]];
    return h("tr", null, h("th", { scope: "row" }, kindName(part.kind)), h("td", { class: "n" }, whole(set.runCount)),
      h("td", { class: "text" }, intervalsText(set.runs, set.runCount) || "nothing"));
  });
  return h("details", { class: "alternative" }, h("summary", null, "What is kept, as a table"),
    tableOf("Kept frequencies", ["set", h("th", { scope: "col", class: "n" }, "intervals"), `frequencies of kept ${unit}s`], rows));
};

const ROWS_OF = (rows) => Array.from({ length: rows }, (_, row) => Math.floor(((row + 0.5) / rows) * COLUMNS));
// perceptually even, from dark to light (a few points of viridis)
const VIRIDIS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37]];
const colour = (t) => {
  const at = t * (VIRIDIS.length - 1), low = Math.min(VIRIDIS.length - 2, Math.floor(at)), part = at - low;
  return VIRIDIS[low].map((value, i) => value + part * (VIRIDIS[low + 1][i] - value));
};
const PALETTE = Array.from({ length: 256 }, (_, v) => colour(v / 255));
const spectrogramFigure = (clip, seconds, seek, recording) => {
  const { rows, frames } = clip.spectrogram, levels = decode(clip.spectrogram.levels, "u1");
  const canvas = h("canvas", { width: frames, height: rows });
  const head = h("div", { class: "playhead", "aria-hidden": "true" });
  const box = h("div", { class: "spectrogram", role: "img", "aria-label": "Spectrogram of the recording", onclick: (event) => {
    const area = box.getBoundingClientRect();
    seek(((event.clientX - area.left) / area.width) * seconds);
  } }, canvas, head);
  const middle = ROWS_OF(rows), per = COLUMNS / rows;
  const lit = (set) => {
    if (!set) return () => 1;
    if (set.cells) {
      const bits = decode(set.cells, "u1");
      return (row, frame) => { const at = row * frames + frame; return (bits[at >> 3] >> (7 - (at & 7))) & 1; };
    }
    const shares = decode(set.share, "u1");
    const kept = middle.map((_, row) => { let top = 0; for (let x = Math.floor(row * per); x < (row + 1) * per; x++) top = Math.max(top, shares[x]); return top / 255; });
    // a single kept bin of many must still be seen
    return (row) => (kept[row] === 0 ? 0 : 0.45 + 0.55 * Math.sqrt(kept[row]));
  };
  let lights = "";
  const show = (set, name) => {
    const strength = lit(set), context = canvas.getContext("2d"), image = context.createImageData(frames, rows);
    for (let row = 0; row < rows; row++) for (let frame = 0; frame < frames; frame++) {
      const level = levels[row * frames + frame], [r, g, b] = PALETTE[level], on = strength(row, frame), grey = 24 + level * 0.3;
      const at = ((rows - 1 - row) * frames + frame) * 4;
      image.data[at] = grey + on * (r - grey); image.data[at + 1] = grey + on * (g - grey); image.data[at + 2] = grey + on * (b - grey); image.data[at + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    lights = set ? `, ${name}` : "";
    box.setAttribute("aria-label", set ? `Spectrogram of the recording, what the ${name} set keeps lit` : "Spectrogram of the recording");
  };
  show(null, "");
  const marks = ticksOf(clip.nyquist).map(([x, text]) => h("li", { vars: { y: 100 - x + "%" } }, text));
  return { node: h("figure", { class: "time" }, h("div", { class: "with-marks" }, h("ul", { class: "marks", "aria-hidden": "true" }, marks), box), h("div", { class: "seconds", "aria-hidden": "true" }, h("span", null, "0"), h("span", null, clock(seconds))), savePicture(() => `Spectrogram of ${recording}${lights}`, canvas)), show, move: (part) => { head.style.left = 100 * part + "%"; } };
};
