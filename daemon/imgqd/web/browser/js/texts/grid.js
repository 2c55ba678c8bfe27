// Texts of the grid, the selection, and what stands in its place.

import { count, day, plural } from "./words.js";

export const grid = {
  grid: {
    label: "Pictures",
    /** @param {number} n */
    picture: (n) => `Picture ${count.format(n)}`,
    /** What stands behind a picture. @param {{copies: number, shots: number, alike: unknown[]}} of */
    stack: ({ copies, shots, alike }) => [
      copies && plural(copies, "exact copy", "exact copies"),
      shots && `${plural(shots, "more file", "more files")} of this shot`,
      alike.length && `${count.format(alike.length)} more that ${alike.length === 1 ? "looks" : "look"} alike`,
    ].filter(Boolean).join(", "),
    /** @param {string} what */
    unstack: (what) => `${what}: show them here, or no longer`,
    /** @param {number} n */
    stackOpened: (n) => `The stack is open: ${plural(n, "picture", "pictures")}`,
    stackClosed: "The stack is closed",
    stacking: "Stack pictures that look alike",
    /** @param {number} score @param {number | null} relevance */
    score: (score, relevance) => (relevance === null ? score.toFixed(3) : `${Math.round(relevance * 100)}% · ${score.toFixed(3)}`),
    /** @param {any} picture as /v1/pictures gives it */
    named: (picture) => {
      const name = picture.title || picture.path.split(/[\\/]/).at(-1);
      const when = picture.taken ? `, ${day(picture.taken)}` : "";
      const shows = picture.description ? `, ${picture.description}` : "";
      return `${name}${when}${shows}`;
    },
    /** @param {number} n */
    fresh: (n) => `${count.format(n)} new`,
    /** @param {number} n */
    best: (n) => `The best ${count.format(n)}`,
  },

  select: {
    label: "Selected pictures",
    clear: "Clear the selection",
    /** @param {number} n */
    count: (n) => `${count.format(n)} selected`,
    like: "Find similar",
    favourite: "Favourite",
    /** @param {number} n */
    favourited: (n) => `${plural(n, "picture is a favourite", "pictures are favourites")} now`,
    tag: "Tag",
    /** @param {number} n */
    tagTitle: (n) => `Tag ${plural(n, "picture", "pictures")}`,
    tagLabel: "Tags, with commas between them",
    tagPlaceholder: "norway, to print",
    addTags: "Add",
    removeTags: "Remove",
    /** @param {number} n @param {string[]} tags @param {boolean} added */
    tagged: (n, tags, added) => `${tags.join(", ")} ${added ? "added to" : "removed from"} ${plural(n, "picture", "pictures")}`,
    copy: "Copy paths",
    /** @param {number} n */
    copied: (n) => `${plural(n, "path", "paths")} copied`,
  },

  marking: { favourite: "A favourite now", notFavourite: "No favourite any more" },

  empty: {
    welcome: "Which pictures shall imgq look at?",
    addFolder: "Choose a folder of photographs. They stay where they are, and nothing leaves this computer.",
    chooseFolder: "Choose a folder",
    orTerminal: "Or in a terminal:",
    indexing: "Looking at your pictures",
    indexingText: "The first ones appear here in a moment. You can search while the rest follow.",
    noPictures: "No pictures here yet",
    noPicturesText: "The folders that imgq watches hold no picture that it can read.",
    notFound: "Nothing fits",
    /** @param {string} q */
    notFoundFor: (q) => `Nothing fits “${q.trim()}”`,
    tryFilters: "Something may fit without the filters.",
    tryWords: "Try fewer or other words: what is to be seen, not the name of a file.",
    dropFilters: "Remove the filters",
    lessStrict: "Show what fits less well",
    showAll: "Show all pictures",
    /** @param {number} n */
    stillIndexing: (n) => `${plural(n, "picture is", "pictures are")} still to be indexed.`,
    notNow: "Not yet",
    failed: "That did not work",
    triesAgain: "This page tries again by itself.",
  },
};
