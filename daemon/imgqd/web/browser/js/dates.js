// Days, months and years as the filters hold them (2024, 2024-06, 2024-06-30) and as people say them.
// `before` is the first moment that no longer counts, as on the command line.

import { T } from "./texts.js";

/** @param {number} n */
const two = (n) => String(n).padStart(2, "0");

/** @param {Date} date as the clock here shows it */
export const iso = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

/** Months since year 0: months as numbers that can be counted. @param {string} month 2024-06 */
export const monthNumber = (month) => Number(month.slice(0, 4)) * 12 + Number(month.slice(5, 7)) - 1;

/** @param {number} number @returns {string} 2024-06 */
export const monthOf = (number) => `${String(Math.floor(number / 12)).padStart(4, "0")}-${two((number % 12) + 1)}`;

/** The day after. @param {string} day 2024-06-30 */
export function dayAfter(day) {
  const date = new Date(`${day}T12:00:00`);
  date.setDate(date.getDate() + 1);
  return iso(date);
}

/** The day before. @param {string} day */
export function dayBefore(day) {
  const date = new Date(`${day}T12:00:00`);
  date.setDate(date.getDate() - 1);
  return iso(date);
}

/** Filters for whole months, `first` to `last` included. @param {number} first @param {number} last */
export function months(first, last) {
  if (first % 12 === 0 && last % 12 === 11) {
    return { after: monthOf(first).slice(0, 4), before: String(Math.floor((last + 1) / 12)).padStart(4, "0") };
  }
  return { after: monthOf(first), before: monthOf(last + 1) };
}

/**
 * The months that filters let through, as numbers; null at a side that is open or in other words.
 * @param {string} after @param {string} before @returns {{first: number | null, last: number | null}}
 */
export function monthsOf(after, before) {
  const from = /^(\d{4})(?:-(\d\d))?/.exec(after);
  const to = /^(\d{4})(?:-(\d\d))?(?:-(\d\d))?/.exec(before);
  const first = from ? Number(from[1]) * 12 + Number(from[2] ?? 1) - 1 : null;
  let last = to ? Number(to[1]) * 12 + Number(to[2] ?? 1) - 1 : null;
  // Until just before the first of a month is until the month before it.
  if (last !== null && to && (!to[3] || to[3] === "01")) last -= 1;
  return { first, last };
}

/** What a range is called. @param {string} after @param {string} before @returns {string} */
export function rangeText(after, before) {
  const plain = (/** @type {string} */ text) => /^\d{4}(-\d\d){0,2}$/.test(text);
  if (plain(after) && plain(before)) {
    if (after.length === 10 && before.length === 10) {
      const last = dayBefore(before);
      return last === after ? T.dates.day(after) : T.dates.between(T.dates.day(after), T.dates.day(last));
    }
    const { first, last } = monthsOf(after, before);
    if (first !== null && last !== null && after.length < 10 && before.length < 10) {
      if (first === last) return T.dates.month(monthOf(first));
      if (first % 12 === 0 && last % 12 === 11) {
        const years = [after.slice(0, 4), monthOf(last).slice(0, 4)];
        return years[0] === years[1] ? years[0] : T.dates.between(years[0], years[1]);
      }
      return T.dates.between(T.dates.month(monthOf(first)), T.dates.month(monthOf(last)));
    }
  }
  const said = (/** @type {string} */ text) => (!plain(text) ? text : text.length === 10 ? T.dates.day(text) : text.length === 7 ? T.dates.month(text) : text);
  if (after && before) return T.dates.between(said(after), said(before));
  return after ? T.dates.since(said(after)) : T.dates.until(said(before));
}
