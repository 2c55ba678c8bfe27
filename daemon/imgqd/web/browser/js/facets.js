// Counts of what is asked by folder, month, format, camera, category and tag: for the pickers, the
// panel and the timeline. The same question is asked once for a generation of the library.

import * as address from "./address.js";
import { api } from "./api.js";
import * as example from "./example.js";
import { facetsRequest } from "./query.js";

/** @typedef {import("./address.js").State} State */
/** @typedef {{value: string, count: number, value_b64?: string}} Count */
/** @typedef {{total: number, facets: Record<string, Count[]>}} Facets */

/** @type {Map<string, Promise<Facets>>} */
const asked = new Map();
const KEPT = 24;

/** What was counted no longer holds. */
export function forget() {
  asked.clear();
}

/**
 * @param {State} state @param {Partial<State>} [without] filters to leave out, so that a picker shows
 * what else could be chosen @returns {Promise<Facets>}
 */
export function facets(state, without = {}) {
  const of = { ...state, ...without, view: "", picture: "", sort: "", stack: "", relevant: false, diverse: false };
  const key = `${address.href(of)} ${of.example ? example.current()?.preview ?? "" : ""}`;
  let answer = asked.get(key);
  if (!answer) {
    answer = api.post("/facets", facetsRequest(of));
    // A failure is not kept: the next one who asks tries again.
    answer.catch(() => asked.delete(key));
    asked.set(key, answer);
    if (asked.size > KEPT) asked.delete(/** @type {string} */ (asked.keys().next().value));
  }
  return answer;
}
