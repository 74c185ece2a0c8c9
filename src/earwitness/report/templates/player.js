// One transport for several signals: another signal goes on where this one is. What is silent has no sound.
const makePlayer = (sounds, chosen, seconds, names, onmove) => {
  let equal = recall("equal") === "yes", frame = 0;
  const elements = new Map();
  const audioOf = (name) => {
    if (!sounds[name]) return null;
    if (!elements.has(name)) {
      const audio = h("audio", { preload: "auto", src: sounds[name].source });
      audio.addEventListener("ended", () => { audio.currentTime = 0; show(); });
      audio.addEventListener("play", follow);
      audio.addEventListener("pause", show);
      audio.addEventListener("error", () => say("This sound cannot be played here."));
      elements.set(name, audio);
      box.append(audio);
    }
    return elements.get(name);
  };
  const level = () => {
    for (const [name, audio] of elements) audio.volume = equal ? sounds[name].equal : sounds[name].level;
  };
  let position = 0;
  const length = () => sounds[chosen]?.seconds ?? seconds;
  const current = () => elements.get(chosen) ?? null;
  const playing = () => current() !== null && !current().paused;
  const button = h("button", { type: "button", class: "play", id: "play", onclick: () => toggle() });
  const slider = h("input", { type: "range", min: 0, max: length(), step: "any", value: 0, "aria-label": "Position", oninput: () => seek(Number(slider.value)) });
  const time = h("span", { class: "time" });
  const loud = h("input", { type: "checkbox", id: "equal", checked: equal, onchange: () => { equal = loud.checked; remember("equal", equal ? "yes" : "no"); level(); note(); } });
  const told = h("span", { class: "soft note" });
  const save = h("a", { class: "save", target: "_blank", rel: "noopener" }, "Save this sound");
  const box = h("div", { class: "transport" }, button, slider, time, h("label", { class: "check" }, loud, "Equal loudness"), save, told);
  const note = () => {
    const sound = sounds[chosen];
    const volume = sound && 20 * Math.log10(equal ? sound.equal : sound.level);
    // of a page that is opened from its folder the browser shows the file itself, to be saved from there
    save.hidden = !sound;
    if (sound) {
      save.href = sound.source;
      save.download = fileName(names[chosen], /^data:audio\/(\w+)|(?:\.(\w+))$/.exec(sound.source).slice(1).find(Boolean));
    }
    told.textContent = !sound ? "silence: nothing to play"
      : equal ? (sound.loudness === null ? "too quiet to measure" : `${sound.loudness.toFixed(1)} LUFS at full level, turned down by ${(-volume).toFixed(1)} dB`.replace("-", "−"))
      : volume > -0.05 ? "at its own level" : `at its own level: ${(-volume).toFixed(0)} dB below the loudest here`;
  };
  const show = () => {
    const on = playing();
    if (current()) position = current().currentTime;
    button.setAttribute("aria-label", (on ? "Pause: " : "Play: ") + names[chosen]);
    button.classList.toggle("on", on);
    button.disabled = !sounds[chosen];
    slider.max = length();
    slider.value = position;
    slider.setAttribute("aria-valuetext", clock(position) + " of " + clock(length()));
    time.textContent = clock(position);
    onmove(position / length());
  };
  const follow = () => { cancelAnimationFrame(frame); show(); if (playing()) frame = requestAnimationFrame(follow); };
  const toggle = () => {
    if (playing()) { current().pause(); return; }
    const audio = audioOf(chosen);
    if (!audio) return;
    level();
    audio.currentTime = position;
    audio.play().catch(() => say("This sound cannot be played here."));
  };
  const seek = (to) => {
    position = Math.min(Math.max(0, to), length());
    if (current()) current().currentTime = position;
    show();
  };
  const choose = (name) => {
    if (name === chosen) return;
    const before = current(), on = playing();
    if (before) position = before.currentTime;
    chosen = name;
    if (position >= length()) position = 0;
    const audio = audioOf(name);
    if (audio) {
      level();
      audio.currentTime = position;
      // the one before falls silent only when this one sounds
      if (on) audio.play().then(() => before?.pause()).catch(() => before?.pause());
    } else before?.pause();
    note();
    show();
  };
  note();
  show();
  return { box, choose, seek, toggle, chosen: () => chosen, stop: () => { for (const audio of elements.values()) { audio.pause(); audio.removeAttribute("src"); audio.load(); } } };
};
