// Keeps the grid in step with the library: what the daemon tells of is gathered for a moment, then
// the question is asked again.

import { subscribe } from "./api.js";

const SOON_MS = 400;
// While thousands are indexed, asking again may take this share of the time and no more.
const SHARE = 8;

/**
 * @param {() => Promise<void>} again asks the question again
 * @param {(id: number) => void} changed one picture is not as it was
 * @returns {() => void} ends it
 */
export function live(again, changed) {
  let timer = 0;
  let busy = false;
  let wanted = false;
  let cost = 0;
  const run = async () => {
    timer = 0;
    if (busy || document.hidden) { wanted = true; return; }
    busy = true;
    wanted = false;
    const start = performance.now();
    await again();
    cost = performance.now() - start;
    busy = false;
    if (wanted) soon();
  };
  const soon = () => {
    if (!timer) timer = window.setTimeout(() => void run(), Math.max(SOON_MS, cost * SHARE));
  };
  // The first connection follows the first answer; only a later one may have missed something.
  let connected = false;
  const ends = [
    subscribe(["picture-added", "picture-removed"], soon),
    subscribe("picture-changed", ({ id }) => { changed(id); soon(); }),
    subscribe(["folder", "missed", "alike"], soon),
    subscribe("model", soon),
    subscribe("connected", () => { if (connected) soon(); connected = true; }),
  ];
  const shown = () => { if (!document.hidden && wanted) soon(); };
  document.addEventListener("visibilitychange", shown);
  return () => {
    for (const end of ends) end();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", shown);
  };
}
