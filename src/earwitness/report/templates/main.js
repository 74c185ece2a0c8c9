// Which view is shown, the navigation, keys, light and dark.
function remember(key, value) { try { localStorage.setItem("earwitness." + key, value); } catch { /* private */ } }
function recall(key) { try { return localStorage.getItem("earwitness." + key); } catch { return null; } }

const themes = ["auto", "light", "dark"];
let theme = themes.includes(recall("theme")) ? recall("theme") : "auto";
const showTheme = () => {
  if (theme === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
  $("theme-name").textContent = theme;
};
$("theme").hidden = false;
$("theme").addEventListener("click", () => { theme = themes[(themes.indexOf(theme) + 1) % themes.length]; remember("theme", theme); showTheme(); });
showTheme();

const VIEWS = { "": overviewView, transfer: transferView, clips: clipsView, clip: clipView, section: sectionView, failures: failuresView, reading: readingView };
let view = null, turn = 0;
const showNavigation = ({ view: name, argument }) => {
  const link = (href, text, on) => h("a", { href, "aria-current": on ? "page" : null }, text);
  $("nav").replaceChildren(
    link("#/", "Overview", name === ""), link("#/transfer", "Transfer", name === "transfer"), link("#/clips", "Clips", name === "clips" || name === "clip"),
    ...study.sections.map(([id, title]) => link(address("section", id), title, name === "section" && argument === id)),
    ...(study.failures.length ? [link("#/failures", "What failed", name === "failures")] : []),
    link("#/reading", "How to read this", name === "reading"));
};
const show = async (first) => {
  const mine = ++turn, goal = readAddress();
  let made;
  try {
    made = await (VIEWS[goal.view] ?? overviewView)(goal);
  } catch (error) {
    made = { title: "Not shown", nodes: [h("h1", null, "This part cannot be shown"), h("p", { class: "notice text" }, error.message)] };
  }
  if (mine !== turn) { made.leave?.(); return; }
  view?.leave?.();
  view = made;
  showNavigation(goal);
  document.title = (made.title === study.name ? "" : made.title + " · ") + study.name + " · Earwitness";
  $("main").replaceChildren(...made.nodes.flat(Infinity).filter(Boolean));
  if (goal.view !== "reading") $("main").append(wordsHere());
  $("main").dataset.view = goal.view || "overview";
  if (!first) { scrollTo(0, 0); $("main").focus({ preventScroll: true }); say(made.title); }
  document.documentElement.dataset.ready = String(mine);
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target, typing = at.matches("input:not([type=radio]):not([type=range]):not([type=checkbox]), select, textarea");
  // a key that the focused control has a use for is its own
  if (typing || (event.key === " " && at.matches("button, a, summary, input"))) return;
  if (view?.keys?.(event.key)) event.preventDefault();
});
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
window.addEventListener("hashchange", () => show(false));
loadStudy().then(() => show(true)).catch((error) => { $("main").replaceChildren(h("h1", null, "This page cannot be shown"), h("p", { class: "notice" }, error.message)); });
