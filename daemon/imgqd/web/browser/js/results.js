// The answer that is on the page: the ids in their order, with what the grid needs of each. The grid
// shows it; an open picture takes its neighbours from it. A stack that is open has its pictures
// beside the one that stands for them.

/** @typedef {{copies: number, shots: number, alike: number[]}} Stack what stands behind a picture: files with the same content, pictures of the same shot, ids of those that look alike */

/**
 * @typedef {object} Results
 * @property {number[]} ids @property {number[]} ratios width / height
 * @property {number[] | null} scores @property {number[] | null} relevances 0 to 1
 * @property {Uint8Array | null} placeholders PLACEHOLDER bytes a picture
 * @property {Map<number, Stack>} stacks of those that stand for more than themselves
 * @property {number} total how many there are, those in stacks too; more than that where the answer was cut
 * @property {boolean} complete whether the rest is still to come
 * @property {number} generation @property {number} took milliseconds
 */

const PLACEHOLDER = 18;
const GREY = 0x88;
const RATIO = 1.5;

/** @type {Results} */
export const none = { ids: [], ratios: [], scores: null, relevances: null, placeholders: null, stacks: new Map(), total: 0, complete: true, generation: -1, took: 0 };

/** As it came, with every stack closed. @type {Results} */
let answered = none;
/** @type {Results} */
let current = none;
/** @type {Map<number, number> | null} */
let places = null;
/** Who stands for a picture. @type {Map<number, number> | null} */
let leaders = null;
/** Stacks that are open by who stands for them: the ratios of the others. @type {Map<number, Map<number, number>>} */
const opened = new Map();
/** The list that the open picture was taken from, where that is not the answer. @type {number[] | null} */
let lent = null;
/** @type {Set<(results: Results) => void>} */
const listeners = new Set();

/** @returns {Results} */
export function read() {
  return current;
}

/** @param {Results} results */
export function put(results) {
  answered = results;
  leaders = null;
  unfold();
}

function unfold() {
  current = opened.size ? unfolded(answered) : answered;
  places = null;
  for (const listener of [...listeners]) listener(current);
}

/** Where a picture stands in the answer, -1 where it does not. @param {number} id */
export function indexOf(id) {
  if (!places) places = new Map(current.ids.map((one, at) => [one, at]));
  return places.get(id) ?? -1;
}

/** Where a picture, or the one that stands for it, is. @param {number} id */
export function placeOf(id) {
  const at = indexOf(id);
  return at >= 0 ? at : indexOf(leader(id));
}

/** @param {number} id */
function leader(id) {
  if (!leaders) {
    leaders = new Map();
    for (const [first, { alike }] of answered.stacks) for (const one of alike) leaders.set(one, first);
  }
  return leaders.get(id) ?? id;
}

/** Every picture of the answer, those in stacks too. */
export function everyId() {
  const all = new Set(answered.ids);
  for (const { alike } of answered.stacks.values()) for (const one of alike) all.add(one);
  return all;
}

/** The pictures that look alike, the one that stands for them first; null for one by itself. @param {number} id @returns {number[] | null} */
export function stackOf(id) {
  if (lent?.includes(id)) return null;
  const first = leader(id);
  const alike = answered.stacks.get(first)?.alike;
  return alike?.length ? [first, ...alike] : null;
}

/** @param {number} id of any picture of the stack */
export const isOpen = (id) => opened.has(leader(id));

/** Opens a stack in its place, or closes it. @param {number} first who stands for it @param {Map<number, number> | null} ratios of the others; null closes it */
export function open(first, ratios) {
  if (ratios) opened.set(first, ratios);
  else opened.delete(first);
  unfold();
}

/** Another question has other stacks. */
export function closeAll() {
  opened.clear();
}

/** The picture before (-1) or after (1), also within a stack; null at an end. @param {number} id @param {1 | -1} step @returns {number | null} */
export function neighbour(id, step) {
  if (lent?.includes(id)) return lent[lent.indexOf(id) + step] ?? null;
  const stack = stackOf(id);
  const within = stack?.[stack.indexOf(id) + step];
  if (within !== undefined) return within;
  const at = placeOf(id);
  const to = at < 0 ? undefined : current.ids[at + step];
  if (to === undefined) return null;
  return step < 0 ? stackOf(to)?.at(-1) ?? to : to;
}

/** Where a picture stands, from 1, of how many. @param {number} id @returns {{at: number, of: number} | null} */
export function standing(id) {
  if (lent?.includes(id)) return { at: lent.indexOf(id) + 1, of: lent.length };
  const at = placeOf(id);
  return at < 0 ? null : { at: at + 1, of: current.ids.length };
}

/** Steps go through this list, not the answer, while one of its pictures is open. @param {number[] | null} ids */
export function lend(ids) {
  lent = ids;
}

/** @param {(results: Results) => void} listener @returns {() => void} */
export function onResults(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** From the answer of /v1/grid. @param {any} answer @returns {Results} */
export function fromAnswer(answer) {
  /** @type {Map<number, Stack>} */
  const stacks = new Map();
  const { stacks: files = {}, shots = {}, alike = {} } = answer;
  for (const id of new Set([...Object.keys(files), ...Object.keys(alike)])) {
    const ofShot = shots[id] ?? 0;
    stacks.set(Number(id), { copies: (files[id] ?? 0) - ofShot, shots: ofShot, alike: alike[id] ?? [] });
  }
  return {
    ids: answer.ids, ratios: answer.ratios, scores: answer.scores ?? null,
    relevances: answer.relevances ?? null, placeholders: answer.placeholders ? bytes(answer.placeholders) : null,
    stacks, total: answer.total, complete: true, generation: answer.generation, took: answer.took_ms,
  };
}

/** How many pictures an answer of /v1/grid holds. @param {any} answer */
export function held(answer) {
  let count = answer.ids.length;
  for (const id in answer.alike) count += answer.alike[id].length;
  return count;
}

/** With the pictures of open stacks in their place. @param {Results} from @returns {Results} */
function unfolded(from) {
  const ids = [];
  const ratios = [];
  /** Where each comes from; -1 for what was in a stack. */
  const sources = [];
  for (let at = 0; at < from.ids.length; at += 1) {
    const id = from.ids[at];
    ids.push(id);
    ratios.push(from.ratios[at]);
    sources.push(at);
    const known = opened.get(id);
    for (const one of (known && from.stacks.get(id)?.alike) ?? []) {
      ids.push(one);
      ratios.push(known?.get(one) ?? RATIO);
      sources.push(-1);
    }
  }
  /** @param {number[] | null} values */
  const placed = (values) => values && sources.map((at) => (at < 0 ? /** @type {any} */ (null) : values[at]));
  let placeholders = null;
  if (from.placeholders) {
    placeholders = new Uint8Array(ids.length * PLACEHOLDER).fill(GREY);
    for (let at = 0; at < sources.length; at += 1) {
      const begin = sources[at] * PLACEHOLDER;
      if (begin >= 0) placeholders.set(from.placeholders.subarray(begin, begin + PLACEHOLDER), at * PLACEHOLDER);
    }
  }
  return { ...from, ids, ratios, placeholders, scores: placed(from.scores), relevances: placed(from.relevances) };
}

/** @param {string} base64 */
function bytes(base64) {
  const binary = atob(base64);
  const all = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) all[at] = binary.charCodeAt(at);
  return all;
}
