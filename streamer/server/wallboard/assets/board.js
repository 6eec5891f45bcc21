// The page: takes the server's messages in, and draws once a frame what they changed.

import { clock, el, mark, plural, span, who, whole, write } from "./format.js";
import { Feed } from "./feed.js";
import { detail } from "./detail.js";
import { LetterSize, Places, matches, ordered } from "./places.js";
import { Clocks, MAX_ROWS, TURN_MS, Tile } from "./tiles.js";

const $ = (id) => document.getElementById(id);
const REORDER_MS = 10000; // how often a grid that is sorted by what changes is sorted again
const QUIET_MS = 30000; // so long nobody has touched the page: gaps may be closed
const DETAIL_MS = 1000; // how often the call in detail is asked for again

const calls = new Map(); // what the server says of each call
const tiles = new Map();
const clocks = new Clocks(tiles);
const dirty = new Map(); // what changed of a call since the last frame; null: everything
const places = new Places();
let servers = [];
let ahead = 0; // the server's clock less ours, in seconds
let mayAcknowledge = false;
let drawing = false;
let touchedAt = performance.now();
let orderedAt = 0;
let order = []; // of the ids, where the grid is sorted
let notice = "";
let gridKey = ""; // what is in the grid, and in what order
const letters = new LetterSize(16);
const BESIDE_REM = 19.8; // width of the alerts and of all gaps, as board.css has them
const BESIDE_PHONE_REM = 1.4;

const serverNow = () => Date.now() / 1000 + ahead;
const kept = (name) => localStorage.getItem(name) ?? sessionStorage.getItem(name) ?? "";

// --- messages -----------------------------------------------------------------------------------

function take(message) {
  if (message.now !== undefined) ahead = message.now - Date.now() / 1000;
  if (message.type === "hello") mayAcknowledge = message.may_acknowledge;
  if (message.notice !== undefined) tell(message.notice);
  if (message.type === "notice") tell(message.text);
  if (message.servers) servers = message.servers;
  if (message.type === "snapshot") {
    for (const id of [...calls.keys()]) if (!Object.hasOwn(message.calls, id)) remove(id);
    for (const [id, call] of Object.entries(message.calls)) change(id, call, true);
  }
  if (message.type === "patch") {
    for (const [id, fields] of Object.entries(message.calls ?? {})) change(id, fields, false);
    for (const id of message.gone ?? []) remove(id);
  }
  if (message.type !== "alive") redraw();
}

// What is amiss besides; empty where nothing is.
function tell(text) {
  notice = text;
  write($("stale"), text);
  $("stale").hidden = !text;
}

function change(id, fields, whole) {
  const before = calls.get(id);
  const known = new Set((before?.alerts ?? []).map((alert) => alert.id));
  const call = whole || !before ? fields : { ...before, ...fields };
  calls.set(id, call);
  const seen = dirty.get(id);
  dirty.set(id, whole || !before || seen === null ? null : { ...seen, ...fields });
  if (before || !whole) {
    for (const alert of call.alerts) if (!known.has(alert.id) && alert.by === null) announce(call, alert);
  }
}

function remove(id) {
  calls.delete(id);
  dirty.delete(id);
  tiles.get(id)?.node.remove();
  tiles.delete(id);
}

function announce(call, alert) {
  $("announce").textContent = `Alert: ${alert.rule}, call ${who(call)}, ${alert.channel}, ${alert.reason}`;
  if (sound) beep();
}

// --- drawing ------------------------------------------------------------------------------------

function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

