// When the pictures were taken, as bars to brush over: a drag, a click on a bar or a year, or the
// arrow keys on either end choose a range of months. Bars are years where months would be hairlines.

import * as address from "./address.js";
import { monthNumber, monthOf, months, monthsOf } from "./dates.js";
import { h, on, s, show } from "./dom.js";
import { facets } from "./facets.js";
import { number, T } from "./texts.js";

/** @typedef {import("./address.js").State} State */

const HEIGHT = 40;
const NARROWEST_BAR = 3;

export function timeline() {
  const bars = s("svg", { class: "timeline-bars", "aria-hidden": "true", preserveAspectRatio: "none" });
  const years = h("div", { class: "timeline-years", "aria-hidden": "true" });
  const range = h("div", { class: "timeline-range", "aria-hidden": "true" });
  const tip = h("div", { class: "timeline-tip", hidden: true, "aria-hidden": "true" });
  const from = handle(T.timeline.from);
  const to = handle(T.timeline.to);
  const track = h("div", { class: "timeline-track" }, range, bars, from, to);
  const element = h("section", { class: "timeline empty-handed", "aria-label": T.timeline.label }, track, years, tip);

  /** @type {Map<number, number>} pictures by month */
  let counts = new Map();
  let first = 0;
  let last = 0;
  let step = 1;
  /** @type {{low: number, high: number} | null} */
  let chosen = null;
  /** @type {{start: number, now: number, moved: boolean} | null} */
  let drag = null;
  let asked = 0;

  const span = () => last - first + 1;
  /** The month under a point of the window. @param {number} x */
  const monthAt = (x) => {
    const box = track.getBoundingClientRect();
    const at = first + Math.floor(((x - box.left) / box.width) * span());
    return Math.max(first, Math.min(last, at));
  };
  /** The bar that holds a month: where it begins and ends. @param {number} month */
  const bin = (month) => {
    const low = month - (month % step);
    return { low: Math.max(first, low), high: Math.min(last, low + step - 1) };
  };

  /** @param {number} low @param {number} high */
  const write = (low, high) => {
    const whole = low <= first && high >= last;
    address.write({ ...(whole ? { after: "", before: "" } : months(low, high)), view: "", picture: "" });
  };

  const drawBars = () => {
    const width = track.clientWidth || 800;
    step = width / span() >= NARROWEST_BAR ? 1 : 12;
    /** @type {Map<number, number>} */
    const binned = new Map();
    for (const [month, count] of counts) {
      const { low } = bin(month);
      binned.set(low, (binned.get(low) ?? 0) + count);
    }
    const most = Math.max(1, ...binned.values());
    bars.setAttribute("viewBox", `0 0 ${span()} ${HEIGHT}`);
    show(bars, [...binned].map(([low, count]) => {
      // By its root: a month with one picture is seen beside one with a thousand.
      const high = Math.max(2, Math.sqrt(count / most) * HEIGHT);
      const long = Math.min(step, last - low + 1);
      return s("rect", { x: low - first + long * 0.08, y: HEIGHT - high, width: long * 0.84, height: high, class: inside(low, low + long - 1) ? "in" : "out" });
    }));
    const begin = Math.ceil(first / 12);
    const end = Math.floor(last / 12);
    const every = Math.max(1, Math.ceil((44 * span()) / 12 / width));
    show(years, Array.from({ length: Math.max(0, end - begin + 1) }, (_, index) => begin + index)
      .filter((year) => year % every === 0 && ((year * 12 - first) / span()) * width < width - 34)
      .map((year) => h("button", {
        type: "button", tabindex: -1, style: { left: `${((year * 12 - first) / span()) * 100}%` },
        onclick: () => write(year * 12, (year + every) * 12 - 1),
      }, String(year))));
  };
  /** @param {number} low @param {number} high */
  const inside = (low, high) => !chosen || (high >= chosen.low && low <= chosen.high);
  const drawRange = () => {
    const low = chosen ? Math.max(first, chosen.low) : first;
    const high = chosen ? Math.min(last, chosen.high) : last;
    const left = ((low - first) / span()) * 100;
    const right = ((high + 1 - first) / span()) * 100;
    range.hidden = !chosen;
    element.classList.toggle("chosen", chosen !== null);
    range.style.left = `${left}%`;
    range.style.width = `${Math.max(0, right - left)}%`;
    place(from, left, low, first, high);
    place(to, right, high, low, last);
  };
  /** @param {HTMLElement} slider @param {number} at @param {number} value @param {number} min @param {number} max */
  const place = (slider, at, value, min, max) => {
    slider.style.left = `${at}%`;
    slider.setAttribute("aria-valuemin", String(min));
    slider.setAttribute("aria-valuemax", String(max));
    slider.setAttribute("aria-valuenow", String(value));
    slider.setAttribute("aria-valuetext", T.dates.month(monthOf(value)));
  };
  const draw = () => { drawBars(); drawRange(); };

  on(track, "pointerdown", (event) => {
    if (event.button !== 0) return;
    // A finger that moves down wants to scroll; the style allows only that (touch-action: pan-y).
    track.setPointerCapture(event.pointerId);
    const at = monthAt(event.clientX);
    const grabbed = event.target === from ? chosen?.high ?? last : event.target === to ? chosen?.low ?? first : at;
    drag = { start: grabbed, now: at, moved: event.target === from || event.target === to };
  });
  on(track, "pointermove", (event) => {
    const at = monthAt(event.clientX);
    hint(event.clientX, at);
    if (!drag) return;
    if (at !== drag.now) drag.moved = true;
    drag.now = at;
    if (!drag.moved) return;
    chosen = { low: bin(Math.min(drag.start, at)).low, high: bin(Math.max(drag.start, at)).high };
    draw();
  });
  on(track, "pointerup", () => {
    if (!drag) return;
    const { moved, now } = drag;
    drag = null;
    const bar = bin(now);
    const same = chosen && chosen.low === bar.low && chosen.high === bar.high;
    if (moved && chosen) write(chosen.low, chosen.high);
    // Another click on the only bar that is chosen lets all in again.
    else if (same) write(first, last);
    else write(bar.low, bar.high);
  });
  on(track, "pointercancel", () => { drag = null; update(address.read()); });
  on(track, "pointerleave", () => { tip.hidden = true; });

  /** @param {number} x @param {number} month */
  const hint = (x, month) => {
    const { low, high } = drag?.moved && chosen ? chosen : bin(month);
    let sum = 0;
    for (const [one, count] of counts) if (one >= low && one <= high) sum += count;
    const name = step === 12 && !drag ? monthOf(low).slice(0, 4) : low === high ? T.dates.month(monthOf(low)) : T.dates.between(T.dates.month(monthOf(low)), T.dates.month(monthOf(high)));
    tip.textContent = `${name} · ${number(sum)}`;
    tip.hidden = false;
    const box = element.getBoundingClientRect();
    tip.style.left = `${Math.max(tip.offsetWidth / 2, Math.min(box.width - tip.offsetWidth / 2, x - box.left))}px`;
  };

  for (const [slider, isFrom] of /** @type {[HTMLElement, boolean][]} */ ([[from, true], [to, false]])) {
    on(slider, "keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -12, PageUp: 12 }[/** @type {string} */ (event.key)];
      let low = chosen?.low ?? first;
      let high = chosen?.high ?? last;
      if (event.key === "Escape" && chosen) { low = first; high = last; }
      else if (event.key === "Home" && isFrom) low = first;
      else if (event.key === "End" && !isFrom) high = last;
      else if (by && isFrom) low = Math.max(first, Math.min(high, low + by));
      else if (by) high = Math.min(last, Math.max(low, high + by));
      else return;
      event.preventDefault();
      event.stopPropagation();
      write(low, high);
    });
  }

  const observer = new ResizeObserver(() => { if (counts.size) draw(); });
  observer.observe(track);

  /** @param {State} state */
  const mark = (state) => {
    const { first: low, last: high } = monthsOf(state.after, state.before);
    chosen = low === null && high === null ? null : { low: low ?? first, high: high ?? last };
  };
  /** @param {State} state */
  async function update(state) {
    const mine = ++asked;
    mark(state);
    if (counts.size) draw();
    let found;
    try {
      // Without the range itself: what lies outside has to be seen to be chosen.
      found = await facets(state, { after: "", before: "" });
    } catch {
      return;
    }
    if (mine !== asked || drag) return;
    const now = new Map(found.facets.month.filter(({ value }) => /^\d{4}-\d\d$/.test(value)).map(({ value, count }) => [monthNumber(value), count]));
    // Its place is kept while it is empty, so that the grid below never moves.
    element.classList.toggle("empty-handed", now.size === 0);
    if (!now.size) return;
    counts = now;
    const all = [...counts.keys()];
    first = Math.min(...all);
    last = Math.max(...all);
    // A single month would be one bar as wide as the window: it is shown within its year.
    if (last - first < 11) {
      first -= first % 12;
      last = Math.max(last, first + 11);
    }
    mark(state);
    draw();
  }
  return { element, update };
}

/** @param {string} label @returns {HTMLElement} */
function handle(label) {
  return h("div", { class: "timeline-handle", role: "slider", tabindex: "0", "aria-label": label });
}
