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

