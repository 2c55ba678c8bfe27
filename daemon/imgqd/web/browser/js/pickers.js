// What can be chosen for each filter, with counts: the same lists in the chips' popovers and in the
// panel beside the grid. A choice is written to the URL at once.

import * as address from "./address.js";
import { dayAfter, dayBefore, iso } from "./dates.js";
import { h, icon, show } from "./dom.js";
import { facets } from "./facets.js";
import { folderTree } from "./tree.js";
import { number, T } from "./texts.js";

/** @typedef {import("./address.js").State} State */
/** @typedef {{key: string, drawing: string, keys: (keyof State)[], without: Partial<State>}} Kind */

/** @type {Record<string, Kind>} */
export const KINDS = {
  folder: { key: "folder", drawing: "folder", keys: ["in"], without: { in: [] } },
  date: { key: "date", drawing: "calendar", keys: ["after", "before"], without: { after: "", before: "" } },
  type: { key: "type", drawing: "format", keys: ["type"], without: { type: [] } },
  camera: { key: "camera", drawing: "camera", keys: ["camera"], without: { camera: "" } },
  tag: { key: "tag", drawing: "tag", keys: ["tag"], without: {} },
  category: { key: "category", drawing: "category", keys: ["category"], without: { category: "" } },
  rating: { key: "rating", drawing: "star", keys: ["rating"], without: { rating: "" } },
  orientation: { key: "orientation", drawing: "shape", keys: ["orientation"], without: { orientation: "" } },
};

// A list of more is searched, not read.
const SHOWN = 200;
const SEARCHED_FROM = 12;

/** @param {Partial<State>} change */
const write = (change) => address.write({ ...change, view: "", picture: "" });

/**
 * The list of one filter, filled as soon as its counts are there.
 * @param {string} name of KINDS @param {{done?: () => void, most?: number}} [options] `done`: a choice
 * was made that leaves nothing more to choose @returns {HTMLElement}
 */
export function picker(name, { done = () => {}, most = SHOWN } = {}) {
  const root = h("div", { class: "picker" });
  if (name === "rating") show(root, ratings(done));
  else if (name === "orientation") show(root, orientations(done));
  else {
    show(root, h("p", { class: "muted small picker-note" }, T.loading));
    const state = address.read();
    facets(state, KINDS[name].without).then((found) => {
      if (name === "date") show(root, dates(found.facets.year, found.total, done));
      else fill(root, name, choices(name, found.facets), done, most);
    }, (error) => show(root, h("p", { class: "notice danger small" }, error.message)));
  }
  return root;
}

/** @typedef {{text: string, value: string, count: number, depth: number, title?: string}} Choice */

/** @param {string} name @param {Record<string, import("./facets.js").Count[]>} found @returns {Choice[]} */
function choices(name, found) {
  if (name === "folder") return folderTree(found.folder);
  const facet = { type: "format", camera: "camera", tag: "tag", category: "category" }[name] ?? name;
  return found[facet].map(({ value, count }) => ({ text: name === "type" ? T.format(value) : value, value, count, depth: 0 }));
}

/** @param {HTMLElement} root @param {string} name @param {Choice[]} all @param {() => void} done @param {number} most */
function fill(root, name, all, done, most) {
  const chosen = new Set(chosenOf(name));
  for (const value of chosen) {
    if (!all.some((one) => one.value === value)) all.unshift({ text: value, value, count: 0, depth: 0 });
  }
  if (!all.length) { show(root, h("p", { class: "muted small picker-note" }, T.filters.none(name))); return; }
  const list = h("div", { class: "picker-list" });
  const several = name === "type" || name === "tag" || name === "folder";
  let wanted = "";
  let all_ = false;
  const draw = () => {
    const fitting = wanted ? all.filter((one) => `${one.text} ${one.title ?? ""}`.toLowerCase().includes(wanted)) : all;
    const limit = all_ || wanted ? SHOWN : most;
    show(list, fitting.slice(0, limit).map((one) => h("button", {
      type: "button", class: "option", "aria-pressed": String(chosen.has(one.value)), title: one.title ?? null,
      style: { "--depth": wanted ? 0 : one.depth },
      onclick() {
        const now = new Set(chosenOf(name));
        if (now.has(one.value)) now.delete(one.value);
        else { if (!several) now.clear(); now.add(one.value); }
        chosen.clear();
        for (const value of now) chosen.add(value);
        choose(name, [...now]);
        if (several) redraw();
        else done();
      },
    }, h("span", { class: "tick", "aria-hidden": "true" }, icon("check")),
    h("span", { class: "grow" }, one.text), h("span", { class: "count" }, one.count ? number(one.count) : ""))),
    fitting.length > limit ? h("button", { type: "button", class: "option muted small", onclick: () => { all_ = true; draw(); } }, T.filters.all(fitting.length)) : null,
    fitting.length ? null : h("p", { class: "muted small picker-note" }, T.filters.noneFits));
  };
  // Keeps the focus where it is: the list is the same, only what is chosen changed.
  const redraw = () => {
    const at = [...list.children].indexOf(/** @type {any} */ (document.activeElement));
    draw();
    if (at >= 0) /** @type {any} */ (list.children[at])?.focus({ preventScroll: true });
  };
  draw();
  const search = all.length >= SEARCHED_FROM && most === SHOWN
    ? h("input", {
      class: "input", type: "text", placeholder: T.filters.find(name), "aria-label": T.filters.find(name),
      oninput(/** @type {any} */ event) { wanted = event.target.value.trim().toLowerCase(); draw(); },
    }) : null;
  show(root, search, list);
}

