// The view of pictures: filters, timeline, panel and grid around one question, kept in step with the
// URL and with the library.

import * as address from "./address.js";
import { ask, onProgress } from "./asking.js";
import { chips } from "./chips.js";
import { announce, h, icon, show } from "./dom.js";
import { failed, nothing } from "./empty.js";
import * as example from "./example.js";
import { takeExamples } from "./examples.js";
import * as facets from "./facets.js";
import { act } from "./grid/acting.js";
import { Grid } from "./grid/grid.js";
import * as names from "./grid/names.js";
import { live } from "./live.js";
import { panel } from "./panel.js";
import { MOST } from "./query.js";
import * as results from "./results.js";
import { selectBar } from "./selectbar.js";
import { pictures, T } from "./texts.js";
import { timeline } from "./timeline.js";

/** @typedef {import("./address.js").State} State */

const SLOW_MS = 250;
// Counts follow once the words have come to rest: they cost the daemon more than the answer.
const COUNT_MS = 300;

/** What is asked, as far as the answer depends on it. @param {State} state */
const key = (state) => `${address.href({ ...state, view: "", picture: "" })} ${state.example ? example.current()?.preview ?? "" : ""}`;

/** @param {HTMLElement} root @param {State} state */
export function mount(root, state) {
  const grid = new Grid();
  const side = panel((open) => {
    root.classList.toggle("with-panel", open);
    bar.panelOpen(open);
  });
  const bar = chips(() => side.toggle());
  const time = timeline();
  const busy = h("div", { class: "busy", "aria-hidden": "true", hidden: true }, h("span"));
  const instead = h("div", { class: "instead" });
  const fresh = h("button", { type: "button", class: "fresh", hidden: true, onclick: toTop }, icon("up"), h("span"));
  const heading = h("h1", { class: "visually-hidden" });
  show(root, heading, busy, bar.element, h("div", { class: "browse-body" }, side.element, side.veil,
    h("div", { class: "browse-main" }, time.element, instead, grid.element)), fresh, selectBar());
  takeExamples();
  // What sticks to the top grows with the question; the grid has to know what it covers.
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--sticky", `${bar.element.offsetHeight + (document.querySelector("header.top")?.clientHeight ?? 0)}px`);
  }).observe(bar.element);
  act(grid);

  let asked = "";
  let slow = 0;
  let counting = 0;
  let counted = false;
  // Where the next answer is shown: kept in place, or scrolled to a place of the history.
  /** @type {{keep?: boolean, scroll?: number}} */
  let how = { scroll: address.keptScroll() };
  /** The newest that was seen when the page was last at the top. */
  let top = new Set();
  let settled = false;

  results.onResults((found) => {
    grid.set(found, how);
    // The rest of an answer, and every later one, keeps what is in the window.
    if (found.complete || !how.scroll) how = { keep: true };
    count(found);
  });
  onProgress((progress) => {
    clearTimeout(slow);
    if (progress.kind === "asking") { slow = window.setTimeout(() => { busy.hidden = false; }, SLOW_MS); return; }
    busy.hidden = true;
    grid.element.setAttribute("aria-busy", String(progress.kind === "answered" && !progress.complete));
    if (progress.kind === "failed") {
      results.put(results.none);
      bar.count.textContent = "";
      show(instead, failed(progress.error, () => void ask(address.read())));
      return;
    }
    const { ids } = results.read();
    if (!ids.length) void explain();
    else show(instead);
    grid.element.hidden = !ids.length;
    if (!progress.complete) return;
    if (!settled) {
      settled = true;
      side.restore();
      live(refresh, names.forget);
    }
    clearTimeout(counting);
    counting = window.setTimeout(() => {
      void time.update(address.read());
      side.update();
    }, counted ? COUNT_MS : 0);
    counted = true;
  });

  async function explain() {
    const mine = asked;
    const why = await nothing(address.read());
    if (mine === asked && !results.read().ids.length) show(instead, why);
  }

  /** The same question again, since the library changed. */
  async function refresh() {
    facets.forget();
    const before = window.scrollY > 200 ? results.everyId() : null;
    const mine = asked;
    how = { keep: true };
    await ask(address.read(), { whole: true, quiet: true });
    if (mine !== asked) return;
    if (!before) { top = new Set(); fresh.hidden = true; return; }
    for (const id of results.read().ids) if (!before.has(id)) top.add(id);
    fresh.hidden = top.size === 0;
    const text = T.grid.fresh(top.size);
    if (fresh.lastElementChild && fresh.lastElementChild.textContent !== text) {
      fresh.lastElementChild.textContent = text;
      if (top.size) announce(text);
    }
  }

  function toTop() {
    top = new Set();
    fresh.hidden = true;
    window.scrollTo(0, 0);
    grid.activate(0);
  }
  window.addEventListener("scroll", () => {
    if (!fresh.hidden && window.scrollY < 40) { top = new Set(); fresh.hidden = true; }
  }, { passive: true });

  /** @param {import("./results.js").Results} found */
  function count(found) {
    const text = found.scores && found.total >= MOST ? T.grid.best(found.total) : pictures(found.total);
    if (bar.count.textContent !== text) bar.count.textContent = text;
  }

  /** @param {State} next */
  function update(next) {
    if (next.view) return;
    bar.update(next);
    heading.textContent = next.q.trim() ? `${T.grid.label}: ${next.q.trim()}` : T.grid.label;
    const now = key(next);
    if (now === asked) { grid.schedule(); return; }
    asked = now;
    results.closeAll();
    top = new Set();
    fresh.hidden = true;
    const scroll = address.keptScroll();
    how = { scroll };
    // The first screen by itself is no use to whoever comes back to the middle.
    void ask(next, { whole: scroll > 0 });
  }

  update(state);
  return {
    update,
    unmount() { grid.unmount(); },
    /** Gives the focus to a picture that was open. @param {number} id */
    focus(id) {
      const index = results.placeOf(id);
      if (index >= 0) requestAnimationFrame(() => grid.activate(index, { centre: true }));
    },
  };
}
