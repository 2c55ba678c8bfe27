// What pointer, touch and keys do in the grid: open, move, select.

import * as address from "../address.js";
import { on } from "../dom.js";
import { describe, named } from "../keys.js";
import { toggleFavourite } from "../marking.js";
import { indexOf } from "../results.js";
import * as selection from "../selection.js";
import { toggle as toggleStack } from "../stacks.js";
import { T } from "../texts.js";
import { nearest, rowAt, rowOf } from "./geometry.js";

/** @typedef {import("./grid.js").Grid} Grid */

const LONG_PRESS_MS = 450;

/** @param {Grid} grid @returns {() => void} ends it */
export function act(grid) {
  const { element } = grid;
  let from = -1;
  let pressed = 0;
  let longPressed = false;

  /** @param {EventTarget | null} target */
  const indexAt = (target) => {
    const cell = target instanceof Element ? target.closest(".cell") : null;
    const id = cell instanceof HTMLElement ? Number(cell.dataset.id) : -1;
    return grid.cells.get(id)?.index ?? -1;
  };
  /** @param {number} a @param {number} b */
  const selectRange = (a, b) => {
    selection.add(grid.results.ids.slice(Math.min(a, b), Math.max(a, b) + 1));
  };
  /** @param {number} index */
  const toggle = (index) => {
    from = index;
    selection.toggle(grid.results.ids[index]);
  };
  /** @param {number} index */
  const open = (index) => address.write({ picture: String(grid.results.ids[index]) });

  /** @param {number} id */
  const unstack = async (id) => {
    const first = await toggleStack(id);
    if (first !== null) grid.activate(indexOf(first), { focus: element.contains(document.activeElement) });
  };

  const ends = [
    on(element, "click", (event) => {
      const index = indexAt(event.target);
      if (index < 0) return;
      if (longPressed) { longPressed = false; return; }
      grid.activate(index, { reveal: false });
      if (event.target.closest(".stack-badge")) { void unstack(grid.results.ids[index]); return; }
      const onMark = event.target.closest(".mark") !== null;
      if (event.shiftKey && from >= 0) selectRange(from, index);
      else if (onMark || event.ctrlKey || event.metaKey || selection.size()) toggle(index);
      else open(index);
    }),
    on(element, "pointerdown", (event) => {
      longPressed = false;
      clearTimeout(pressed);
      const index = indexAt(event.target);
      if (event.pointerType !== "touch" || index < 0) return;
      pressed = window.setTimeout(() => {
        longPressed = true;
        navigator.vibrate?.(12);
        toggle(index);
      }, LONG_PRESS_MS);
    }),
    ...["pointerup", "pointercancel", "pointermove"].map((kind) => on(element, kind, (event) => {
      // A finger never lies quite still.
      if (kind !== "pointermove" || Math.hypot(event.movementX, event.movementY) > 6) clearTimeout(pressed);
    })),
    on(element, "contextmenu", (event) => { if (longPressed) event.preventDefault(); }),
    on(element, "keydown", (event) => {
      if (event.defaultPrevented || !grid.geometry.count) return;
      const name = named(event);
      const to = moved(grid, name.replace("Shift+", ""));
      if (to !== null) {
        event.preventDefault();
        if (event.shiftKey) {
          if (from < 0 || !selection.size()) from = grid.active;
          selectRange(from, to);
        }
        grid.activate(to);
        return;
      }
      const id = grid.results.ids[grid.active];
      if (name === "Enter") open(grid.active);
      else if (name === "x" || name === "Space") toggle(grid.active);
      else if (name === "s") void unstack(id);
      else if (name === "f") void toggleFavourite(id);
      else if (name === "Ctrl+a") selection.add(grid.results.ids);
      else return;
      event.preventDefault();
    }),
    on(element, "focusin", (event) => {
      const index = indexAt(event.target);
      // Not scrolled to: a picture that moves away under a press would not be clicked.
      if (index >= 0 && index !== grid.active) grid.activate(index, { focus: false, reveal: false });
    }),
  ];
  return () => { clearTimeout(pressed); for (const end of ends) end(); };
}

describe(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], T.keys.move, T.keys.grid);
describe(["Home", "End"], T.keys.ends, T.keys.grid);
describe("Enter", T.keys.open, T.keys.grid);
describe(["x", "Space"], T.keys.select, T.keys.grid);
describe(["Shift+ArrowRight", "Ctrl+a"], T.keys.selectMore, T.keys.grid);
describe("s", T.keys.stack, T.keys.grid);
describe("f", T.keys.favourite, T.keys.grid);

/** Where a key moves to; null for keys that do not move. @param {Grid} grid @param {string} key @returns {number | null} */
function moved(grid, key) {
  const { geometry, active } = grid;
  const row = rowOf(geometry, active);
  const middle = geometry.left[active] + geometry.width[active] / 2;
  const page = Math.max(1, window.innerHeight - grid.covered() - 80);
  /** @param {number} to */
  const inRow = (to) => (to === row ? active : nearest(geometry, Math.max(0, Math.min(geometry.rows - 1, to)), middle));
  switch (key) {
    case "ArrowRight": return Math.min(geometry.count - 1, active + 1);
    case "ArrowLeft": return Math.max(0, active - 1);
    case "ArrowDown": return inRow(Math.min(geometry.rows - 1, row + 1));
    case "ArrowUp": return inRow(Math.max(0, row - 1));
    case "PageDown": return inRow(Math.max(row, rowAt(geometry, geometry.top[row] + page)));
    case "PageUp": return inRow(Math.min(row, rowAt(geometry, geometry.top[row] - page)));
    case "Home": return 0;
    case "End": return geometry.count - 1;
    default: return null;
  }
}
