// A tile for each call. Nodes are made once; afterwards only what changes is written.

import { badge, clock, curve, el, mark, percent, shown, signed, span, svg, trend, who, whole, write } from "./format.js";

const LONG_SILENCE_S = 10;
export const MAX_ROWS = 3; // channels that a tile has room for
export const TURN_MS = 100;
const TURNS = 10;
let made = 0; // tiles so far

export class Tile {
  constructor(id, open) {
    this.turn = made++ % TURNS;
    this.name = el("button", { type: "button", class: "name", tabindex: "-1", "data-call": id, onclick: (e) => { e.stopPropagation(); open(id); } }, id);
    this.time = el("span", { class: "time" });
    this.flag = el("span", { class: "flag", hidden: true });
    this.rows = el("div", { class: "sides" });
    this.share = el("span", { class: "share", "aria-hidden": "true" });
    this.shareText = el("span", { class: "share-text" });
    this.note = el("span", { class: "note" });
    this.node = el("li", { class: "tile", onclick: () => open(id) },
      el("div", { class: "top" }, this.name, this.flag, this.time),
      this.rows,
      el("div", { class: "foot" }, this.share, this.shareText, this.note));
    this.sides = [];
    this.call = null;
  }

  // Draws the fields of a call that changed; null draws all.
  draw(call, changed) {
    this.call = call;
    const all = changed === null;
    if (all || "caller" in changed) {
      write(this.name, who(call));
      mark(this.name, "title", whole(call));
    }
    if (all || "status" in changed) mark(this.node, "data-status", call.status);
    if (all || "alerts" in changed) {
      const unseen = call.alerts.filter((alert) => alert.by === null).length;
      mark(this.node, "data-alert", unseen ? "unseen" : call.alerts.length ? "seen" : null);
      this.flag.hidden = !call.alerts.length;
      write(this.flag, unseen ? `⚑ ${unseen} alert${unseen > 1 ? "s" : ""}` : "⚑ seen");
    }
    if (all || "channels" in changed) this.drawSides(call);
    if (all || "moods" in changed) {
      this.sides.forEach((side, i) => mark(side.curve, "d", curve(call.moods[i] || [])));
    }
  }

  drawSides(call) {
    const channels = call.channels.slice(0, MAX_ROWS);
    while (this.sides.length < channels.length) {
      const side = newSide();
      this.sides.push(side);
      this.rows.append(side.node);
      this.share.append(side.part);
    }
    const speech = call.channels.reduce((sum, channel) => sum + channel.speech_s, 0);
    channels.forEach((channel, i) => drawSide(this.sides[i], channel, speech));
    mark(this.share, "hidden", channels.length < 2 || !speech ? "" : null);
    write(this.shareText, channels.length > 1 && speech
      ? channels.map((channel) => Math.round((100 * channel.speech_s) / speech)).join(" : ")
      : `${span(speech)} of speech`);
  }

  // Writes what goes on by itself; now is the server's time, in seconds.
  tick(now) {
    const call = this.call;
    write(this.time, clock((call.ended ?? now) - call.began));
    const [text, loud] = this.noteOf(call, now);
    write(this.note, text);
    mark(this.note, "data-loud", loud ? "" : null);
  }

  noteOf(call, now) {
    if (call.status === "ended") return ["ended", false];
    if (call.status === "lost") return ["server lost", true];
    const speaking = call.channels.filter((channel) => channel.speaking_from !== null);
    if (speaking.length > 1) return ["both talking", true];
    if (speaking.length) return ["", false];
    const until = Math.max(0, ...call.channels.map((channel) => channel.until));
    const silent = now - call.began - until;
    return silent < 2 ? ["", false] : [`silent ${clock(silent)}`, silent > LONG_SILENCE_S];
  }

  // The tile in a sentence, for a screen reader.
  get sentence() {
    const call = this.call;
    const unseen = call.alerts.filter((alert) => alert.by === null);
    const sides = call.channels.map((channel) => {
      const { word, sure } = shown(channel.heard);
      const mood = channel.mood === null ? "" : `, mood ${signed(channel.mood)}, ${trend(channel.trend).word}`;
      return `${channel.name}: ${word} ${sure}${mood}`;
    });
    const alerts = unseen.map((alert) => `alert: ${alert.rule}`);
    return [`call ${who(call)}`, this.time.textContent, ...alerts, ...sides, this.note.textContent].filter(Boolean).join("; ");
  }
}

// Writes what goes on by itself on each tile once a second, on a tenth of them at a time: all at
// once would take several frames.
export class Clocks {
  constructor(tiles) {
    this.tiles = tiles;
    this.turn = 0;
    this.at = 0;
  }

  get due() {
    return performance.now() >= this.at;
  }

  tick(now) {
    for (const tile of this.tiles.values()) if (tile.turn === this.turn) tile.tick(now);
    this.turn = (this.turn + 1) % TURNS;
    this.at = Math.max(this.at, performance.now() - TURN_MS) + TURN_MS;
  }
}

function newSide() {
  const side = {
    dot: el("span", { class: "dot", "aria-hidden": "true" }),
    name: el("span", { class: "side-name" }),
    letter: badge(null),
    word: el("span", { class: "word" }),
    sure: el("span", { class: "sure" }),
    curve: svg("path", {}),
    arrow: el("span", { class: "arrow" }),
    part: el("i"),
  };
  const spark = svg("svg", { class: "spark", viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { x1: 0, x2: 100, y1: 10, y2: 10 }), side.curve);
  side.node = el("div", { class: "side" }, side.dot, side.name, side.letter, side.word, side.sure, spark, side.arrow);
  return side;
}

function drawSide(side, channel, speech) {
  const { key, letter, word, sure } = shown(channel.heard);
  write(side.name, channel.name);
  mark(side.node, "data-speaking", channel.speaking_from === null ? null : "");
  mark(side.node, "data-last", channel.partial || !channel.heard ? null : "");
  mark(side.letter, "data-emotion", key);
  write(side.letter, letter);
  write(side.word, word);
  write(side.sure, sure);
  const { arrow, word: way } = trend(channel.trend);
  write(side.arrow, channel.mood === null ? "" : arrow);
  mark(side.arrow, "role", channel.mood === null ? null : "img"); // an image has to have a name
  mark(side.arrow, "aria-label", channel.mood === null ? null : `mood ${signed(channel.mood)}, ${way}`);
  mark(side.arrow, "data-way", channel.mood === null ? null : way);
  const share = speech ? channel.speech_s / speech : 0;
  side.part.style.flexGrow = share.toFixed(3);
  side.part.title = `${channel.name} ${percent(share)}`;
}
