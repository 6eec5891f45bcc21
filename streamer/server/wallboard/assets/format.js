// Small things: elements, numbers for people, and how an emotion is shown. Text that came over the
// network is only ever set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

const LETTERS = {
  neutral: "N", calm: "C", happy: "H", sad: "S", angry: "A", fearful: "F", disgust: "D", surprised: "!",
};

export function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// Sets a text only where it changes: the browser then has nothing to lay out again.
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Sets an attribute only where it changes; null takes it away.
export function mark(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  return whole >= 3600
    ? `${Math.floor(whole / 3600)}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return whole >= 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole} s`;
}

export const percent = (share) => `${Math.round(100 * share)} %`;
export const signed = (mood) => (mood < 0 ? "−" : "+") + Math.abs(mood).toFixed(2);
export const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

// Who calls where the telephone system says so, else the id of the call.
export const who = (call) => call.caller || call.id;
export const whole = (call) => (call.caller ? `${call.caller}, call ${call.id}` : call.id);

// What stands for an emotion: a letter and a word, beside its colour.
export function shown(heard) {
  if (!heard) return { key: "none", letter: "", word: "nothing heard yet", sure: "" };
  if (!heard.emotion) return { key: "none", letter: "-", word: "not classified", sure: "" };
  if (heard.uncertain) return { key: "none", letter: "?", word: "uncertain", sure: percent(heard.confidence) };
  const key = Object.hasOwn(LETTERS, heard.emotion) ? heard.emotion : "none";
  return { key, letter: LETTERS[key] || "·", word: heard.emotion, sure: percent(heard.confidence) };
}

export function badge(heard) {
  const { key, letter } = shown(heard);
  return el("span", { class: "letter", "data-emotion": key, "aria-hidden": "true" }, letter);
}

const STEADY = 0.05; // a trend smaller than this is none

export function trend(value) {
  if (value > STEADY) return { arrow: "↗", word: "rising" };
  return value < -STEADY ? { arrow: "↘", word: "falling" } : { arrow: "→", word: "steady" };
}

// The path of a small curve of moods, from -1 to 1, in a box of 100 by 20.
export function curve(moods) {
  if (moods.length < 2) return moods.length ? `M0 ${10 - 9 * moods[0]}h100` : "";
  const step = 100 / (moods.length - 1);
  return moods.map((mood, i) => `${i ? "L" : "M"}${(i * step).toFixed(1)} ${(10 - 9 * mood).toFixed(1)}`).join("");
}