/** @param {string} name @returns {string[]} */
function chosenOf(name) {
  const value = /** @type {any} */ (address.read())[KINDS[name].keys[0]];
  return Array.isArray(value) ? value : value ? [value] : [];
}

/** @param {string} name @param {string[]} values */
function choose(name, values) {
  const key = KINDS[name].keys[0];
  write({ [key]: Array.isArray(/** @type {any} */ (address.blank())[key]) ? values : values[0] ?? "" });
}

/** @param {() => void} done */
function ratings(done) {
  const now = address.read().rating;
  return [5, 4, 3, 2, 1].map((stars) => h("button", {
    type: "button", class: "option", "aria-pressed": String(now === String(stars)),
    onclick() { write({ rating: now === String(stars) ? "" : String(stars) }); done(); },
  }, h("span", { class: "stars", "aria-hidden": "true" }, [1, 2, 3, 4, 5].map((one) => h("span", { class: one <= stars ? "full" : "" }, icon("star")))),
  h("span", { class: "grow" }, T.filters.stars(stars))));
}

/** @param {() => void} done */
function orientations(done) {
  const now = address.read().orientation;
  return ["landscape", "portrait", "square"].map((shape) => h("button", {
    type: "button", class: "option", "aria-pressed": String(now === shape),
    onclick() { write({ orientation: now === shape ? "" : shape }); done(); },
  }, h("span", { class: `shape ${shape}`, "aria-hidden": "true" }), h("span", { class: "grow" }, /** @type {any} */ (T.filters)[shape])));
}

/** @param {import("./facets.js").Count[]} years newest first @param {number} total @param {() => void} done */
function dates(years, total, done) {
  const state = address.read();
  const ago = (/** @type {number} */ days) => {
    const date = new Date();
    date.setDate(date.getDate() - days);
    return iso(date);
  };
  /** @param {string} text @param {string} after @param {string} before @param {string} [count] */
  const option = (text, after, before, count = "") => h("button", {
    type: "button", class: "option", "aria-pressed": String(state.after === after && state.before === before),
    onclick() { write({ after, before }); done(); },
  }, h("span", { class: "tick", "aria-hidden": "true" }, icon("check")), h("span", { class: "grow" }, text), h("span", { class: "count" }, count));
  const isDay = (/** @type {string} */ text) => /^\d{4}-\d\d-\d\d$/.test(text);
  const from = h("input", { class: "input", type: "date", "aria-label": T.dates.from, value: isDay(state.after) ? state.after : "" });
  const to = h("input", { class: "input", type: "date", "aria-label": T.dates.to, value: isDay(state.before) ? dayBefore(state.before) : "" });
  return [
    option(T.dates.any, "", "", number(total)),
    option(T.dates.week, ago(7), ""), option(T.dates.month30, ago(30), ""),
    h("div", { class: "picker-list" }, years.map(({ value, count }) => option(value, value, String(Number(value) + 1).padStart(4, "0"), number(count)))),
    h("form", {
      class: "date-range",
      onsubmit(/** @type {Event} */ event) {
        event.preventDefault();
        write({ after: from.value, before: to.value ? dayAfter(to.value) : "" });
        done();
      },
    }, h("label", null, T.dates.from, from), h("label", null, T.dates.to, to), h("button", { class: "button", type: "submit" }, T.dates.apply)),
  ];
}

