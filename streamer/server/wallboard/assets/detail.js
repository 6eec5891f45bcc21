// One call, in a dialog: how it stands, its timeline, its alerts, its utterances.

import { badge, clock, el, percent, plural, shown, signed, span, svg, trend } from "./format.js";

const WIDE = 1000; // units of the drawing
const LANE = 70;
const MOOD = 90;
const LEFT = 96;
const ROWS = 100; // utterances that are listed, the newest first
const MIN_SPAN_S = 30;

export function detail(call, now, { acknowledge }) {
  return [glance(call, now), el("h3", {}, "Over time"), timeline(call, now), ...alerts(call, acknowledge), ...utterances(call)];
}

function glance(call, now) {
  const speech = call.channels.reduce((sum, channel) => sum + channel.speech_s, 0);
  const fact = (name, value, small) => el("div", {}, el("dt", {}, name), el("dd", {}, value, small ? el("small", {}, small) : null));
  const sides = call.channels.map((channel) => {
    const { word, sure } = shown(channel.heard);
    const mood = channel.mood === null ? "no mood yet" : `mood ${signed(channel.mood)}, ${trend(channel.trend).word}`;
    const share = speech ? `, ${percent(channel.speech_s / speech)} of the speech` : "";
    return fact(channel.name, [badge(channel.heard), `${word} ${sure}`], `${mood}${share}`);
  });
  const status = { live: "in progress", ended: "ended", lost: "its server was lost" }[call.status];
  return el("dl", { class: "glance" },
    fact("length", clock((call.ended ?? now) - call.began), status), ...sides,
    fact("speech", span(speech), plural(call.utterances.length, "utterance")),
    fact("both at once", span(call.overlap_s)),
    call.caller ? fact("call", call.id) : null,
    fact("server", call.server || "this one"));
}

// Bars of the utterances, a lane for each channel, as high as they are sure; the mood below.
function timeline(call, now) {
  const until = Math.max(MIN_SPAN_S, (call.ended ?? now) - call.began, ...call.utterances.map((u) => u.end_s));
  const first = call.utterances.length ? Math.min(call.utterances[0].start_s, until - MIN_SPAN_S) : 0;
  const x = (s) => LEFT + ((s - first) / (until - first)) * (WIDE - LEFT);
  const lanes = call.channels.length * LANE;
  const zero = lanes + 14 + MOOD / 2;
  const y = (mood) => zero - (mood * MOOD) / 2;
  const drawing = svg("svg", { class: "timeline", viewBox: `0 0 ${WIDE} ${lanes + MOOD + 40}`, role: "img", "aria-label": sentence(call) });
  call.channels.forEach((channel, i) => {
    const floor = (i + 1) * LANE - 6;
    drawing.append(
      svg("line", { x1: LEFT, x2: WIDE, y1: floor, y2: floor, class: "axis" }),
      svg("text", { x: 0, y: floor - 2, class: "lane" }, channel.name.length > 12 ? `${channel.name.slice(0, 11)}…` : channel.name));
  });
  drawing.append(
    svg("line", { x1: LEFT, x2: WIDE, y1: zero, y2: zero, class: "zero" }),
    svg("text", { x: 0, y: zero + 4, class: "lane" }, "mood"));
  for (const each of call.utterances) drawing.append(bar(each, call, x));
  call.channels.forEach((channel, i) => {
    const points = call.utterances.filter((u) => u.channel === channel.name && u.heard.mood !== null);
    const path = points.map((u, n) => `${n ? "L" : "M"}${x(u.end_s).toFixed(1)} ${y(u.heard.mood).toFixed(1)}`).join("");
    drawing.append(svg("path", { d: path, class: "mood", "data-side": i }));
  });
  for (const alert of call.alerts) {
    drawing.append(
      svg("line", { x1: x(alert.at_s), x2: x(alert.at_s), y1: 0, y2: lanes + MOOD + 14, class: "alert" }),
      svg("text", { x: Math.min(x(alert.at_s) + 3, WIDE - 14), y: 12, class: "alert" }, "⚑"));
  }
  for (let i = 0; i <= 5; i++) {
    const at = first + ((until - first) * i) / 5;
    drawing.append(svg("text", { x: x(at), y: lanes + MOOD + 36, class: "when", "text-anchor": ["start", "middle", "middle", "middle", "middle", "end"][i] }, clock(at)));
  }
  return el("div", { class: "over-time", tabindex: "0", role: "group", "aria-label": "Timeline" }, drawing);
}

function bar(each, call, x) {
  const lane = Math.max(0, call.channels.findIndex((channel) => channel.name === each.channel));
  const floor = (lane + 1) * LANE - 6;
  const { key, letter, word, sure } = shown(each.heard);
  const high = Math.max(6, (LANE - 14) * each.heard.confidence);
  const left = x(each.start_s);
  const wide = Math.max(2, x(each.end_s) - left);
  const shape = svg("g", { class: "bar", "data-emotion": key },
    svg("title", {}, `${clock(each.start_s)} ${each.channel}: ${word} ${sure}`),
    svg("rect", { x: left, y: floor - high, width: wide, height: high, rx: 1.5 }));
  if (wide > 14) shape.append(svg("text", { x: left + wide / 2, y: floor - 4, "text-anchor": "middle" }, letter));
  return shape;
}

function sentence(call) {
  const sides = call.channels.map((channel) => {
    const heard = call.utterances.filter((u) => u.channel === channel.name).map((u) => shown(u.heard).word);
    return `${channel.name}: ${heard.slice(-10).join(", ") || "nothing yet"}`;
  });
  return `What was heard, the last ten utterances of each side. ${sides.join(". ")}`;
}

function alerts(call, acknowledge) {
  if (!call.alerts.length) return [];
  return [el("h3", {}, "Alerts"), el("ul", { class: "events" }, call.alerts.map((alert) =>
    el("li", {},
      el("span", {}, clock(alert.at_s)), el("b", {}, alert.rule), el("span", {}, `${alert.channel}, ${alert.reason}`),
      alert.by === null
        ? acknowledge && el("button", { type: "button", class: "act", onclick: () => acknowledge(call.id, alert.id) }, "acknowledge")
        : el("span", { class: "quiet" }, `acknowledged${alert.by ? ` by ${alert.by}` : ""}`))))];
}

function utterances(call) {
  const last = call.utterances.slice(-ROWS).reverse();
  if (!last.length) return [el("p", { class: "quiet" }, "No utterance has ended yet.")];
  return [
    el("h3", {}, `Utterances, the newest first`),
    el("table", {},
      el("thead", {}, el("tr", {}, ["at", "side", "length", "emotion", "confidence", "mood"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, last.map((each) => {
        const { word, sure } = shown(each.heard);
        return el("tr", {},
          el("td", {}, clock(each.start_s)), el("td", {}, each.channel), el("td", {}, `${(each.end_s - each.start_s).toFixed(1)} s`),
          el("td", {}, badge(each.heard), word, each.alert ? el("span", { class: "alarm" }, ` ⚑ ${each.alert}`) : null),
          el("td", {}, sure), el("td", {}, each.heard.mood === null ? "" : signed(each.heard.mood)));
      }))),
  ];
}
