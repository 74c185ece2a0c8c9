"use strict";
(() => {
  const root = document.documentElement;
  const remember = (key, value) => { try { localStorage.setItem("earwitness." + key, value); } catch { /* private */ } };
  const recall = (key) => { try { return localStorage.getItem("earwitness." + key); } catch { return null; } };

  // --- light and dark: as the system says, unless asked otherwise
  const themes = ["auto", "light", "dark"];
  const themeButton = document.getElementById("theme");
  const showTheme = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    document.getElementById("theme-name").textContent = theme;
  };
  let theme = themes.includes(recall("theme")) ? recall("theme") : "auto";
  showTheme(theme);
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    remember("theme", theme);
    showTheme(theme);
  });

  // --- players: a button and a position each; one plays at a time
  const loud = document.getElementById("loud");
  const level = (audio) => { audio.volume = loud.checked ? 1 : Number(audio.dataset.gain); };
  const clock = (seconds) => seconds.toFixed(1) + " s";
  let playing = null;

  const build = (audio) => {
    const name = audio.getAttribute("aria-label");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "play";
    const position = document.createElement("input");
    position.type = "range";
    position.min = 0;
    position.max = audio.dataset.seconds;
    position.step = "any";
    position.value = 0;
    position.setAttribute("aria-label", "Position: " + name);
    const show = () => {
      const on = !audio.paused;
      button.setAttribute("aria-label", (on ? "Pause: " : "Play: ") + name);
      button.classList.toggle("on", on);
      position.value = audio.currentTime;
      position.setAttribute("aria-valuetext", clock(audio.currentTime));
      position.style.setProperty("--at", (100 * audio.currentTime / Number(audio.dataset.seconds)) + "%");
    };
    const follow = () => { show(); if (!audio.paused) requestAnimationFrame(follow); };
    button.addEventListener("click", () => {
      if (!audio.paused) { audio.pause(); return; }
      const other = playing;
      if (other && other !== audio && !other.paused) {
        // another signal of the same clip goes on where this one is: that is how to compare them
        if (other.closest(".clip") === audio.closest(".clip")) audio.currentTime = other.currentTime;
        other.pause();
      }
      playing = audio;
      level(audio);
      audio.play().catch(() => { button.classList.add("broken"); button.title = "cannot be played here"; });
    });
    position.addEventListener("input", () => { audio.currentTime = Number(position.value); show(); });
    audio.addEventListener("play", follow);
    audio.addEventListener("pause", show);
    audio.addEventListener("ended", () => { audio.currentTime = 0; show(); });
    audio.removeAttribute("controls");
    audio.before(button);
    audio.after(position);
    show();
  };
  // a clip's players are made when it is first opened
  const prepare = (clip) => {
    if (clip.dataset.ready) return;
    clip.dataset.ready = "1";
    clip.querySelectorAll("audio").forEach(build);
  };
  document.querySelectorAll("details.clip").forEach((clip) => {
    if (clip.open) prepare(clip);
    clip.addEventListener("toggle", () => {
      if (clip.open) prepare(clip);
      else if (playing && clip.contains(playing)) playing.pause();
    });
  });
  loud.closest("label").hidden = false;
  loud.checked = false;
  loud.addEventListener("change", () => { if (playing) level(playing); });

  // --- a link to a clip opens it
  const arrive = () => {
    const goal = /^#clip-\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (goal) { goal.open = true; prepare(goal); goal.scrollIntoView(); }
  };
  window.addEventListener("hashchange", arrive);
  arrive();
})();
