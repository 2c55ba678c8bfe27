// Texts of collections and duplicates.

import { count, plural } from "./words.js";

export const collections = {
  collections: {
    favourites: "Favourites",
    noFavourites: "Give a picture a star, and it is here. In a terminal: imgq --tag favourite",
    /** @param {string} what */
    allOf: (what) => `Show all: ${what}`,
    /** @param {number} id */
    open: (id) => `Open the favourite picture ${id}`,
    saved: "Saved searches",
    keep: "Keep the present question under a name",
    askFirst: "Ask something first; then it can be kept here under a name.",
    nameExample: "a-name",
    save: "Save",
    /** @type {Record<string, string>} */
    untold: { in: "a folder whose name is not text", example: "the example from this computer", sort: "the order" },
    /** @param {string} what */
    leftOut: (what) => `Not kept: ${what}. A saved question is one that a terminal can ask too.`,
    replaceTitle: "Replace it?",
    /** @param {string} name */
    replace: (name) => `There is a saved search ${name} already. Replace it with this question?`,
    replaceYes: "Replace",
    /** @param {string} name */
    kept: (name) => `Saved. In a terminal: imgq @${name}`,
    noneSaved: "Nothing is saved yet.",
    /** @param {string} options @param {string} name */
    unknown: (options, name) => `This page leaves out ${options}; in a terminal, imgq @${name} asks all of it.`,
    /** @param {string} options */
    only: (options) => `This page leaves out ${options}.`,
    /** @param {string} name */
    copyCommand: (name) => `Copy the command imgq @${name}`,
    /** @param {string} name */
    rename: (name) => `Rename ${name}`,
    renameYes: "Rename",
    newName: "New name: letters, digits, - . and _",
    /** @param {string} name */
    taken: (name) => `There is a saved search ${name} already.`,
    /** @param {string} name */
    renamed: (name) => `It is ${name} now`,
    /** @param {string} name */
    forget: (name) => `Remove ${name}`,
    forgetTitle: "Remove this saved search?",
    /** @param {string} name */
    forgetText: (name) => `${name} is removed here and from the command line. Pictures are not touched.`,
    forgetYes: "Remove",
    history: "History",
    noHistory: "Nothing was asked yet.",
    notKept: "No history is kept (setting history). What was kept before is below.",
    clear: "Clear the history",
    clearTitle: "Clear the history?",
    clearText: "What was asked here and in terminals is forgotten.",
    cleared: "The history is empty",
  },

  duplicates: {
    what: "Pictures that look the same. Choose what to keep; the paths of the rest can be copied. Nothing is ever deleted here.",
    threshold: "How alike",
    /** @param {number} cosine */
    alike: (cosine) => (cosine >= 1 ? "the same (1.000)" : `${cosine.toFixed(3)} or more`),
    rule: "Suggest to keep",
    /** @type {Record<string, string>} */
    rules: { largest: "the largest", oldest: "the oldest", newest: "the newest", shortest: "the shortest path" },
    /** @param {string} folders */
    inside: (folders) => `Only below ${folders}`,
    odd: "a folder whose name is not text",
    looking: "Looking for pictures that look the same…",
    none: "No two pictures look that much alike.",
    /** @param {number} groups @param {number} exact */
    found: (groups, exact) => `${plural(groups, "group", "groups")}, ${count.format(exact)} of them exact copies`,
    pages: "Pages of groups",
    before: "Groups before these",
    after: "Groups after these",
    /** @param {string} from @param {string} to @param {string} of */
    page: (from, to, of) => `${from} to ${to} of ${of}`,
    /** @param {number} n */
    exact: (n) => `${count.format(n)} exact copies`,
    /** @param {number} n @param {number} cosine */
    near: (n, cosine) => `${count.format(n)} alike (${cosine.toFixed(3)})`,
    /** @param {string} at @param {string} what */
    group: (at, what) => `Group ${at}: ${what}`,
    keep: "Keep",
    keepAll: "Keep all",
    /** @param {number} n */
    rest: (n) => (n ? `${count.format(n)} not kept` : "all kept"),
    keepOne: "Keep at least one; until then none of these is listed.",
    /** @param {number} n */
    more: (n) => `Show ${plural(n, "more file", "more files")}`,
    /** @param {string} name */
    open: (name) => `Open ${name}`,
    list: "List the paths",
    /** @param {string} what @param {string} size */
    notKept: (what, size) => `Not kept: ${what}, ${size}`,
    /** @param {string} what */
    listTitle: (what) => `Not kept: ${what}`,
    never: "imgq deletes nothing. Look at the list before you give it to a program that does.",
    paths: "Paths that are not kept",
    /** @param {string} what */
    andMore: (what) => `… and ${what} more`,
    /** @param {string} what */
    oddNames: (what) => `The names of ${what} have line breaks or bytes that are not text, so they are not in the lines. They are in the other two forms.`,
    saveNul: "Save with NUL between",
    copyShell: "Copy quoted for a shell",
    copyLines: "Copy, one a line",
    /** @param {string} what */
    copied: (what) => `The paths of ${what} are copied`,
  },
};
