// The library and its use in numbers: plots of what /v1/facets and /v1/stats count.

import { api } from "./api.js";
import * as address from "./address.js";
import { confirm, h, icon, show, toast } from "./dom.js";
import { columns, lines, rows } from "./numbers/plots.js";
import { T, day } from "./texts.js";

const SPANS = [14, 30, 90, 365];
/** More years than this without pictures between are not drawn as a gap. */
const MOST_YEARS = 60;

/** @param {HTMLElement} root */
export async function mount(root) {
  const library = h("div", { class: "plots" }, h("p", { class: "muted" }, T.loading));
  const use = h("div", { class: "plots" });
  const total = h("p", { class: "muted" });
  const span = h("select", { class: "input span", id: "numbers-span", onchange: () => drawUse() },
    SPANS.map((n) => h("option", { value: n, selected: n === 30 }, T.numbers.lastDays(n))));
  show(root, h("div", { class: "page wide numbers" },
    h("h1", null, T.views.numbers),
    h("section", { class: "stack" }, h("h2", null, T.numbers.library), library),
    h("section", { class: "stack" },
      h("div", { class: "section-head" }, h("h2", null, T.numbers.use),
        h("div", { class: "row" }, h("label", { for: "numbers-span", class: "visually-hidden" }, T.numbers.days), span)),
      total, use)));

  async function drawLibrary() {
    let facets;
    try {
      ({ facets } = await api.post("/facets", { terms: [] }));
    } catch (error) {
      show(library, failure(error, drawLibrary));
      return;
    }
    /** @type {[string, string]} */
    const heads = [T.numbers.value, T.numbers.pictures];
    const years = withGaps(facets.year.filter((one) => /^\d{4}$/.test(one.value)));
    const plots = [
      years.length > 0 && columns(T.numbers.year, years.map((one) => item(one, one.count > 0 && { after: one.value, before: String(Number(one.value) + 1) })), heads),
      facets.format.length > 0 && rows(T.numbers.format, facets.format.map((one) => item(one, { type: [one.value] }, T.format(one.value))), heads),
      facets.camera.length > 0 && rows(T.numbers.camera, facets.camera.map((one) => item(one, one.value && { camera: one.value })), heads),
      facets.category.length > 0 && rows(T.numbers.category, facets.category.map((one) => item(one, one.value && { category: one.value })), heads),
    ].filter(Boolean);
    if (years.length) plots[0].classList.add("across");
    show(library, plots.length ? plots : h("p", { class: "muted" }, T.numbers.empty));
  }

  async function drawUse() {
    let stats;
    try {
      stats = await api.get(`/stats?days=${span.value}`);
    } catch (error) {
      show(use, failure(error, drawUse));
      return;
    }
    total.textContent = stats.since ? T.numbers.total(stats.searches, day(`${stats.since}T12:00:00`)) : "";
    const days = everyDay(stats.days, Number(span.value));
    const asked = days.some((one) => one.searches > 0);
    const timed = days.map((one) => ({ day: one.day, a: one.p50_ms, b: one.p95_ms }));
    show(use,
      asked ? columns(T.numbers.perDay, days.map((one) => ({ value: one.day.slice(5), count: one.searches })), [T.numbers.day, T.numbers.searches])
        : h("p", { class: "muted" }, T.numbers.noSearches),
      timed.some((one) => one.a !== null) && lines(T.numbers.latency, timed, [T.numbers.half, T.numbers.most], T.numbers.ms),
      words(stats));
  }

  /** @param {any} stats */
  function words(stats) {
    if (!stats.words_kept && !stats.words.length) {
      return h("div", { class: "card stack" }, h("h3", null, T.numbers.words), h("p", { class: "muted" }, T.numbers.noWords));
    }
    if (!stats.words.length) return h("div", { class: "card stack" }, h("h3", null, T.numbers.words), h("p", { class: "muted" }, T.numbers.none));
    const plot = rows(T.numbers.words, stats.words.map((one) => item({ value: one.word, count: one.searches }, { q: one.word })), [T.numbers.word, T.numbers.searches]);
    plot.append(h("button", { type: "button", class: "button quiet", onclick: forget }, icon("trash"), T.numbers.forgetWords));
    return plot;
  }

  async function forget() {
    if (!(await confirm(T.numbers.forgetTitle, T.numbers.forgetText, T.numbers.forgetWords))) return;
    try {
      await api.delete("/stats/words");
    } catch (error) {
      toast(error.message, { danger: true });
    }
    await drawUse();
  }

  void drawLibrary();
  void drawUse();
  return { update() {}, unmount() {} };
}

/** @param {{value: string, count: number}} one @param {any} question @param {string} [name] */
function item(one, question, name = one.value) {
  if (!question) return { value: name || T.numbers.noValue, count: one.count };
  const state = { ...address.blank(), ...question };
  return {
    value: name, count: one.count, href: address.href(state),
    follow(event) {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      address.write(state);
    },
  };
}

/** In order, and with the years between in which nothing was taken. @param {{value: string, count: number}[]} years */
function withGaps(years) {
  const sorted = [...years].sort((a, b) => a.value.localeCompare(b.value));
  if (!sorted.length) return [];
  const first = Number(sorted[0].value);
  const last = Number(sorted.at(-1)?.value);
  if (last - first > MOST_YEARS) return sorted;
  const counts = new Map(sorted.map((one) => [one.value, one.count]));
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const value = String(first + at);
    return { value, count: counts.get(value) ?? 0 };
  });
}

/**
 * Each day until today, those on which nothing was asked included; from the first that is told, at
 * most `most` of them.
 * @param {{day: string, searches: number, p50_ms: number | null, p95_ms: number | null}[]} told @param {number} most
 */
function everyDay(told, most) {
  const known = new Map(told.map((one) => [one.day, one]));
  const first = [...known.keys()].sort()[0];
  if (!first) return [];
  const days = [];
  const today = new Date();
  for (let back = 0; back < most; back += 1) {
    const date = new Date(today.getFullYear(), today.getMonth(), today.getDate() - back, 12);
    const name = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
    days.unshift(known.get(name) ?? { day: name, searches: 0, p50_ms: null, p95_ms: null });
    if (name <= first) break;
  }
  return days;
}

/** @param {any} error @param {() => any} again */
function failure(error, again) {
  return h("div", { class: "notice danger row", role: "alert" }, error.message,
    h("button", { type: "button", class: "button", onclick: again }, T.retry));
}
