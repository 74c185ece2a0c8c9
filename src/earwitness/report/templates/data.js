// The study's data comes in pieces, read when needed. From a file nothing may be fetched, but scripts of the folder
// load: a piece is one that hands its data over, or, in a page of one file, an element that holds it.
const waiting = new Map();
const pieces = new Map();
window.earwitness = { receive: (name, value) => waiting.get(name)?.(value) };
const piece = (name) => {
  if (!pieces.has(name)) pieces.set(name, new Promise((done, fail) => {
    const held = $("data-" + name);
    if (held) { done(JSON.parse(held.textContent)); return; }
    const script = document.createElement("script");
    waiting.set(name, done);
    script.src = "data/" + name + ".js";
    script.onload = () => { script.remove(); waiting.delete(name); };
    script.onerror = () => { pieces.delete(name); fail(new Error(`data/${name}.js is missing: make the report again`)); };
    document.head.append(script);
  }));
  return pieces.get(name);
};

const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array };
const decode = (text, type) => {
  if (Uint8Array.fromBase64) return new TYPES[type](Uint8Array.fromBase64(text).buffer);
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new TYPES[type](bytes.buffer);
};
const unfold = (folded) => {
  const which = decode(folded.which, "u2");
  return (i) => folded.texts[which[i]];
};

// --- the study and, kind by kind, its signals in columns
let study = null;
const loadStudy = async () => {
  study = await piece("study");
  const clips = study.clips;
  for (const name of ["folder", "truth", "group", "dataset", "fitted"]) clips[name] = unfold(clips[name]);
  study.place = new Map(clips.id.map((id, row) => [id, row]));
  // the longest first: one may be the beginning of another
  study.bySpec = [...study.models].sort((a, b) => b.spec.length - a.spec.length);
  study.inFull = new Set(study.full);
  return study;
};
const kinds = new Map();
const loadKind = (name) => {
  if (!kinds.has(name)) kinds.set(name, piece("kind-" + name).then((raw) => {
    pieces.delete("kind-" + name);
    const found = { kind: name, count: raw.count, certificate: unfold(raw.certificate), why: unfold(raw.why) };
    const types = { subset: "u4", clip: "u4", source: "u2", draw: "u2", queries: "u4", size: "i4", energy: "f4", held: "u2", label: "u2", answer: "u2", probability: "u2", step: "u2" };
    for (const [column, type] of Object.entries(types)) found[column] = decode(raw[column], type);
    return found;
  }));
  return kinds.get(name);
};
const NONE = 65535;
const stateOf = (signals, row, judge, epsilon) => {
  const at = row * study.models.length + judge;
  if (signals.answer[at] === NONE) return "none";
  if (signals.answer[at] !== signals.label[row]) return "rejects";
  return signals.step[at] <= Math.round(epsilon * 1000) ? "certain" : "accepts";
};
// rows of a kind that belong to a clip
const rowsOf = (signals, clip) => {
  // sorted by clip: find the first by halves
  let low = 0, high = signals.count;
  while (low < high) { const middle = (low + high) >> 1; if (signals.clip[middle] < clip) low = middle + 1; else high = middle; }
  const rows = [];
  for (let row = low; row < signals.count && signals.clip[row] === clip; row++) rows.push(row);
  return rows;
};
// clips in full stay in memory only for a while
const recent = [];
const loadClip = (id) => {
  const name = "clip-" + id;
  if (recent.includes(name)) recent.splice(recent.indexOf(name), 1);
  recent.push(name);
  if (recent.length > 8) pieces.delete(recent.shift());
  return piece(name);
};

// --- addresses: #/view/argument?key=value
const readAddress = () => {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", argument = ""] = path.split("/");
  return { view, argument: decodeURIComponent(argument), query: new URLSearchParams(query ?? "") };
};
const address = (view, argument, query) => {
  const parts = new URLSearchParams(Object.entries(query ?? {}).filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false));
  return "#/" + view + (argument === undefined || argument === "" ? "" : "/" + encodeURIComponent(argument)) + (parts.size ? "?" + parts : "");
};
// a model as an address names it: so that the same link shows the same where models were added or stand in another order
const modelName = (model) => (study.models.filter((other) => other.name === model.name).length === 1 ? model.name : model.key);
const placeOfModel = (text) => {
  const named = study.models.findIndex((model) => modelName(model) === text);
  return named >= 0 ? named : study.models.findIndex((model) => model.key === text);
};
// note the state of a view in its address without going anywhere
const noteAddress = (text) => { if (location.hash !== text) history.replaceState(null, "", text); };
const clipAddress = (row, query) => address("clip", study.clips.id[row], query);
