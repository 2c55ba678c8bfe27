// Which pictures are selected, to do one thing to several. Held while the page is open.

/** @type {Set<number>} */
const chosen = new Set();
/** @type {Set<() => void>} */
const listeners = new Set();

/** @param {number} id */
export const has = (id) => chosen.has(id);
export const size = () => chosen.size;
/** In the order they were selected. */
export const list = () => [...chosen];

/** @param {number} id @param {boolean} [to] */
export function toggle(id, to = !chosen.has(id)) {
  if (to === chosen.has(id)) return;
  if (to) chosen.add(id);
  else chosen.delete(id);
  tell();
}

/** @param {Iterable<number>} ids */
export function add(ids) {
  for (const id of ids) chosen.add(id);
  tell();
}

export function clear() {
  if (!chosen.size) return;
  chosen.clear();
  tell();
}

/** @param {() => void} listener @returns {() => void} */
export function onSelection(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() {
  for (const listener of [...listeners]) listener();
}
