// Every text that the page shows or says to a screen reader. To translate the page, translate this.

const count = new Intl.NumberFormat("en");
const dates = new Intl.DateTimeFormat("en", { dateStyle: "long" });
const times = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const months = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });

/** @param {number} n @param {string} one @param {string} many */
const plural = (n, one, many) => `${count.format(n)} ${n === 1 ? one : many}`;

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

export const T = {
  name: "imgq",
  close: "Close",
  cancel: "Cancel",
  back: "Back",
  more: "More",
  loading: "Loading",
  copied: "Copied",
  copyFailed: "The browser did not allow copying. Select the text and copy it yourself.",
  skip: "Skip to the pictures",
  retry: "Try again",

  errors: {
    unreachable: "imgq's daemon does not answer. It may have been stopped: type `imgq --web` in a terminal to start it.",
    /** @param {number} status */
    status: (status) => `imgq's daemon failed (HTTP ${status}). Type \`imgqd logs\` in a terminal to see why.`,
    view: "This part of the page could not be loaded. Reload the page; if that does not help, install imgq again.",
  },

  enter: {
    title: "Open this page from a terminal",
    text: "Your pictures are shown only to you. In a terminal, type",
    command: "imgq --web",
    after: "and this page opens with a key of its own. The key is good once, for a minute.",
    expired: "That link was used before, or is older than a minute.",
  },

  views: {
    label: "Views",
    menu: "Menu",
    grid: "Pictures",
    collections: "Collections",
    duplicates: "Duplicates",
    numbers: "Numbers",
    folders: "Folders",
    problems: "Problems",
    model: "Model",
    status: "Status",
  },

  theme: { label: "Appearance", system: "System", light: "Light", dark: "Dark" },

  // The picture view, duplicates, collections, administration and numbers add their own below.
};

/** @param {number} n */
export const pictures = (n) => plural(n, "picture", "pictures");
/** @param {number} n */
export const files = (n) => plural(n, "file", "files");
export { plural };
