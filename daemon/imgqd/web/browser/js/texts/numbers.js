// Texts of the view of numbers.

import { count, plural } from "./words.js";

export const numbers = {
  numbers: {
    library: "The library",
    use: "How it is used",
    empty: "There is nothing to count yet.",
    year: "By year",
    format: "By format",
    camera: "By camera",
    category: "By what they show",
    noValue: "unknown",
    asTable: "As a table",
    value: "Value",
    pictures: "Pictures",
    day: "Day",
    searches: "Searches",
    half: "Half answered within",
    most: "95% answered within",
    word: "Word",
    /** @param {number} n */
    others: (n) => `${count.format(n)} others`,
    /** @param {string} what @param {string[]} items */
    alternative: (what, items) => `${what}: ${items.join("; ")}`,
    /** @param {string} value @param {string} n */
    item: (value, n) => `${value} ${n}`,
    perDay: "Searches a day",
    latency: "Time to answer",
    /** @param {number} ms */
    ms: (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`),
    /** @param {number} n @param {string} day */
    total: (n, day) => `${plural(n, "search", "searches")} since ${day}`,
    noSearches: "Nothing was asked in this time.",
    words: "Words in questions",
    noWords: "Words are not counted; the setting count_words switches it on.",
    none: "None yet.",
    forgetWords: "Forget the words",
    forgetTitle: "Forget the words?",
    forgetText: "The counts of words in all questions are removed.",
    /** @param {string} value */
    show: (value) => `Show pictures: ${value}`,
    days: "Time",
    /** @param {number} n */
    lastDays: (n) => `Last ${n} days`,
  },
};
