// Starts the page: turns the key of a fresh link into a session, lays out what is always there, and
// shows the view that the URL names. Each view is a module `mount(root, state) -> {update(state),
// unmount()}`; all but the grid are loaded when they are first wanted.

import { arrived, onLocked } from "./api.js";
import * as address from "./address.js";
import * as browse from "./browse.js";
import { cover, h, icon, on, show } from "./dom.js";
import { enter, locked } from "./entering.js";
import { header } from "./header.js";
import * as results from "./results.js";
import { T } from "./texts.js";

/** @typedef {import("./address.js").State} State */
/** @typedef {{update: (state: State) => void, unmount: () => void}} View */
/** @typedef {{mount: (root: HTMLElement, state: State) => View | Promise<View>}} ViewModule */

/** @type {Record<string, () => Promise<ViewModule>>} */
const VIEWS = {
  collections: () => import("./collections.js"),
  duplicates: () => import("./duplicates.js"),
  numbers: () => import("./numbers.js"),
  folders: () => import("./admin/admin.js"),
  problems: () => import("./admin/admin.js"),
  model: () => import("./admin/admin.js"),
  status: () => import("./admin/admin.js"),
};

// Who waits for an answer longer than this sees the rest of the page meanwhile.
const WAIT_MS = 100;

/**
 * One place on the page that shows one module at a time.
 * @param {HTMLElement} root
 */
function slot(root) {
  /** @type {View | null} */
  let view = null;
  let shown = "";
  let turn = 0;
  const clear = () => {
    turn += 1;
    view?.unmount();
    view = null;
    shown = "";
    root.replaceChildren();
  };
  /** @param {string} name @param {(() => Promise<ViewModule>) | undefined} load @param {State} state */
  const put = async (name, load, state) => {
    if (name === shown) { view?.update(state); return; }
    clear();
    if (!load) return;
    shown = name;
    const mine = turn;
    try {
      const module = await load();
      if (mine !== turn) return;
      const mounted = await module.mount(root, address.read());
      if (mine === turn) view = mounted;
      else mounted.unmount();
    } catch (error) {
      if (mine !== turn) return;
      console.error(error);
      shown = "";
      show(root, h("div", { class: "empty", role: "alert" }, icon("warning"), h("p", null, T.errors.view),
        h("button", { type: "button", class: "button", onclick: () => location.reload() }, T.retry)));
    }
  };
  return { put, clear };
}

function start() {
  const app = /** @type {HTMLElement} */ (document.getElementById("app"));
  const grid = h("div", { class: "browse" });
  const other = h("div", { class: "view", hidden: true });
  const main = h("main", { id: "main", tabindex: "-1" }, grid, other);
  const overlay = h("div", { id: "picture" });
  const top = header(address.read());
  show(app, h("a", { class: "skip", href: "#main", onclick: skip }, T.skip), top.element, main);
  app.after(overlay);

  const browsing = browse.mount(grid, address.read());
  const views = slot(other);
  const picture = slot(overlay);
  let scrolled = 0;

  /** @param {State} state @param {State | null} before */
  const apply = (state, before) => {
    const elsewhere = state.view in VIEWS;
    if (elsewhere && !grid.hidden) scrolled = window.scrollY;
    const back = !elsewhere && grid.hidden;
    grid.hidden = elsewhere;
    other.hidden = !elsewhere;
    // One module serves several views, so its name is not enough to tell them apart.
    void views.put(elsewhere ? state.view : "", VIEWS[state.view], state);
    if (elsewhere && state.view !== before?.view) window.scrollTo(0, 0);
    if (back) window.scrollTo(0, scrolled);
    const open = state.picture !== "";
    app.inert = open;
    cover("covered", open);
    void picture.put(open ? "picture" : "", open ? () => import("./picture/picture.js") : undefined, state);
    top.update(state);
    browsing.update(state);
    if (!open) results.lend(null);
    if (before && before.picture !== "" && !open && !elsewhere) browsing.focus(Number(before.picture));
    document.title = title(state);
  };
  address.onChange(apply);
  apply(address.read(), null);
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

/** @param {State} state */
function title(state) {
  const view = /** @type {any} */ (T.views)[state.view];
  const said = state.view in VIEWS ? view : state.q.trim();
  return said ? `${said} · ${T.name}` : T.name;
}

onLocked(locked);
on(window, "pagehide", address.keepScroll);
// With its answer the page is drawn once; without, twice.
await arrived(WAIT_MS);
if (await enter()) start();
