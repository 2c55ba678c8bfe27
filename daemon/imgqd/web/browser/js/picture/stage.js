// The picture itself: shown small at once and sharp when needed, zoomed and moved with mouse, wheel
// and fingers. Knows nothing of what is beside it; where things lie is geometry.js's, and what a
// pointer means is pointers.js's.

import { thumbnail } from "../api.js";
import { h } from "../dom.js";
import { T } from "../texts.js";
import { actualScale, fit, keepIn, largestScale, whole, zoomTo } from "./geometry.js";
import { followPointers } from "./pointers.js";
import { loadOriginal } from "./sources.js";

/** From here on the eye wants to see pixels, not what lies between them. */
const PIXELS_FROM = 3;
/** Below this it is the rounding of a fitted picture. */
const ZOOMED = 1.001;

/**
 * What is needed of a picture before all is known of it: `format` may be empty.
 * @typedef {{id: number, width: number, height: number, format: string, alt: string, color: string}} Shown
 * @typedef {object} Told
 * @property {(step: number) => void} swipe @property {() => void} dismiss
 * @property {(percent: number, zoomed: boolean) => void} zoom @property {(what: string) => void} failed
 */

/** @param {Told} told */
export function makeStage(told) {
  const image = (name) => h("img", { class: name, alt: "", draggable: "false", decoding: "async" });
  const first = image("stage-first");
  const small = image("stage-small");
  const large = image("stage-large");
  const sheet = h("div", { class: "stage-sheet" }, first, small, large);
  const element = h("div", { class: "stage", tabindex: "0", role: "group", "aria-label": T.picture.stage }, sheet);

  /** @type {Shown | null} */
  let picture = null;
  let sizes = { width: 0, height: 0 };
  let box = { width: 0, height: 0 };
  let view = { x: 0, y: 0, scale: 1 };
  let originalAsked = false;
  /** Tells the loading of an original that its picture is no longer the one. */
  let turn = 0;

  const zoomed = () => view.scale > ZOOMED;
  const centre = () => ({ x: box.width / 2, y: box.height / 2 });

  /** @param {import("./geometry.js").View} next @param {boolean} [smooth] */
  function place(next, smooth = false) {
    view = next;
    sheet.classList.toggle("smooth", smooth);
    sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    element.classList.toggle("zoomed", zoomed());
    if (!picture) return;
    const each = (sizes.width * view.scale * devicePixelRatio) / picture.width;
    sheet.classList.toggle("pixels", each >= PIXELS_FROM);
    told.zoom(Math.round(each * 100), zoomed());
    wantOriginal();
  }

  function measure() {
    const was = zoomed();
    box = { width: element.clientWidth, height: element.clientHeight };
    if (!picture) return;
    sizes = fit(picture, box);
    sheet.style.width = `${sizes.width}px`;
    sheet.style.height = `${sizes.height}px`;
    place(was ? keepIn(view, sizes, box) : whole(sizes, box));
  }

  async function wantOriginal() {
    if (originalAsked || !picture) return;
    const longer = Math.max(sizes.width, sizes.height) * view.scale * devicePixelRatio;
    const address = loadOriginal(picture, longer);
    if (!address) return;
    originalAsked = true;
    const mine = turn;
    element.classList.add("sharpening");
    large.src = address;
    try {
      await large.decode();
      if (mine === turn) element.classList.add("sharp");
    } catch {
      // The thumbnail stays: less sharp is better than nothing.
      if (mine === turn) told.failed(T.picture.noOriginal);
    }
    if (mine === turn) element.classList.remove("sharpening");
  }

  /** Shows a picture, or what has become known of the one that is shown. @param {Shown} next */
  function put(next) {
    const same = picture?.id === next.id;
    picture = next;
    small.alt = next.alt;
    if (!same) {
      turn += 1;
      originalAsked = false;
      element.classList.remove("sharp", "sharpening", "broken", "ready");
      large.removeAttribute("src");
      sheet.style.backgroundColor = next.color;
      // The grid has most likely just shown this one.
      first.src = thumbnail(next.id, 256);
      small.src = thumbnail(next.id, 2048);
      view = { x: 0, y: 0, scale: 1 };
    }
    measure();
  }
  small.addEventListener("load", () => {
    element.classList.add("ready");
    sheet.style.backgroundColor = "";
  });
  small.addEventListener("error", () => {
    element.classList.add("broken");
    told.failed(T.picture.noThumbnail);
  });

  /** @param {number} scale @param {import("./geometry.js").Point} point @param {boolean} [smooth] */
  function zoomAt(scale, point, smooth = true) {
    if (picture) place(zoomTo(view, scale, point, sizes, box, largestScale(picture, sizes)), smooth);
  }

  const actual = () => (picture ? actualScale(picture, sizes, devicePixelRatio) : 1);
  followPointers(element, {
    zoomed,
    box: () => box,
    zoomBy: (factor, point) => zoomAt(view.scale * factor, point, false),
    toggle: (point) => zoomAt(zoomed() ? 1 : Math.max(2, actual()), point),
    moveBy: (dx, dy) => place(keepIn({ ...view, x: view.x + dx, y: view.y + dy }, sizes, box)),
    drag: (dx) => { sheet.style.transform = `translate(${view.x + dx}px, ${view.y}px)`; },
    settle: () => place(whole(sizes, box), true),
    swipe: told.swipe,
    dismiss: told.dismiss,
  });

  const watcher = new ResizeObserver(measure);
  watcher.observe(element);

  return {
    element,
    put,
    zoomed,
    /** @param {number} factor */
    zoomBy: (factor) => zoomAt(view.scale * factor, centre()),
    /** Shows all of it. */
    reset: () => zoomAt(1, centre()),
    /** One pixel of the picture a pixel of the screen. */
    actual: () => zoomAt(actual(), centre()),
    /** @param {number} dx @param {number} dy in CSS pixels */
    moveBy: (dx, dy) => place(keepIn({ ...view, x: view.x + dx, y: view.y + dy }, sizes, box), true),
    close() {
      turn += 1;
      watcher.disconnect();
      // An <img> without src stops what it was loading.
      for (const one of [first, small, large]) one.removeAttribute("src");
    },
  };
}
