// The bar at the top: the name, the search box, how far indexing is, and the menu of views.

import { api, subscribe } from "./api.js";
import * as address from "./address.js";
import { askBox } from "./ask.js";
import { h, icon, iconButton, popover, show } from "./dom.js";
import { openHelp } from "./help.js";
import { number, T } from "./texts.js";

const VIEWS = [
  ["", "pictures"], ["collections", "bookmark"], ["duplicates", "stack"], ["numbers", "chart"],
  ["folders", "folder"], ["problems", "warning"], ["model", "model"], ["status", "info"],
];
const THEMES = ["system", "light", "dark"];

/** @param {import("./address.js").State} state */
export function header(state) {
  const ask = askBox(state);
  const home = h("a", { class: "brand", href: "/", "aria-label": T.home, title: T.home, onclick: goHome },
    h("img", { src: "/icon.svg", alt: "", width: 28, height: 28 }), h("span", null, T.name));
  const menu = iconButton("menu", T.views.menu, () => {});
  popover(menu, viewMenu, { class: "menu", label: T.views.menu });
  const working = progress();
  const element = h("header", { class: "top" }, home, ask.element,
    h("div", { class: "top-actions" }, lost(), working, menu));
  return {
    element,
    /** @param {import("./address.js").State} next */
    update(next) {
      ask.update(next);
      element.classList.toggle("elsewhere", next.view !== "");
    },
  };
}

/** @param {MouseEvent} event */
function goHome(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  address.write(address.blank());
  window.scrollTo(0, 0);
}

/** @param {() => void} close */
function viewMenu(close) {
  const now = address.read().view;
  const links = VIEWS.map(([view, drawing]) => {
    const name = /** @type {any} */ (T.views)[view || "grid"];
    return h("a", {
      class: "option", href: address.href({ ...address.read(), view, picture: "" }),
      "aria-current": view === now ? "page" : null,
      onclick(/** @type {MouseEvent} */ event) {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        close();
        address.write({ view, picture: "" });
      },
    }, icon(drawing), h("span", { class: "grow" }, name));
  });
  return [
    h("nav", { "aria-label": T.views.label }, links),
    h("div", { class: "menu-rule" }),
    themes(),
    h("button", { type: "button", class: "option", onclick: () => { close(); openHelp(); } },
      icon("help"), h("span", { class: "grow" }, T.help.open), h("kbd", null, "?")),
  ];
}

function themes() {
  const root = document.documentElement;
  const group = h("div", { class: "segments", role: "radiogroup", "aria-label": T.theme.label });
  const draw = () => {
    const now = root.dataset.theme ?? "system";
    show(group, THEMES.map((theme) => h("button", {
      type: "button", role: "radio", "aria-checked": String(theme === now), tabindex: theme === now ? 0 : -1,
      onclick: () => choose(theme),
      onkeydown(/** @type {KeyboardEvent} */ event) {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        choose(THEMES[(THEMES.indexOf(now) + step + THEMES.length) % THEMES.length]);
      },
    }, /** @type {any} */ (T.theme)[theme])));
  };
  const choose = (/** @type {string} */ theme) => {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      if (theme === "system") localStorage.removeItem("imgq-theme");
      else localStorage.setItem("imgq-theme", theme);
    } catch {
      // Storage can be switched off; the choice then holds until the page is closed.
    }
    draw();
    group.querySelector("[aria-checked='true']")?.focus();
  };
  draw();
  return group;
}

const PATIENCE_MS = 2500;

/** Says that the daemon is away; it goes by itself when it is back. */
function lost() {
  const element = h("span", { class: "lost", role: "alert", hidden: true, title: T.errors.unreachable },
    icon("warning"), h("span", { class: "wide-only" }, T.errors.lost));
  let waiting = 0;
  subscribe("lost", () => {
    // A stream that breaks is mended within a moment; only what lasts is worth a word.
    if (!waiting) waiting = window.setTimeout(() => { element.hidden = false; }, PATIENCE_MS);
  });
  subscribe("connected", () => {
    clearTimeout(waiting);
    waiting = 0;
    element.hidden = true;
  });
  return element;
}

/** A ring that is there only while pictures are being indexed. */
function progress() {
  const ring = h("span", { class: "ring", "aria-hidden": "true" });
  const label = h("span", { class: "number" });
  const link = h("a", {
    class: "working", hidden: true, href: address.href({ ...address.blank(), view: "status" }),
    onclick(/** @type {MouseEvent} */ event) {
      event.preventDefault();
      address.write({ view: "status", picture: "" });
    },
  }, ring, label);
  /** @param {{done: number, total: number, stage: string}} at */
  const draw = ({ done, total }) => {
    const left = total - done;
    link.hidden = !(total > 0 && left > 0);
    if (link.hidden) return;
    ring.style.setProperty("--part", String(done / total));
    label.textContent = number(left);
    link.title = T.indexing(done, total);
    link.setAttribute("aria-label", T.indexing(done, total));
  };
  subscribe("progress", draw);
  // The stream tells of what happens from now on; how things stand has to be asked.
  subscribe("connected", () => {
    api.get("/status").then((status) => { if (status.progress) draw(status.progress); }, () => {});
  });
  return link;
}
