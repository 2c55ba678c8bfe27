// The answer that is on the page: the ids in their order, with what the grid needs of each. The grid
// shows it; an open picture takes its neighbours from it.

/**
 * @typedef {object} Results
 * @property {number[]} ids @property {number[]} ratios width / height
 * @property {number[] | null} scores @property {number[] | null} relevances 0 to 1
 * @property {Uint8Array | null} placeholders PLACEHOLDER bytes a picture
 * @property {Map<number, number>} stacks how many files stand behind one picture, where more than one
 * @property {number} total how many there are; more than `ids` where the answer was cut
 * @property {boolean} complete whether the rest is still to come
 * @property {number} generation @property {number} took milliseconds
 */

/** @type {Results} */
export const none = { ids: [], ratios: [], scores: null, relevances: null, placeholders: null, stacks: new Map(), total: 0, complete: true, generation: -1, took: 0 };

/** @type {Results} */
let current = none;
/** @type {Map<number, number> | null} */
let places = null;
/** @type {Set<(results: Results) => void>} */
const listeners = new Set();

/** @returns {Results} */
export function read() {
  return current;
}

/** @param {Results} results */
export function put(results) {
  current = results;
  places = null;
  for (const listener of [...listeners]) listener(results);
}

/** Where a picture stands in the answer, -1 where it does not. @param {number} id */
export function indexOf(id) {
  if (!places) places = new Map(current.ids.map((one, at) => [one, at]));
  return places.get(id) ?? -1;
}

/** The picture `step` places further, null at an end. @param {number} id @param {number} step @returns {number | null} */
export function neighbour(id, step) {
  const at = indexOf(id);
  return at < 0 ? null : current.ids[at + step] ?? null;
}

/** @param {(results: Results) => void} listener @returns {() => void} */
export function onResults(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** From the answer of /v1/grid. @param {any} answer @returns {Results} */
export function fromAnswer(answer) {
  const stacks = new Map();
  for (const [id, count] of Object.entries(answer.stacks ?? {})) stacks.set(Number(id), count + 1);
  return {
    ids: answer.ids, ratios: answer.ratios, scores: answer.scores ?? null,
    relevances: answer.relevances ?? null, placeholders: answer.placeholders ? bytes(answer.placeholders) : null,
    stacks, total: answer.total, complete: true, generation: answer.generation, took: answer.took_ms,
  };
}

/** @param {string} base64 */
function bytes(base64) {
  const binary = atob(base64);
  const all = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) all[at] = binary.charCodeAt(at);
  return all;
}
