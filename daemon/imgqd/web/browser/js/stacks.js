// Opening a stack in its place in the grid, and closing it again.

import { api } from "./api.js";
import { announce, toast } from "./dom.js";
import * as results from "./results.js";
import { T } from "./texts.js";

const AT_ONCE = 200;
/** @type {Set<number>} */
const opening = new Set();

/**
 * Opens or closes the stack that a picture belongs to.
 * @param {number} id @returns {Promise<number | null>} who stands for it; null where there is none
 */
export async function toggle(id) {
  const stack = results.stackOf(id);
  if (!stack) return null;
  const [first, ...others] = stack;
  if (results.isOpen(first)) {
    results.open(first, null);
    announce(T.grid.stackClosed);
    return first;
  }
  if (opening.has(first)) return null;
  opening.add(first);
  try {
    /** @type {Map<number, number>} */
    const ratios = new Map();
    for (let at = 0; at < others.length; at += AT_ONCE) {
      const answer = await api.post("/pictures", { ids: others.slice(at, at + AT_ONCE) });
      for (const { id: one, width, height } of answer.pictures) ratios.set(one, width / Math.max(1, height));
    }
    if (!results.stackOf(first)) return null;
    results.open(first, ratios);
    announce(T.grid.stackOpened(stack.length));
    return first;
  } catch (error) {
    toast(/** @type {Error} */ (error).message, { danger: true });
    return null;
  } finally {
    opening.delete(first);
  }
}
