// What can be typed and pressed: the language of the search box and the keyboard map, as it is bound.

import { dialog, h } from "./dom.js";
import { bind, help } from "./keys.js";
import { T } from "./texts.js";

export function openHelp() {
  /** @type {Map<string, {keys: string[], text: string}[]>} */
  const groups = new Map();
  const seen = new Set();
  for (const one of help()) {
    const key = `${one.group} ${one.keys} ${one.text}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const group = one.group || T.keys.everywhere;
    groups.set(group, [...(groups.get(group) ?? []), one]);
  }
  const apple = navigator.platform.startsWith("Mac");
  /** @param {string} key */
  const cap = (key) => h("kbd", null, key.split("+").map((part) => (part === "Ctrl" && apple ? "⌘" : /** @type {any} */ (T.keys.names)[part] ?? (part.length === 1 ? part.toUpperCase() : part))).join(" "));
  dialog(T.help.title, h("div", { class: "help" },
    h("section", null, h("h3", null, T.help.asking), h("dl", null, T.help.language.map(([typed, text]) => h("div", null, h("dt", null, h("code", null, typed)), h("dd", null, text))))),
    [...groups].map(([group, all]) => h("section", null, h("h3", null, group),
      h("dl", null, all.map(({ keys, text }) => h("div", null, h("dt", null, keys.map((key) => cap(key))), h("dd", null, text))))))), { class: "wide" });
}

bind("?", openHelp, T.keys.help);
