// The daemon's status as it changes: asked for again after events, and now and then for what has no
// events (a download, memory).

import { api, subscribe } from "../api.js";

/** After an event: many come at once while a folder is indexed. */
const SOON_MS = 300;
const BUSY_MS = 1500;
const IDLE_MS = 15_000;
const KINDS = ["progress", "folder", "model", "problem", "picture-added", "picture-removed", "missed", "connected", "stopping"];

/**
 * Calls `told(status)` now and after each change, `told(null, error)` while the daemon cannot be
 * reached. @param {(status: any, error?: any) => void} told
 * @returns {{again: () => void, end: () => void}} `again` after a change of one's own
 */
export function followStatus(told) {
  let timer = 0;
  let due = Infinity;
  let ended = false;

  async function ask() {
    due = Infinity;
    let wait = BUSY_MS;
    try {
      const status = await api.get("/status");
      if (ended) return;
      told(status);
      if (status.state === "idle") wait = IDLE_MS;
    } catch (error) {
      if (ended) return;
      told(null, error);
    }
    later(wait);
  }

  /** @param {number} wait */
  function later(wait) {
    if (ended || performance.now() + wait >= due) return;
    clearTimeout(timer);
    due = performance.now() + wait;
    timer = window.setTimeout(() => {
      // Nobody looks: ask when somebody does.
      if (document.hidden) { due = Infinity; return; }
      void ask();
    }, wait);
  }

  const again = () => later(SOON_MS);
  const unsubscribe = subscribe(KINDS, again);
  const seen = () => { if (!document.hidden) again(); };
  document.addEventListener("visibilitychange", seen);
  void ask();
  return {
    again,
    end() {
      ended = true;
      clearTimeout(timer);
      unsubscribe();
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
