// Making elements, dialogs and announcements. Text becomes text nodes only: a file may be named
// like HTML, and nothing here ever parses HTML.

import { T } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "use", "g", "rect", "line", "circle", "text", "polyline", "polygon", "title"]);

/**
 * An element. Props: `class`, `dataset: {}`, `style: {}` (custom properties too), `onclick: fn` and
 * other listeners, `ref: fn`, and attributes (true: present, false or null: absent). Children: nodes,
 * texts, numbers, lists of them; null and false are left out. SVG tags are made as SVG inside `svg`;
 * for SVG's `text` and `title` use `s`.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...any} children
 * @returns {any}
 */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Like `h`, for SVG elements. @param {string} tag @param {Record<string, any> | null} [props] @param {...any} children @returns {any} */
export function s(tag, props, ...children) {
  if (!SVG_TAGS.has(tag)) throw new TypeError(`not an SVG element of ours: ${tag}`);
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.setAttribute("class", value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") {
      for (const [key, to] of Object.entries(value)) element.style.setProperty(key, String(to));
    } else if (name === "ref") value(element);
    else if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2), value);
    } else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child instanceof Node ? child : String(child));
  }
}

/** Replaces what is in `element`. @param {Element} element @param {...any} children */
export function show(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/**
 * Listens, and returns what ends it.
 * @param {EventTarget} target @param {string} kind @param {(event: any) => void} listener
 * @param {AddEventListenerOptions} [options] @returns {() => void}
 */
export function on(target, kind, listener, options) {
  target.addEventListener(kind, listener, options);
  return () => target.removeEventListener(kind, listener, options);
}

/** One of the drawings in icons.svg, for decoration only: its button has the label. @param {string} name */
export function icon(name) {
  return s("svg", { class: "icon", "aria-hidden": "true", focusable: "false" },
    s("use", { href: `#icon-${name}` }));
}

/**
 * A round button with a drawing and a label for those who cannot see it.
 * @param {string} name @param {string} label @param {(event: any) => void} onclick @param {Record<string, any>} [props]
 */
export function iconButton(name, label, onclick, props = {}) {
  const more = props.class ? ` ${props.class}` : "";
  return h("button", { type: "button", title: label, "aria-label": label, onclick, ...props, class: `icon-button${more}` },
    icon(name));
}

/** Resolves when what is in the document now has been painted. @returns {Promise<void>} */
export function painted() {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}

/** Says `text` to screen readers. @param {string} text */
export function announce(text) {
  const live = document.getElementById("live");
  if (!live) return;
  live.textContent = "";
  // A text that is set again as it was is not read again unless it was gone in between.
  requestAnimationFrame(() => { live.textContent = text; });
}

/**
 * Marks that something lies over the page, which then does not scroll below it nor move sideways:
 * the place of its scrollbar is covered too.
 * @param {"covered" | "sheet" | "modal"} name @param {boolean} yes
 */
export function cover(name, yes) {
  const root = document.documentElement;
  if (yes && !root.matches(".covered, .sheet, .modal")) root.style.setProperty("--gutter", `${window.innerWidth - root.getBoundingClientRect().width}px`);
  root.classList.toggle(name, yes);
}

/**
 * A modal dialog: focus stays inside and goes back to where it was; Esc and a click beside it close.
 * @param {string} title @param {any} content
 * @param {{class?: string, onclose?: () => void}} [options]
 * @returns {{element: HTMLDialogElement, close: () => void}}
 */
export function dialog(title, content, options = {}) {
  const before = document.activeElement;
  const id = `dialog-${Math.random().toString(36).slice(2)}`;
  /** @type {HTMLDialogElement} */
  const element = h("dialog", { class: `dialog ${options.class ?? ""}`, "aria-labelledby": id },
    h("header", { class: "dialog-head" },
      h("h2", { id }, title),
      iconButton("close", T.close, () => element.close())),
    h("div", { class: "dialog-body" }, content));
  on(element, "click", (event) => { if (event.target === element) element.close(); });
  on(element, "close", () => {
    element.remove();
    cover("modal", document.querySelector("dialog[open]") !== null);
    if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    options.onclose?.();
  });
  document.body.append(element);
  cover("modal", true);
  element.showModal();
  return { element, close: () => element.close() };
}

/**
 * Asks yes or no. @param {string} title @param {string} text @param {string} yes
 * @returns {Promise<boolean>}
 */
export function confirm(title, text, yes) {
  return new Promise((answer) => {
    let said = false;
    const { close } = dialog(title, [
      h("p", null, text),
      h("div", { class: "dialog-actions" },
        h("button", { type: "button", class: "button", onclick: () => close() }, T.cancel),
        h("button", { type: "button", class: "button primary", onclick: () => { said = true; close(); } }, yes)),
    ], { onclose: () => answer(said) });
  });
}

/** A short message at the foot of the page, gone by itself. @param {string} text @param {{danger?: boolean}} [options] */
export function toast(text, options = {}) {
  document.querySelector(".toast")?.remove();
  const element = h("div", { class: `toast${options.danger ? " danger" : ""}` }, text);
  document.body.append(element);
  announce(text);
  setTimeout(() => element.remove(), options.danger ? 8000 : 3500);
}

/**
 * A small surface that belongs to a button: opens below it, closes on Esc, on a click elsewhere and
 * when focus leaves it. `content` is called each time it opens.
 * @param {HTMLElement} button @param {(close: () => void) => any} content
 * @param {{class?: string, label?: string, onclose?: () => void}} [options]
 */
export function popover(button, content, options = {}) {
  /** @type {any} */
  let panel = null;
  /** @type {Array<() => void>} */
  let ends = [];
  const close = (refocus = false) => {
    if (!panel) return;
    panel.remove();
    panel = null;
    for (const end of ends) end();
    ends = [];
    button.setAttribute("aria-expanded", "false");
    if (refocus) button.focus({ preventScroll: true });
    options.onclose?.();
  };
  /** Up and down go through the options. @param {KeyboardEvent} event */
  const step = (event) => {
    const all = [.../** @type {NodeListOf<HTMLElement>} */ (panel?.querySelectorAll(".option") ?? [])];
    if (!all.length || (event.target instanceof HTMLInputElement && event.target.type !== "text")) return;
    event.preventDefault();
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = event.key === "ArrowDown" ? at + 1 : at < 0 ? all.length - 1 : at - 1;
    all[(to + all.length) % all.length].focus();
  };
  const place = () => {
    if (!panel) return;
    const at = button.getBoundingClientRect();
    const width = panel.offsetWidth;
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - width - 8));
    panel.style.left = `${left}px`;
    panel.style.top = `${at.bottom + 6}px`;
    panel.style.maxHeight = `${Math.max(160, window.innerHeight - at.bottom - 20)}px`;
  };
  const open = () => {
    panel = h("div", { class: `popover ${options.class ?? ""}`, role: "dialog", tabindex: "-1", "aria-label": options.label ?? button.textContent },
      content(() => close(true)));
    document.body.append(panel);
    button.setAttribute("aria-expanded", "true");
    place();
    ends = [
      on(document, "pointerdown", (event) => {
        if (!panel?.contains(event.target) && !button.contains(event.target)) close();
      }, { capture: true }),
      on(document, "keydown", (event) => {
        if (event.key === "Escape") { event.stopPropagation(); event.preventDefault(); close(true); }
        else if (event.key === "ArrowDown" || event.key === "ArrowUp") step(event);
      }, { capture: true }),
      on(panel, "focusout", (event) => {
        if (event.relatedTarget && !panel?.contains(event.relatedTarget) && event.relatedTarget !== button) close();
      }),
      on(window, "resize", place),
      on(window, "scroll", place, { passive: true }),
    ];
    const first = panel.querySelector("input, button, a[href], [tabindex='0']");
    (first instanceof HTMLElement ? first : panel)?.focus({ preventScroll: true });
  };
  button.setAttribute("aria-haspopup", "dialog");
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => (panel ? close(true) : open()));
  return { close, place };
}
