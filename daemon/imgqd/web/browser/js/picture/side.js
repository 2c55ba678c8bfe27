// What is known of a picture, beside it: what a person says of it, what the file says, where it is.

import { copy } from "../copying.js";
import { h, icon, iconButton, show } from "../dom.js";
import { T, day, moment, number, size } from "../texts.js";
import { makeAsking } from "./asking.js";
import { makeCategory, makeDescription, makeFields } from "./describe.js";
import { makeFiles } from "./files.js";
import { questionLink } from "./links.js";
import { fileName } from "./sources.js";
import { makeTags } from "./tags.js";

const NEAR_KM = 2;

/**
 * @typedef {object} Told
 * @property {() => void} changed something was said of the picture
 * @property {(change: object) => void} leave closes the picture and asks something
 * @property {(id: number) => void} open shows another picture in its place
 */

/** @param {Told} told */
export function makeSide(told) {
  /** @type {any} */
  let picture = null;
  const title = h("h2", { class: "side-title" });
  const asking = makeAsking(told);
  const description = makeDescription(told);
  const tags = makeTags(told);
  const category = makeCategory(told);
  const facts = h("dl", { class: "facts" });
  const fields = makeFields(told);
  const files = makeFiles(told);
  const body = h("div", { class: "side-body" }, title, asking.element, description.element, tags.element,
    h("section", { class: "side-section" }, h("h3", null, T.picture.facts), facts, category.element),
    fields.element, files.element);
  const wait = h("p", { class: "muted side-wait" }, T.loading);
  const element = h("aside", { class: "picture-side", id: "picture-side", tabindex: "-1", "aria-label": T.picture.info }, wait, body);

  return {
    element,
    /** @param {any} next null while nothing is known of it yet @param {number} id */
    put(next, id) {
      if (next?.id !== picture?.id) element.scrollTop = 0;
      picture = next;
      wait.hidden = Boolean(next);
      body.hidden = !next;
      asking.put(id);
      if (!next) return;
      title.textContent = next.title || fileName(next.path);
      description.put(next);
      tags.put(next);
      category.put(next);
      fields.put(next);
      files.put(next);
      show(facts, factsOf(next, told.leave));
    },
    /** Nothing can be known of it. */
    fail() { if (!picture) wait.hidden = true; },
    more: () => asking.more(),
    focusTags: () => tags.focus(),
    focusDescription: () => description.focus(),
    /** Keeps what is being written. */
    close() { description.close(); },
  };
}

/** @param {any} picture @param {(change: object) => void} leave @returns {any[]} */
function factsOf(picture, leave) {
  const { width, height, format, bytes, taken, modified, camera, lens, rating, keywords, gps, id } = picture;
  const when = taken ?? modified;
  const date = when.slice(0, 10);
  return [
    fact("calendar", taken ? T.picture.taken : T.picture.modified,
      questionLink({ after: date, before: dayAfter(date) }, h("time", { datetime: when }, moment(when)), leave, T.picture.showDay(day(when)))),
    fact("image", T.picture.size, T.picture.pixels(number(width), number(height), width * height < 1e6 ? "" : ((width * height) / 1e6).toFixed(1))),
    fact("format", T.picture.file, [questionLink({ type: [format] }, format.toUpperCase(), leave, T.picture.showFormat(format.toUpperCase())), `, ${size(bytes)}`]),
    camera && fact("camera", T.picture.camera, [questionLink({ camera }, camera, leave, T.picture.showCamera(camera)), lens && h("span", { class: "fact-more" }, lens)]),
    !camera && lens && fact("camera", T.picture.lens, lens),
    typeof rating === "number" && fact("star", T.picture.rating,
      h("span", { role: "img", "aria-label": T.picture.stars(rating) }, rating < 0 ? T.picture.rejected : "★".repeat(rating) + "☆".repeat(5 - rating))),
    keywords?.length > 0 && fact("tag", T.picture.keywords, h("span", { class: "keyword-list" },
      keywords.map((word) => questionLink({ where: [`keyword=${word}`] }, word, leave, T.picture.showKeyword(word))))),
    gps && fact("place", T.picture.location, location(gps, leave)),
    fact("terminal", T.picture.id, [h("code", null, `id:${id}`),
      iconButton("copy", T.picture.copyId, () => copy(`id:${id}`), { class: "small-button" })]),
  ];
}

function fact(drawing, name, ...value) {
  return h("div", { class: "fact" }, h("dt", null, icon(drawing), h("span", { class: "visually-hidden" }, name)), h("dd", { title: name }, ...value));
}

/** @param {[number, number]} gps @param {(change: object) => void} leave */
function location([latitude, longitude], leave) {
  const at = `${latitude.toFixed(5)},${longitude.toFixed(5)}`;
  return [
    h("span", { class: "number" }, T.picture.degrees(latitude, longitude)),
    iconButton("copy", T.picture.copyPlace, () => copy(at.replace(",", ", ")), { class: "small-button" }),
    h("span", { class: "fact-more" },
      // Opens whatever map program the desktop has; nothing is loaded from anywhere by this page.
      h("a", { href: `geo:${at}`, class: "number" }, `geo:${at}`),
      questionLink({ near: `${at},${NEAR_KM}` }, T.picture.near(NEAR_KM), leave)),
  ];
}

/** @param {string} date YYYY-MM-DD */
function dayAfter(date) {
  const next = new Date(`${date}T12:00:00Z`);
  next.setUTCDate(next.getUTCDate() + 1);
  return next.toISOString().slice(0, 10);
}
