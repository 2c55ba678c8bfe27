// Pictures that look the same, in groups, with a choice of what to keep. Lists and copies the paths
// of the rest for a person to deal with; nothing here, and nothing that it calls, deletes a file.

import { aborted, api, thumbnail } from "./api.js";
import * as address from "./address.js";
import { keeps, makeChoice, RULES } from "./duplicates/choice.js";
import { makeTray } from "./duplicates/tray.js";
import { h, iconButton, on, show } from "./dom.js";
import { pathText, pathValue } from "./query.js";
import { fileName } from "./picture/sources.js";
import { lend } from "./results.js";
import { T, day, number, size } from "./texts.js";

const PER_PAGE = 30;
const SETTLE_MS = 350;
/** More copies than this of one picture are shown on demand. */
const SHOWN_FILES = 12;

/** @typedef {import("./address.js").State} State */

/** @param {HTMLElement} root @param {State} state */
export async function mount(root, state) {
  let threshold = 0.95;
  let page = 0;
  /** @type {any[]} */
  let groups = [];
  let inside = "";
  let pause = 0;
  /** @type {AbortController | null} */
  let asking = null;
  const choice = makeChoice();

  const shown = h("output", { class: "number", for: "threshold" });
  const slider = h("input", {
    type: "range", id: "threshold", min: "80", max: "100", step: "0.5", value: "95",
    oninput() { threshold = Number(slider.value) / 100; told(); clearTimeout(pause); pause = window.setTimeout(ask, SETTLE_MS); },
  });
  const rule = h("select", { class: "input", id: "keep-rule", onchange() { choice.suggest(rule.value); draw(); } },
    RULES.map((name) => h("option", { value: name }, T.duplicates.rules[name])));
  const where = h("p", { class: "small muted" });
  const summary = h("p", { role: "status" });
  const list = h("div", { class: "groups" });
  const pager = h("nav", { class: "pager", "aria-label": T.duplicates.pages });
  const tray = makeTray(choice);
  show(root, h("div", { class: "page wide duplicates" },
    h("header", { class: "stack" }, h("h1", null, T.views.duplicates), h("p", { class: "muted" }, T.duplicates.what), where),
    h("div", { class: "controls card" },
      h("div", { class: "field" }, h("label", { for: "threshold" }, T.duplicates.threshold), h("div", { class: "row slider" }, slider, shown)),
      h("div", { class: "field" }, h("label", { for: "keep-rule" }, T.duplicates.rule), rule)),
    summary, list, pager), tray.element);

  function told() {
    const text = T.duplicates.alike(threshold);
    shown.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  }

  async function ask() {
    asking?.abort();
    asking = new AbortController();
    const folders = address.read().in;
    inside = folders.join("\n");
    where.textContent = folders.length ? T.duplicates.inside(folders.map((one) => (one.startsWith("b64:") ? T.duplicates.odd : one)).join(", ")) : "";
    summary.textContent = T.duplicates.looking;
    list.setAttribute("aria-busy", "true");
    try {
      const answer = await api.post("/duplicates", { threshold, ...(folders.length ? { in: folders.map(pathValue) } : {}) }, { signal: asking.signal });
      groups = answer.groups;
    } catch (error) {
      if (aborted(error)) return;
      summary.textContent = "";
      show(list, h("div", { class: "notice danger row", role: "alert" }, error.message, h("button", { type: "button", class: "button", onclick: ask }, T.retry)));
      return;
    } finally {
      list.removeAttribute("aria-busy");
    }
    page = 0;
    choice.put(groups, rule.value);
    const exact = groups.filter((group) => group.kind === "exact").length;
    summary.textContent = groups.length ? T.duplicates.found(groups.length, exact) : T.duplicates.none;
    draw();
  }

  function draw() {
    const from = page * PER_PAGE;
    show(list, groups.slice(from, from + PER_PAGE).map((group, at) => groupCard(group, from + at)));
    const pages = Math.ceil(groups.length / PER_PAGE);
    pager.hidden = pages < 2;
    const turn = (to) => { page = to; draw(); list.scrollIntoView({ block: "start" }); list.querySelector("button, input")?.focus({ preventScroll: true }); };
    show(pager,
      iconButton("left", T.duplicates.before, () => turn(page - 1), { disabled: page === 0 }),
      h("span", { class: "number" }, T.duplicates.page(number(from + 1), number(Math.min(from + PER_PAGE, groups.length)), number(groups.length))),
      iconButton("right", T.duplicates.after, () => turn(page + 1), { disabled: page >= pages - 1 }));
    tray.draw();
  }

  /** @param {any} group @param {number} at */
  function groupCard(group, at) {
    const count = h("span", { class: "small", role: "status" });
    const files = h("ul", { class: "group-files" });
    const heading = group.kind === "exact" ? T.duplicates.exact(group.files.length) : T.duplicates.near(group.files.length, group.similarity);
    const drop = h("button", { type: "button", class: "button quiet small", onclick() { choice.keepAll(group); refresh(); } }, T.duplicates.keepAll);
    const card = h("section", { class: "group card", "aria-label": T.duplicates.group(number(at + 1), heading) },
      h("header", { class: "section-head" }, h("h2", null, heading), h("div", { class: "row" }, count, drop)), files);
    /** @type {HTMLInputElement[]} */
    const boxes = [];
    const add = (from, to) => {
      for (const file of group.files.slice(from, to)) {
        const box = h("input", { type: "checkbox", onchange() { choice.set(group, file, box.checked); refresh(); } });
        boxes.push(box);
        files.append(fileItem(group, file, box));
      }
    };
    const refresh = () => {
      group.files.slice(0, boxes.length).forEach((file, index) => {
        boxes[index].checked = choice.kept(group, file);
        boxes[index].closest("li")?.classList.toggle("dropped", keeps(choice, group) && !boxes[index].checked);
      });
      const rest = choice.rest(group).length;
      count.textContent = keeps(choice, group) ? T.duplicates.rest(rest) : T.duplicates.keepOne;
      count.classList.toggle("danger-text", !keeps(choice, group));
      tray.draw();
    };
    add(0, SHOWN_FILES);
    if (group.files.length > SHOWN_FILES) {
      const more = h("button", { type: "button", class: "button", onclick() { add(SHOWN_FILES, group.files.length); more.parentElement.remove(); refresh(); boxes[SHOWN_FILES].focus(); } },
        T.duplicates.more(group.files.length - SHOWN_FILES));
      card.append(h("div", { class: "row" }, more));
    }
    refresh();
    return card;
  }

  /** @param {any} group @param {any} file @param {HTMLInputElement} box */
  function fileItem(group, file, box) {
    const name = fileName(file.path);
    return h("li", { class: "group-file" },
      h("button", { type: "button", class: "group-open", "data-picture": pathText(file), "aria-label": T.duplicates.open(name), onclick: () => { opened = pathText(file); lend([...new Set(group.files.map((one) => one.id))]); address.write({ picture: String(file.id) }); } },
        h("img", { src: thumbnail(file.id, 256), alt: "", loading: "lazy", decoding: "async", width: file.width || null, height: file.height || null })),
      h("label", { class: "group-keep" }, box, h("span", null, T.duplicates.keep), h("span", { class: "visually-hidden" }, ` ${name}`)),
      h("span", { class: "path", title: file.path }, file.path),
      h("span", { class: "small muted number" }, `${number(file.width)} × ${number(file.height)} · ${size(file.bytes)}`),
      h("time", { class: "small muted", datetime: file.modified }, day(file.modified)));
  }

  let opened = "";
  const end = on(window, "beforeunload", () => asking?.abort());
  told();
  void ask();
  return {
    /** @param {State} now */
    update(now) {
      if (now.in.join("\n") !== inside) void ask();
      if (opened && !now.picture) {
        root.querySelector(`[data-picture="${CSS.escape(opened)}"]`)?.focus({ preventScroll: true });
        opened = "";
      }
    },
    unmount() { end(); clearTimeout(pause); asking?.abort(); },
  };
}
