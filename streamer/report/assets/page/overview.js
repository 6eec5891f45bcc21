// --- the overview ----------------------------------------------------------------------------

const ORDERS = {
  session: (s) => s.title,
  mood: lowest,
  trend: (s) => Math.min(...s.channels.map((channel) => (channel.clear ? channel.trend[1] - channel.trend[0] : 0))),
  speech: (s) => -s.speech_s,
  utterances: (s) => -s.utterances,
  uncertain: (s) => -s.shares[UNCERTAIN],
  alerts: (s) => -alertCount(s),
};
let order = "mood";

function overview() {
  if (!DATA.sessions.length) return [el("h1", {}, DATA.title), el("p", { class: "about" }, DATA.overview)];
  const sorted = DATA.sessions.map((session, place) => ({ session, place }));
  const key = ORDERS[order];
  sorted.sort((a, b) => (key(a.session) < key(b.session) ? -1 : key(a.session) > key(b.session) ? 1 : 0));
  const head = (name, title, kind) =>
    el("th", { class: kind, scope: "col", "aria-sort": name === order ? "ascending" : null },
      el("button", { onclick: () => { order = name; show(); }, title: `sort by ${title}` }, title));
  return [
    el("h1", {}, DATA.title),
    el("p", { class: "about" }, DATA.overview),
    overviewLegend(),
    el("section", {},
      el("table", { class: "overview" },
        el("thead", {}, el("tr", {},
          head("session", "session"), head("mood", "mood"), head("trend", "mood over time", "wide"),
          el("th", { scope: "col", class: "wide" }, "of the speaking time"),
          head("speech", "speech", "number wide"), head("utterances", "utterances", "number wide"),
          head("uncertain", "uncertain", "number wide"), head("alerts", "alerts", "number"))),
        el("tbody", {}, sorted.map(({ session, place }) => overviewRow(session, place))))),
  ];
}

function overviewLegend() {
  const present = new Set(DATA.sessions.flatMap((s) => s.channels.flatMap((c) => c.shares.map((share, verdict) => (share > 0 ? verdict : -1)))));
  return el("ul", { class: "legend" },
    DATA.verdicts.map((v, verdict) => (present.has(verdict) ? el("li", {}, letter(verdict), v.name) : null)),
    el("li", {}, "mood: from −1, negative, on the left to +1, positive, on the right"));
}

function overviewRow(s, place) {
  const alerts = alertCount(s);
  const each = (cell) => s.channels.map((channel) => el("div", { class: "per-channel" },
    s.channels.length > 1 ? el("small", {}, channel.name) : null, cell(channel)));
  return el("tr", {},
    el("td", { class: "name" }, el("a", { href: `#${place + 1}` }, s.title), s.began ? null : el("small", {}, s.id)),
    el("td", { class: "mood" }, each((c) => (c.mood === null ? "not classified" : [rail(c.mood), ` ${signed(c.mood)}`]))),
    el("td", { class: "wide" }, each((c) => [spark(c, s.span_s), el("small", {}, trendWord(c))])),
    el("td", { class: "wide" }, each(stack)),
    el("td", { class: "number wide" }, duration(s.speech_s)),
    el("td", { class: "number wide" }, String(s.utterances)),
    el("td", { class: "number wide" }, percent(s.shares[UNCERTAIN])),
    el("td", { class: alerts ? "number alarm" : "number" }, alerts ? String(alerts) : "–"));
}

function stack(s) {
  const parts = s.shares.map((share, verdict) => ({ share, verdict })).filter((part) => part.share > 0);
  const said = parts.map((p) => `${DATA.verdicts[p.verdict].name} ${percent(p.share)}`).join(", ");
  return el("div", { class: "stack", role: "img", "aria-label": said, title: said },
    parts.map(({ share, verdict }) => {
      const part = bar(share, verdict);
      if (share > 0.08) part.textContent = DATA.verdicts[verdict].letter;
      return part;
    }));
}

function spark(channel, span_s) {
  const name = "http://www.w3.org/2000/svg";
  const make = (tag, attributes) => {
    const node = document.createElementNS(name, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const svg = make("svg", { viewBox: "0 0 110 30", class: "spark", "aria-hidden": "true" });
  svg.append(make("line", { x1: 0, x2: 110, y1: 15, y2: 15 }));
  const points = channel.curve.map(([at, mood]) => `${((110 * at) / span_s).toFixed(1)},${(15 - 15 * mood).toFixed(1)}`);
  if (points.length) svg.append(make("path", { d: `M${points.join("L")}` }));
  return svg;
}

