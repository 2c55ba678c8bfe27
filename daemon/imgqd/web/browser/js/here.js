// What only a browser on the daemon's machine is given: a folder can be picked there, and a file
// manager opened where the daemon can reach one.

import { api } from "./api.js";

/** @type {Promise<{local: boolean, reveals: boolean}> | null} */
let asked = null;

function session() {
  asked ??= api.get("/session").catch(() => { asked = null; return {}; });
  return asked;
}

/** @returns {Promise<boolean>} */
export const isLocal = async () => Boolean((await session())?.local);

/** @returns {Promise<boolean>} */
export const canReveal = async () => Boolean((await session())?.reveals);
