// One picture over everything else: the stage, a bar above it, what is known of it beside it, and
// the way to the next and the one before. Which picture is in the URL, so back closes it.

import { api, subscribe, thumbnail } from "../api.js";
import * as address from "../address.js";
import { announce, h, iconButton, on, show, toast } from "../dom.js";
import { bind } from "../keys.js";
import * as results from "../results.js";
import { T, number } from "../texts.js";
import { makeSide } from "./side.js";
import { fileName, meanColour } from "./sources.js";
import { makeStage } from "./stage.js";
import { makeStrip } from "./strip.js";
import { FAVOURITE, changeTags } from "./tags.js";

const STEP = 1.5;
const MOVE_PX = 80;
const KEPT = 60;
const SIDE_KEY = "imgq-picture-side";
/** Narrower than this the picture comes first and what is known of it only when asked for. */
const WIDE = "(min-width: 900px)";

/** @typedef {import("../address.js").State} State */

/** What was fetched last, so that going back and forth waits for nothing. @type {Map<number, any>} */
const known = new Map();

/** @param {number} id @param {boolean} [fresh] @returns {Promise<any>} */
async function fetchPicture(id, fresh = false) {
  const had = known.get(id);
  if (had && !fresh) return had;
  const picture = await api.get(`/pictures/${id}`);
  known.delete(id);
  known.set(id, picture);
  if (known.size > KEPT) known.delete(known.keys().next().value);
  return picture;
}

