// Texts of the search box, filters, dates, order.

import { count, day, month, plural } from "./words.js";

export const asking = {
  ask: {
    label: "Ask for pictures",
    placeholder: "Describe a picture",
    go: "Search",
    clear: "Clear the search",
    example: "Search with an image of your own",
    offers: "Suggestions",
    saved: "Saved searches",
    tag: "Tags",
    history: "Asked before",
    /** @param {number} n */
    withFilters: (n) => `+ ${plural(n, "filter", "filters")}`,
    like: "More like this",
    unlike: "Less like this",
    yours: "Your image",
    exampleGone: "Your image is gone",
    exampleGoneWhy: "An image of your own is not kept over a reload. Drop or paste it again.",
    drop: "Drop the image to find pictures like it",
    /** @param {string} name */
    notImage: (name) => `${name} is not an image. Drop a photo or a picture file.`,
    /** @param {string} name */
    tooLarge: (name) => `${name} is larger than 60 MB and this browser cannot make it smaller. Save a smaller copy of it first.`,
    /** @param {string} name */
    unreadable: (name) => `${name} cannot be read. Check that the file is still there.`,
  },

  filters: {
    label: "Filters",
    folder: "Folder",
    date: "Date",
    type: "Format",
    camera: "Camera",
    tag: "Tag",
    category: "Category",
    rating: "Rating",
    orientation: "Shape",
    landscape: "Landscape",
    portrait: "Portrait",
    square: "Square",
    /** @param {string} what */
    remove: (what) => `Remove: ${what}`,
    /** @param {string} name */
    none: (name) => ({
      folder: "There are no folders here.", type: "There are no pictures here.", camera: "No picture here names its camera.",
      tag: "No picture here has a tag. Select some to tag them.", category: "No picture here has a category yet.",
    })[name] ?? "Nothing here.",
    noneFits: "None fits.",
    /** @param {string} name */
    find: (name) => `Find a ${name}`,
    /** @param {number} n */
    all: (n) => `Show all ${count.format(n)}`,
    /** @param {number} n */
    stars: (n) => (n < 0 ? "Rejected too" : n === 0 ? "Not rejected" : n === 5 ? "5 stars" : `${plural(n, "star", "stars")} or more`),
    /** @param {string} place LAT,LON,KM */
    near: (place) => { const [lat, lon, km] = place.split(","); return `Within ${km} km of ${lat}, ${lon}`; },
    /** @param {string} words */
    words: (words) => `With the words ${words}`,
    /** @param {string} size */
    minSize: (size) => `At least ${size.replace("x", " × ")}`,
    /** @param {string} score */
    minScore: (score) => `Score of at least ${score}`,
    relevant: "Only what fits",
    diverse: "Varied",
    everyFile: "Every file of a shot",
  },

  dates: {
    day, month,
    any: "Any time",
    week: "Last 7 days",
    month30: "Last 30 days",
    from: "From",
    to: "To",
    apply: "Apply",
    /** @param {string} a @param {string} b */
    between: (a, b) => `${a} – ${b}`,
    /** @param {string} a */
    since: (a) => `Since ${a}`,
    /** @param {string} a */
    until: (a) => `Before ${a}`,
  },

  /** @param {string} word as the daemon names formats */
  format: (word) => ({ jpeg: "JPEG", png: "PNG", heic: "HEIC", webp: "WebP", gif: "GIF", avif: "AVIF", tiff: "TIFF", raw: "RAW", bmp: "BMP", jxl: "JPEG XL" })[word] ?? word,

  sort: { label: "Sort", best: "Best first", newest: "Newest first", oldest: "Oldest first" },
  panel: { label: "Refine", toggle: "Refine" },
  timeline: { label: "When pictures were taken", from: "Taken from", to: "Taken until" },
};