function draw() {
  const now = serverNow();
  const alertsChanged = [...dirty.values()].some((fields) => fields === null || "alerts" in fields);
  for (const [id, fields] of dirty) {
    const call = calls.get(id);
    let tile = tiles.get(id);
    if (!tile) tiles.set(id, (tile = new Tile(id, openDetail)));
    tile.draw(call, tile.call ? fields : null);
    tile.tick(now);
    if (id === detailId) askDetail();
  }
  if (clocks.due) clocks.tick(now);
  const drawn = [...dirty.keys()];
  dirty.clear();
  arrange();
  if (alertsChanged || $("alert-list").childElementCount) drawAlerts(now);
  drawCounts();
  dispatchEvent(new CustomEvent("drawn", { detail: drawn.map((id) => calls.get(id)) })); // for who measures
}

function arrange() {
  const by = $("order").value;
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = $("only").value;
  const filtered = words.length > 0 || kind !== "all";
  let ids = places.update([...calls.keys()]);
  if (by !== "place") ids = inOrder(by);
  if (filtered) ids = ids.filter((id) => id !== null && matches(calls.get(id), kind, words));
  const key = ids.join("\n");
  if (key !== gridKey) {
    gridKey = key;
    const focused = document.activeElement;
    $("grid").replaceChildren(...ids.map((id) => (id === null ? el("li", { class: "free", "aria-hidden": "true" }) : tiles.get(id).node)));
    if (focused?.closest?.("#grid") === null && focused.classList.contains("name")) $("calls").focus();
    else if (document.activeElement !== focused) focused.focus();
    tabStop();
  }
  $("empty").hidden = ids.length > 0;
  write($("empty"), filtered && calls.size ? "No call is like that." : "No call yet.");
  fit(ids.length);
}

// Ids by what changes: sorted again now and then, and never under somebody's hand.
function inOrder(by) {
  const at = performance.now();
  const idle = !$("grid").matches(":hover, :focus-within") || at - touchedAt > QUIET_MS;
  if (order.by !== by || (idle && at - orderedAt > REORDER_MS)) {
    order = ordered(calls.values(), by);
    order.by = by;
    orderedAt = at;
  }
  const known = new Set(order);
  const now = [...order.filter((id) => calls.has(id)), ...[...calls.keys()].filter((id) => !known.has(id))];
  now.by = by;
  return (order = now);
}

function fit(count) {
  let rows = 1;
  for (const call of calls.values()) rows = Math.max(rows, Math.min(MAX_ROWS, call.channels.length));
  const page = { width: document.documentElement.clientWidth, height: innerHeight };
  const beside = page.width > 700 ? BESIDE_REM : BESIDE_PHONE_REM;
  const before = letters.size;
  const above = Math.max(0, $("grid").getBoundingClientRect().top + scrollY) / before;
  const size = letters.fit(count, rows, page, (px) => ({ width: page.width - px * beside, height: page.height - px * above - 8 }));
  if (size !== before) document.documentElement.style.setProperty("--size", `${size}px`);
  document.documentElement.style.setProperty("--rows", rows);
}

const alertNodes = new Map();

function drawAlerts(now) {
  const waiting = [];
  for (const call of calls.values()) {
    for (const alert of call.alerts) if (alert.by === null) waiting.push({ call, alert });
  }
  waiting.sort((a, b) => b.alert.at - a.alert.at);
  const keys = new Set();
  const nodes = waiting.map(({ call, alert }) => {
    const key = `${call.id}\n${alert.id}`;
    keys.add(key);
    let made = alertNodes.get(key);
    if (!made) alertNodes.set(key, (made = alertNode(call, alert)));
    write(made.ago, `${span(now - alert.at)} ago`);
    made.act.hidden = !mayAcknowledge;
    return made.node;
  });
  for (const key of alertNodes.keys()) if (!keys.has(key)) alertNodes.delete(key);
  const list = $("alert-list");
  const focused = document.activeElement;
  const same = nodes.length === list.childElementCount && nodes.every((node, i) => node === list.children[i]);
  if (!same) {
    const held = list.contains(focused);
    list.replaceChildren(...nodes);
    if (held) (list.contains(focused) ? focused : (list.querySelector("button") ?? $("calls"))).focus();
  }
  $("no-alerts").hidden = nodes.length > 0;
  write($("alerts-title"), nodes.length ? `Alerts (${nodes.length})` : "Alerts");
}

