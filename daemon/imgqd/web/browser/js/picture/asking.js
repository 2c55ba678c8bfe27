// Asking for more pictures with the one that is open: like it, unlike it, like it but different.

import * as address from "../address.js";
import { h, icon } from "../dom.js";
import { T } from "../texts.js";

/** @param {{leave: (change: object) => void}} told */
export function makeAsking(told) {
  let id = 0;
  const input = h("input", {
    class: "input", type: "text", name: "but", autocomplete: "off", enterkeyhint: "search",
    placeholder: T.picture.butExample, "aria-label": T.picture.but, maxlength: "1000",
  });
  const form = h("form", {
    class: "but-form",
    onsubmit(event) {
      event.preventDefault();
      const text = input.value.trim();
      if (!text) { input.focus(); return; }
      input.value = "";
      told.leave({ ...like(), q: text });
    },
  }, h("label", null, T.picture.but), h("div", { class: "joined" }, input,
    h("button", { type: "submit", class: "button", "aria-label": T.picture.search }, icon("search"))));
  const element = h("section", { class: "side-section asking" },
    h("div", { class: "row" },
      button("like", T.picture.more, more),
      button("minus", T.picture.less, less)),
    form);

  /** The filters stay: they say where to look, not what for. */
  function like() {
    return { q: "", like: [String(id)], unlike: [], example: false, sort: "", view: "" };
  }

  function more() {
    told.leave(like());
  }

  function less() {
    const { like: liked, unlike } = address.read();
    const me = (one) => one.split("^")[0] === String(id);
    told.leave({ like: liked.filter((one) => !me(one)), unlike: [...unlike.filter((one) => !me(one)), String(id)], sort: "", view: "" });
  }

  return { element, more, /** @param {number} next */ put(next) { if (next !== id) input.value = ""; id = next; } };
}

function button(drawing, text, onclick) {
  return h("button", { type: "button", class: "button", onclick }, icon(drawing), text);
}
