// The URL is the state of the page: what is asked, which filters, which view, which picture. What is
// here can be bookmarked; what is not (an example image, a selection) is gone after a reload.

/**
 * @typedef {object} State
 * @property {string} q the search box
 * @property {string[]} in folders; `b64:...` holds exact bytes of a path that is not valid UTF-8
 * @property {string} after @property {string} before
 * @property {string[]} type @property {string} camera @property {string[]} tag
 * @property {string} rating @property {string} orientation @property {string} category
 * @property {string} near LAT,LON,KM @property {string} words @property {string} min_size WxH
 * @property {string} min_score @property {string[]} where KEY=VALUE
 * @property {string[]} like ids, each with an optional ^WEIGHT @property {string[]} unlike
 * @property {boolean} relevant @property {boolean} diverse @property {boolean} all
 * @property {boolean} example an image of one's own is part of the question (held in memory only)
 * @property {string} sort "" (best or newest first), newest, oldest
 * @property {string} stack "" (one picture stands for those that look alike), off
 * @property {string} view "" is the grid @property {string} picture id of the one that is open
 */

const TEXTS = ["q", "after", "before", "camera", "rating", "orientation", "category", "near", "words", "min_size", "min_score", "sort", "stack", "view", "picture"];
const LISTS = ["in", "type", "tag", "where", "like", "unlike"];
const FLAGS = ["relevant", "diverse", "all", "example"];

// What `imgq --web` calls by the names of its options.
/** @type {Record<string, string>} */
const OPTIONS = { words: "text", min_size: "min-size", min_score: "min-score" };

/** Those that say which pictures, in the order of the chips. */
export const FILTERS = ["in", "after", "before", "type", "camera", "tag", "rating", "orientation", "category", "near", "words", "min_size", "min_score", "where"];

/** @type {Set<(state: State, before: State) => void>} */
const listeners = new Set();
/** @type {State} */
let current = parse(location.search);

/** A state in which nothing is asked. @returns {State} */
export function blank() {
  return parse("");
}

/** @param {string} search what follows `?`, with or without it @returns {State} */
export function parse(search) {
  const values = new URLSearchParams(search);
  /** @type {any} */
  const state = {};
  for (const name of TEXTS) state[name] = values.get(name) ?? values.get(OPTIONS[name] ?? name) ?? "";
  for (const name of LISTS) state[name] = values.getAll(name).filter(Boolean);
  for (const name of FLAGS) state[name] = values.has(name);
  return state;
}

/** The URL of a state, without the host. @param {Partial<State>} state @returns {string} */
export function href(state) {
  const values = new URLSearchParams();
  const of = /** @type {any} */ (state);
  for (const name of [...TEXTS, ...LISTS, ...FLAGS]) {
    const value = of[name];
    if (Array.isArray(value)) for (const one of value) values.append(name, one);
    else if (value === true) values.append(name, "1");
    else if (value) values.append(name, value);
  }
  // Slashes and commas are allowed in a query and are what a person reads in a path.
  const text = values.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
  return text ? `/?${text}` : "/";
}

/** What the page shows now. @returns {State} */
export function read() {
  return current;
}

/**
 * Changes the state by `change` (only the keys given) and tells every listener. `replace` for what a
 * person would not want to go back to, as each letter typed.
 * @param {Partial<State>} change @param {{replace?: boolean}} [options]
 */
export function write(change, options = {}) {
  const before = current;
  const next = { ...current, ...change };
  const url = href(next);
  if (url === href(before)) return;
  current = next;
  if (options.replace) history.replaceState({ ...history.state }, "", url);
  else {
    keepScroll();
    history.pushState({ depth: (history.state?.depth ?? 0) + 1 }, "", url);
  }
  tell(before);
}

/**
 * Like `write`, but tells the listeners even where the URL stays the same: what is not in it changed.
 * @param {Partial<State>} change
 */
export function touch(change) {
  const before = current;
  write(change);
  if (current === before) tell(before);
}

/** Writes down where this entry of the history was scrolled to, for coming back. */
export function keepScroll() {
  history.replaceState({ ...history.state, scroll: Math.round(window.scrollY) }, "");
}

/** Where this entry of the history was scrolled to when it was left. @returns {number} */
export function keptScroll() {
  return history.state?.scroll ?? 0;
}

/**
 * Leaves something that was opened (a picture, a view): goes back where that came from the page
 * itself, so that the history does not grow; else writes `change`.
 * @param {Partial<State>} change
 */
export function leave(change) {
  if ((history.state?.depth ?? 0) > 0) history.back();
  else write(change, { replace: true });
}

/**
 * @param {(state: State, before: State) => void} listener called after each change, back and
 * forward included @returns {() => void}
 */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** True where both ask for the same pictures in the same order. @param {State} a @param {State} b */
export function sameQuestion(a, b) {
  const bare = { view: "", picture: "" };
  return href({ ...a, ...bare }) === href({ ...b, ...bare });
}

function tell(before) {
  for (const listener of [...listeners]) listener(current, before);
}

// The grid is as high as its answer, which a browser that scrolls by itself does not wait for.
history.scrollRestoration = "manual";
window.addEventListener("popstate", () => {
  const before = current;
  current = parse(location.search);
  tell(before);
});