function alertNode(call, alert) {
  const ago = el("span", { class: "quiet" });
  const act = el("button", { type: "button", class: "act", onclick: () => acknowledge(call.id, alert.id, act) }, "acknowledge");
  act.setAttribute("aria-label", `acknowledge: ${alert.rule}, call ${who(call)}`);
  const node = el("li", {},
    el("b", {}, alert.rule),
    el("button", { type: "button", class: "link", title: whole(call), onclick: () => openDetail(call.id) }, who(call)),
    el("span", { class: "why" }, `${alert.channel}, ${alert.reason}`),
    el("span", { class: "row" }, ago, act));
  return { node, ago, act };
}

async function acknowledge(call, alert, button) {
  if (button?.ariaDisabled) return;
  if (button) button.ariaDisabled = "true"; // a disabled button would lose the keyboard's focus
  try {
    await feed.ask("wallboard/acknowledge", { call, alert, by: kept("streamer.name") });
  } catch (error) {
    tell(`Not acknowledged: ${error.message}`);
    if (button) button.ariaDisabled = null;
  }
}

function drawCounts() {
  let live = 0;
  let speaking = 0;
  for (const call of calls.values()) {
    if (call.status !== "live") continue;
    live++;
    if (call.channels.some((channel) => channel.speaking_from !== null)) speaking++;
  }
  const lost = servers.filter((server) => server.status === "lost").length;
  const several = servers.length > 1 ? `, ${plural(servers.filter((s) => s.status === "up").length, "server")}` : "";
  write($("counts"), `${live} in progress, ${speaking} with speech${several}`);
  mark($("counts"), "data-lost", lost ? "" : null);
  if (lost) $("counts").textContent += `, ${plural(lost, "server")} lost`;
  document.title = alertNodes.size ? `(${alertNodes.size}) Calls` : "Calls";
}

function tick() {
  const now = serverNow();
  if (alertNodes.size) drawAlerts(now);
  const stale = feed.staleFor;
  mark(document.body, "data-stale", stale ? "" : null);
  write($("link"), stale ? "not connected" : "live");
  write($("stale"), stale ? `Nothing has come from the server since ${feed.since}. What is shown may no longer be so. Trying again.` : notice);
  $("stale").hidden = !stale && !notice;
  if (performance.now() - touchedAt > QUIET_MS && places.ids.includes(null)) {
    places.close();
    redraw();
  } else if ($("order").value !== "place") redraw();
}

// --- a call in detail ---------------------------------------------------------------------------

let detailId = null;
let detailAsked = 0;
let detailTimer = null;
let opener = null;

function openDetail(id) {
  opener = document.activeElement;
  detailId = id;
  $("detail-title").textContent = who(calls.get(id) ?? { id });
  $("detail-body").replaceChildren(el("p", { class: "quiet" }, "…"));
  $("detail").showModal();
  askDetail();
}

function askDetail() {
  if (detailTimer !== null) return;
  const wait = Math.max(0, detailAsked + DETAIL_MS - performance.now());
  detailTimer = setTimeout(async () => {
    detailTimer = null;
    detailAsked = performance.now();
    const id = detailId;
    if (id === null) return;
    try {
      const call = await (await feed.ask(`wallboard/calls/${encodeURIComponent(id)}`)).json();
      if (id !== detailId) return;
      const held = $("detail-body").contains(document.activeElement);
      $("detail-body").replaceChildren(...detail(call, serverNow(), { acknowledge: mayAcknowledge ? acknowledge : null }));
      if (held) $("detail-close").focus();
    } catch (error) {
      if (id === detailId) $("detail-body").prepend(el("p", { class: "alarm" }, error.message));
    }
  }, wait);
}

