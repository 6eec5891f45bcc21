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
          splitNumber: narrow ? 3 : 8, axisLabel: { ...label, margin: 13, show: grid === mood && last, formatter: (v) => clock(v), hideOverlap: true } });
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

