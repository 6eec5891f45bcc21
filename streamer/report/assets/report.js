// Draws the page from its data. Text from the logs is only ever set as text, never as markup.
"use strict";

const DATA = JSON.parse(document.getElementById("data").textContent);
const ROOT = document.documentElement;
const PAGE = document.getElementById("page");
const UNCERTAIN = DATA.verdicts.findIndex((v) => v.name === "uncertain");
const [NOT_JUDGED, NO_SPEECH, MARK] = [UNCERTAIN + 1, UNCERTAIN + 2, UNCERTAIN + 3];
const CHUNK = 25; // rows that are made, and skipped by the browser, together
const ROW_PX = 33;
const PRINTED = 500; // rows on paper at most
const COLUMN_PX = 13; // of a column that stands for many utterances, at least
const RIGHT_PX = 24; // room for half of the last time on the axis
const PAPER_PX = 690; // width of a printed page between its margins

// --- small things ----------------------------------------------------------------------------

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function clock(seconds, tenths) {
  const whole = Math.floor(tenths ? Math.floor(seconds * 10) / 10 : seconds);
  const two = (n) => String(n).padStart(2, "0");
  const text = `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return tenths ? `${text}.${Math.floor(seconds * 10) % 10}` : text;
}

function duration(seconds) {
  const s = Math.round(seconds);
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return s >= 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s} s`;
}

const signed = (mood) => (mood < 0 ? "−" : "+") + Math.abs(mood).toFixed(2);
const percent = (share) => `${Math.round(100 * share)} %`;
const css = (name) => getComputedStyle(ROOT).getPropertyValue(name).trim();

function letter(verdict) {
  const { letter, colour } = DATA.verdicts[verdict];
  return el("span", { class: colour ? "letter" : "letter none", "--c": colour, "aria-hidden": "true" }, letter);
}

function rail(mood) {
  return el("span", { class: "rail", "--at": `${50 + 50 * mood}%`, "aria-hidden": "true" });
}

function bar(share, verdict) {
  const { colour } = DATA.verdicts[verdict];
  const inner = el("i", { class: colour ? null : "none", "--c": colour });
  inner.style.width = `${100 * share}%`;
  return inner;
}

const trendWord = (s) =>
  !s.trend ? "too short for a trend" : !s.clear ? "no clear trend" : s.trend[1] > s.trend[0] ? "↗ rising" : "↘ falling";

