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

  picture: {
    label: "Picture",
    stage: "The picture. Plus and minus zoom, Shift with the arrows moves it.",
    close: "Close the picture",
    previous: "Previous picture",
    next: "Next picture",
    zoom: "Zoom",
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    fit: "Show all of it",
    actual: "One pixel for one pixel",
    move: "Move a zoomed picture",
    info: "What is known of it",
    favourite: "Favourite",
    isFavourite: "A favourite now",
    notFavourite: "No favourite any more",
    editTags: "Add tags",
    editDescription: "Describe it",
    /** @param {string} at @param {string} of */
    place: (at, of) => `${at} of ${of}`,
    /** @param {number} n */
    percent: (n) => `${n}%`,
    /** @param {number} n */
    percentLabel: (n) => `${n} percent of its size; show one pixel for one pixel`,
    /** @param {string} what */
    alt: (what) => what,
    /** @param {string} what @param {string} place */
    opened: (what, place) => (place ? `${what}, ${place}` : what),
    gone: "This picture is no longer in the library. It may have been moved, or deleted.",
    noThumbnail: "This picture cannot be read now. Its file may have moved, or its drive may be away.",
    noOriginal: "The original cannot be shown; this is the largest preview.",
    more: "More like this",
    less: "Less like this",
    but: "Similar, but…",
    butExample: "at night, in snow, without people",
    search: "Search",
    description: "Description",
    describe: "What only you know about it",
    unsaved: "Not saved yet",
    saving: "Saving…",
    saved: "Saved",
    /** @param {string} why */
    notSaved: (why) => `Not saved: ${why}`,
    tags: "Tags",
    addTag: "Add a tag",
    add: "Add",
    /** @param {string} tag */
    tagAdded: (tag) => `Tag ${tag} added`,
    /** @param {string} tag */
    tagRemoved: (tag) => `Tag ${tag} removed`,
    /** @param {string} tag */
    removeTag: (tag) => `Remove the tag ${tag}`,
    /** @param {string} tag */
    showTag: (tag) => `${tag}: show all with this tag`,
    facts: "Details",
    taken: "Taken",
    modified: "Changed",
    size: "Size",
    /** @param {string} width @param {string} height @param {string} mega */
    pixels: (width, height, mega) => `${width} × ${height} (${mega} MP)`,
    file: "Format",
    camera: "Camera",
    lens: "Lens",
    rating: "Rating",
    /** @param {number} n */
    stars: (n) => (n < 0 ? "Rejected" : `${plural(n, "star", "stars")} of 5`),
    rejected: "Rejected",
    keywords: "Keywords",
    location: "Place",
    id: "Its name on the command line",
    copyId: "Copy its name on the command line",
    copyPlace: "Copy the place",
    /** @param {number} latitude @param {number} longitude */
    degrees: (latitude, longitude) => `${Math.abs(latitude).toFixed(5)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude).toFixed(5)}° ${longitude < 0 ? "W" : "E"}`,
    /** @param {number} km */
    near: (km) => `Within ${km} km`,
    /** @param {string} day */
    showDay: (day) => `Show all of ${day}`,
    /** @param {string} format */
    showFormat: (format) => `${format}: show all in this format`,
    /** @param {string} camera */
    showCamera: (camera) => `${camera}: show all from this camera`,
    /** @param {string} word */
    showKeyword: (word) => `${word}: show all with this keyword`,
    /** @param {string} folder */
    showFolder: (folder) => `${folder}: show all in this folder`,
    /** @param {string} category */
    showCategory: (category) => `Show all of ${category}`,
    category: "What it shows",
    noCategory: "not known",
    computed: "as computed",
    fields: "Your own fields",
    fieldName: "Name",
    fieldValue: "Value",
    /** @param {string} name */
    removeField: (name) => `Remove the field ${name}`,
    where: "File",
    /** @param {number} n */
    copies: (n) => `${count.format(n)} exact copies`,
    /** @param {string} name */
    copyPath: (name) => `Copy the path of ${name}`,
    /** @param {string} name */
    reveal: (name) => `Show ${name} in the file manager`,
    revealed: "Shown in the file manager",
    download: "Download",
    shot: "The same shot",
    film: "Film",
    /** @param {string} name */
    openMember: (name) => `Open ${name}`,
  },

  // The picture view, duplicates, collections, administration and numbers add their own below.
};

/** @param {number} n */
export const pictures = (n) => plural(n, "picture", "pictures");
/** @param {number} n */
export const files = (n) => plural(n, "file", "files");
export { plural };
