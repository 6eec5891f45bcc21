// Where each call is: places that stay, so that no tile jumps.

// Gives each call a place and keeps it: a new one takes the first that is free. What a call leaves
// stays empty until another takes it; empty places at the end go at once.
export class Places {
  constructor() {
    this.ids = []; // null: free
  }

  update(ids) {
    const there = new Set(ids);
    this.ids = this.ids.map((id) => (there.has(id) ? id : null));
    const placed = new Set(this.ids);
    let free = this.ids.indexOf(null);
    for (const id of ids) {
      if (placed.has(id)) continue;
      if (free < 0) this.ids.push(id);
      else {
        this.ids[free] = id;
        free = this.ids.indexOf(null, free + 1);
      }
    }
    while (this.ids.length && this.ids.at(-1) === null) this.ids.pop();
    return this.ids;
  }

  // Closes the gaps, when nobody minds.
  close() {
    this.ids = this.ids.filter((id) => id !== null);
  }
}

const lowest = (call) => Math.min(...call.channels.map((c) => c.mood ?? 2), 2);

const ORDERS = {
  mood: (a, b) => lowest(a) - lowest(b) || a.began - b.began,
  long: (a, b) => a.began - b.began,
};

export function ordered(calls, order) {
  return [...calls].sort(ORDERS[order]).map((call) => call.id);
}

const KINDS = {
  all: () => true,
  alerts: (call) => call.alerts.length > 0,
  negative: (call) => call.channels.some((c) => c.mood !== null && c.mood < -0.2),
  speaking: (call) => call.channels.some((c) => c.speaking_from !== null),
};

// Whether a call is to be seen: of this kind, and every word of the filter somewhere in it.
export function matches(call, kind, words) {
  if (!KINDS[kind](call)) return false;
  if (!words.length) return true;
  const text = [
    call.id, call.caller, call.server, call.status,
    ...call.channels.flatMap((c) => [c.name, c.heard && !c.heard.uncertain ? c.heard.emotion : ""]),
    ...call.alerts.map((a) => a.rule),
  ].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

// How large the letters are, in px: as large as lets all tiles be seen at once, within reason.
// It shrinks as soon as it has to, and grows only where there is room to spare.
export class LetterSize {
  constructor(size) {
    this.size = size;
    this.tooLarge = Infinity; // what did not fit, for what there is to show and the window
    this.shown = "";
  }

  // room(size): width and height that there is for tiles with letters of a size.
  fit(count, rows, page, room) {
    const shown = [count, rows, page.width, page.height].join();
    if (shown !== this.shown) this.tooLarge = Infinity;
    this.shown = shown;
    const [least, most] = page.width < 700 ? [15, 16] : [15, page.width > 2900 ? 40 : 26];
    const fits = (size) => {
      const { width, height } = room(size);
      const columns = Math.max(1, Math.floor(width / (18.1 * size)));
      const spare = size > this.size ? 1.25 : 1;
      return Math.ceil((count * spare) / columns) * (5.5 + 1.55 * rows) * size <= height;
    };
    let size = Math.min(most, this.tooLarge - 1);
    while (size > least && !fits(size)) size--;
    if (size < this.size) this.tooLarge = this.size;
    return (this.size = Math.max(size, least));
  }
}
