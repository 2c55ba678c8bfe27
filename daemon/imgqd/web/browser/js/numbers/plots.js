// Plots as SVG made in the page: columns, rows and lines. Each is one image to a screen reader, with
// its values in words, and has the same values as a table beside it. Drawn anew for each width.

import { h, s, show } from "../dom.js";
import { T, number } from "../texts.js";

const HEIGHT = 190;
const FOOT = 24;
const HEAD = 20;
const ROW = 36;
const MOST_ROWS = 12;
/** About as wide as a digit of the plots' text, in CSS pixels. */
const LETTER = 7.2;
const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];
const ruler = document.createElement("canvas").getContext("2d");

/** As much of a name as there is room for. @param {string} name @param {number} room in CSS pixels */
function shortened(name, room) {
  if (!ruler) return name;
  ruler.font = `13px ${getComputedStyle(document.body).fontFamily}`;
  if (ruler.measureText(name).width <= room) return name;
  let end = name.length;
  while (end > 1 && ruler.measureText(`${name.slice(0, end)}…`).width > room) end -= 1;
  return `${name.slice(0, end)}…`;
}

/** @typedef {{value: string, count: number, href?: string, follow?: (event: Event) => void}} Item */

/**
 * A figure with a heading, the plot and its table.
 * @param {string} title @param {string} words the values in words @param {(width: number) => SVGElement} draw
 * @param {any} table
 */
function figure(title, words, draw, table) {
  const place = h("div", { class: "plot", role: "img", "aria-label": words });
  let drawn = 0;
  const watcher = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width < 40 || width === drawn) return;
    drawn = width;
    show(place, draw(width));
  });
  watcher.observe(place);
  return h("figure", { class: "card figure-card" },
    h("figcaption", null, h("h3", null, title)), place,
    h("details", null, h("summary", null, T.numbers.asTable), h("div", { class: "table-box" }, table)));
}

/** @param {string[]} heads @param {any[][]} rows */
function tableOf(heads, rows) {
  return h("table", null,
    h("thead", null, h("tr", null, heads.map((head, at) => h("th", { scope: "col", class: at ? "right" : null }, head)))),
    h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, at) => (at ? h("td", { class: "right number" }, cell) : h("th", { scope: "row" }, cell)))))));
}

/** @param {Item[]} items @param {[string, string]} heads */
function itemsTable(items, heads) {
  return tableOf(heads, items.map((item) => [item.href
    ? h("a", { href: item.href, onclick: item.follow, "aria-label": T.numbers.show(item.value) }, item.value) : item.value, number(item.count)]));
}

/** @param {string} title @param {Item[]} items */
function wordsOf(title, items) {
  return T.numbers.alternative(title, items.map((item) => T.numbers.item(item.value, number(item.count))));
}

/** A round number that is at least `most`. @param {number} most */
export function roundUp(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return STEPS.map((step) => step * power).find((top) => top >= most * 0.9999) ?? most;
}

/** Every how many-th label there is room for. @param {number} count @param {number} width @param {number} letters */
export function labelStep(count, width, letters) {
  return Math.max(1, Math.ceil((count * (letters * LETTER + 10)) / Math.max(1, width)));
}

/** @param {number} width @param {number} top @param {(n: number) => string} said @param {number} left */
function grid(width, top, said, left) {
  const floor = HEIGHT - FOOT;
  return [0, 0.5, 1].map((part) => {
    const y = floor - part * (floor - HEAD);
    return s("g", null,
      s("line", { class: part ? "plot-line" : "plot-floor", x1: left, x2: width, y1: y, y2: y }),
      part > 0 && s("text", { class: "plot-text", x: left - 8, y: y + 4, "text-anchor": "end" }, said(part * top)));
  });
}

/** @param {number} top @param {(n: number) => string} said */
function marginFor(top, said) {
  return 14 + LETTER * Math.max(said(top).length, said(top / 2).length);
}

/**
 * Upright columns, for what has an order of its own.
 * @param {string} title @param {Item[]} items @param {[string, string]} heads
 */
