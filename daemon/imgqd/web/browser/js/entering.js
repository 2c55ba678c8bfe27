// Getting in: the key of a link from `imgq --web` becomes a session, once; without one the page says
// how to get in, and shows nothing else.

import { api, ApiError } from "./api.js";
import { h, icon, show } from "./dom.js";
import { T } from "./texts.js";

/**
 * Trades the key in the URL for a session and takes it out of the URL and the history.
 * @returns {Promise<boolean>} false where the page stays closed
 */
export async function enter() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return true;
  history.replaceState(history.state, "", location.pathname + location.search);
  try {
    await api.post("/session", { key });
    return true;
  } catch (error) {
    // A link that was opened twice is no matter where the first opening's session holds.
    const open = await api.get("/session").then(() => true, () => false);
    if (!open) locked(error instanceof ApiError && error.status === 0 ? error.message : T.enter.expired);
    return open;
  }
}

let closed = false;

/** Shows how to get in, in place of the page. @param {string} [why] */
export function locked(why) {
  if (closed) return;
  closed = true;
  document.querySelectorAll("dialog, .popover, #picture").forEach((element) => element.remove());
  document.documentElement.classList.remove("covered");
  const app = /** @type {HTMLElement} */ (document.getElementById("app"));
  app.inert = false;
  show(app, h("main", { class: "empty" }, icon("lock"),
    h("h1", null, T.enter.title),
    why ? h("p", null, why) : null,
    h("p", null, T.enter.text, " ", h("code", null, T.enter.command), " ", T.enter.after)));
}
