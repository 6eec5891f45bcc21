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

