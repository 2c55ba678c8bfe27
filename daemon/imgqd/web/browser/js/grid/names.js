// What each picture in the window is called, for screen readers and the pointer: asked for when the
// window has come to rest, once for a picture.

import { aborted, api } from "../api.js";
import { T } from "../texts.js";

/** @typedef {import("./cell.js").Cell} Cell */

/** @type {Map<number, string>} */
const names = new Map();
const KEPT = 5000;
const AT_ONCE = 200;
/** @type {AbortController | null} */
let asking = null;

/** Forgets what is known of a picture, since it changed. @param {number} id */
export function forget(id) {
  names.delete(id);
}

/** Labels cells with the name and the day of their pictures. @param {Cell[]} cells */
export async function describe(cells) {
  const unknown = cells.map((cell) => cell.id).filter((id) => id >= 0 && !names.has(id)).slice(0, AT_ONCE);
  if (unknown.length) {
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await api.post("/pictures", { ids: unknown }, { signal: asking.signal });
      for (const picture of answer.pictures) names.set(picture.id, T.grid.named(picture));
    } catch (error) {
      // The pictures keep their number as their name; the next rest asks again.
      if (!aborted(error)) return;
      return;
    }
    for (const id of names.keys()) {
      if (names.size <= KEPT) break;
      names.delete(id);
    }
  }
  for (const cell of cells) {
    const name = names.get(cell.id);
    if (name) cell.label(name);
  }
}
