// The foot of the duplicates: how much is not kept, and its paths to take away, in three forms.

import { copy, isOneLine, pathBytes, shellQuoted } from "../copying.js";
import { dialog, h, icon } from "../dom.js";
import { T, files, size } from "../texts.js";

/** A list that is longer is copied and saved whole, but not shown whole. */
const SHOWN_LINES = 500;

/** @param {{all: () => any[], empty: () => number}} choice */
export function makeTray(choice) {
  const text = h("p", { role: "status" });
  const button = h("button", { type: "button", class: "button primary", onclick: () => list(choice.all()) }, icon("copy"), T.duplicates.list);
  const element = h("footer", { class: "tray", hidden: true }, h("div", { class: "tray-inner" }, text, button));
  let soon = 0;

  function draw() {
    // Every card of a page asks for this; once is enough.
    cancelAnimationFrame(soon);
    soon = requestAnimationFrame(() => {
      const all = choice.all();
      element.hidden = !all.length;
      text.textContent = T.duplicates.notKept(files(all.length), size(all.reduce((sum, file) => sum + file.bytes, 0)));
    });
  }
  return { element, draw };
}

/** @param {any[]} all */
function list(all) {
  const plain = all.filter(isOneLine);
  const odd = all.length - plain.length;
  const lines = plain.slice(0, SHOWN_LINES).map((file) => file.path);
  if (plain.length > SHOWN_LINES) lines.push(T.duplicates.andMore(files(plain.length - SHOWN_LINES)));
  dialog(T.duplicates.listTitle(files(all.length)), [
    h("p", { class: "muted" }, T.duplicates.never),
    h("textarea", { class: "input path list-text", readonly: true, rows: "10", "aria-label": T.duplicates.paths, wrap: "off" }, lines.join("\n")),
    odd > 0 && h("p", { class: "notice small" }, T.duplicates.oddNames(files(odd))),
    h("div", { class: "dialog-actions" },
      h("button", { type: "button", class: "button", onclick: () => save(all) }, icon("download"), T.duplicates.saveNul),
      h("button", { type: "button", class: "button", onclick: () => copy(all.map(shellQuoted).join(" "), T.duplicates.copied(files(all.length))) }, icon("terminal"), T.duplicates.copyShell),
      h("button", { type: "button", class: "button primary", disabled: !plain.length, onclick: () => copy(`${plain.map((file) => file.path).join("\n")}\n`, T.duplicates.copied(files(plain.length))) }, icon("copy"), T.duplicates.copyLines)),
  ], { class: "wide" });
}

/** A file of exact names, each ended by NUL, as `xargs -0` reads it. @param {any[]} all */
function save(all) {
  const end = new Uint8Array(1);
  const url = URL.createObjectURL(new Blob(all.flatMap((file) => [pathBytes(file), end]), { type: "application/octet-stream" }));
  h("a", { href: url, download: "duplicates.nul" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
