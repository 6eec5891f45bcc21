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