export function columns(title, items, heads) {
  const top = roundUp(Math.max(...items.map((item) => item.count)));
  const said = (n) => number(Math.round(n * 10) / 10);
  const draw = (width) => {
    const left = marginFor(top, said);
    const floor = HEIGHT - FOOT;
    const each = (width - left) / items.length;
    const thick = Math.max(1, Math.min(44, each * 0.7));
    const step = labelStep(items.length, width - left, Math.max(...items.map((item) => item.value.length)));
    return s("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" },
      grid(width, top, said, left),
      items.map((item, at) => {
        const x = left + each * (at + 0.5);
        const tall = item.count ? Math.max(2, (item.count / top) * (floor - HEAD)) : 0;
        return s("g", { class: "plot-item" },
          s("rect", { class: "plot-hit", x: x - each / 2, y: HEAD, width: each, height: floor - HEAD }),
          s("rect", { class: "plot-bar", x: x - thick / 2, y: floor - tall, width: thick, height: tall, rx: Math.min(4, thick / 3) }),
          (items.length - 1 - at) % step === 0 && s("text", { class: "plot-text", x, y: HEIGHT - 6, "text-anchor": "middle" }, item.value),
          s("title", null, T.numbers.item(item.value, number(item.count))));
      }));
  };
  return figure(title, wordsOf(title, items), draw, itemsTable(items, heads));
}

/**
 * Lying bars, the largest first, for what has names. What is beyond the first is one number, without
 * a bar, which would dwarf the others; the table has all.
 * @param {string} title @param {Item[]} items @param {[string, string]} heads
 */
export function rows(title, items, heads) {
  const shown = items.slice(0, items.length > MOST_ROWS ? MOST_ROWS - 1 : MOST_ROWS);
  const rest = items.slice(shown.length);
  if (rest.length) shown.push({ value: T.numbers.others(rest.length), count: rest.reduce((sum, item) => sum + item.count, 0) });
  const top = Math.max(...items.map((item) => item.count), 1);
  const tall = shown.length * ROW - (rest.length ? ROW - 20 : 0);
  const draw = (width) => s("svg", { width, height: tall, viewBox: `0 0 ${width} ${tall}`, "aria-hidden": "true" },
    shown.map((item, at) => {
      const y = at * ROW;
      const count = number(item.count);
      const named = at < shown.length - (rest.length ? 1 : 0);
      return s("g", { class: "plot-item" },
        s("rect", { class: "plot-hit", x: 0, y, width, height: ROW }),
        s("text", { class: named ? "plot-name" : "plot-name rest", x: 0, y: y + 15 }, shortened(item.value, width - (count.length + 2) * LETTER)),
        s("text", { class: "plot-text", x: width, y: y + 15, "text-anchor": "end" }, count),
        named && s("rect", { class: "plot-track", x: 0, y: y + 22, width, height: 6, rx: 3 }),
        named && s("rect", { class: "plot-bar", x: 0, y: y + 22, width: Math.max(3, (item.count / top) * width), height: 6, rx: 3 }),
        s("title", null, T.numbers.item(item.value, count)));
    }));
  return figure(title, wordsOf(title, shown), draw, itemsTable(items, heads));
}

/**
 * Two lines over days; days without a value are left out. The lines differ in their strokes too.
 * @param {string} title @param {{day: string, a: number | null, b: number | null}[]} days
 * @param {[string, string]} names @param {(n: number) => string} said
 */
export function lines(title, days, names, said) {
  const values = days.flatMap((one) => [one.a, one.b]).filter((one) => one !== null);
  const top = roundUp(Math.max(...values));
  const draw = (width) => {
    const left = marginFor(top, said);
    const floor = HEIGHT - FOOT;
    const x = (at) => left + ((at + 0.5) * (width - left)) / days.length;
    const y = (value) => floor - (value / top) * (floor - HEAD);
    const step = labelStep(days.length, width - left, 5);
    const line = (key, kind) => {
      const points = days.map((one, at) => [at, one[key]]).filter(([, value]) => value !== null);
      return s("g", { class: `plot-series ${kind}` },
        s("polyline", { points: points.map(([at, value]) => `${x(at)},${y(value)}`).join(" ") }),
        points.map(([at, value]) => s("circle", { cx: x(at), cy: y(value), r: 3 },
          s("title", null, `${days[at].day}: ${said(value)}`))));
    };
    return s("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" },
      grid(width, top, said, left),
      days.map((one, at) => (days.length - 1 - at) % step === 0 && s("text", { class: "plot-text", x: x(at), y: HEIGHT - 6, "text-anchor": "middle" }, one.day.slice(5))),
      line("b", "second"), line("a", "first"));
  };
  const show_ = (value) => (value === null ? "–" : said(value));
  const told = days.filter((one) => one.a !== null);
  const card = figure(title,
    T.numbers.alternative(title, told.map((one) => T.numbers.item(one.day, `${show_(one.a)}, ${show_(one.b)}`))),
    draw, tableOf([T.numbers.day, ...names], told.map((one) => [one.day, show_(one.a), show_(one.b)])));
  card.querySelector("figcaption")?.append(h("p", { class: "legend small muted", "aria-hidden": "true" },
    h("span", { class: "key first" }, names[0]), h("span", { class: "key second" }, names[1])));
  return card;
}
