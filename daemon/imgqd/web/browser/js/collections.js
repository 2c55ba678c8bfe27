// Favourites, saved searches and the history: the same as the command line's. A saved search is
// kept as arguments of imgq, so `imgq @NAME` asks it in a terminal.

import { api, thumbnail } from "./api.js";
import * as address from "./address.js";
import { fromArguments, quoted, readable, toArguments, unquoted, untold } from "./arguments.js";
import { copy } from "./copying.js";
import { announce, confirm, dialog, h, icon, iconButton, show, toast } from "./dom.js";
import { FAVOURITE } from "./picture/tags.js";
import { questionLink } from "./picture/links.js";
import { lend } from "./results.js";
import { T, moment, pictures } from "./texts.js";

const FAVOURITES_SHOWN = 24;
const HISTORY_SHOWN = 100;
/** As the daemon has it: what can be typed after @ without quotes. */
const NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]*";

/** @typedef {import("./address.js").State} State */

/** @param {Partial<State>} change */
const go = (change) => address.write({ ...change, view: "", picture: "" });

/** @param {HTMLElement} root @param {State} state */
export async function mount(root, state) {
  const favourites = h("section", { class: "stack" });
  const saving = h("div");
  const heading = h("h2", { tabindex: "-1" }, T.collections.saved);
  const pastHeading = h("h2", { tabindex: "-1" }, T.collections.history);
  const saved = h("div", null, h("p", { class: "muted" }, T.loading));
  const past = h("section", { class: "stack" });
  show(root, h("div", { class: "page" },
    h("h1", null, T.views.collections),
    favourites,
    h("section", { class: "stack" }, heading, saving, saved),
    past));

  let shownQuestion = "";
  let favouritesOf = -1;

  async function drawFavourites() {
    try {
      const answer = await api.post("/grid", { terms: [], tags: [FAVOURITE], most: FAVOURITES_SHOWN });
      if (answer.generation === favouritesOf) return;
      favouritesOf = answer.generation;
      const ids = answer.ids.slice(0, FAVOURITES_SHOWN);
      show(favourites,
        h("div", { class: "section-head" }, h("h2", null, T.collections.favourites),
          answer.total > 0 && questionLink({ tag: [FAVOURITE] }, T.collections.allOf(pictures(answer.total)), go)),
        ids.length
          ? h("ul", { class: "strip" }, ids.map((id) => h("li", null,
            h("button", { type: "button", class: "strip-item", "data-picture": id, "aria-label": T.collections.open(id), onclick: () => { lend(ids); address.write({ picture: String(id) }); } },
              h("img", { src: thumbnail(id, 256), alt: "", loading: "lazy", decoding: "async" })))))
          : h("p", { class: "muted" }, T.collections.noFavourites));
    } catch (error) {
      show(favourites, h("h2", null, T.collections.favourites), failure(error, drawFavourites));
    }
  }

  /** The question that the page asks now, which can be kept. @param {State} now */
  function drawSaving(now) {
    const asked = toArguments(now);
    const key = quoted(asked);
    if (key === shownQuestion && saving.firstChild) return;
    shownQuestion = key;
    if (!asked.length) { show(saving, h("p", { class: "muted" }, T.collections.askFirst)); return; }
    const left = untold(now).map((one) => T.collections.untold[one]);
    const name = h("input", {
      class: "input", id: "save-name", name: "name", required: true, pattern: NAME, maxlength: "100",
      autocomplete: "off", spellcheck: "false", placeholder: T.collections.nameExample, "aria-describedby": "save-what",
    });
    const problem = h("p", { class: "small danger-text", role: "alert" });
    show(saving, h("form", {
      class: "card stack",
      async onsubmit(event) {
        event.preventDefault();
        problem.textContent = "";
        if (await keep(name.value, asked, problem)) { name.value = ""; await drawSaved(); }
      },
    },
    h("label", { for: "save-name" }, T.collections.keep),
    h("code", { class: "path", id: "save-what" }, `imgq ${readable(asked)}`),
    h("div", { class: "joined" }, name, h("button", { type: "submit", class: "button primary" }, icon("bookmark"), T.collections.save)),
    left.length > 0 && h("p", { class: "small muted" }, T.collections.leftOut(left.join(", "))),
    problem));
  }

  /** @param {string} name @param {string[]} asked @param {HTMLElement} problem */
  async function keep(name, asked, problem) {
    const { saved: all } = await api.get("/saved").catch(() => ({ saved: [] }));
    if (all.some((one) => one.name === name) && !(await confirm(T.collections.replaceTitle, T.collections.replace(name), T.collections.replaceYes))) return false;
    try {
      await api.put(`/saved/${encodeURIComponent(name)}`, { arguments: asked });
    } catch (error) {
      problem.textContent = error.message;
      return false;
    }
    toast(T.collections.kept(name));
    return true;
  }

  /** @param {string} [focused] whose row gets the focus: the control that had it is gone */
  async function drawSaved(focused) {
    try {
      const { saved: all } = await api.get("/saved");
      show(saved, all.length
        ? h("ul", { class: "rows" }, all.map((one) => savedRow(one, drawSaved)))
        : h("p", { class: "muted" }, T.collections.noneSaved));
    } catch (error) {
      show(saved, failure(error, () => drawSaved()));
    }
    if (focused !== undefined) (saved.querySelector(`[data-name="${CSS.escape(focused)}"] a`) ?? heading).focus();
  }

  async function drawHistory() {
    try {
      const { kept, questions } = await api.get(`/history?top=${HISTORY_SHOWN}`);
      show(past,
        h("div", { class: "section-head" }, pastHeading,
          questions.length > 0 && h("button", { type: "button", class: "button quiet", onclick: clear }, icon("trash"), T.collections.clear)),
        !kept && h("p", { class: "muted" }, T.collections.notKept),
        questions.length
          ? h("ol", { class: "rows" }, [...questions].reverse().map(questionRow))
          : kept && h("p", { class: "muted" }, T.collections.noHistory));
    } catch (error) {
      show(past, pastHeading, failure(error, drawHistory));
    }
  }

  async function clear() {
    if (!(await confirm(T.collections.clearTitle, T.collections.clearText, T.collections.clear))) return;
    try {
      await api.delete("/history");
      announce(T.collections.cleared);
    } catch (error) {
      toast(error.message, { danger: true });
    }
    await drawHistory();
    pastHeading.focus();
  }

  drawSaving(state);
  void Promise.all([drawFavourites(), drawSaved(), drawHistory()]);
  let open = state.picture;
  return {
    /** @param {State} now */
    update(now) {
      drawSaving(now);
      if (open && !now.picture) {
        // A star may have been given or taken while the picture was open.
        void drawFavourites();
        root.querySelector(`[data-picture="${CSS.escape(open)}"]`)?.focus();
      }
      open = now.picture;
    },
    unmount() {},
  };
}

