// Gets the answer to what the URL asks: the first screen first, then all of it; an earlier request is
// ended by a later one. What was asked in earnest (Enter, a suggestion) goes into the history.

import * as address from "./address.js";
import { aborted, api, thumbnailVersion } from "./api.js";
import { painted } from "./dom.js";
import { gridRequest, hasTerms, MOST } from "./query.js";
import * as results from "./results.js";

/** @typedef {import("./address.js").State} State */
/** @typedef {{kind: "asking"} | {kind: "answered", complete: boolean} | {kind: "failed", error: any}} Progress */

const FIRST = 60;
const AGAIN_MS = 2000;

/** @type {Set<(progress: Progress) => void>} */
const progressListeners = new Set();
/** @type {Set<(text: string | null) => void>} */
const hintListeners = new Set();
/** @type {Set<() => void>} */
const commitListeners = new Set();
/** @type {AbortController | null} */
let asking = null;
let again = 0;
let committed = "";
/** The question whose whole answer is on the page. */
let wholly = "";
/** What the history is to hold and the daemon was not told yet, since its request was ended. */
let untold = { key: "", remember: "" };

/** @param {(progress: Progress) => void} listener */
export const onProgress = (listener) => { progressListeners.add(listener); };
/** What is wrong with the words as they stand, null when nothing is. @param {(text: string | null) => void} listener */
export const onHint = (listener) => { hintListeners.add(listener); };
/** A question was asked in earnest. @param {() => void} listener */
export const onCommit = (listener) => { commitListeners.add(listener); };

/**
 * Asks for what `state` says. Resolves when the whole answer is there, was overtaken, or failed.
 * @param {State} state @param {{whole?: boolean, remember?: string, quiet?: boolean}} [options] `whole`:
 * not the first screen by itself; `remember`: what the history is to hold; `quiet`: nobody waits for
 * it, and where it fails the answer before it stays
 */
export async function ask(state, { whole = false, remember = "", quiet = false } = {}) {
  asking?.abort();
  clearTimeout(again);
  const mine = new AbortController();
  asking = mine;
  if (!quiet) tell({ kind: "asking" });
  const key = questionKey(state);
  if (remember || untold.key !== key) untold = { key, remember };
  const terms = hasTerms(state);
  try {
    const { signal } = mine;
    let complete = false;
    // The best 60 by date are not the first 60 of the best 2000.
    if (!whole && !(terms && state.sort && state.sort !== "best")) {
      const answer = await api.post("/grid", gridRequest(state, FIRST), { signal });
      if (signal.aborted) return;
      // What is found by its content ends where it is cut: the answer does not say what is behind.
      complete = !terms && (answer.ids.length < FIRST || results.held(answer) >= answer.total);
      put(answer, state, complete);
      // The rest is not to compete with the first pictures for the processor.
      if (!complete) await painted();
      if (signal.aborted) return;
    }
    if (!complete) {
      const body = gridRequest(state, terms ? MOST : undefined);
      const told = untold.remember ? { ...body, remember: untold.remember } : body;
      const answer = await api.post("/grid", told, { signal });
      if (signal.aborted) return;
      untold = { key: "", remember: "" };
      put(answer, state, true);
    }
    wholly = key;
    hint(null);
  } catch (error) {
    if (aborted(error) || mine.signal.aborted) return;
    // What makes no sense now makes none in two seconds either.
    if (quiet && /** @type {any} */ (error).status !== 400) again = window.setTimeout(() => void ask(address.read(), { whole, quiet }), AGAIN_MS);
    else fail(/** @type {any} */ (error), state);
  }
}

/** @param {any} answer @param {State} state @param {boolean} complete */
function put(answer, state, complete) {
  wholly = "";
  thumbnailVersion(answer.version ?? "");
  results.put({ ...results.fromAnswer(answer), complete });
  tell({ kind: "answered", complete });
}

/** @param {any} error @param {State} state */
function fail(error, state) {
  // A question that is not finished ("cat +") is no failure: the answer before it stays.
  if (error.status === 400 && state.q) { hint(error.message); tell({ kind: "answered", complete: true }); return; }
  hint(null);
  tell({ kind: "failed", error });
  // Not now, but soon: the model is still being made, or the daemon starts again.
  if (error.status === 503 || error.status === 0) again = window.setTimeout(() => void ask(address.read()), AGAIN_MS);
}

/** @param {State} state */
const questionKey = (state) => address.href({ ...state, picture: "", view: "" });

/** Says that the question was meant, once for each; the daemon keeps it where the history is on. */
export function commit() {
  const state = address.read();
  const key = questionKey(state);
  for (const listener of commitListeners) listener();
  if (key === committed || !state.q.trim()) return;
  committed = key;
  void import("./arguments.js").then(({ quoted, toArguments }) => {
    if (address.sameQuestion(state, address.read())) void ask(state, { whole: wholly === key, remember: quoted(toArguments(state)) });
  }, () => { /* The daemon is away, as the question itself is told. */ });
}

/** @param {string | null} text */
function hint(text) {
  for (const listener of hintListeners) listener(text);
}

/** @param {Progress} progress */
function tell(progress) {
  for (const listener of progressListeners) listener(progress);
}
