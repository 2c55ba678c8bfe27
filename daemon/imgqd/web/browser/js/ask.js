// The search box: answers as you type, offers what was asked before, and takes example images.

import * as address from "./address.js";
import { h, iconButton, on } from "./dom.js";
import { chooseFile } from "./examples.js";
import { bind } from "./keys.js";
import { onCommit, onHint, commit } from "./asking.js";
import { suggestions } from "./suggestions.js";
import { T } from "./texts.js";

const WAIT_MS = 150;

/** @param {import("./address.js").State} state */
export function askBox(state) {
  const input = /** @type {HTMLInputElement} */ (h("input", {
    type: "text", class: "ask-input", name: "q", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    enterkeyhint: "search", placeholder: T.ask.placeholder, "aria-label": T.ask.label,
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "suggestions",
    maxlength: 2000, value: state.q,
  }));
  const clear = iconButton("close", T.ask.clear, () => {
    set("");
    input.focus();
  }, { class: "small", hidden: state.q === "" });
  const add = iconButton("image", T.ask.example, () => chooseFile(), { class: "small" });
  const hint = h("p", { class: "ask-hint", id: "ask-hint", hidden: true });
  const list = suggestions(input, {
    /** @param {Partial<import("./address.js").State>} change */
    take(change) {
      clearTimeout(waiting);
      typing = false;
      newer = false;
      address.write({ ...change, view: "", picture: "" });
      input.value = address.read().q;
      clear.hidden = input.value === "";
      commit();
    },
  });
  let waiting = 0;
  // Letters typed one after the other are one step back in the history, not many.
  let typing = false;
  // What stands in the box is newer than what the URL says.
  let newer = false;

  const write = () => {
    clearTimeout(waiting);
    newer = false;
    if (input.value === address.read().q) return;
    address.write({ q: input.value, view: "", picture: "" }, { replace: typing });
    typing = true;
  };
  const set = (/** @type {string} */ text) => {
    input.value = text;
    clear.hidden = text === "";
    typing = false;
    write();
    typing = false;
  };

  on(input, "input", (event) => {
    clear.hidden = input.value === "";
    newer = true;
    list.open();
    clearTimeout(waiting);
    // Half a word of a script that is composed is no question yet.
    if (!event.isComposing) waiting = window.setTimeout(write, WAIT_MS);
  });
  on(input, "compositionend", () => { waiting = window.setTimeout(write, WAIT_MS); });
  on(input, "keydown", (event) => {
    if (event.isComposing || list.key(event)) return;
    if (event.key === "Enter") {
      event.preventDefault();
      write();
      typing = false;
      list.close();
      commit();
    } else if (event.key === "Escape") {
      event.preventDefault();
      input.blur();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      const first = document.querySelector(".grid .cell[tabindex='0']");
      if (first instanceof HTMLElement) first.focus();
    }
  });
  on(input, "blur", () => { write(); typing = false; });
  onHint((text) => {
    hint.hidden = !text;
    hint.textContent = text ?? "";
    if (text) input.setAttribute("aria-describedby", "ask-hint");
    else input.removeAttribute("aria-describedby");
  });
  onCommit(() => list.forget());

  bind("/", () => { input.focus(); input.select(); }, T.keys.ask);

  const element = h("form", {
    class: "ask", role: "search", "aria-label": T.ask.label,
    onsubmit: (/** @type {Event} */ event) => event.preventDefault(),
  }, h("span", { class: "ask-icon" }, iconButton("search", T.ask.go, () => { write(); typing = false; commit(); input.focus(); }, { class: "small", tabindex: -1 })),
  input, clear, add, list.element, hint);

  return {
    element,
    /** @param {import("./address.js").State} next */
    update(next) {
      if (newer) return;
      if (next.q !== input.value) {
        clearTimeout(waiting);
        input.value = next.q;
        clear.hidden = next.q === "";
      }
    },
  };
}
