// Which file to show of a picture: the thumbnail that is made once, or the original, which is shown
// only in formats that every browser knows and the daemon serves inline.

/** Bytes of a placeholder. */
const PLACEHOLDER = 18;
/** As the daemon serves them inline; the words of the library's `format`. */
const SHOWN_AS_IS = new Set(["jpeg", "png", "webp", "gif", "avif"]);
/** The largest thumbnail. */
const THUMBNAIL_SIDE = 2048;
/** A little blur is not seen; loading tens of megabytes is. */
const WORTH_IT = 1.15;

/** @param {number} id @param {boolean} [download] @returns {string} */
export function originalAddress(id, download = false) {
  return `/v1/pictures/${id}/original${download ? "?download=1" : ""}`;
}

/**
 * The original's address when it would show more than the thumbnail at `shown` screen pixels.
 * @param {{id: number, width: number, height: number, format: string}} picture
 * @param {number} shown the longer side on the screen, in device pixels
 * @returns {string | null}
 */
export function loadOriginal(picture, shown) {
  if (!SHOWN_AS_IS.has(picture.format)) return null;
  // A GIF may move; its thumbnail does not.
  if (picture.format === "gif") return originalAddress(picture.id);
  const has = Math.max(picture.width, picture.height);
  if (has <= THUMBNAIL_SIDE || shown <= THUMBNAIL_SIDE * WORTH_IT) return null;
  return originalAddress(picture.id);
}

/** The last part of a path. @param {string} path */
export function fileName(path) {
  return path.split(/[\\/]/).pop() || path;
}

/**
 * The mean colour of a picture's placeholder, which is 12 cells of 4 bits for red, green and blue.
 * @param {Uint8Array | null} placeholders @param {number} at @returns {string} "" where there is none
 */
export function meanColour(placeholders, at) {
  const from = at * PLACEHOLDER;
  if (!placeholders || at < 0 || placeholders.length < from + PLACEHOLDER) return "";
  const sums = [0, 0, 0];
  for (let nibble = 0; nibble < 2 * PLACEHOLDER; nibble += 1) {
    const byte = placeholders[from + (nibble >> 1)];
    sums[nibble % 3] += nibble % 2 ? byte & 15 : byte >> 4;
  }
  const cells = (2 * PLACEHOLDER) / 3;
  return `rgb(${sums.map((sum) => Math.round((17 * sum) / cells)).join(" ")})`;
}
