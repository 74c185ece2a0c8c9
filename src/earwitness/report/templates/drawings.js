// Figures as files of their own, for a paper: light, in colours that colour-blind people tell apart, text as text.
const COLOURS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9", "#7f7f7f"];
const PART_COLOURS = { robust: "#8f4b00", sufficient: "#d55e00", complete: "#0072b2", one_complete: "#009e73" };
const saveDrawing = (title, draw) => h("button", { type: "button", class: "save", onclick: () =>
  saveText(fileName(title, "svg"), "image/svg+xml", new XMLSerializer().serializeToString(draw())) }, "Save as SVG");
const savePicture = (title, canvas) => h("button", { type: "button", class: "save", onclick: () =>
  h("a", { href: canvas.toDataURL("image/png"), download: fileName(title(), "png") }).click() }, "Save as PNG");

const textAt = (x, y, text, attributes) => s("text", { x, y, ...attributes }, text);
const moved = (x, y, ...content) => s("g", { transform: `translate(${x} ${y})` }, content);
const rect = (x, y, width, height, fill, attributes) => s("rect", { x, y, width, height, fill, ...attributes });
const sheet = (title, width, height, ...content) =>
  s("svg", { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${width} ${height}`, "font-family": "sans-serif", "font-size": 11 },
    rect(0, 0, width, height, "#ffffff"), textAt(20, 20, title, { "font-size": 13 }), content);
const MIDDLE = { "text-anchor": "middle" }, END = { "text-anchor": "end" };

// scale: {px, py, xs, ys, path}, to a field of 600 by 240
const curvesSvg = (title, x, y, curves, { px, py, xs, ys, path }) => sheet(title, 700, 330 + 16 * curves.length,
  textAt(60, 36, y),
  moved(60, 48,
    ys.map((tick) => [s("path", { d: `M0 ${py(tick)}h600`, stroke: "#dddddd" }), textAt(-6, py(tick) + 4, tickText(tick), END)]),
    xs.map((tick) => textAt(px(tick), 256, tickText(tick), MIDDLE)),
    textAt(300, 272, x, MIDDLE),
    curves.map((curve, k) => {
      const pen = { fill: "none", stroke: COLOURS[k % 8], "stroke-width": 1.5, "stroke-dasharray": DASHES[Math.floor(k / 8) % 8] || null };
      return [s("path", { ...pen, d: path(curve) }), s("path", { ...pen, d: `M0 ${290 + 16 * k}h24` }), textAt(30, 294 + 16 * k, shortly(curve[0]))];
    })));

// rows: [name, value, from, to]; low, high: the ends of the scale
const estimatesSvg = (title, unit, rows, low, high, reference) => {
  const x = (value) => 300 + (300 * (value - low)) / (high - low), bottom = 40 + 18 * rows.length;
  return sheet(title, 740, bottom + 44,
    niceTicks(low, high).map((tick) => [s("path", { d: `M${x(tick)} 40V${bottom}`, stroke: "#dddddd" }), textAt(x(tick), bottom + 14, tickText(tick), MIDDLE)]),
    reference === null ? null : s("path", { d: `M${x(reference)} 40V${bottom}`, stroke: "#000000", "stroke-dasharray": "3 3" }),
    textAt(450, bottom + 32, unit, MIDDLE),
    rows.map(([name, value, from, to], k) => {
      const y = 49 + 18 * k;
      return [textAt(290, y + 4, shortly(name), END), from === null ? null : s("path", { d: `M${x(from)} ${y}H${x(to)}`, stroke: "#0072b2", "stroke-width": 1.5 }),
        s("circle", { cx: x(value), cy: y, r: 3.5, fill: "#0072b2" }), textAt(610, y + 4, any(value) + (from === null ? "" : ` (${any(from)} to ${any(to)})`))];
    }));
};

// values: row by row, null where there is none; a difference has a colour for less and one for more
const matrixSvg = (title, models, values, difference) => {
  const n = models.length, size = 52, left = 190, top = 60;
  return sheet(title, Math.max(420, left + size * n + 20), top + size * n + 20,
    models.map((model, k) => [textAt(left - 8, top + size * (k + 0.5) + 4, `${model.key} ${model.name}`, END), textAt(left + size * (k + 0.5), top - 8, model.key, MIDDLE)]),
    values.map((value, k) => {
      const x = left + size * (k % n), y = top + size * Math.floor(k / n), strength = value === null ? 0 : Math.min(1, Math.abs(value));
      return [rect(x + 1, y + 1, size - 2, size - 2, difference && value < 0 ? "#a84a06" : "#0c3f3a", { "fill-opacity": 0.06 + 0.94 * strength, stroke: k % (n + 1) ? null : "#000000" }),
        textAt(x + size / 2, y + size / 2 + 4, (difference ? signed : share)(value), { ...MIDDLE, fill: strength > 0.55 ? "#ffffff" : "#000000" })];
    }));
};

const frequencyAxis = (nyquist, height) => ticksOf(nyquist).map(([x, text]) => [s("path", { d: `M${6 * x} ${height}v4`, stroke: "#000000" }), textAt(6 * x, height + 16, text, MIDDLE)]);
// whole and parts: columns of levels; line: responsibility as a path
const spectrumSvg = (title, nyquist, whole, parts, line) => sheet(title, 720, 250 + 16 * parts.length,
  moved(60, 44,
    [0, 24, 48, 72].map((down) => textAt(-6, (160 * down) / FLOOR + 4, down ? `−${down} dB` : "0 dB", END)),
    s("path", { d: outline(whole.level, 160), fill: "#d3d9d5" }),
    parts.map((part) => s("path", { d: outline(part.level, 160), fill: PART_COLOURS[part.kind], stroke: PART_COLOURS[part.kind], "stroke-width": 0.75 })),
    line ? s("path", { d: line, fill: "none", stroke: "#7a3f63", "stroke-width": 1.25, transform: `scale(1 ${160 / 120})` }) : null,
    frequencyAxis(nyquist, 160),
    parts.map((part, k) => [rect(0, 192 + 16 * k, 10, 10, PART_COLOURS[part.kind]), textAt(16, 201 + 16 * k, part.name)])));

// rows: [name, path of an outline 40 high]
const lanesSvg = (title, nyquist, rows) => sheet(title, 840, 70 + 52 * rows.length,
  moved(210, 40, rows.map(([name, d], k) => moved(0, 52 * k, textAt(-8, 38, name, END), s("path", { d: "M0 40h600", stroke: "#dddddd" }), s("path", { d, fill: COLOURS[0] }))), frequencyAxis(nyquist, 52 * rows.length)));
