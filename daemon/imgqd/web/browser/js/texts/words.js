// How numbers, sizes and times are written, in the language of the texts beside this file.

export const count = new Intl.NumberFormat("en");
const dates = new Intl.DateTimeFormat("en", { dateStyle: "long" });
const times = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const months = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });

/** @param {number} n @param {string} one @param {string} many */
export const plural = (n, one, many) => `${count.format(n)} ${n === 1 ? one : many}`;

/** A whole number for people. @param {number} n */
export const number = (n) => count.format(n);

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** @param {string} iso */
export const day = (iso) => dates.format(new Date(iso));
/** @param {string} iso */
export const moment = (iso) => times.format(new Date(iso));
/** @param {string} month 2024-06 */
export const month = (month) => months.format(new Date(`${month}-15T00:00:00Z`));

/** @param {number} n */
export const pictures = (n) => plural(n, "picture", "pictures");
/** @param {number} n */
export const files = (n) => plural(n, "file", "files");
