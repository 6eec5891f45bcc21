// --- the overview of an archive: thousands of sessions, made in chunks when they come near ------------

const COLUMNS = {
  session: (s) => s.title,
  mood: (s) => s.mood ?? Infinity,
  trend: (s) => (s.clear ? s.trend[1] - s.trend[0] : 0),
  length: (s) => -s.length_s,
  speech: (s) => -s.speech_s,
  uncertain: (s) => -s.shares[UNCERTAIN],
  alerts: (s) => -s.alerts,
};
const NUMBERS = {
  mood: (s) => s.mood, mood_end: (s) => Math.min(...s.channels.map((c) => c.mood_end ?? Infinity)), alerts: (s) => s.alerts,
  length: (s) => s.length_s, speech: (s) => s.speech_s, silence: (s) => s.silence_s, uncertain: (s) => s.shares[UNCERTAIN], utterances: (s) => s.utterances,
};
const UNITS = { s: 1, m: 60, min: 60, h: 3600 };

// A word is looked for in all that is written of a session; mood<-0.3, alerts>=1 and length>10m compare.
const COMPARISON = /^(\w+)(<=|>=|<|>|=)(-?[\d.]+)(s|m|min|h|%)?$/;
function wanted(words) {
  return words.map((word) => {
    const match = COMPARISON.exec(word);
    if (!match || !NUMBERS[match[1]]) return (s, said) => said.includes(word);
    const [, name, sign, number, unit] = match;
    const limit = Number(number) * (unit === "%" ? 0.01 : UNITS[unit] ?? 1);
    const holds = { "<": (v) => v < limit, ">": (v) => v > limit, "<=": (v) => v <= limit, ">=": (v) => v >= limit, "=": (v) => v === limit }[sign];
    return (s) => { const value = NUMBERS[name](s); return value !== null && Number.isFinite(value) && holds(value); };
  });
}

function archive() {
  const said = new Map(DATA.sessions.map((s) => [s, [s.title, s.id, s.file, s.model, s.began, ...s.speakers, ...s.channels.map((c) => c.name)].join(" ").toLowerCase()]));
  const found = el("output", {});
  const table = el("table", { class: "overview" });
  const near = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((e) => fill(e.target)), { rootMargin: "1500px 0px" });
  let sorted = "mood";
  let text = "";
  let matches = [];
  const head = (name, title, kind) => el("th", { class: kind, scope: "col", "aria-sort": name === sorted ? "ascending" : null },
    el("button", { title: `sort by ${title}`, onclick: () => { sorted = name; draw(); } }, title));

  function fill(chunk) {
    near.unobserve(chunk);
    if (chunk.filled) return;
    chunk.filled = true;
    chunk.replaceChildren(...matches.slice(chunk.first, chunk.first + CHUNK).map(archiveRow));
  }

  function draw() {
    const words = text.toLowerCase().replaceAll("−", "-").split(/\s+/).filter(Boolean);
    const tests = wanted(words);
    const key = COLUMNS[sorted];
    matches = DATA.sessions.filter((s) => tests.every((test) => test(s, said.get(s))));
    matches.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
    near.disconnect();
    const chunks = [];
    for (let first = 0; first < matches.length; first += CHUNK) {
      const height = 58 * Math.min(CHUNK, matches.length - first);
      const chunk = el("tbody", {}, el("tr", {}, el("td", { colspan: 7, "--height": `${height}px`, class: "unmade" })));
      chunk.first = first;
      chunks.push(chunk);
    }
    table.replaceChildren(el("thead", {}, el("tr", {},
      head("session", "session"), head("mood", "mood"), head("trend", "mood over time", "wide"), el("th", { scope: "col", class: "wide" }, "of the speaking time"),
      head("length", "length", "number wide"), head("uncertain", "uncertain", "number wide"), head("alerts", "alerts", "number"))), ...chunks);
    chunks.forEach((chunk) => near.observe(chunk));
    const strange = matches.length ? [] : words.filter((word) => /[<>]/.test(word) && !NUMBERS[COMPARISON.exec(word)?.[1]]);
    found.textContent = (matches.length === DATA.sessions.length ? `${matches.length} sessions` : `${matches.length} of ${DATA.sessions.length} sessions`)
      + (strange.length ? `; compares nothing: ${strange.join(", ")}` : "");
  }

  draw();
  return [
    el("h1", {}, `${DATA.sessions.length} sessions`),
    el("p", { class: "about" }, DATA.overview),
    el("form", { class: "filter screen", onsubmit: (e) => e.preventDefault() },
      el("input", { type: "search", placeholder: "words, mood<-0.2, alerts>0, length>10m", "aria-label": "search", oninput: (e) => { text = e.target.value; draw(); } }), found),
    el("p", { class: "quiet" }, `Words are looked for in name, session, file, channel and speaker; ${Object.keys(NUMBERS).join(", ")} can be compared. `,
      "The utterances of one session: streamer report LOG --session ID."),
    el("section", {}, table),
  ];
}

function archiveRow(s) {
  const channels = s.channels.length > 1
    ? el("small", {}, s.channels.filter((c) => c.mood !== null).map((c) => `${c.name} ${signed(c.mood)}`).join(", "))
    : null;
  return el("tr", {},
    el("td", { class: "name" }, s.title, el("small", {}, [s.began, s.id, ...s.speakers].filter(Boolean).join(" · "))),
    el("td", { class: "mood" }, s.mood === null ? "unclassified" : [rail(s.mood), ` ${signed(s.mood)}`], channels),
    el("td", { class: "wide" }, trendWord(s)),
    el("td", { class: "wide" }, stack(s)),
    el("td", { class: "number wide" }, duration(s.length_s)),
    el("td", { class: "number wide" }, percent(s.shares[UNCERTAIN])),
    el("td", { class: s.alerts ? "number alarm" : "number" }, s.alerts ? String(s.alerts) : "–"));
}

