// The stack that an open picture belongs to, as a row of small pictures below it.

import { thumbnail } from "../api.js";
import { h, show } from "../dom.js";
import * as results from "../results.js";
import { T } from "../texts.js";

/** So many are shown on each side of the open one: a stack may have hundreds. */
const AROUND = 40;

/** @param {(id: number) => void} open */
export function makeStrip(open) {
  const element = h("div", { class: "picture-strip", role: "group", "aria-label": T.picture.stack, hidden: true });
  let shown = "";

  /** @param {number} id of the open picture */
  function put(id) {
    const stack = results.stackOf(id) ?? [];
    const at = stack.indexOf(id);
    const from = Math.max(0, at - AROUND);
    const some = stack.slice(from, at + AROUND + 1);
    element.hidden = !some.length;
    if (some.join() !== shown) {
      shown = some.join();
      show(element, some.map((one, index) => h("button", {
        type: "button", dataset: { id: one }, "aria-label": T.picture.stackMember(from + index + 1, stack.length), onclick: () => open(one),
      }, h("img", { src: thumbnail(one, 128), alt: "", decoding: "async" }))));
    }
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll("button"))) {
      const here = Number(button.dataset.id) === id;
      if (here) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      // Not scrollIntoView, which would move the page below as well.
      if (here) element.scrollLeft = button.offsetLeft - (element.clientWidth - button.offsetWidth) / 2;
    }
  }

  return { element, put };
}