const size = (object) => Object.keys(object).length;
const alertCount = (s) => Object.values(s.rows.alert).reduce((sum, names) => sum + names.length, 0);
// Nobody's mood is the average over people who talk to each other: the lowest one counts.
const lowest = (s) => Math.min(...s.channels.map((channel) => channel.mood ?? Infinity));

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
function wanted(text) {
  return text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const match = /^(\w+)(<=|>=|<|>|=)(-?[\d.]+)(s|m|min|h|%)?$/.exec(word.replace("−", "-"));
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
    const tests = wanted(text);
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
    found.textContent = matches.length === DATA.sessions.length ? `${matches.length} sessions` : `${matches.length} of ${DATA.sessions.length} sessions`;
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

// --- a session -------------------------------------------------------------------------------

function session(s, place) {
  const rows = s.rows;
  const chart = el("div", { class: "chart", role: "img", "aria-label": `Timeline. ${s.words.join(" ")}` });
  const table = utterances(s, (row) => { timeline.look(row); chart.scrollIntoView({ block: "nearest" }); });
  const scale = el("li", {});
  const timeline = new Timeline(chart, scale, s, table.reveal);
  const events = eventList(s, table.reveal);
  const count = DATA.sessions.length;
  const facts = [`${duration(s.span_s)} long`, s.model && `classified by ${s.model}`, `session ${s.id}`];
  const content = [
    count > 1
      ? el("nav", { class: "ways screen" }, el("a", { href: "#" }, `← all ${count} sessions`),
          el("span", {},
            place > 0 ? el("a", { href: `#${place}` }, "lower mood") : null, "  ",
            place + 1 < count ? el("a", { href: `#${place + 2}` }, "higher mood") : null))
      : null,
    el("h1", {}, s.title),
    el("p", { class: "about" }, facts.filter(Boolean).join(" · ")),
    ...glance(s),
    el("div", { class: "words" }, s.words.map((sentence) => el("p", {}, sentence))),
    el("section", { class: "keep" },
      el("div", { class: "ways" }, el("h2", {}, "Over time"),
        el("button", { class: "screen quiet", onclick: () => timeline.whole() }, "show the whole session")),
      legend(s, scale), chart),
    el("section", {}, el("h2", {}, "Of the speaking time"), callWords(s),
      el("div", { class: "shares" }, s.channels.map((channel) => shares(channel, s.channels.length > 1)))),
    events.length ? el("section", {}, el("h2", {}, "Alerts, marks and notes"), el("ul", { class: "events" }, events)) : null,
    el("section", {}, el("h2", {}, "Utterances"), table.nodes),
  ];
  return { content, ready: () => { timeline.draw(); table.draw(); }, complete: table.complete, timeline };
}

// Figures at a glance, a line for each channel: an average over channels is nobody's.
function glance(s) {
  const item = (name, value, more, kind) =>
    el("div", {}, el("dt", {}, name), el("dd", { class: kind }, value, more ? el("small", {}, more) : null));
  const named = s.channels.length > 1;
  return s.channels.map((channel, index) => {
    const alerts = Object.entries(s.rows.alert).filter(([row]) => s.rows.channel[row] === index).reduce((sum, [, names]) => sum + names.length, 0);
    const word = trendWord(channel);
    return el("dl", { class: "glance" },
      named ? item("channel", channel.name, null, "channel") : null,
      item("mood", channel.mood === null ? "–" : signed(channel.mood), channel.mood === null ? "not classified" : rail(channel.mood)),
      item("trend", channel.clear ? word.slice(0, 1) : "–", channel.clear ? `${word.slice(2)}, ${signed(channel.trend[0])} to ${signed(channel.trend[1])}` : word),
      item("speech", duration(channel.speech_s), `${channel.utterances} utterance${channel.utterances === 1 ? "" : "s"}`),
      item("uncertain", percent(channel.shares[UNCERTAIN]), "of the speaking time"),
      item("alerts", String(alerts), alerts ? "see below" : "none", alerts ? "alarm" : null));
  });
}

function legend(s, scale) {
  const present = new Set(s.rows.verdict);
  const marked = present.delete(MARK);
  const items = DATA.verdicts.map((v, verdict) => (present.has(verdict) ? el("li", {}, letter(verdict), v.name) : null));
  items.push(scale);
  items.push(el("li", {}, el("i", { class: "line" }), "mood, smoothed"), el("li", {}, "● ○ mood of an utterance, certain or not"));
  if (s.channels.some((channel) => channel.clear)) items.push(el("li", {}, el("i", { class: "line trend" }), "trend of the mood"));
  if (size(s.rows.corrected)) items.push(el("li", {}, "line on top: corrected by hand"));
  if (size(s.rows.alert)) items.push(el("li", { class: "alarm" }, "▶ alert"));
  if (marked || size(s.rows.note)) items.push(el("li", {}, "▲ mark or note"));
  return el("ul", { class: "legend" }, items);
}

function shares(channel, named) {
  const parts = channel.shares.map((share, verdict) => ({ share, verdict })).filter((part) => part.share > 0);
  const rank = (part) => (DATA.verdicts[part.verdict].colour ? -part.share : part.verdict);
  parts.sort((a, b) => rank(a) - rank(b));
  return el("div", { class: "keep" },
    named ? el("h3", {}, channel.name) : null,
    parts.length ? channelWords(channel, named) : el("p", { class: "quiet" }, "no speech"),
    parts.map(({ share, verdict }) => el("div", { class: "share" },
      el("span", {}, letter(verdict), DATA.verdicts[verdict].name),
      el("span", { class: "bar" }, bar(share, verdict)),
      el("span", {}, percent(share)),
      el("span", { class: "quiet" }, duration(share * channel.speech_s)))),
    parts.length ? el("div", { class: "share axis", "aria-hidden": "true" }, el("span", {}), el("span", {}, ["0", "50", "100 %"].map((text) => el("span", {}, text)))) : null);
}

function callWords(s) {
  const several = s.channels.length > 1 ? `, several at once for ${duration(s.overlap_s)}` : "";
  return el("p", { class: "quiet" }, `From the first word to the last ${duration(s.length_s)}: silence for ${duration(s.silence_s)}${several}.`);
}

function channelWords(channel, several) {
  const call = channel.call;
  const parts = [
    several && call.talk_share !== null ? `${percent(call.talk_share)} of the talk` : null,
    several ? `interrupts ${call.interruptions} ×` : null,
    `longest monologue ${duration(call.longest_s)}`,
    call.first_alert_s === null ? null : `first alert after ${duration(call.first_alert_s)}`,
    call.mood_start === null ? null : `mood from ${signed(call.mood_start)} to ${signed(call.mood_end)}`,
  ];
  return el("p", { class: "quiet" }, parts.filter(Boolean).join(", "));
}

function eventList(s, reveal) {
  const rows = s.rows;
  const line = (row, kind, text) => el("li", {},
    el("button", { class: "time", onclick: () => reveal(Number(row)) }, clock(rows.start[row])),
    el("span", { class: "wide quiet" }, channelOf(s, row)),
    el("span", { class: kind === "alert" ? "alarm wide" : "quiet wide" }, kind),
    el("span", { class: kind === "alert" ? "alarm" : null }, kind === "alert" ? `▶ ${text}` : text));
  const all = [
    ...Object.entries(rows.alert).flatMap(([row, names]) => names.map((name) => [Number(row), "alert", name])),
    ...Object.entries(rows.note).filter(([row]) => rows.verdict[row] !== MARK).map(([row, text]) => [Number(row), "note", text]),
    ...marksOf(rows).map((row) => [row, "mark", rows.note[row] ?? ""]),
  ];
  return all.sort((a, b) => a[0] - b[0]).map((event) => line(...event));
}

// Marks are rows of no channel.
const marksOf = (rows) => [...rows.verdict.keys()].filter((row) => rows.verdict[row] === MARK);
const channelOf = (s, row) => s.channels[s.rows.channel[row]]?.name ?? "";

// A letter in a chart, over a place.
function sign(text, x, y, fill) {
  const font = '700 11px system-ui, "Liberation Sans", sans-serif';
  return { type: "text", silent: true, style: { text, x, y, fill, font, textAlign: "center", textVerticalAlign: "bottom" } };
}

// --- the timeline: per channel a lane of utterances over its mood ---------------------------------

class Timeline {
  constructor(node, scale, session, reveal) {
    this.node = node;
    this.scale = scale; // where it says what heights mean
    this.s = session;
    this.reveal = reveal;
    const rows = session.rows;
    this.places = session.channels.map((_, channel) => [...rows.start.keys()].filter((row) => rows.channel[row] === channel));
  }

  draw() {
    this.chart = echarts.init(this.node, null, { renderer: "canvas", devicePixelRatio: Math.max(2, window.devicePixelRatio), height: this.height() });
    this.chart.on("click", (event) => this.click(event));
    this.chart.on("datazoom", () => { if (this.column() !== this.columnS) this.refresh(); });
    this.refresh();
  }

  refresh(width) {
    this.chart.resize({ width: width || "auto", height: this.height() });
    this.columnS = this.column();
    this.scale.textContent = this.columnS
      ? `height: share of the speaking time in ${duration(this.columnS)}; zoom in for single utterances`
      : "height: confidence";
    this.chart.setOption(this.option(), { notMerge: false, replaceMerge: ["series"] });
    this.chart.getZr().flush();
  }

  window() {
    const [zoom] = this.chart.getOption()?.dataZoom ?? [];
    return zoom ? [zoom.startValue, zoom.endValue] : [0, this.s.span_s];
  }

  // Seconds that a column stands for where utterances are too many to be told apart; 0 where not.
  column() {
    const [from, to] = this.window();
    const { start } = this.s.rows;
    const most = Math.max(...this.places.map((rows) => rows.filter((row) => start[row] >= from && start[row] <= to).length));
    const width = this.chart.getWidth() - 80;
    return 3 * most <= width ? 0 : 2 ** Math.ceil(Math.log2((COLUMN_PX * (to - from)) / width));
  }

  columns(index) {
    const { rows } = this.s;
    const found = new Map();
    for (const row of this.places[index]) {
      if (rows.verdict[row] === NO_SPEECH) continue;
      const at = Math.floor(rows.start[row] / this.columnS);
      if (!found.has(at)) found.set(at, { start: at * this.columnS, shares: DATA.verdicts.map(() => 0), classified: 0, mood: 0 });
      const column = found.get(at);
      const seconds = rows.end[row] - rows.start[row];
      column.shares[rows.verdict[row]] += seconds;
      if (rows.mood[row] === null) continue;
      column.classified += seconds;
      column.mood += seconds * rows.mood[row];
    }
    for (const column of found.values()) {
      const sum = column.shares.reduce((a, b) => a + b) || 1;
      column.shares = column.shares.map((part) => part / sum);
      column.mood = column.classified ? column.mood / column.classified : null;
    }
    return [...found.values()];
  }

  click(event) {
    if (event.seriesName === "shares") {
      const [start] = event.value;
      this.chart.dispatchAction({ type: "dataZoom", startValue: Math.max(0, start - 2 * this.columnS), endValue: start + 3 * this.columnS });
    } else if (event.value && event.value.length > 3) this.reveal(event.value[3]);
  }

  whole() { this.chart.dispatchAction({ type: "dataZoom", start: 0, end: 100 }); }

  look(row) {
    const { start, end, channel } = this.s.rows;
    const around = 40; // seconds: enough for letters to be read
    this.chart.dispatchAction({ type: "dataZoom", startValue: Math.max(0, start[row] - around), endValue: end[row] + around });
    if (!this.columnS && channel[row] !== null) this.chart.dispatchAction({ type: "showTip", seriesIndex: 6 * channel[row], dataIndex: this.places[channel[row]].indexOf(row) });
  }

  height() { return this.s.channels.length * 210 + 28; }

  option() {
    const ink = { ink: css("--ink"), quiet: css("--quiet"), faint: css("--faint"), rule: css("--rule"), alert: css("--alert"), link: css("--link"), raised: css("--raised") };
    const { s } = this;
    const narrow = this.chart.getWidth() < 600;
    const left = narrow ? 44 : 66;
    const count = s.channels.length;
    const label = { color: ink.quiet, fontSize: 11 };
    const option = {
      animation: false,
      textStyle: { fontFamily: 'system-ui, "Liberation Sans", sans-serif' },
      title: [], grid: [], xAxis: [], yAxis: [], series: [],
      tooltip: {
        trigger: "item", confine: true, backgroundColor: ink.raised, borderColor: ink.rule, padding: [8, 12],
        formatter: ({ seriesName, value }) => (seriesName === "shares" ? this.columnTip(value) : seriesName === "mean mood" ? `mean mood ${signed(value[1])}` : this.tip(value[3])),
      },
      dataZoom: [
        { type: "inside", xAxisIndex: "all", filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false, preventDefaultMouseMove: false, minValueSpan: 2 },
        { type: "slider", show: !ROOT.classList.contains("paper"), xAxisIndex: "all", filterMode: "none", height: 14, bottom: 2, left, right: RIGHT_PX, minValueSpan: 2, showDataShadow: false, showDetail: false,
          borderColor: ink.rule, fillerColor: "rgba(128,134,142,.16)", handleStyle: { color: ink.raised, borderColor: ink.faint }, moveHandleSize: 0, brushSelect: true },
      ],
    };
    s.channels.forEach((channel, index) => {
      const top = index * 210 + 26;
      const [lane, mood] = [2 * index, 2 * index + 1];
      const last = index === count - 1;
      if (count > 1) option.title.push({ text: channel.name, left: 0, top: top - 26, padding: 0, textStyle: { color: ink.ink, fontSize: 13, lineHeight: 18, fontWeight: 600 } });
      const box = { left, right: RIGHT_PX, outerBoundsMode: "none" }; // times must stand above each other
      option.grid.push({ ...box, top, height: 64 }, { ...box, top: top + 74, height: 88 });
      for (const grid of [lane, mood]) {
        option.xAxis.push({ type: "value", gridIndex: grid, min: 0, max: s.span_s, splitLine: { show: false }, axisTick: { show: grid === mood, lineStyle: { color: ink.rule } }, axisLine: { lineStyle: { color: ink.rule }, onZero: false },
          splitNumber: narrow ? 3 : 8, axisLabel: { ...label, show: grid === mood && last, formatter: (v) => clock(v), hideOverlap: true } });
      }
      const names = narrow ? ["−1", "0", "+1"] : ["negative", "0", "positive"];
      option.yAxis.push(
        { type: "value", gridIndex: lane, min: 0, max: 1, interval: 0.5, axisLabel: { ...label, formatter: (v) => (v ? `${100 * v} %` : "") }, splitLine: { lineStyle: { color: ink.rule, width: 0.6 } } },
        { type: "value", gridIndex: mood, min: -1, max: 1, interval: 1, axisLabel: { ...label, formatter: (v) => names[v + 1] }, splitLine: { lineStyle: { color: ink.rule, width: 0.6 } } });
      option.series.push(...this.series(index, channel, ink));
    });
    return option;
  }

  series(index, channel, ink) {
    const { rows } = this.s;
    const [lane, mood] = [2 * index, 2 * index + 1];
    const places = this.places[index];
    const on = (axis) => ({ xAxisIndex: axis, yAxisIndex: axis });
    const classified = places.filter((row) => rows.mood[row] !== null && rows.verdict[row] !== NO_SPEECH);
    const flags = [...places.filter((row) => row in rows.alert || row in rows.note), ...marksOf(rows)];
    const quiet = { silent: true, showSymbol: false, tooltip: { show: false }, clip: true };
    const all = { clip: true, progressive: 0 };
    const dots = (name, data, itemStyle) => ({ type: "scatter", name, ...on(mood), ...all, symbolSize: 5, data, itemStyle });
    const dot = (row) => [(rows.start[row] + rows.end[row]) / 2, rows.mood[row], 0, row];
    const columns = this.columnS ? this.columns(index) : [];
    const box = { ...on(lane), ...all, encode: { x: [0, 1], y: 2 } };
    const marks = this.columnS
      ? [
          { type: "custom", name: "shares", ...box, data: columns.map((c) => [c.start, c.start + this.columnS, 1, ...c.shares]), renderItem: (params, api) => this.stack(params, api, ink) },
          dots("mean mood", columns.map((c) => [c.start + this.columnS / 2, c.mood]), { color: ink.quiet, opacity: 0.7 }),
        ]
      : [
          { type: "custom", name: "utterances", ...box, data: places.map((row) => [rows.start[row], rows.end[row], (rows.percent[row] ?? 0) / 100, row]), renderItem: (params, api) => this.bar(params, api, ink) },
          dots("mood", classified.filter((row) => rows.verdict[row] !== UNCERTAIN).map(dot), { color: ink.quiet, opacity: 0.65 }),
          dots("uncertain mood", classified.filter((row) => rows.verdict[row] === UNCERTAIN).map(dot), { color: "transparent", borderColor: ink.faint, borderWidth: 1, opacity: 0.6 }),
        ];
    return [
      ...marks,
      { type: "line", name: "smoothed", ...on(mood), ...quiet, data: channel.curve, lineStyle: { color: ink.ink, width: 2 }, z: 4 },
      { type: "line", name: "trend", ...on(mood), ...quiet, data: channel.clear && channel.curve.length ? [[channel.curve[0][0], channel.trend[0]], [channel.curve[channel.curve.length - 1][0], channel.trend[1]]] : [],
        lineStyle: { color: ink.link, width: 1.5, type: [6, 4] }, z: 3 },
      { type: "custom", name: "flags", ...on(lane), clip: false, z: 5, encode: { x: 0, y: 1 }, data: flags.map((row) => [rows.start[row], 1, 0, row]), renderItem: (params, api) => this.flag(params, api, ink) },
    ];
  }

  stack(params, api, ink) {
    const area = params.coordSys;
    const [x, top] = api.coord([api.value(0), 1]);
    const width = Math.max(1, api.coord([api.value(1), 0])[0] - x - 1);
    if (x > area.x + area.width || x + width < area.x) return null;
    let y = area.y + area.height;
    const parts = [];
    DATA.verdicts.forEach(({ letter: text, colour }, verdict) => {
      const height = (area.y + area.height - top) * api.value(3 + verdict);
      if (!height) return;
      y -= height;
      parts.push({ type: "rect", shape: { x, y, width, height }, style: colour ? { fill: colour } : { fill: ink.faint, opacity: 0.22 } });
      if (width >= 10 && height >= 12) parts.push(sign(text, x + width / 2, y + height / 2 + 6, colour ? "#fff" : ink.quiet));
    });
    return { type: "group", children: parts };
  }

  columnTip([start, end, , ...shares]) {
    const heard = shares.map((share, verdict) => ({ share, verdict })).filter(({ share }) => share > 0).sort((a, b) => b.share - a.share);
    return el("div", { class: "tip" },
      el("p", { class: "quiet" }, `${clock(start)} to ${clock(end)}, of the speaking time`),
      heard.map(({ share, verdict }) => el("p", {}, letter(verdict), `${DATA.verdicts[verdict].name} ${percent(share)}`)));
  }

  bar(params, api, ink) {
    const { rows } = this.s;
    const row = api.value(3);
    const area = params.coordSys;
    const [x, top] = api.coord([api.value(0), api.value(2)]);
    const width = Math.max(1, api.coord([api.value(1), 0])[0] - x - 0.5);
    if (x > area.x + area.width || x + width < area.x) return null;
    const verdict = rows.verdict[row];
    const { letter: text, colour } = DATA.verdicts[verdict];
    const base = area.y + area.height;
    const rect = (y, style) => ({ type: "rect", shape: { x, y, width, height: base - y, r: width > 6 ? [2, 2, 0, 0] : 0 }, style });
    const thin = width < 4;
    const high = Math.min(top, base - 2);
    const parts = [];
    if (colour) {
      parts.push(rect(high, { fill: colour }));
      if (row in rows.corrected) parts.push({ type: "rect", shape: { x, y: high - 4, width, height: 2.5 }, style: { fill: ink.ink } });
    } else if (verdict === UNCERTAIN) {
      parts.push(rect(high, thin ? { fill: ink.faint, opacity: 0.3 } : { fill: "rgba(128,134,142,.08)", stroke: ink.faint, lineDash: [3, 2], lineWidth: 1 }));
    } else {
      parts.push(rect(base - 2, { fill: ink.faint }));
    }
    if (width >= 11) {
      const inside = colour && base - high >= 15;
      parts.push(sign(text, x + width / 2, inside || !colour ? base - 3 : high - 2, inside ? "#fff" : ink.quiet));
    }
    return { type: "group", children: parts };
  }

  flag(params, api, ink) {
    const { rows } = this.s;
    const row = api.value(3);
    const area = params.coordSys;
    const [x] = api.coord([api.value(0), 1]);
    if (x < area.x - 1 || x > area.x + area.width + 1) return null;
    const [top, bottom] = [area.y - 12, area.y + 162];
    const line = (y, style) => ({ type: "line", shape: { x1: x, x2: x, y1: y, y2: bottom }, style });
    const parts = [];
    if (row in rows.alert) {
      parts.push(line(top, { stroke: ink.alert, lineWidth: 1, opacity: 0.7 }));
      parts.push({ type: "polygon", shape: { points: [[x, top], [x + 11, top + 5], [x, top + 10]] }, style: { fill: ink.alert } });
    }
    if (row in rows.note || rows.verdict[row] === MARK) {
      parts.push({ type: "polygon", shape: { points: [[x - 5, bottom + 9], [x + 5, bottom + 9], [x, bottom + 1]] }, style: { fill: ink.ink } });
    }
    return { type: "group", children: parts };
  }

  tip(row) {
    const { rows } = this.s;
    const verdict = rows.verdict[row];
    if (verdict === MARK) return el("div", { class: "tip" }, el("p", {}, letter(verdict), el("b", {}, "mark")), el("p", { class: "quiet" }, clock(rows.start[row], true)), el("p", {}, rows.note[row] ?? ""));
    const lines = [el("p", {}, letter(verdict), el("b", {}, describe(rows, row)), rows.percent[row] === null ? "" : `  ${rows.percent[row]} %`)];
    if (rows.profile[row]) {
      const best = rows.profile[row].map((p, emotion) => ({ p, emotion })).sort((a, b) => b.p - a.p).slice(0, 3).filter(({ p }) => p > 0);
      lines.push(el("p", { class: "quiet" }, best.map(({ p, emotion }) => `${DATA.verdicts[emotion].name} ${p} %`).join(", ")));
    }
    const length = (rows.end[row] - rows.start[row]).toFixed(1);
    lines.push(el("p", { class: "quiet" }, `${clock(rows.start[row], true)}, ${length} s`, rows.mood[row] === null ? "" : `, mood ${signed(rows.mood[row])}`));
    if (row in rows.corrected) lines.push(el("p", {}, correction(rows, row)));
    if (row in rows.alert) lines.push(...rows.alert[row].map((name) => el("p", { class: "alarm" }, `alert: ${name}`)));
    if (row in rows.note) lines.push(el("p", {}, rows.note[row]));
    return el("div", { class: "tip" }, lines);
  }
}

function correction(rows, row) {
  return row in rows.corrected ? `heard as ${DATA.verdicts[rows.heard[row]].name}` : null;
}

function describe(rows, row) {
  const [verdict, heard] = [rows.verdict[row], rows.heard[row]];
  const name = DATA.verdicts[verdict].name;
  return verdict === UNCERTAIN ? `${name}, ${DATA.verdicts[heard].name}?` : name;
}

// --- the utterances: made in chunks when they come near, skipped by the browser when far --------------

function columns(s, zoom) {
  const { rows } = s;
  const any = (object) => size(object) > 0;
  const sure = (row) => {
    if (rows.percent[row] === null) return [];
    return [el("span", { class: "sure", "--c": DATA.verdicts[rows.verdict[row]].colour, "--part": `${rows.percent[row]}%`, "aria-hidden": "true" }), `${rows.percent[row]} %`];
  };
  const told = (row) => {
    const rest = [rows.note[row], correction(rows, row)].filter(Boolean).join("; ");
    const alert = row in rows.alert ? `alert: ${rows.alert[row].join("; ")} ` : "";
    return el("span", { title: alert + rest || null }, alert ? el("span", { class: "alarm" }, alert) : null, rest);
  };
  const all = [
    { title: "#", width: "2.6rem", kind: "number wide", cell: (row) => String(rows.number[row] ?? "") },
    { title: "start", width: "4.8rem", narrow: "4.6rem", kind: "number", cell: (row) => el("button", { class: "time", title: "show on the timeline", onclick: () => zoom(row) }, clock(rows.start[row], true)) },
    s.clock_s === null ? null : { title: "time of day", width: "5rem", kind: "number wide", cell: (row) => clock((s.clock_s + rows.start[row]) % 86400) },
    s.channels.length > 1 ? { title: "channel", width: "5.5rem", kind: "wide", cell: (row) => channelOf(s, row) } : null,
    { title: "length", width: "3.4rem", kind: "number wide", cell: (row) => (rows.verdict[row] === MARK ? "" : `${(rows.end[row] - rows.start[row]).toFixed(1)} s`) },
    { title: "emotion", width: "minmax(11.5rem, 1fr)", narrow: "1fr", cell: (row) => [row in rows.alert ? el("span", { class: "alarm phone", title: rows.alert[row].join("; ") }, "▶ ") : null, letter(rows.verdict[row]), el("span", {}, describe(rows, row))].filter(Boolean) },
    { title: "confidence", width: "6.6rem", narrow: "2.8rem", cell: sure },
    { title: "mood", width: "9rem", narrow: "2.8rem", cell: (row) => (rows.mood[row] === null ? "" : [rail(rows.mood[row]), ` ${signed(rows.mood[row])}`]) },
    [rows.alert, rows.note, rows.corrected].some(any) ? { title: "alert, note", width: "minmax(7rem, 3fr)", kind: "wide", cell: told } : null,
    { title: "dBFS", width: "2.6rem", kind: "number wide screen", cell: (row) => (rows.level[row] === null ? "" : String(rows.level[row]).replace("-", "−")) },
    { title: "ended by", width: "6rem", kind: "wide screen", cell: (row) => rows.ending[row] ?? "" },
    any(rows.audio) ? { title: "play", width: "2.4rem", narrow: "2rem", kind: "screen", cell: (row) => (row in rows.audio ? player(rows.audio[row], rows.number[row]) : "") } : null,
  ];
  return all.filter(Boolean);
}

let sound = null;

function player(address, number) {
  const button = el("button", { class: "time", "aria-label": `play utterance ${number}` }, "▶");
  const stopped = () => { button.textContent = "▶"; };
  button.addEventListener("click", () => {
    const mine = sound && sound.button === button && !sound.audio.paused;
    if (sound) sound.audio.pause();
    if (mine) return;
    const audio = new Audio(address);
    sound = { audio, button };
    audio.addEventListener("pause", stopped);
    audio.addEventListener("ended", stopped);
    audio.play().then(() => { button.textContent = "■"; }, () => { button.textContent = "✕"; button.title = "cannot be played"; });
  });
  return button;
}

function utterances(s, zoom) {
  const { rows } = s;
  const shown = columns(s, zoom);
  const chosen = { text: "", verdict: "", channel: "" };
  const found = el("output", {});
  const paper = el("p", { class: "on-paper quiet" });
  const head = el("thead", {}, el("tr", {}, shown.map((c) => el("th", { class: c.kind, scope: "col" }, c.title))));
  const printed = shown.filter((c) => !(c.kind || "").includes("screen"));
  const grid = el("table", { class: "rows", "--wide": shown.map((c) => c.width).join(" "), "--narrow": shown.filter((c) => c.narrow).map((c) => c.narrow).join(" "), "--printed": printed.map((c) => c.width).join(" "), "aria-rowcount": rows.number.length + 1 }, head);
  const near = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((e) => fill(e.target)), { rootMargin: "1500px 0px" });
  const texts = rows.number.map((number, row) => [number, clock(rows.start[row]), channelOf(s, row), describe(rows, row), correction(rows, row), rows.alert[row]?.join("; "), rows.note[row], rows.ending[row]].join(" ").toLowerCase());
  let matches = [];
  let chunks = [];

  function line(row) {
    const doubt = rows.verdict[row] >= UNCERTAIN && rows.verdict[row] !== MARK;
    return el("tr", { class: doubt ? "doubt" : null, "data-row": row }, shown.map((c) => el("td", { class: c.kind }, c.cell(row))));
  }

  function fill(chunk) {
    near.unobserve(chunk);
    if (!chunk.firstChild) chunk.append(...matches.slice(chunk.first, chunk.first + CHUNK).map(line));
  }

  function draw() {
    const words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
    matches = [...rows.number.keys()].filter((row) =>
      (chosen.verdict === "" || rows.verdict[row] === Number(chosen.verdict)) &&
      (chosen.channel === "" || rows.channel[row] === Number(chosen.channel)) &&
      words.every((word) => texts[row].includes(word)));
    near.disconnect();
    chunks = [];
    for (let first = 0; first < matches.length; first += CHUNK) {
      const chunk = el("tbody", { class: first >= PRINTED ? "beyond" : null, "--height": `${ROW_PX * Math.min(CHUNK, matches.length - first)}px` });
      chunk.first = first;
      chunks.push(chunk);
    }
    grid.replaceChildren(head, ...chunks);
    chunks.forEach((chunk) => near.observe(chunk));
    const [some, all] = [matches, [...rows.number.keys()]].map((list) => list.filter((row) => rows.verdict[row] !== MARK).length);
    found.textContent = some === all ? `${all} utterances` : `${some} of ${all} utterances`;
    paper.textContent = matches.length > PRINTED ? `The first ${PRINTED} of ${matches.length} rows; the page on the screen has them all.` : "";
  }

  function reveal(row) {
    if (!matches.includes(row)) {
      controls.reset();
      Object.assign(chosen, { text: "", verdict: "", channel: "" });
      draw();
    }
    const chunk = chunks[Math.floor(matches.indexOf(row) / CHUNK)];
    fill(chunk);
    grid.querySelectorAll(".here").forEach((other) => other.classList.remove("here"));
    const target = chunk.querySelector(`[data-row="${row}"]`);
    target.classList.add("here");
    target.scrollIntoView({ block: "center" });
  }

  const choice = (name, title, options) =>
    el("select", { "aria-label": title, onchange: (e) => { chosen[name] = e.target.value; draw(); } },
      el("option", { value: "" }, title), options.map(([value, text]) => el("option", { value }, text)));
  const present = [...new Set(rows.verdict)].sort((a, b) => a - b);
  const controls = el("form", { class: "filter screen", onsubmit: (e) => e.preventDefault() },
    el("input", { type: "search", placeholder: "filter by any word or time", "aria-label": "filter", oninput: (e) => { chosen.text = e.target.value; draw(); } }),
    choice("verdict", "all emotions", present.map((v) => [v, `${DATA.verdicts[v].letter}  ${DATA.verdicts[v].name}`])),
    s.channels.length > 1 ? choice("channel", "all channels", s.channels.map((c, index) => [index, c.name])) : null,
    found);
  const complete = () => chunks.slice(0, PRINTED / CHUNK).forEach(fill); // what goes on paper must be there
  return { nodes: [controls, paper, grid], draw, reveal, complete };
}

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
    el("p", {}, "Made by streamer report from ", [...new Set(DATA.sessions.map((s) => s.file))].slice(0, 5).join(", "), "."));
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
