// What stands in place of the grid when there is nothing to show: no folders yet, still indexing,
// nothing found, or an error, each with what to do next.

import * as address from "./address.js";
import { api } from "./api.js";
import { h, icon } from "./dom.js";
import { T } from "./texts.js";

/** @typedef {import("./address.js").State} State */

/** @param {string} text @param {Partial<State>} change @param {boolean} [primary] */
const step = (text, change, primary = false) => h("button", {
  type: "button", class: `button${primary ? " primary" : ""}`, onclick: () => address.write({ view: "", picture: "", ...change }),
}, text);

/** @param {State} state */
const asksNothing = (state) => address.href({ ...address.blank(), sort: state.sort }) === address.href({ ...state, view: "", picture: "" });

/**
 * Why there is nothing, found out from the daemon. @param {State} state @returns {Promise<HTMLElement>}
 */
export async function nothing(state) {
  /** @type {any} */
  let status = null;
  try {
    status = await api.get("/status");
  } catch {
    // The grid's own request says what is wrong with the daemon.
  }
  if (status && !status.folders.length) return noFolders();
  if (status && !status.pictures && (status.pending || status.state === "starting" || status.state === "indexing")) return indexing(status);
  if (asksNothing(state)) return nothingYet();
  return notFound(state, status);
}

function noFolders() {
  return h("div", { class: "empty" }, icon("pictures"), h("h1", null, T.empty.welcome), h("p", null, T.empty.addFolder),
    step(T.empty.chooseFolder, { view: "folders" }, true),
    h("p", { class: "small" }, T.empty.orTerminal, " ", h("code", null, "imgq --watch ~/Pictures")));
}

/** @param {any} status */
function indexing(status) {
  const { done, total } = status.progress ?? { done: 0, total: 0 };
  const bar = h("span", { style: { transform: `scaleX(${total ? done / total : 0})` } });
  return h("div", { class: "empty" }, icon("clock"), h("h1", null, T.empty.indexing), h("p", null, T.empty.indexingText),
    h("div", { class: `progress${total ? "" : " unknown"}`, role: "progressbar", "aria-label": T.empty.indexing, "aria-valuemin": 0, "aria-valuemax": total || null, "aria-valuenow": total ? done : null }, bar),
    total ? h("p", { class: "small number" }, T.indexing(done, total)) : null);
}

function nothingYet() {
  return h("div", { class: "empty" }, icon("pictures"), h("h1", null, T.empty.noPictures), h("p", null, T.empty.noPicturesText),
    h("div", { class: "row" }, step(T.views.folders, { view: "folders" }), step(T.views.problems, { view: "problems" })));
}

/** @param {State} state @param {any} status */
function notFound(state, status) {
  const filtered = address.FILTERS.filter((name) => {
    const value = /** @type {any} */ (state)[name];
    return Array.isArray(value) ? value.length : value;
  });
  const bare = Object.fromEntries(filtered.map((name) => [name, /** @type {any} */ (address.blank())[name]]));
  const lost = state.example && !state.q && !state.like.length;
  return h("div", { class: "empty" }, icon("search"), h("h1", null, state.q ? T.empty.notFoundFor(state.q) : T.empty.notFound),
    h("p", null, filtered.length ? T.empty.tryFilters : lost ? T.ask.exampleGoneWhy : T.empty.tryWords),
    h("div", { class: "row" },
      filtered.length ? step(T.empty.dropFilters, bare, true) : null,
      state.relevant ? step(T.empty.lessStrict, { relevant: false }) : null,
      step(T.empty.showAll, { ...address.blank() }, !filtered.length)),
    status?.pending ? h("p", { class: "small" }, T.empty.stillIndexing(status.pending)) : null);
}

/** @param {any} error @param {() => void} again */
export function failed(error, again) {
  const soon = error.status === 503 || error.status === 0;
  return h("div", { class: "empty", role: "alert" }, icon(soon ? "clock" : "warning"),
    h("h1", null, soon ? T.empty.notNow : T.empty.failed), h("p", null, error.message),
    soon ? h("p", { class: "small" }, T.empty.triesAgain) : null,
    h("div", { class: "row" }, h("button", { type: "button", class: "button primary", onclick: again }, T.retry),
      error.status === 400 ? step(T.empty.showAll, { ...address.blank() }) : null));
}
