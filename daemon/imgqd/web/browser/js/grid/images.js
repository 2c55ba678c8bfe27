// Fetching thumbnails for the pictures in the window: few at a time, the nearest first, those that
// flew past not at all, and shown only once they are decoded, so that scrolling never waits for one.

import { thumbnail } from "../api.js";

// HTTP/1.1 to one host has six connections, and one of them carries the events.
const AT_ONCE = 5;
const SIDES = /** @type {const} */ ([128, 256, 512]);

/** @typedef {{image: HTMLImageElement, id: number, side: number, done: (ok: boolean) => void}} Wanted */

/** @type {Wanted[]} */
let waiting = [];
/** @type {Set<Wanted>} */
const running = new Set();
/** Which pictures were shown lately at which side: their thumbnails are in the browser's cache. @type {Map<number, number>} */
const seen = new Map();
const SEEN = 4000;

/**
 * The smallest side whose thumbnail is sharp in a box: a thumbnail's longer side has `side` pixels.
 * @param {number} width @param {number} height of the box in CSS pixels @returns {128 | 256 | 512}
 */
export function sideFor(width, height) {
  // Beyond two, more pixels cost more than eyes see of them.
  const need = Math.max(width, height) * Math.min(2, window.devicePixelRatio || 1);
  // A tenth too small is not seen; the next size has four times the bytes.
  return SIDES.find((side) => side * 1.1 >= need) ?? 512;
}

/** True where this thumbnail was loaded before and comes at once. @param {number} id @param {number} side */
export function known(id, side) {
  return seen.get(id) === side;
}

/**
 * Asks for a thumbnail. `done` is called once, when the picture is decoded (true) or failed (false);
 * not at all when it was cancelled.
 * @param {HTMLImageElement} image @param {number} id @param {number} side
 * @param {(ok: boolean) => void} done @returns {() => void} cancels
 */
export function want(image, id, side, done) {
  const wanted = { image, id, side, done };
  waiting.push(wanted);
  next();
  return () => {
    const at = waiting.indexOf(wanted);
    if (at >= 0) waiting.splice(at, 1);
    // Taking the source away ends the request on the wire.
    if (running.delete(wanted)) { image.removeAttribute("src"); next(); }
  };
}

/** Sorts what waits: the lowest number comes first. @param {(id: number) => number} rank */
export function sort(rank) {
  if (waiting.length > 1) waiting = waiting.map((one) => /** @type {const} */ ([rank(one.id), one])).sort((a, b) => a[0] - b[0]).map((pair) => pair[1]);
}

let held = false;

/** Starts nothing new while rows fly past; goes on when they have come to rest. @param {boolean} yes */
export function hold(yes) {
  held = yes;
  if (!held) next();
}

function next() {
  while (!held && running.size < AT_ONCE && waiting.length) {
    const wanted = /** @type {Wanted} */ (waiting.shift());
    running.add(wanted);
    const { image, id, side } = wanted;
    image.src = thumbnail(id, /** @type {any} */ (side));
    image.decode().then(() => finish(wanted, true), () => finish(wanted, false));
  }
}

/** @param {Wanted} wanted @param {boolean} ok */
function finish(wanted, ok) {
  if (!running.delete(wanted)) return;
  if (ok) {
    seen.delete(wanted.id);
    seen.set(wanted.id, wanted.side);
    if (seen.size > SEEN) seen.delete(/** @type {number} */ (seen.keys().next().value));
  }
  wanted.done(ok);
  next();
}