/** @param {{name: string, arguments: string[]}} one @param {(focused: string) => Promise<void>} redraw */
function savedRow(one, redraw) {
  const { state, left } = fromArguments(one.arguments);
  return h("li", { class: "row-item", dataset: { name: one.name } },
    h("div", { class: "row-text" },
      questionLink(state, one.name, go),
      h("code", { class: "path muted" }, readable(one.arguments)),
      left.length > 0 && h("p", { class: "small muted" }, T.collections.unknown(quoted(left), one.name))),
    h("div", { class: "row-actions" },
      iconButton("terminal", T.collections.copyCommand(one.name), () => copy(`imgq @${one.name}`)),
      iconButton("edit", T.collections.rename(one.name), () => rename(one, redraw)),
      iconButton("trash", T.collections.forget(one.name), async () => {
        if (!(await confirm(T.collections.forgetTitle, T.collections.forgetText(one.name), T.collections.forgetYes))) return;
        await doing(() => api.delete(`/saved/${encodeURIComponent(one.name)}`), redraw);
      })));
}

/** @param {{name: string, arguments: string[]}} one @param {(focused: string) => Promise<void>} redraw */
function rename(one, redraw) {
  const input = h("input", { class: "input", id: "new-name", value: one.name, required: true, pattern: NAME, maxlength: "100", autofocus: true, autocomplete: "off", spellcheck: "false" });
  const problem = h("p", { class: "small danger-text", role: "alert" });
  const form = h("form", {
    class: "stack",
    async onsubmit(event) {
      event.preventDefault();
      const name = input.value;
      if (name === one.name) { close(); return; }
      try {
        const { saved } = await api.get("/saved");
        if (saved.some((other) => other.name === name)) { problem.textContent = T.collections.taken(name); return; }
        // Kept under the new name before the old one goes: at no moment is it lost.
        await api.put(`/saved/${encodeURIComponent(name)}`, { arguments: one.arguments });
        await api.delete(`/saved/${encodeURIComponent(one.name)}`);
      } catch (error) {
        problem.textContent = error.message;
        return;
      }
      close();
      toast(T.collections.renamed(name));
      await redraw(name);
    },
  },
  h("div", { class: "field" }, h("label", { for: "new-name" }, T.collections.newName), input), problem,
  h("div", { class: "dialog-actions" },
    h("button", { type: "button", class: "button", onclick: () => close() }, T.cancel),
    h("button", { type: "submit", class: "button primary" }, T.collections.renameYes)));
  const { close } = dialog(T.collections.rename(one.name), form);
  input.select();
}

/** @param {{asked: string, typed: string, results: number}} question */
function questionRow(question) {
  const given = unquoted(question.typed) ?? [question.typed];
  const { state, left } = fromArguments(given);
  return h("li", { class: "row-item" },
    h("div", { class: "row-text" },
      questionLink(state, readable(given), go),
      left.length > 0 && h("p", { class: "small muted" }, T.collections.only(quoted(left)))),
    h("span", { class: "small muted number row-note" }, pictures(question.results), " · ", h("time", { datetime: question.asked }, moment(question.asked))));
}

/** @param {() => Promise<any>} change @param {(focused: string) => Promise<void>} redraw */
async function doing(change, redraw) {
  try {
    await change();
  } catch (error) {
    toast(error.message, { danger: true });
  }
  await redraw("");
}

/** @param {any} error @param {() => any} again */
function failure(error, again) {
  return h("div", { class: "notice danger row", role: "alert" }, error.message,
    h("button", { type: "button", class: "button", onclick: again }, T.retry));
}
