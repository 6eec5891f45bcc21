// --- all together ----------------------------------------------------------------------------

function footer() {
  const left = DATA.left_out_count;
  return el("footer", {},
    left ? el("details", {},
      el("summary", {}, left === 1 ? "One line or file was left out" : `${left} lines or files were left out`),
      el("ul", {}, DATA.left_out.map((text) => el("li", {}, text))),
      left > DATA.left_out.length ? el("p", {}, `… and ${left - DATA.left_out.length} more.`) : null) : null,
    el("p", {}, "Mood is the probability of positive emotions less that of negative ones, from −1 to 1, and is averaged over the speaking time. " +
      "Emotions are what a model hears in the voice, not what somebody feels: rely on the course of a session more than on a single utterance, and on none that is uncertain (?)."),
    ...DATA.models.map(({ name, licences }) => el("p", {}, `The model ${name} was trained on material under these licences: ${licences}.`)),
    DATA.not_commercial.length ? el("p", {}, `Not for commercial use: ${DATA.not_commercial.join(", ")}. A company may use the model open.`) : null,
    DATA.silent_count ? el("p", {}, `Without an utterance: ${DATA.silent.join(", ")}${DATA.silent_count > DATA.silent.length ? " …" : ""}.`) : null,
    DATA.sessions.length ? el("p", {}, "Made by streamer report from ", [...new Set(DATA.sessions.map((s) => s.file))].slice(0, 5).join(", "), ".") : null);
}

let view = null;

function show() {
  if (view) view.timeline.chart.dispose();
  if (sound) sound.audio.pause();
  const place = DATA.sessions.length === 1 ? 0 : Number(location.hash.slice(1)) - 1;
  const chosen = DATA.archive ? null : DATA.sessions[place];
  view = chosen ? session(chosen, place) : null;
  PAGE.replaceChildren(...(view ? view.content.filter(Boolean) : DATA.archive ? archive() : overview()), footer());
  if (view) view.ready();
}

function redraw(width) { if (view) view.timeline.refresh(width); }

window.addEventListener("hashchange", () => { show(); window.scrollTo(0, 0); });
window.addEventListener("resize", () => { if (!ROOT.classList.contains("paper")) redraw(); });
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
window.addEventListener("beforeprint", () => { ROOT.classList.add("paper"); if (view) view.complete(); redraw(PAPER_PX); });
window.addEventListener("afterprint", () => { ROOT.classList.remove("paper"); redraw(); });
show();
