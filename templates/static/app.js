// The page follows the daemon: every two seconds it asks whether there is a new turn and puts it in place of the old
// one, so that what is open, scrolled, focused or drawn stays so. Without this script everything is there but stands still.
"use strict";
(() => {
  const EVERY = 2000;
  const STUCK = 1000 * Number(document.body.dataset.stuck || 60);
  let tag = document.body.dataset.tag || "";
  // The daemon's clock counts, not the reader's.
  let ahead = document.body.dataset.now ? Date.parse(document.body.dataset.now) - Date.now() : 0;
  let lostSince = null;
  const charts = new Map();
  const now = () => Date.now() + ahead;

  // Ages, as the pages write them.
  function span(ms) {
    const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(s / 3600), d = Math.floor(s / 86400);
    const two = (large, unit, small, smallUnit) => (small ? `${large} ${unit} ${small} ${smallUnit}` : `${large} ${unit}`);
    if (s < 60) return `${s} s`;
    if (m < 10) return two(m, "min", s % 60, "s");
    if (h < 1) return `${m} min`;
    if (d < 2) return two(h, "h", m % 60, "min");
    return two(d, "d", h % 24, "h");
  }
  function tellAges() {
    for (const time of document.querySelectorAll("time[data-age]")) {
      const text = `${span(now() - Date.parse(time.dateTime))} ago`;
      if (time.textContent !== text) time.textContent = text;
    }
    const fresh = document.getElementById("freshness");
    const time = fresh && fresh.querySelector("time");
    if (time) fresh.classList.toggle("stale", now() - Date.parse(time.dateTime) > STUCK);
    tellConnection();
  }
  function tellConnection() {
    const line = document.getElementById("connection");
    if (!line) return;
    if (lostSince === null) {
      if (!line.hidden) { line.hidden = true; line.textContent = ""; }
      return;
    }
    const at = new Date(lostSince + ahead).toISOString().slice(11, 19);
    const text = `connection lost since ${at} UTC, what is shown is old`;
    if (line.textContent !== text) line.textContent = text;
    line.hidden = false;
  }

  // Following.
  const busy = () => {
    const main = document.getElementById("main"), active = document.activeElement, selection = document.getSelection();
    const typing = active && main.contains(active) && /^(INPUT|SELECT|TEXTAREA)$/.test(active.tagName);
    const selecting = selection && !selection.isCollapsed && main.contains(selection.anchorNode);
    return typing || selecting;
  };
  async function follow() {
    if (document.hidden || busy()) return;
    try {
      const answer = await fetch(location.href, {
        headers: { "If-None-Match": tag }, cache: "no-store", signal: AbortSignal.timeout(10000),
      });
      if (answer.status !== 304) {
        const text = await answer.text();
        if (busy()) return;
        replace(new DOMParser().parseFromString(text, "text/html"));
      }
      lostSince = null;
    } catch {
      lostSince ??= Date.now();
    }
    tellAges();
  }
  function replace(page) {
    const fresh = page.getElementById("main"), main = document.getElementById("main");
    if (!fresh) return;
    // From a page of trouble to another or back: they share nothing.
    if (Boolean(tag) !== Boolean(page.body.dataset.tag)) return location.reload();
    tag = page.body.dataset.tag || "";
    if (page.body.dataset.now) ahead = Date.parse(page.body.dataset.now) - Date.now();
    const focused = trace(document.activeElement, main);
    for (const old of main.querySelectorAll("details[id]")) {
      const same = fresh.querySelector(`#${CSS.escape(old.id)}`);
      if (same) same.open = old.open;
    }
    const scrolled = [...main.querySelectorAll(".scroll[id]")].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
    for (const place of fresh.querySelectorAll("[data-history]")) {
      const chart = charts.get(place.dataset.history);
      if (chart && chart.place.isConnected) place.replaceWith(chart.place);
    }
    main.replaceWith(document.adoptNode(fresh));
    for (const [id, left, top] of scrolled) {
      const box = document.getElementById(id);
      if (box) { box.scrollLeft = left; box.scrollTop = top; }
    }
    find(focused)?.focus({ preventScroll: true });
    for (const id of ["freshness"]) {
      const from = page.getElementById(id), to = document.getElementById(id);
      if (from && to) to.replaceWith(document.adoptNode(from));
    }
    const firing = page.querySelector("header nav"), shown = document.querySelector("header nav");
    if (firing && shown && firing.innerHTML !== shown.innerHTML && !shown.contains(document.activeElement)) {
      shown.replaceWith(document.adoptNode(firing));
    }
    if (document.title !== page.title) document.title = page.title;
    prepare();
  }
  // The focused element by what it is, as its successor is another node.
  function trace(element, main) {
    if (!element || element === main || !main.contains(element)) return null;
    if (element.id) return { id: element.id };
    const alike = `${element.tagName.toLowerCase()}`;
    const href = element.getAttribute("href");
    const twins = [...main.querySelectorAll(alike)].filter((one) => one.getAttribute("href") === href);
    return { alike, href, nth: twins.indexOf(element) };
  }
  function find(traced) {
    if (!traced) return null;
    if (traced.id) return document.getElementById(traced.id);
    const twins = [...document.querySelectorAll(`main ${traced.alike}`)];
    return twins.filter((one) => one.getAttribute("href") === traced.href)[traced.nth];
  }

  // Charts.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const LINES = ["info", "warn", "unknown", "good", "bad", "plain"];
  const UTC = (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC");
  function amount(value, unit) {
    if (value === null || value === undefined) return "unknown";
    if (unit === "seconds") {
      if (value === 0) return "0 s";
      if (value < 1) return `${+(value * 1000).toPrecision(3)} ms`;
      return value < 60 ? `${+value.toPrecision(3)} s` : span(value * 1000);
    }
    return Math.round(value).toLocaleString("en-US");
  }
  function short(value, unit) {
    if (value === null) return "";
    if (unit === "seconds") return amount(value, unit);
    for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (Math.abs(value) >= size) return `${+(value / size).toPrecision(4)}${letter}`;
    }
    return `${+value.toPrecision(4)}`;
  }
  function note(place, text) {
    const chart = charts.get(place.dataset.history);
    if (chart?.plot) { chart.plot.destroy(); chart.plot = null; }
    const line = document.createElement("p");
    line.className = "note";
    line.textContent = text;
    place.replaceChildren(line);
  }
  async function draw(place) {
    const history = place.dataset.history;
    const chart = charts.get(history) ?? { place, plot: null, names: "" };
    chart.place = place;
    charts.set(history, chart);
    const to = now(), from = to - 1000 * Number(place.dataset.span);
    const query = new URLSearchParams({
      from: new Date(from).toISOString(), to: new Date(to).toISOString(), points: place.dataset.points || "400",
    });
    let course;
    try {
      const answer = await fetch(`${history}${history.includes("?") ? "&" : "?"}${query}`, { signal: AbortSignal.timeout(10000) });
      course = await answer.json();
      if (!answer.ok) return note(place, `unknown · ${course.error?.message ?? answer.status}`);
    } catch {
      return chart.plot ? undefined : note(place, "unknown · the daemon did not answer");
    }
    if (course.partial) return note(place, `unknown · ${course.partial.message}`);
    if (!course.times.length) return note(place, "no history yet");
    const data = [course.times.map((at) => Date.parse(at) / 1000), ...course.columns.map((column) => column.values)];
    const names = course.columns.map((column) => column.name).join("\n");
    chart.range = [from / 1000, to / 1000];
    if (chart.plot && chart.names === names) return chart.plot.setData(data);
    chart.plot?.destroy();
    chart.names = names;
    place.replaceChildren();
    chart.plot = new uPlot(options(place, chart, course), data, place);
  }
  function size(place) {
    const spark = place.classList.contains("spark");
    return { width: Math.max(80, place.clientWidth), height: spark ? 26 : 190 };
  }
  function options(place, chart, course) {
    const spark = place.classList.contains("spark"), unit = course.unit;
    const series = course.columns.map((column, nth) => {
      const stroke = colour(LINES[nth % LINES.length]);
      return {
        label: column.name.replaceAll("_", " "), stroke, width: spark ? 1.2 : 1.5, points: { show: false },
        dash: nth >= LINES.length ? [6, 4] : undefined,
        fill: course.columns.length === 1 ? `${stroke}22` : undefined, value: (plot, value, at, idx) => amount(idx == null ? plot.data[at].at(-1) : value, unit),
      };
    });
    const ink = { stroke: colour("dim"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    return {
      ...size(place), tzDate: UTC, pxAlign: 0,
      padding: spark ? [2, 0, 2, 0] : undefined,
      cursor: { show: !spark, y: false, drag: { x: false, y: false }, points: { size: 6 } },
      legend: { show: !spark, live: true },
      select: { show: false },
      // Ranges of data would make noise of a flat line; zero is always shown, and the time is what was asked for.
      scales: {
        x: { time: true, range: () => chart.range },
        y: { range: (_, low, high) => (unit === "offset" ? [low ?? 0, Math.max(high ?? 1, (low ?? 0) + 1)] : [0, Math.max(high ?? 0, unit === "seconds" ? 1e-3 : 1) * 1.08]) },
      },
      axes: spark ? [{ show: false }, { show: false }] : [
        { ...ink, size: 26, values: "{HH}:{mm}", space: 60 },
        { ...ink, size: 62, values: (_, values) => values.map((value) => short(value, unit)) },
      ],
      series: [{ label: "at", value: (_, at) => (at == null ? "latest" : `${new Date(at * 1000).toISOString().slice(11, 19)} UTC`) }, ...series],
    };
  }
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) charts.get(target.dataset.history)?.plot?.setSize(size(target));
  });
  function redraw() {
    for (const chart of charts.values()) { chart.plot?.destroy(); chart.plot = null; chart.names = ""; }
    drawAll();
  }
  function drawAll() {
    if (typeof uPlot === "undefined") return;
    for (const [history, chart] of charts) {
      if (!chart.place.isConnected) { chart.plot?.destroy(); charts.delete(history); }
    }
    for (const place of document.querySelectorAll("[data-history]")) { resized.observe(place); draw(place); }
  }

  // Commands to copy.
  async function copy(pre, button) {
    const text = pre.querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without TLS there is no clipboard: select it, so that one key does it.
      const range = document.createRange();
      range.selectNodeContents(pre.querySelector("code"));
      const selection = document.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      document.execCommand("copy");
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }
  function prepare() {
    for (const pre of document.querySelectorAll("pre.command")) {
      if (pre.querySelector("button")) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "copy";
      button.id = `copy-${pre.id}`;
      button.addEventListener("click", () => copy(pre, button));
      pre.append(button);
    }
    drawAll();
    tellAges();
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("visibilitychange", follow);
  prepare();
  setInterval(tellAges, 1000);
  (async function turn() { for (;;) { await new Promise((done) => setTimeout(done, EVERY)); await follow(); } })();
})();
