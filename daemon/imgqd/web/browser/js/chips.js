// The row below the search box: what each filter is set to, what can be set, how pictures are sorted,
// and how many there are.

import * as address from "./address.js";
import { thumbnail } from "./api.js";
import { rangeText } from "./dates.js";
import { h, icon, iconButton, popover, show } from "./dom.js";
import * as example from "./example.js";
import { KINDS, picker } from "./pickers.js";
import { hasTerms, stacks } from "./query.js";
import { T } from "./texts.js";
import { baseName } from "./tree.js";

/** @typedef {import("./address.js").State} State */

/** @param {Partial<State>} change */
const write = (change) => address.write({ ...change, view: "", picture: "" });

/** What a filter is set to, "" for nothing. @param {string} name @param {State} state */
function valueText(name, state) {
  switch (name) {
    case "folder": return state.in.map(baseName).join(", ");
    case "date": return state.after || state.before ? rangeText(state.after, state.before) : "";
    case "type": return state.type.map(T.format).join(", ");
    case "tag": return state.tag.join(", ");
    case "rating": return state.rating ? T.filters.stars(Number(state.rating)) : "";
    case "orientation": return state.orientation ? /** @type {any} */ (T.filters)[state.orientation] ?? state.orientation : "";
    default: return /** @type {any} */ (state)[name];
  }
}

/** @param {() => void} togglePanel */
export function chips(togglePanel) {
  const terms = h("div", { class: "chips-terms" });
  const row = h("div", { class: "chips-row", role: "group", "aria-label": T.filters.label });
  const count = h("p", { class: "chips-count number", role: "status" });
  const sort = h("button", { type: "button", class: "chip quiet" });
  const panel = h("button", {
    type: "button", class: "chip quiet", "aria-expanded": "false", "aria-controls": "panel", title: T.panel.toggle, onclick: togglePanel,
  }, icon("filter"), h("span", { class: "wide-only" }, T.panel.toggle));
  const stacking = iconButton("stack", T.grid.stacking, () => write({ stack: stacks(address.read()) ? "off" : "" }), { class: "small stacking" });
  popover(sort, sorts, { label: T.sort.label });
  const element = h("div", { class: "chips" }, terms,
    h("div", { class: "chips-bar" }, panel, row, h("div", { class: "chips-end" }, count, stacking, sort)));

  /** @type {Map<string, {chip: HTMLElement, button: HTMLElement, draw: (state: State) => void}>} */
  const filters = new Map();
  for (const name of Object.keys(KINDS)) filters.set(name, filterChip(name));
  const others = h("div", { class: "chips-others" });
  // Those without a picker first: nothing else says that they are there.
  show(row, others, [...filters.values()].map((one) => one.chip));

  return {
    element, count,
    /** @param {boolean} open */
    panelOpen(open) { panel.setAttribute("aria-expanded", String(open)); panel.classList.toggle("on", open); },
    /** @param {State} state */
    update(state) {
      for (const one of filters.values()) one.draw(state);
      show(others, otherFilters(state));
      const shown = termChips(state);
      show(terms, shown);
      terms.hidden = !shown.length;
      stacking.setAttribute("aria-pressed", String(stacks(state)));
      // Where every file of a shot is asked for nothing is stacked.
      stacking.hidden = state.all;
      show(sort, icon("sort"), h("span", { class: "wide-only" }, sortText(state)));
      sort.setAttribute("aria-label", `${T.sort.label}: ${sortText(state)}`);
    },
  };
}

/** @param {string} name */
function filterChip(name) {
  const kind = KINDS[name];
  const label = /** @type {any} */ (T.filters)[name];
  const value = h("span", { class: "chip-value" });
  const button = h("button", { type: "button", class: "chip-open" }, icon(kind.drawing), value);
  const remove = h("button", { type: "button", class: "chip-remove", "aria-label": T.filters.remove(label), title: T.filters.remove(label) }, icon("close"));
  const chip = h("div", { class: "chip split" }, button, remove);
  const surface = popover(button, (close) => picker(name, { done: close }), { class: "picker-popover", label });
  remove.addEventListener("click", () => {
    surface.close();
    write(Object.fromEntries(kind.keys.map((key) => [key, Array.isArray(/** @type {any} */ (address.blank())[key]) ? [] : ""])));
    button.focus();
  });
  return {
    chip, button,
    /** @param {State} state */
    draw(state) {
      const text = valueText(name, state);
      value.textContent = text || label;
      button.setAttribute("aria-label", text ? `${label}: ${text}` : label);
      chip.classList.toggle("on", Boolean(text));
      remove.hidden = !text;
    },
  };
}

