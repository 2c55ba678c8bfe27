// The grid in the window: of any number of pictures only those near the window are elements, moved
// by transforms and used again. Scrolls with the page itself. What is clicked and pressed is in
// acting.js; where pictures stand is in geometry.js.

import { h, on, painted } from "../dom.js";
import * as results from "../results.js";
import * as selection from "../selection.js";
import { T } from "../texts.js";
import { Cell } from "./cell.js";
import { heightOf, justify, rowAt, rowHeight, rowOf } from "./geometry.js";
import * as images from "./images.js";
import { describe } from "./names.js";

/** @typedef {import("./geometry.js").Geometry} Geometry */

// Browsers cut off what is higher (Firefox at 17.9 million pixels, Chromium at 33.5).
const HIGHEST = 16_000_000;
const REST_MS = 120;
const DESCRIBE_MS = 300;
// Pixels a millisecond above which nobody sees single pictures.
const TOO_FAST = 6;

export class Grid {
  constructor() {
    /** @type {HTMLElement} */
    this.element = h("div", {
      class: "grid", role: "listbox", tabindex: "-1", "aria-label": T.grid.label, "aria-multiselectable": "true",
      "aria-orientation": "horizontal",
    });
    this.results = results.none;
    /** @type {Geometry} */
    this.geometry = justify([], 1, 1, 0);
    this.width = 0;
    /** @type {Map<number, Cell>} the cells in use by picture */
    this.cells = new Map();
    /** @type {Cell[]} */
    this.pool = [];
    /** The picture that Tab comes to. */
    this.active = 0;
    this.frame = 0;
    this.rest = 0;
    this.naming = 0;
    this.lastY = 0;
    this.lastTime = 0;
    this.flying = false;
    /** How many windows above and below are made ahead. */
    this.ahead = 0;
    this.ends = [
      on(window, "scroll", () => this.schedule(), { passive: true }),
      selection.onSelection(() => this.schedule()),
    ];
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(this.element);
    const window_ = on(window, "resize", () => this.schedule());
    this.ends.push(() => observer.disconnect(), window_);
  }

