// The image of one's own that is searched with. It lives in this module's memory and nowhere else:
// neither the URL nor the browser's storage nor the daemon keeps it.

/** @typedef {{base64: string, name: string, preview: string}} Example preview: an object URL */

/** @type {Example | null} */
let held = null;

/** @returns {Example | null} */
export function current() {
  return held;
}

/** @param {Example | null} example */
export function hold(example) {
  if (held && held.preview !== example?.preview) URL.revokeObjectURL(held.preview);
  held = example;
}
