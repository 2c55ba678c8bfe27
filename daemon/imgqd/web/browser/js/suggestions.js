// What the search box offers below it: saved searches, tags, and what was asked before.

import { api } from "./api.js";
import * as address from "./address.js";
import { h, icon, on, show } from "./dom.js";
import { T } from "./texts.js";

/** @typedef {import("./address.js").State} State */
/** @typedef {{kind: string, drawing: string, text: string, detail: string, change: Partial<State>}} Offer */

const MOST = { saved: 4, tag: 4, history: 6 };

/**
 * @param {HTMLInputElement} input @param {{take: (change: Partial<State>) => void}} options
 */
export function suggestions(input, { take }) {
  const element = h("div", { id: "suggestions", class: "suggestions", role: "listbox", "aria-label": T.ask.offers, hidden: true });
  /** @type {{saved: any[], tags: string[], questions: any[]} | null} */
  let known = null;
  /** @type {Promise<void> | null} */
  let learning = null;
  /** @type {Offer[]} */
  let offers = [];
  let at = -1;
  // Tells what is still being fetched that the list was closed meanwhile.
  let turn = 0;

  const learn = async () => {
    const [completions, saved, history] = await Promise.all([
      api.get("/completions").catch(() => ({ tags: [] })),
      api.get("/saved").catch(() => ({ saved: [] })),
      api.get("/history?top=100").catch(() => ({ questions: [] })),
    ]);
    known = { saved: saved.saved, tags: completions.tags, questions: history.questions };
  };

  const draw = async () => {
    turn += 1;
    const mine = turn;
    learning ??= learn();
    await learning;
    // Without it (the daemon is away) there is nothing to offer.
    const { fromArguments, unquoted } = await import("./arguments.js").catch(() => ({ fromArguments: null, unquoted: null }));
    if (!fromArguments || !known || mine !== turn || document.activeElement !== input) return;
    /** @param {string[] | null} args @returns {Partial<State> | null} null where the page cannot ask it */
    const question = (args) => {
      const { state, left } = args ? fromArguments(args) : { state: {}, left: [""] };
      return left.length ? null : { ...address.blank(), ...state };
    };
    offers = found(known, input.value, question, unquoted);
    at = -1;
    if (!offers.length) { close(); return; }
    let kind = "";
    show(element, offers.map((offer, index) => {
      const head = offer.kind === kind ? null : h("div", { class: "suggestions-head", "aria-hidden": "true" }, /** @type {any} */ (T.ask)[offer.kind]);
      kind = offer.kind;
      return [head, h("div", {
        class: "option", role: "option", id: `offer-${index}`, "aria-selected": "false",
        // Before the blur that a click would bring, which would close the list under it.
        onpointerdown: (/** @type {Event} */ event) => { event.preventDefault(); choose(index); },
      }, icon(offer.drawing), h("span", { class: "grow" }, offer.text), offer.detail ? h("span", { class: "count" }, offer.detail) : null)];
    }));
    element.hidden = false;
    input.setAttribute("aria-expanded", "true");
  };
  const close = () => {
    turn += 1;
    element.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (/** @type {number} */ index) => {
    const offer = offers[index];
    close();
    take(offer.change);
  };
  const move = (/** @type {number} */ step) => {
    const all = element.querySelectorAll("[role='option']");
    all[at]?.setAttribute("aria-selected", "false");
    all[at]?.classList.remove("active");
    at = at + step < -1 ? all.length - 1 : at + step >= all.length ? -1 : at + step;
    if (at < 0) { input.removeAttribute("aria-activedescendant"); return; }
    all[at].setAttribute("aria-selected", "true");
    all[at].classList.add("active");
    all[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", `offer-${at}`);
  };

  on(input, "focus", () => void draw());
  on(input, "blur", close);
  on(input, "click", () => { if (element.hidden) void draw(); });

  return {
    element,
    open: () => void draw(),
    close,
    /** What was offered is out of date. */
    forget() { learning = null; },
    /** @param {KeyboardEvent} event @returns {boolean} whether the list took the key */
    key(event) {
      if (element.hidden) return false;
      if (event.key === "ArrowDown") move(1);
      else if (event.key === "ArrowUp") move(-1);
      else if (event.key === "Enter" && at >= 0) choose(at);
      else if (event.key === "Escape") close();
      else return false;
      event.preventDefault();
      return true;
    },
  };
}

/**
 * @param {{saved: any[], tags: string[], questions: any[]}} known @param {string} typed
 * @param {(args: string[] | null) => Partial<State> | null} question
 * @param {(line: string) => string[] | null} unquoted @returns {Offer[]}
 */
function found(known, typed, question, unquoted) {
  const wanted = typed.trim().toLowerCase();
  const last = wanted.split(/\s+/).at(-1) ?? "";
  /** @type {Offer[]} */
  const all = [];
  for (const { name, arguments: args } of known.saved) {
    if (wanted && !name.toLowerCase().includes(wanted)) continue;
    const change = question(args);
    if (change) all.push({ kind: "saved", drawing: "bookmark", text: name, detail: "", change });
  }
  const saved = all.splice(0).slice(0, MOST.saved);
  const tags = last ? known.tags.filter((tag) => tag.toLowerCase().startsWith(last)).slice(0, MOST.tag).map((tag) => ({
    kind: "tag", drawing: "tag", text: tag, detail: "",
    change: {
      q: typed.trim().slice(0, typed.trim().length - last.length).trim(),
      tag: [...new Set([...address.read().tag, tag])],
    },
  })) : [];
  const seen = new Set();
  for (const { typed: line } of known.questions) {
    const change = question(unquoted(line));
    const text = change?.q;
    if (!change || !text || seen.has(line) || text.toLowerCase() === wanted || !text.toLowerCase().includes(wanted)) continue;
    seen.add(line);
    const filters = address.FILTERS.filter((name) => {
      const value = /** @type {any} */ (change)[name];
      return Array.isArray(value) ? value.length : value;
    }).length;
    all.push({ kind: "history", drawing: "clock", text, detail: filters ? T.ask.withFilters(filters) : "", change });
    if (all.length >= MOST.history) break;
  }
  return [...saved, ...tags, ...all];
}
