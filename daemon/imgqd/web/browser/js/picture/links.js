// Links from what is known of a picture to all pictures of which the same is known.

import * as address from "../address.js";
import { h } from "../dom.js";

/**
 * A link to a question: a real URL, for a new tab, that a plain click follows without a reload.
 * @param {Partial<import("../address.js").State>} change against asking nothing
 * @param {any} content @param {(change: object) => void} follow @param {string} [label]
 */
export function questionLink(change, content, follow, label) {
  const state = { ...address.blank(), ...change };
  return h("a", {
    class: "question-link", href: address.href(state), title: label ?? null, "aria-label": label ?? null,
    onclick(event) {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      follow(state);
    },
  }, content);
}
