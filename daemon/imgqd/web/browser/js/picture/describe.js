// What a person says of a picture in words: description, category, fields of their own. Each says
// plainly whether it was kept; what could not be kept stays where it was typed.

import { api } from "../api.js";
import { h, iconButton, show } from "../dom.js";
import { T } from "../texts.js";
import { questionLink } from "./links.js";

/** Typing pauses this long before it is saved by itself. */
const PAUSE_MS = 1500;

/** What was typed and not kept, by picture: it is there again when the picture is. @type {Map<number, string>} */
const drafts = new Map();

/** @typedef {{changed: () => void, leave: (change: object) => void}} Told */

/** A line that says what became of what was typed. @param {() => void} again */
function makeSign(again) {
  const text = h("span", { role: "status" });
  const retry = h("button", { type: "button", class: "button small", hidden: true, onclick: again }, T.retry);
  return {
    element: h("p", { class: "small saved-sign" }, text, retry),
    /** @param {"" | "waiting" | "saving" | "saved" | "failed"} state @param {string} [why] */
    tell(state, why = "") {
      text.textContent = { "": "", waiting: T.picture.unsaved, saving: T.picture.saving, saved: T.picture.saved, failed: T.picture.notSaved(why) }[state];
      text.parentElement?.setAttribute("data-state", state);
      retry.hidden = state !== "failed";
    },
  };
}

/** @param {Told} told */
export function makeDescription(told) {
  /** @type {any} */
  let picture = null;
  let pause = 0;
  const sign = makeSign(() => save());
  const area = h("textarea", {
    class: "input description", rows: "2", id: "picture-description", maxlength: "10000", placeholder: T.picture.describe,
    oninput() {
      drafts.set(picture.id, area.value);
      grow();
      sign.tell("waiting");
      clearTimeout(pause);
      pause = window.setTimeout(save, PAUSE_MS);
    },
    onblur: () => save(),
    onkeydown(event) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); void save(); }
    },
  });
  const element = h("section", { class: "side-section" },
    h("h3", null, h("label", { for: "picture-description" }, T.picture.description)), area, sign.element);

  function grow() {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  }

  /** @param {boolean} [leaving] the answer cannot be shown any more */
  async function save(leaving = false) {
    clearTimeout(pause);
    const of = picture;
    const text = of ? drafts.get(of.id) : undefined;
    if (text === undefined) return;
    if (text.trim() === (of.description ?? "")) {
      drafts.delete(of.id);
      sign.tell("");
      return;
    }
    sign.tell("saving");
    try {
      await api.post("/annotate", { ids: [of.id], description: text.trim() }, { keepalive: leaving });
    } catch (error) {
      if (of.id === picture?.id) sign.tell("failed", error.message);
      return;
    }
    of.description = text.trim() || null;
    // More may have been typed while it was on its way.
    if (drafts.get(of.id) === text) drafts.delete(of.id);
    if (of.id !== picture?.id) return;
    sign.tell(drafts.has(of.id) ? "waiting" : "saved");
    told.changed();
  }

  return {
    element,
    focus: () => area.focus(),
    /** @param {any} next */
    put(next) {
      const other = next.id !== picture?.id;
      if (other) void save(true);
      picture = next;
      const draft = drafts.get(next.id);
      if (other) sign.tell(draft === undefined ? "" : "waiting");
      const text = draft ?? next.description ?? "";
      if (area.value !== text) area.value = text;
      grow();
    },
    close: () => void save(true),
  };
}

/** @param {Told} told */
export function makeCategory(told) {
  /** @type {any} */
  let picture = null;
  /** @type {string[] | null} */
  let names = null;
  const sign = makeSign(() => save(select.value));
  const select = h("select", { class: "input", id: "picture-category", onchange: () => save(select.value), onfocus: load });
  const all = h("span", { class: "small" });
  const element = h("div", { class: "field category" },
    h("label", { for: "picture-category" }, T.picture.category), select, h("div", { class: "row" }, all, sign.element));

  function draw() {
    const now = picture?.category ?? "";
    const choice = [...new Set([now, ...(names ?? [])])].filter(Boolean).sort((a, b) => a.localeCompare(b));
    show(select,
      now ? null : h("option", { value: "" }, T.picture.noCategory),
      choice.map((name) => h("option", { value: name }, name)),
      h("option", { value: "auto" }, T.picture.computed));
    select.value = now;
    show(all, now && questionLink({ category: now }, T.picture.showCategory(now), told.leave));
  }

  async function load() {
    if (names) return;
    try {
      const answer = await api.post("/facets", { terms: [] });
      names = answer.facets.category.map((one) => one.value);
      draw();
    } catch { names = null; }
  }

  /** @param {string} name */
  async function save(name) {
    if (!name || !picture || name === picture.category) return;
    const of = picture;
    sign.tell("saving");
    try {
      await api.post("/annotate", { ids: [of.id], category: name });
    } catch (error) {
      if (of.id === picture?.id) sign.tell("failed", error.message);
      return;
    }
    if (of.id !== picture?.id) return;
    if (name !== "auto") of.category = name;
    sign.tell("saved");
    told.changed();
  }

  return {
    element,
    /** @param {any} next */
    put(next) {
      if (next.id !== picture?.id) sign.tell("");
      picture = next;
      if (document.activeElement !== select || select.value !== next.category) draw();
    },
  };
}

/** @param {Told} told */
export function makeFields(told) {
  /** @type {any} */
  let picture = null;
  const sign = makeSign(() => save(key.value, value.value));
  const list = h("dl", { class: "own-fields" });
  const field = (name, label) => h("input", { class: "input", type: "text", name, placeholder: label, "aria-label": label, maxlength: "500", autocomplete: "off" });
  const key = field("key", T.picture.fieldName);
  const value = field("value", T.picture.fieldValue);
  const form = h("form", { class: "joined", onsubmit: (event) => { event.preventDefault(); void save(key.value, value.value); } },
    key, value, h("button", { type: "submit", class: "button" }, T.picture.add));
  const element = h("details", { class: "side-section own" }, h("summary", null, h("h3", null, T.picture.fields)), list, form, sign.element);

  /** @param {string} name @param {string} text empty takes it away */
  async function save(name, text) {
    name = name.trim();
    if (!name || !picture) { key.focus(); return; }
    const of = picture;
    sign.tell("saving");
    try {
      await api.post("/annotate", { ids: [of.id], fields: [{ key: name, value: text.trim() }] });
    } catch (error) {
      if (of.id === picture?.id) sign.tell("failed", error.message);
      return;
    }
    if (text.trim()) of.fields = { ...of.fields, [name]: text.trim() };
    else { of.fields = { ...of.fields }; delete of.fields[name]; }
    if (of.id !== picture?.id) return;
    if (key.value.trim() === name) { key.value = ""; value.value = ""; key.focus(); }
    sign.tell("saved");
    draw();
    told.changed();
  }

  function draw() {
    const own = Object.entries(picture.fields ?? {});
    show(list, own.map(([name, text]) => h("div", null,
      h("dt", null, name), h("dd", null, questionLink({ where: [`${name}=${text}`] }, text, told.leave),
        iconButton("close", T.picture.removeField(name), () => save(name, ""), { class: "small-button" })))));
    list.hidden = !own.length;
  }

  return {
    element,
    /** @param {any} next */
    put(next) {
      const other = next.id !== picture?.id;
      picture = next;
      if (other) {
        sign.tell("");
        key.value = "";
        value.value = "";
        element.open = Object.keys(next.fields ?? {}).length > 0;
      }
      draw();
    },
  };
}
