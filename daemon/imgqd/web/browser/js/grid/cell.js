// One picture of the grid: an element that is used again for another picture when its own leaves the
// window. Shows the placeholder first, then the thumbnail over it.

import { h, icon } from "../dom.js";
import { number, T } from "../texts.js";
import * as images from "./images.js";
import { blurred } from "./placeholder.js";

/**
 * @typedef {object} Content
 * @property {number} id @property {number} index @property {number} total
 * @property {number} left @property {number} top @property {number} width @property {number} height
 * @property {Uint8Array | null} placeholder those of all pictures @property {boolean} wide
 * @property {number | null} score @property {number | null} relevance
 * @property {import("../results.js").Stack | null} stack what it stands for @property {boolean} open whether that is shown beside it
 * @property {boolean} selected
 */

/** Sets what differs: styles are worked out anew even where an attribute is set to what it was. */
function attribute(/** @type {Element} */ element, /** @type {string} */ name, /** @type {string} */ to) {
  if (element.getAttribute(name) !== to) element.setAttribute(name, to);
}

export class Cell {
  constructor() {
    this.id = -1;
    this.index = -1;
    this.side = 0;
    this.loaded = false;
    this.stacked = "";
    this.name = "";
    /** @type {(() => void) | null} */
    this.cancel = null;
    /** @type {HTMLImageElement} */
    this.image = h("img", { alt: "", decoding: "async", draggable: "false" });
    this.mark = h("span", { class: "mark", "aria-hidden": "true" }, icon("check"));
    this.stack = h("span", { class: "stack-badge", "aria-hidden": "true", hidden: true });
    this.meter = h("span", { class: "meter" });
    this.number = h("span", { class: "number" });
    this.score = h("span", { class: "score", "aria-hidden": "true", hidden: true }, this.meter, this.number);
    this.element = h("div", { class: "cell", role: "option", tabindex: "-1" },
      this.image, this.stack, this.score, this.mark);
  }

  /** Shows a picture, or the same one at a new place. @param {Content} content */
  put(content) {
    const { element } = this;
    if (content.id !== this.id) this.change(content);
    this.index = content.index;
    element.style.transform = `translate(${content.left}px, ${content.top}px)`;
    element.style.width = `${content.width}px`;
    element.style.height = `${content.height}px`;
    attribute(element, "aria-posinset", String(content.index + 1));
    attribute(element, "aria-setsize", String(content.total));
    attribute(element, "aria-selected", String(content.selected));
    this.rate(content);
    this.pile(content);
    this.label();
    const side = images.sideFor(content.width, content.height);
    // A larger thumbnail is fetched for a larger window; a smaller one never replaces it.
    if (side > this.side) this.load(side);
  }

  /** @param {Content} content */
  change(content) {
    this.cancel?.();
    this.cancel = null;
    this.id = content.id;
    this.side = 0;
    this.loaded = false;
    this.image.removeAttribute("src");
    this.element.id = `picture-${content.id}`;
    this.element.dataset.id = String(content.id);
    this.element.classList.remove("loaded", "failed", "at-once");
    this.element.style.backgroundImage = content.placeholder ? blurred(content.placeholder, content.index, content.wide) : "";
    this.name = T.grid.picture(content.index + 1);
  }

  /** What it stands for. @param {Content} content */
  pile({ stack, open }) {
    const said = stack ? T.grid.stack(stack) : "";
    const alike = stack?.alike.length ?? 0;
    this.element.classList.toggle("piled", alike > 0 && !open);
    this.element.classList.toggle("open", open);
    if (said === this.stacked) return;
    this.stacked = said;
    this.stack.hidden = !stack;
    this.stack.classList.toggle("opens", alike > 0);
    if (!stack) return;
    this.stack.replaceChildren(icon("stack"), `+${number(stack.copies + stack.shots + alike)}`);
    this.stack.title = alike ? T.grid.unstack(said) : said;
  }

  /** What a screen reader says: all that is written on the picture too. @param {string} [name] */
  label(name = this.name) {
    this.name = name;
    const score = this.score.hidden ? "" : this.number.textContent;
    attribute(this.element, "aria-label", [name, this.stacked, score].filter(Boolean).join(", "));
  }

  /** @param {Content} content */
  rate(content) {
    this.score.hidden = content.score === null;
    if (content.score === null) return;
    this.number.textContent = T.grid.score(content.score, content.relevance);
    this.meter.hidden = content.relevance === null;
    this.meter.style.setProperty("--part", String(content.relevance ?? 0));
  }

  /** @param {number} side */
  load(side) {
    this.cancel?.();
    const again = this.loaded;
    this.side = side;
    // What is in the browser's cache is there within a frame: fading it in would only look slow.
    this.element.classList.toggle("at-once", again || images.known(this.id, side));
    const image = again ? /** @type {HTMLImageElement} */ (this.image.cloneNode()) : this.image;
    if (again) image.removeAttribute("src");
    this.cancel = images.want(image, this.id, side, (ok) => {
      this.cancel = null;
      if (ok && again) { this.image.replaceWith(image); this.image = image; }
      if (ok) this.loaded = true;
      this.element.classList.toggle("loaded", this.loaded);
      this.element.classList.toggle("failed", !this.loaded);
    });
  }

  /** Ends what it waits for; the element can then be used for another picture. */
  free() {
    this.cancel?.();
    this.cancel = null;
    this.id = -1;
    this.index = -1;
    this.side = 0;
  }
}
