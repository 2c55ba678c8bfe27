// What mouse, wheel and fingers mean on the stage: zoom, move, swipe to the next, dismiss.

import { apart, middle } from "./geometry.js";

/** Taps closer in time (ms) and place (px) than this are a double tap. */
const DOUBLE_MS = 320;
const DOUBLE_PX = 28;
/** A finger that moved less than this has tapped. */
const TAP_PX = 8;
/** A swipe is at least this part of the box. */
const SWIPE_PART = 0.14;
/** How far a line of a wheel that counts in lines goes. */
const LINE_PX = 16;
const WHEEL_SPEED = 0.0022;
/** Pinching on a touchpad comes as small wheel steps with Ctrl held. */
const PINCH_SPEED = 0.01;

/** @typedef {import("./geometry.js").Point} Point */
/**
 * @typedef {object} Moves
 * @property {() => boolean} zoomed @property {() => {width: number, height: number}} box
 * @property {(factor: number, at: Point) => void} zoomBy @property {(at: Point) => void} toggle
 * @property {(dx: number, dy: number) => void} moveBy
 * @property {(dx: number) => void} drag a fitted picture follows the finger @property {() => void} settle
 * @property {(step: number) => void} swipe @property {() => void} dismiss
 */

/** @param {HTMLElement} element @param {Moves} moves */
export function followPointers(element, moves) {
  /** @type {Map<number, Point>} */
  const down = new Map();
  let start = { point: { x: 0, y: 0 }, zoomed: false, several: false };
  let lastTap = { at: 0, x: 0, y: 0 };

  /** @param {MouseEvent} event @returns {Point} */
  const local = (event) => {
    const frame = element.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  };

  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const unit = [1, LINE_PX, moves.box().height][event.deltaMode] ?? 1;
    const change = -event.deltaY * unit * (event.ctrlKey ? PINCH_SPEED : WHEEL_SPEED);
    moves.zoomBy(Math.exp(Math.max(-1, Math.min(1, change))), local(event));
  }, { passive: false });

  element.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    // Keeps the browser from dragging the image away, but also from giving the focus.
    event.preventDefault();
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    down.set(event.pointerId, local(event));
    element.classList.add("held");
    start = { point: local(event), zoomed: moves.zoomed(), several: down.size > 1 };
  });

  element.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const now = local(event);
    down.set(event.pointerId, now);
    if (down.size === 1) {
      if (start.zoomed) moves.moveBy(now.x - before.x, now.y - before.y);
      else if (!start.several && event.pointerType !== "mouse") moves.drag(now.x - start.point.x);
      return;
    }
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1] ?? now;
    const was = middle(before, other);
    const is = middle(now, other);
    moves.moveBy(is.x - was.x, is.y - was.y);
    moves.zoomBy(apart(now, other) / Math.max(1, apart(before, other)), is);
  });

  /** @param {PointerEvent} event */
  const release = (event) => {
    if (!down.delete(event.pointerId)) return;
    if (down.size) {
      // One finger of a pinch stays: it goes on as a move, never as a swipe.
      start = { ...start, zoomed: moves.zoomed(), several: true };
      return;
    }
    element.classList.remove("held");
    if (!moves.zoomed()) moves.settle();
    if (event.type === "pointerup") ended(local(event), event);
  };
  element.addEventListener("pointerup", release);
  element.addEventListener("pointercancel", release);

  /** @param {Point} end @param {PointerEvent} event */
  function ended(end, event) {
    if (start.several) return;
    const dx = end.x - start.point.x;
    const dy = end.y - start.point.y;
    if (Math.hypot(dx, dy) < TAP_PX) {
      const twice = event.timeStamp - lastTap.at < DOUBLE_MS && apart(lastTap, end) < DOUBLE_PX;
      lastTap = { at: twice ? 0 : event.timeStamp, ...end };
      if (twice) moves.toggle(end);
      return;
    }
    if (start.zoomed || event.pointerType === "mouse") return;
    const { width, height } = moves.box();
    if (Math.abs(dx) > width * SWIPE_PART && Math.abs(dx) > 1.5 * Math.abs(dy)) {
      moves.swipe(dx < 0 ? 1 : -1);
    } else if (dy > height * SWIPE_PART && dy > 1.5 * Math.abs(dx)) {
      moves.dismiss();
    }
  }
}