/** Filters without a picker: from the command line, a saved search or a bookmark. @param {State} state */
function otherFilters(state) {
  /** @type {[string, string, Partial<State>][]} */
  const all = [];
  if (state.near) all.push(["place", T.filters.near(state.near), { near: "" }]);
  if (state.words) all.push(["search", T.filters.words(state.words), { words: "" }]);
  if (state.min_size) all.push(["shape", T.filters.minSize(state.min_size), { min_size: "" }]);
  if (state.min_score) all.push(["filter", T.filters.minScore(state.min_score), { min_score: "" }]);
  for (const pair of state.where) all.push(["filter", pair, { where: state.where.filter((one) => one !== pair) }]);
  if (state.relevant) all.push(["check", T.filters.relevant, { relevant: false }]);
  if (state.diverse) all.push(["category", T.filters.diverse, { diverse: false }]);
  if (state.all) all.push(["stack", T.filters.everyFile, { all: false }]);
  return all.map(([drawing, text, change]) => h("div", { class: "chip on split" },
    h("span", { class: "chip-open" }, icon(drawing), h("span", { class: "chip-value" }, text)),
    h("button", { type: "button", class: "chip-remove", "aria-label": T.filters.remove(text), onclick: () => write(change) }, icon("close"))));
}

/** Example pictures, the library's and one's own. @param {State} state */
function termChips(state) {
  const chip = (/** @type {any} */ picture, /** @type {string} */ text, /** @type {Partial<State>} */ change, /** @type {string} */ open = "", /** @type {string | null} */ title = null) =>
    h("div", { class: "chip term on split", title },
      h("button", { type: "button", class: "chip-open", disabled: !open, onclick: () => open && address.write({ picture: open }) }, picture, h("span", { class: "chip-value" }, text)),
      h("button", { type: "button", class: "chip-remove", "aria-label": T.filters.remove(text), title: T.filters.remove(text), onclick: () => write(change) }, icon("close")));
  const small = (/** @type {string} */ src) => h("img", { class: "chip-picture", src, alt: "", width: 28, height: 28 });
  const all = [];
  if (state.example) {
    const held = example.current();
    all.push(held ? chip(small(held.preview), held.name || T.ask.yours, { example: false }) : chip(icon("image"), T.ask.exampleGone, { example: false }, "", T.ask.exampleGoneWhy));
  }
  for (const value of state.like) {
    const id = value.split("^")[0];
    all.push(chip(small(thumbnail(Number(id), 64)), T.ask.like, { like: state.like.filter((one) => one !== value) }, id));
  }
  for (const value of state.unlike) {
    const id = value.split("^")[0];
    all.push(chip(small(thumbnail(Number(id), 64)), T.ask.unlike, { unlike: state.unlike.filter((one) => one !== value) }, id));
  }
  return all;
}

/** @param {State} state */
function sortText(state) {
  if (state.sort === "oldest") return T.sort.oldest;
  if (state.sort === "newest" || !hasTerms(state)) return T.sort.newest;
  return T.sort.best;
}

/** @param {() => void} close */
function sorts(close) {
  const state = address.read();
  const asks = hasTerms(state);
  const ways = asks ? ["", "newest", "oldest"] : ["", "oldest"];
  /** @param {"relevant" | "diverse"} name */
  const only = (name) => h("button", {
    type: "button", class: "option", "aria-pressed": String(state[name]),
    onclick() { close(); write({ [name]: !state[name] }); },
  }, h("span", { class: "tick", "aria-hidden": "true" }, icon("check")), h("span", { class: "grow" }, T.filters[name]));
  const orders = ways.map((sort) => {
    const text = sortText({ ...state, sort });
    return h("button", {
      type: "button", class: "option", "aria-pressed": String(state.sort === sort),
      onclick() { close(); write({ sort }); },
    }, h("span", { class: "tick", "aria-hidden": "true" }, icon("check")), h("span", { class: "grow" }, text));
  });
  return asks ? [...orders, h("div", { class: "menu-rule" }), only("relevant"), only("diverse")] : orders;
}