  unmount() {
    for (const end of this.ends) end();
    for (const cell of this.cells.values()) cell.free();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.rest);
    clearTimeout(this.naming);
  }

  /**
   * Shows an answer. `keep`: what was in the window stays where it was, for an answer to the same
   * question; else the page goes to `scroll`.
   * @param {import("../results.js").Results} next @param {{keep?: boolean, scroll?: number}} [options]
   */
  set(next, options = {}) {
    const anchor = options.keep ? this.anchor() : null;
    const activeId = this.results.ids[this.active];
    this.results = next;
    this.layout();
    this.active = Math.max(0, options.keep && activeId !== undefined ? results.placeOf(activeId) : 0);
    if (anchor) this.restore(anchor);
    else if (options.scroll !== undefined) window.scrollTo(0, options.scroll);
    this.render();
    // The first pictures are painted before more are made.
    if (!this.ahead) void painted().then(() => { this.ahead = 1; this.render(); });
  }

  layout() {
    this.width = this.element.clientWidth;
    if (!this.width) return;
    const style = getComputedStyle(this.element);
    const gap = parseFloat(style.getPropertyValue("--gap")) || 4;
    const target = rowHeight(this.width);
    this.geometry = justify(this.results.ratios, this.width, target, gap);
    if (this.geometry.height > HIGHEST) {
      // The height goes with the square of the rows' height: of a million pictures rows are lower.
      const lower = target * Math.sqrt(HIGHEST / this.geometry.height) * 0.97;
      this.geometry = justify(this.results.ratios, this.width, lower, gap);
    }
    this.element.style.height = `${this.geometry.height}px`;
  }

  resize() {
    if (!this.element.clientWidth || this.element.clientWidth === this.width) return;
    const anchor = this.anchor();
    this.layout();
    if (anchor) this.restore(anchor);
    this.render();
  }

  /** Where the grid begins in the window. */
  origin() {
    return this.element.getBoundingClientRect().top;
  }

  /** How much of the window is under what sticks to its top. */
  covered() {
    return parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--sticky")) || 0;
  }

  /** The first picture in the window and its distance from the top; null at the top of the page. */
  anchor() {
    const y = this.covered() - this.origin();
    if (y <= 0 || !this.geometry.count || !this.width) return null;
    const row = rowAt(this.geometry, y);
    const index = this.geometry.first[row];
    const ids = [];
    // Several, since the first itself may be gone from the next answer.
    for (let at = index; at < Math.min(index + 50, this.geometry.count); at += 1) {
      ids.push({ id: this.results.ids[at], from: this.geometry.top[rowOf(this.geometry, at)] - y });
    }
    return ids;
  }

  /** @param {{id: number, from: number}[]} anchor */
  restore(anchor) {
    for (const { id, from } of anchor) {
      const index = results.indexOf(id);
      if (index < 0 || index >= this.geometry.count) continue;
      const top = this.geometry.top[rowOf(this.geometry, index)];
      const by = this.origin() + top - from - this.covered();
      if (Math.abs(by) >= 1) window.scrollBy(0, by);
      return;
    }
  }

  schedule() {
    if (!this.frame) this.frame = requestAnimationFrame((time) => { this.frame = 0; this.pace(time); this.render(); });
  }

  /** Holds back thumbnails while the rows fly past. @param {number} time */
  pace(time) {
    const y = window.scrollY;
    const speed = Math.abs(y - this.lastY) / Math.max(1, time - this.lastTime);
    this.lastY = y;
    this.lastTime = time;
    this.flying = speed > TOO_FAST;
    if (this.flying) images.hold(true);
  }

  /** Puts elements where the window is, and only there. */
  render() {
    const { geometry } = this;
    if (!this.width || this.element.offsetParent === null) return;
    const view = window.innerHeight;
    const y = -this.origin();
    let from = 0;
    let to = 0;
    if (geometry.count) {
      // What flies past is not made ahead: it would be gone before it is seen.
      const ahead = this.flying ? 0 : view * this.ahead;
      from = geometry.first[rowAt(geometry, y - ahead)];
      to = geometry.first[rowAt(geometry, y + view + ahead) + 1];
    }
    const focused = this.element.contains(document.activeElement) ? this.active : -1;
    for (const [id, cell] of this.cells) {
      const index = results.indexOf(id);
      if ((index >= from && index < to) || (index === focused && index >= 0 && index < geometry.count)) continue;
      // An element that goes takes the focus with it: the list keeps it.
      if (cell.element === document.activeElement) this.element.focus({ preventScroll: true });
      cell.free();
      cell.element.remove();
      this.cells.delete(id);
      this.pool.push(cell);
    }
    for (let row = from < to ? rowOf(geometry, from) : 0, at = from; at < to; row += 1) {
      const height = heightOf(geometry, row);
      for (; at < geometry.first[row + 1]; at += 1) this.place(at, geometry.top[row], height);
    }
    if (focused >= 0 && (focused < from || focused >= to) && focused < geometry.count) {
      const row = rowOf(geometry, focused);
      this.place(focused, geometry.top[row], heightOf(geometry, row));
    }
    clearTimeout(this.rest);
    this.rest = window.setTimeout(() => this.settle(), REST_MS);
    if (this.flying) return;
    images.sort((id) => {
      const index = results.indexOf(id);
      if (index < 0) return Infinity;
      // In the order of reading from the top of the window on; what is above it comes last.
      const row = rowOf(geometry, index);
      return geometry.top[row + 1] > y ? index : 2 * geometry.count - index;
    });
  }

  /** The rows have come to rest: what could wait is done now. */
  settle() {
    images.hold(false);
    if (this.flying) {
      this.flying = false;
      this.render();
    }
    this.order();
    clearTimeout(this.naming);
    this.naming = window.setTimeout(() => void describe([...this.cells.values()]), DESCRIBE_MS);
  }

  /** @param {number} index @param {number} top @param {number} height @returns {Cell} */
  place(index, top, height) {
    const { ids, ratios, scores, relevances, placeholders, stacks } = this.results;
    const id = ids[index];
    let cell = this.cells.get(id);
    if (!cell) {
      cell = this.pool.pop() ?? new Cell();
      this.cells.set(id, cell);
      this.element.append(cell.element);
    }
    cell.put({
      id, index, total: ids.length, top, height,
      left: this.geometry.left[index], width: this.geometry.width[index],
      placeholder: placeholders, wide: ratios[index] >= 1,
      score: scores?.[index] ?? null, relevance: relevances?.[index] ?? null,
      stack: stacks.get(id) ?? null, open: results.isOpen(id), selected: selection.has(id),
    });
    cell.element.tabIndex = index === this.active ? 0 : -1;
    return cell;
  }

  /** Brings elements into the order of the pictures, for who reads them in the document's order. */
  order() {
    const sorted = [...this.cells.values()].sort((a, b) => a.index - b.index);
    const focus = document.activeElement;
    const pivot = sorted.findIndex((cell) => cell.element === focus);
    // The element under focus is never moved: that would take the focus away.
    let before = pivot < 0 ? null : sorted[pivot].element;
    for (let at = pivot < 0 ? sorted.length - 1 : pivot - 1; at >= 0; at -= 1) {
      const { element } = sorted[at];
      if (element.nextElementSibling !== before) this.element.insertBefore(element, before);
      before = element;
    }
    for (let at = pivot + 1; pivot >= 0 && at < sorted.length; at += 1) {
      const last = sorted[at - 1].element;
      if (last.nextElementSibling !== sorted[at].element) last.after(sorted[at].element);
    }
  }

  /** Scrolls a picture into the window. @param {number} index @param {boolean} [centre] */
  reveal(index, centre = false) {
    if (index < 0 || index >= this.geometry.count) return;
    const row = rowOf(this.geometry, index);
    const top = this.origin() + this.geometry.top[row];
    const height = heightOf(this.geometry, row);
    const above = this.covered() + 8;
    const below = window.innerHeight - 8;
    if (top >= above && top + height <= below) return;
    if (centre) window.scrollBy(0, top + height / 2 - (above + below) / 2);
    else if (top < above) window.scrollBy(0, top - above);
    else window.scrollBy(0, Math.min(top - above, top + height - below));
  }

  /** Makes a picture the one that keys act on. @param {number} index @param {{focus?: boolean, centre?: boolean, reveal?: boolean}} [options] */
  activate(index, { focus = true, centre = false, reveal = true } = {}) {
    if (!this.geometry.count) return;
    const to = Math.max(0, Math.min(this.geometry.count - 1, index));
    const before = this.cells.get(this.results.ids[this.active]);
    if (before) before.element.tabIndex = -1;
    this.active = to;
    if (reveal) this.reveal(to, centre);
    // Rendered at once: an element must be there before it can have the focus.
    this.render();
    const row = rowOf(this.geometry, to);
    const cell = this.place(to, this.geometry.top[row], heightOf(this.geometry, row));
    if (focus) cell.element.focus({ preventScroll: true });
  }
}