/** @param {HTMLElement} root @param {State} state */
export async function mount(root, state) {
  const before = document.activeElement;
  let id = 0;
  /** @type {any} */
  let picture = null;
  let failure = "";
  /** @type {HTMLImageElement[]} */
  let ahead = [];

  const close = () => address.leave({ picture: "" });
  const place = h("span", { class: "picture-place number" });
  const percent = h("button", { type: "button", class: "picture-percent number", title: T.picture.actual, onclick: () => stage.actual() });
  const star = iconButton("star", T.picture.favourite, toggleFavourite, { class: "picture-star", "aria-pressed": "false" });
  const info = iconButton("info", T.picture.info, () => showSide(side.element.hidden), { "aria-controls": "picture-side" });
  const previous = iconButton("left", T.picture.previous, () => go(-1), { class: "picture-step previous" });
  const next = iconButton("right", T.picture.next, () => go(1), { class: "picture-step next" });
  const note = h("p", { class: "picture-note", role: "alert", hidden: true });
  const stage = makeStage({
    swipe: go,
    dismiss: close,
    zoom(value, zoomed) {
      percent.textContent = T.picture.percent(value);
      percent.setAttribute("aria-label", T.picture.percentLabel(value));
      whole.disabled = !zoomed;
    },
    failed: (what) => { note.textContent = failure || what; note.hidden = false; },
  });
  const whole = iconButton("minus", T.picture.zoomOut, () => stage.zoomBy(1 / STEP));
  const side = makeSide({ changed: refresh, leave: (change) => address.write({ ...change, picture: "" }), open });
  const strip = makeStrip(open);
  const heading = h("h1", { class: "visually-hidden", id: "picture-heading" }, T.picture.label);
  const element = h("div", { class: "picture-view", role: "dialog", "aria-modal": "true", "aria-labelledby": "picture-heading", tabindex: "-1" },
    heading,
    h("div", { class: "picture-bar" },
      iconButton("close", T.picture.close, close), place, h("span", { class: "picture-gap" }),
      star,
      h("div", { class: "picture-zoom", role: "group", "aria-label": T.picture.zoom },
        whole, percent, iconButton("plus", T.picture.zoomIn, () => stage.zoomBy(STEP))),
      info),
    h("main", { class: "picture-middle" }, stage.element, previous, next, note),
    strip.element,
    side.element);
  show(root, element);
  showSide(sideWanted(), false);
  element.focus({ preventScroll: true });

  /** @param {number} other */
  function open(other) {
    address.write({ picture: String(other) }, { replace: true });
  }

  /** @param {1 | -1} step */
  function go(step) {
    const other = results.neighbour(id, step);
    if (other !== null) open(other);
  }

  /** @param {boolean} shown @param {boolean} [keep] */
  function showSide(shown, keep = true) {
    side.element.hidden = !shown;
    element.classList.toggle("with-side", shown);
    info.setAttribute("aria-pressed", String(shown));
    info.setAttribute("aria-expanded", String(shown));
    if (!keep) return;
    try { localStorage.setItem(SIDE_KEY, shown ? "shown" : "hidden"); } catch { /* not kept, then */ }
  }

  function put(nextId) {
    id = nextId;
    picture = known.get(id) ?? null;
    failure = "";
    note.hidden = true;
    standing();
    stage.put(shownOf(picture));
    side.put(picture, id);
    told();
    void refresh(Boolean(picture));
    preload();
  }

  /** Where it stands in the answer that is on the page, which may grow while this is open. */
  function standing() {
    const stands = results.standing(id);
    const stack = results.stackOf(id);
    const whole = stands ? T.picture.place(number(stands.at), number(stands.of)) : "";
    place.textContent = stack && whole ? T.picture.placeInStack(whole, number(stack.indexOf(id) + 1), number(stack.length)) : whole;
    strip.put(id);
    previous.disabled = results.neighbour(id, -1) === null;
    next.disabled = results.neighbour(id, 1) === null;
  }

  /** Asks for what is known of the picture. @param {boolean} [fresh] even if it was asked before */
  async function refresh(fresh = true) {
    const mine = id;
    try {
      const got = await fetchPicture(mine, fresh);
      if (mine !== id) return;
      const first = !picture;
      picture = got;
      stage.put(shownOf(got));
      side.put(got, id);
      told();
      if (first) announce(T.picture.opened(shownOf(got).alt, place.textContent ?? ""));
    } catch (error) {
      if (mine !== id) return;
      side.fail();
      failure = error.status === 404 ? T.picture.gone : error.message;
      note.textContent = failure;
      note.hidden = false;
    }
  }

  /** @param {any} got */
  function shownOf(got) {
    const at = results.indexOf(id);
    const all = results.read();
    const color = meanColour(all.placeholders, at);
    if (got) return { id, width: got.width, height: got.height, format: got.format, alt: T.picture.alt(got.description ?? got.title ?? fileName(got.path)), color };
    const ratio = all.ratios[at] || 1.5;
    // Only the shape is known yet; no original is asked for before the format is.
    return { id, width: 2048 * Math.min(1, ratio), height: 2048 / Math.max(1, ratio), format: "", alt: "", color };
  }

  function told() {
    const loved = Boolean(picture?.tags.includes(FAVOURITE));
    star.setAttribute("aria-pressed", String(loved));
    star.disabled = !picture;
  }

  async function toggleFavourite() {
    if (!picture) return;
    const of = picture;
    const loved = of.tags.includes(FAVOURITE);
    try {
      await changeTags(of, loved ? { remove: [FAVOURITE] } : { add: [FAVOURITE] });
      announce(loved ? T.picture.notFavourite : T.picture.isFavourite);
    } catch (error) {
      toast(T.picture.notSaved(error.message), { danger: true });
    }
    if (of !== picture) return;
    told();
    side.put(picture, id);
  }

  function preload() {
    ahead = [1, -1].flatMap((step) => {
      const other = results.neighbour(id, step);
      if (other === null) return [];
      fetchPicture(other).catch(() => {});
      const image = new Image();
      image.decoding = "async";
      image.src = thumbnail(other, 2048);
      return [image];
    });
  }

  const key = (keys, run, text, inputs = false) => bind(keys, run, text, { group: T.picture.label, inputs });
  const ends = [
    key("ArrowRight", () => go(1), T.picture.next),
    key("ArrowLeft", () => go(-1), T.picture.previous),
    key(["+", "="], () => stage.zoomBy(STEP), T.picture.zoomIn),
    key("-", () => stage.zoomBy(1 / STEP), T.picture.zoomOut),
    key("0", () => stage.reset(), T.picture.fit),
    key("1", () => stage.actual(), T.picture.actual),
    key("Shift+ArrowRight", () => stage.moveBy(-MOVE_PX, 0), T.picture.move),
    key("Shift+ArrowLeft", () => stage.moveBy(MOVE_PX, 0), ""),
    key("Shift+ArrowDown", () => stage.moveBy(0, -MOVE_PX), ""),
    key("Shift+ArrowUp", () => stage.moveBy(0, MOVE_PX), ""),
    key("i", () => showSide(side.element.hidden), T.picture.info),
    key("f", toggleFavourite, T.picture.favourite),
    key("m", () => side.more(), T.picture.more),
    key("t", () => { showSide(true); side.focusTags(); }, T.picture.editTags),
    key("d", () => { showSide(true); side.focusDescription(); }, T.picture.editDescription),
    // The first Esc leaves the field, the second the picture.
    key("Escape", (event) => (isField(event.target) ? element.focus() : close()), T.picture.close, true),
    on(element, "keydown", keepFocus),
    subscribe("picture-changed", (data) => { known.delete(data.id); if (data.id === id) void refresh(); }),
    subscribe("picture-removed", (data) => { known.delete(data.id); if (data.id === id) void refresh(); }),
    results.onResults(standing),
  ];

  /** The rest of the page is inert; this keeps Tab out of the browser's own bars as well. @param {KeyboardEvent} event */
  function keepFocus(event) {
    if (event.key !== "Tab") return;
    const all = [...element.querySelectorAll("button, a[href], input, textarea, select, summary, [tabindex='0']")]
      .filter((one) => !one.disabled && one.getClientRects().length);
    const at = all.indexOf(document.activeElement);
    const to = event.shiftKey ? (at <= 0 ? all.at(-1) : null) : at === all.length - 1 ? all[0] : null;
    if (!to) return;
    event.preventDefault();
    to.focus();
  }

  put(Number(state.picture));
  return {
    /** @param {State} now */
    update(now) {
      if (Number(now.picture) !== id) put(Number(now.picture));
    },
    unmount() {
      for (const end of ends) end();
      side.close();
      stage.close();
      ahead = [];
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    },
  };
}

/** @param {EventTarget | null} target */
function isField(target) {
  return target instanceof HTMLElement && target.matches("input, textarea, select");
}

function sideWanted() {
  let kept = null;
  try { kept = localStorage.getItem(SIDE_KEY); } catch { /* then as the width says */ }
  return matchMedia(WIDE).matches && kept !== "hidden";
}
