// Texts of what is always there: the bar at the top, views, keys, help, errors.

import { count } from "./words.js";

export const frame = {
  name: "imgq",
  close: "Close",
  cancel: "Cancel",
  loading: "Loading",
  copied: "Copied",
  copyFailed: "The browser did not allow copying. Select the text and copy it yourself.",
  skip: "Skip to the pictures",
  retry: "Try again",

  errors: {
    lost: "Not connected",
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

  home: "imgq: all pictures",

  /** @param {number} done @param {number} total */
  indexing: (done, total) => `${count.format(done)} of ${count.format(total)} pictures are indexed`,

  keys: {
    everywhere: "Everywhere",
    grid: "In the grid",
    ask: "Ask",
    help: "This help",
    move: "Move between pictures",
    ends: "First and last picture",
    open: "Open the picture",
    select: "Select the picture",
    selectMore: "Select a range, or all",
    favourite: "Make it a favourite, or not any more",
    stack: "Open or close a stack of pictures that look alike",
    clear: "Clear the selection",
    names: { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", Enter: "Enter", Space: "Space", Shift: "Shift", Ctrl: "Ctrl" },
  },

  help: {
    open: "Help and keys",
    title: "Help",
    asking: "What you can ask",
    language: [
      ["a dog on the beach", "what is to be seen, in your words"],
      ["beach + sunset^2", "several things together, the second twice as important"],
      ["beach -people", "and what is not to be seen"],
      ["-\"parked cars\"", "more than one word that is not to be seen"],
      ["id:12", "like the picture of this name"],
    ],
  },

  theme: { label: "Appearance", system: "System", light: "Light", dark: "Dark" },
};
