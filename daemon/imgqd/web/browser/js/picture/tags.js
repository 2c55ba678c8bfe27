// Tags: the favourite, and the editor with suggestions. What is said is shown at once and taken
// back, with the reason, when the daemon did not keep it.

import { api } from "../api.js";
import { announce, h, iconButton, show } from "../dom.js";
import { T } from "../texts.js";
import { questionLink } from "./links.js";

/** A tag like any other, so `imgq --tag favourite` finds the same. */
export const FAVOURITE = "favourite";

/**
 * Changes `picture.tags` at once and at the daemon; as before, when that fails.
 * @param {any} picture @param {{add?: string[], remove?: string[]}} change
 */
export async function changeTags(picture, { add = [], remove = [] }) {
  const had = picture.tags;
  picture.tags = [...had.filter((tag) => !remove.includes(tag)), ...add.filter((tag) => !had.includes(tag))];
  try {
    await api.post("/annotate", {
      ids: [picture.id], ...(add.length ? { add_tags: add } : {}), ...(remove.length ? { remove_tags: remove } : {}),
    });
  } catch (error) {
    picture.tags = had;
    throw error;
  }
}

let number = 0;

/** @param {{changed: () => void, leave: (change: object) => void}} told */
export function makeTags(told) {
  number += 1;
  const listId = `tags-known-${number}`;
  /** @type {any} */
  let picture = null;
  const chips = h("ul", { class: "tag-list", "aria-label": T.picture.tags });
  const known = h("datalist", { id: listId });
  const said = h("span", { role: "status" });
  const status = h("p", { class: "small saved-sign" }, said);
  const input = h("input", {
    class: "input", type: "text", list: listId, autocomplete: "off", placeholder: T.picture.addTag,
    "aria-label": T.picture.addTag, maxlength: "200", enterkeyhint: "done",
    onfocus: suggest,
    onkeydown(event) {
      if (event.key === "Enter" || (event.key === "," && input.value.trim())) {
        event.preventDefault();
        void add();
      } else if (event.key === "Backspace" && !input.value && picture?.tags.length) {
        focusTag(picture.tags.length - 1);
      }
    },
    // A suggestion that was chosen with the mouse comes without a key.
    oninput(event) { if (event.inputType === "insertReplacementText" || !event.inputType) void add(); },
  });
  const form = h("form", { class: "tag-form", onsubmit: (event) => { event.preventDefault(); void add(); } },
    input, h("button", { type: "submit", class: "button" }, T.picture.add));
  const element = h("section", { class: "side-section" }, h("h3", null, T.picture.tags), chips, form, known, status);

  async function suggest() {
    try {
      const { tags } = await api.get("/completions");
      show(known, tags.filter((tag) => !picture?.tags.includes(tag)).map((tag) => h("option", { value: tag })));
    } catch { /* A field without suggestions is still a field. */ }
  }

  async function add() {
    if (!picture || !input.value.trim()) return;
    const names = [...new Set(input.value.split(",").map((one) => one.trim()).filter(Boolean))]
      .filter((one) => !picture.tags.includes(one));
    const typed = input.value;
    input.value = "";
    if (!names.length) return;
    if (!(await change({ add: names }, T.picture.tagAdded(names.join(", "))))) input.value ||= typed;
  }

  /** @param {{add?: string[], remove?: string[]}} what @param {string} said @returns {Promise<boolean>} */
  async function change(what, said) {
    const of = picture;
    const saving = changeTags(of, what);
    draw();
    try {
      await saving;
    } catch (error) {
      if (of.id === picture?.id) { draw(); tell(T.picture.notSaved(error.message), true); }
      return false;
    }
    if (of.id === picture?.id) tell(T.picture.saved);
    announce(said);
    told.changed();
    return true;
  }

  /** @param {string} text @param {boolean} [failed] */
  function tell(text, failed = false) {
    said.textContent = text;
    status.dataset.state = !text ? "" : failed ? "failed" : "saved";
  }

  /** @param {number} at */
  function focusTag(at) {
    const buttons = chips.querySelectorAll("button");
    (buttons[Math.min(at, buttons.length - 1)] ?? input).focus();
  }

  function draw() {
    show(chips, (picture?.tags ?? []).map((tag, at) => h("li", { class: "chip tag" },
      questionLink({ tag: [tag] }, tag, told.leave, T.picture.showTag(tag)),
      iconButton("close", T.picture.removeTag(tag), async () => {
        await change({ remove: [tag] }, T.picture.tagRemoved(tag));
        focusTag(at);
      }))));
    chips.hidden = !picture?.tags.length;
  }

  return {
    element,
    /** @param {any} next */
    put(next) {
      if (next?.id !== picture?.id) { input.value = ""; tell(""); }
      picture = next;
      draw();
    },
    focus: () => input.focus(),
  };
}
