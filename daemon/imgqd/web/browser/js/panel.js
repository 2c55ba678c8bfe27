// The panel of counts beside the grid: folders, years, formats and so on, each to choose from. A
// column on wide windows, a sheet from below on narrow ones.

import { cover, h, icon, iconButton, on, show } from "./dom.js";
import { picker } from "./pickers.js";
import { T } from "./texts.js";

const ORDER = ["date", "folder", "category", "tag", "camera", "type", "rating", "orientation"];
const SHOWN = 6;
const KEPT = "imgq-panel";

/** @param {(open: boolean) => void} onToggle */
export function panel(onToggle) {
  const body = h("div", { class: "panel-body" });
  const element = h("aside", { id: "panel", class: "panel", "aria-label": T.panel.label, hidden: true },
    h("header", { class: "panel-head" }, h("h2", null, T.panel.label), iconButton("close", T.close, () => set(false))), body);
  const veil = h("div", { class: "panel-veil", hidden: true, onclick: () => set(false) });
  /** @type {Element | null} */
  let before = null;
  /** @type {Set<string>} sections that are folded */
  const folded = new Set();

  const wide = window.matchMedia("(min-width: 900px)");
  const fill = () => {
    show(body, ORDER.map((name) => h("details", {
      class: "panel-section", open: !folded.has(name),
      ontoggle(/** @type {any} */ event) {
        if (event.target.open) folded.delete(name);
        else folded.add(name);
      },
    }, h("summary", null, h("span", null, /** @type {any} */ (T.filters)[name]), icon("down")), picker(name, { most: SHOWN }))));
  };
  /** @param {boolean} open @param {boolean} [kept] */
  const set = (open, kept = false) => {
    if (open === !element.hidden) return;
    element.hidden = !open;
    veil.hidden = !open;
    cover("sheet", open && !wide.matches);
    if (open) fill();
    try { if (!kept) localStorage.setItem(KEPT, open && wide.matches ? "open" : ""); } catch { /* Not kept then. */ }
    onToggle(open);
    if (kept) return;
    if (open) {
      before = document.activeElement;
      element.querySelector("button")?.focus({ preventScroll: true });
    } else if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  };
  on(element, "keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) { event.preventDefault(); set(false); }
  });
  let remembered = "";
  try { remembered = localStorage.getItem(KEPT) ?? ""; } catch { /* Closed then. */ }

  return {
    element, veil,
    toggle: () => set(element.hidden),
    /** Opens it where it was open at the last visit. */
    restore() { if (remembered && wide.matches) set(true, true); },
    /** The question changed, or what it is asked of. */
    update() {
      if (element.hidden) return;
      const focused = body.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
      const section = focused?.closest(".panel-section");
      // Where someone is choosing the list stays as it is; the others follow.
      for (const [index, one] of [...body.children].entries()) {
        if (one === section) continue;
        one.lastElementChild?.replaceWith(picker(ORDER[index], { most: SHOWN }));
      }
    },
  };
}

