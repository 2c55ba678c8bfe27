// From the state of the page to the bodies that the daemon takes. The search box goes as it was
// typed (`q`): the daemon reads it with the command line's own parser.

import * as example from "./example.js";

/** @typedef {import("./address.js").State} State */

// Of the answer to what is found by its content, shown and counted; whoever looks further asks
// something else.
export const MOST = 2000;

/** A path as the API takes it. @param {string} value as in the URL @returns {string | {path_b64: string}} */
export function pathValue(value) {
  return value.startsWith("b64:") ? { path_b64: value.slice(4) } : value;
}

/** A path of an answer as the URL holds it. @param {{path: string, path_b64?: string}} item */
export function pathText(item) {
  return item.path_b64 ? `b64:${item.path_b64}` : item.path;
}

/** @param {string[]} values @param {boolean} negative */
function ids(values, negative) {
  const terms = [];
  for (const value of values) {
    const [digits, weight] = value.split("^");
    if (!/^\d{1,18}$/.test(digits)) continue;
    /** @type {any} */
    const term = { id: Number(digits) };
    if (weight && Number(weight) > 0) term.weight = Number(weight);
    if (negative) term.negative = true;
    terms.push(term);
  }
  return terms;
}

/** The filters of a request. @param {State} state @returns {Record<string, any>} */
export function filters(state) {
  /** @type {Record<string, any>} */
  const body = {};
  if (state.in.length) body.in = state.in.map(pathValue);
  for (const name of ["after", "before", "camera", "orientation", "category", "words"]) {
    const value = /** @type {any} */ (state)[name];
    if (value) body[name] = value;
  }
  if (state.type.length) body.types = state.type;
  if (state.tag.length) body.tags = state.tag;
  if (/^-?\d$/.test(state.rating)) body.rating = Number(state.rating);
  const near = state.near.split(",").map(Number);
  if (near.length === 3 && near.every(Number.isFinite)) body.near = near;
  const size = /^(\d+)[x×](\d+)$/.exec(state.min_size);
  if (size) body.min_size = [Number(size[1]), Number(size[2])];
  if (state.min_score && Number.isFinite(Number(state.min_score))) body.min_score = Number(state.min_score);
  if (state.where.length) {
    body.where = state.where.filter((pair) => pair.includes("=")).map((pair) => {
      const at = pair.indexOf("=");
      return { key: pair.slice(0, at), value: pair.slice(at + 1) };
    });
  }
  for (const name of ["relevant", "diverse", "all"]) {
    if (/** @type {any} */ (state)[name]) body[name] = true;
  }
  return body;
}

/** The question and its filters: what /v1/grid, /v1/search and /v1/facets share. @param {State} state */
export function question(state) {
  const terms = [...ids(state.like, false), ...ids(state.unlike, true)];
  const image = state.example ? example.current() : null;
  if (image) terms.push({ image: image.base64, name: image.name });
  /** @type {Record<string, any>} */
  const body = { terms, ...filters(state) };
  if (state.q.trim()) body.q = state.q.trim();
  return body;
}

/** True where answers have scores. @param {State} state */
export function hasTerms(state) {
  return Boolean(state.q.trim() || state.like.length || state.unlike.length || (state.example && example.current()));
}

/** True where one picture stands for those that look alike. @param {State} state */
export const stacks = (state) => state.stack !== "off" && !state.all;

/** @param {State} state @param {number} [most] */
export function gridRequest(state, most) {
  /** @type {Record<string, any>} */
  const body = question(state);
  if (most) body.most = most;
  if (stacks(state)) body.alike = true;
  if (state.sort === "newest" || state.sort === "oldest") body.sort = state.sort;
  return body;
}

/** @param {State} state */
export function facetsRequest(state) {
  const { relevant: _relevant, diverse: _diverse, ...body } = question(state);
  return hasTerms(state) ? { ...body, most: MOST } : body;
}
