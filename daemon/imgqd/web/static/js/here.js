// Whether the browser is on the daemon's machine: only then can a file manager be opened there and
// a folder be picked.

import { api } from "./api.js";

/** @type {Promise<boolean> | null} */
let local = null;

/** @returns {Promise<boolean>} */
export function isLocal() {
  local ??= api.get("/session").then((answer) => Boolean(answer?.local), () => { local = null; return false; });
  return local;
}