$("detail").addEventListener("close", () => {
  detailId = null;
  // the event comes late: whoever has moved on by then keeps the focus
  if (document.activeElement === document.body) opener?.focus?.();
});
$("detail").addEventListener("click", (event) => { if (event.target === $("detail")) $("detail").close(); });
$("detail-close").addEventListener("click", () => $("detail").close());

// --- keys ---------------------------------------------------------------------------------------

const names = () => [...$("grid").querySelectorAll(".name")];

// One tile is where Tab stops; the arrows go on from there.
function tabStop() {
  const all = names();
  if (!all.some((name) => name.tabIndex === 0)) all[0]?.setAttribute("tabindex", "0");
}

$("grid").addEventListener("focusin", (event) => {
  const name = event.target.closest(".name");
  if (!name) return;
  for (const other of names()) other.tabIndex = other === name ? 0 : -1;
  name.setAttribute("aria-label", tiles.get(name.dataset.call)?.sentence ?? "");
});

$("grid").addEventListener("keydown", (event) => {
  const all = names();
  const at = all.indexOf(document.activeElement);
  if (at < 0) return;
  const left = (name) => name.closest("li").offsetLeft;
  const down = all.findIndex((name, i) => i > at && left(name) === left(all[at]));
  const up = all.findLastIndex((name, i) => i < at && left(name) === left(all[at]));
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: down, ArrowUp: up, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined || !all[to]) return;
  event.preventDefault();
  all[to].focus();
});

addEventListener("keydown", (event) => {
  touchedAt = performance.now();
  const typing = event.target.closest?.("input, select, dialog");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("filter").focus();
  }
  if (event.key === "Escape" && event.target === $("filter")) {
    $("filter").value = "";
    redraw();
  }
});
addEventListener("pointerdown", () => (touchedAt = performance.now()));
addEventListener("pointermove", () => (touchedAt = performance.now()), { passive: true });
for (const id of ["filter", "only", "order"]) $(id).addEventListener("input", redraw);
$("tools").addEventListener("submit", (event) => event.preventDefault());
addEventListener("resize", redraw);

// --- sound --------------------------------------------------------------------------------------

let sound = null; // off until somebody switches it on

$("sound").addEventListener("click", () => {
  sound = sound ? (sound.close(), null) : new AudioContext();
  mark($("sound"), "aria-pressed", Boolean(sound));
  write($("sound"), sound ? "sound on" : "sound off");
  if (sound) beep();
});

function beep() {
  const tone = sound.createOscillator();
  const level = sound.createGain();
  tone.frequency.value = 660;
  level.gain.setValueAtTime(0.15, sound.currentTime);
  level.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + 0.35);
  tone.connect(level).connect(sound.destination);
  tone.start();
  tone.stop(sound.currentTime + 0.36);
}

// --- who looks ----------------------------------------------------------------------------------

// A token may come as #token=…, for a screen that nobody types on; it does not stay in the address.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem("streamer.token", given);
  history.replaceState(null, "", location.pathname);
}

function sign(why) {
  write($("sign-why"), why);
  $("token").value = kept("streamer.token");
  $("keep").checked = localStorage.getItem("streamer.token") !== null;
  $("name").value = kept("streamer.name");
  if (!$("sign").open) $("sign").showModal();
}

$("settings").addEventListener("click", () => sign(""));
$("sign").addEventListener("close", () => {
  if ($("sign").returnValue !== "save") return;
  localStorage.removeItem("streamer.token");
  sessionStorage.removeItem("streamer.token");
  const token = $("token").value.trim();
  if (token) ($("keep").checked ? localStorage : sessionStorage).setItem("streamer.token", token);
  localStorage.setItem("streamer.name", $("name").value.trim());
  feed.connect();
});

const feed = new Feed({ token: () => kept("streamer.token"), message: take, refused: sign });
setInterval(tick, 1000);
setInterval(() => { if (tiles.size && clocks.due) redraw(); }, TURN_MS);
