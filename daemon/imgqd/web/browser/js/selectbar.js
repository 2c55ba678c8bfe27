// What can be done with several pictures at once: tag them, make them favourites, search with them,
// copy their paths.

import * as address from "./address.js";
import { api } from "./api.js";
import { copy, isOneLine, shellQuoted } from "./copying.js";
import { dialog, h, icon, iconButton, toast } from "./dom.js";
import { bind } from "./keys.js";
import { annotate, FAVOURITE } from "./marking.js";
import * as selection from "./selection.js";
import { T } from "./texts.js";

const AT_ONCE = 200;

export function selectBar() {
  const count = h("strong", { class: "number", role: "status" });
  /** @param {string} drawing @param {string} text @param {() => void} run */
  const action = (drawing, text, run) => h("button", { type: "button", class: "button quiet", title: text, onclick: run }, icon(drawing), h("span", { class: "wide-only" }, text));
  const element = h("div", { class: "select-bar", role: "toolbar", "aria-label": T.select.label, hidden: true },
    iconButton("close", T.select.clear, () => selection.clear()), count,
    h("div", { class: "select-actions" },
      action("like", T.select.like, () => {
        address.write({ ...address.blank(), like: selection.list().slice(0, 20).map(String) });
        selection.clear();
      }),
      action("heart", T.select.favourite, () => void annotate(selection.list(), { add_tags: [FAVOURITE] }, T.select.favourited(selection.size()))),
      action("tag", T.select.tag, () => void askTags()),
      action("copy", T.select.copy, () => void copyPaths())));
  selection.onSelection(() => {
    element.hidden = selection.size() === 0;
    count.textContent = T.select.count(selection.size());
    document.documentElement.classList.toggle("selecting", selection.size() > 0);
  });
  bind("Escape", () => selection.clear(), T.keys.clear, { when: () => selection.size() > 0 && !document.querySelector("dialog[open], .popover") && !address.read().picture });
  return element;
}

async function askTags() {
  let known = [];
  try {
    known = (await api.get("/completions")).tags;
  } catch {
    // Known tags are only offered; any text can be typed.
  }
  const input = h("input", { class: "input", id: "tags", type: "text", list: "known-tags", placeholder: T.select.tagPlaceholder, autocomplete: "off", maxlength: 500 });
  /** @param {"add_tags" | "remove_tags"} what */
  const apply = async (what) => {
    const tags = input.value.split(",").map((/** @type {string} */ tag) => tag.trim()).filter(Boolean);
    if (!tags.length) { input.focus(); return; }
    const ids = selection.list();
    if (await annotate(ids, { [what]: tags }, T.select.tagged(ids.length, tags, what === "add_tags"))) close();
  };
  const { close } = dialog(T.select.tagTitle(selection.size()), h("form", {
    class: "stack",
    onsubmit(/** @type {Event} */ event) { event.preventDefault(); void apply("add_tags"); },
  }, h("div", { class: "field" }, h("label", { for: "tags" }, T.select.tagLabel), input, h("datalist", { id: "known-tags" }, known.map((/** @type {string} */ tag) => h("option", { value: tag })))),
  h("div", { class: "dialog-actions" },
    h("button", { type: "button", class: "button", onclick: () => void apply("remove_tags") }, T.select.removeTags),
    h("button", { type: "submit", class: "button primary" }, T.select.addTags))));
  input.focus();
}

async function copyPaths() {
  const ids = selection.list();
  try {
    const pictures = [];
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      pictures.push(...(await api.post("/pictures", { ids: ids.slice(at, at + AT_ONCE) })).pictures);
    }
    // One a line, as `imgq -l` writes them; a name that would break the line is quoted for a shell.
    const lines = pictures.map((picture) => (isOneLine(picture) ? picture.path : shellQuoted(picture)));
    await copy(lines.join("\n"), T.select.copied(lines.length));
  } catch (error) {
    toast(/** @type {Error} */ (error).message, { danger: true });
  }
}

