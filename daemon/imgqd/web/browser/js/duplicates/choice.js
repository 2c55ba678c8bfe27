// What is kept of each group of duplicates: suggested by a rule, changed by a person. Plain data,
// without a page; thousands of groups are only arrays and one set.

/** @typedef {{id: number, path: string, path_b64?: string, bytes: number, width: number, height: number, modified: string}} File */
/** @typedef {{kind: string, similarity: number, files: File[]}} Group */

const area = (file) => file.width * file.height;
const time = (file) => Date.parse(file.modified) || 0;
/** Each orders the files of a group, the one to keep first; what is equal is left to the next. @type {Record<string, ((a: File, b: File) => number)[]>} */
const ORDERS = {
  largest: [(a, b) => area(b) - area(a), (a, b) => b.bytes - a.bytes, (a, b) => time(a) - time(b), (a, b) => a.path.length - b.path.length],
  oldest: [(a, b) => time(a) - time(b), (a, b) => area(b) - area(a), (a, b) => b.bytes - a.bytes, (a, b) => a.path.length - b.path.length],
  newest: [(a, b) => time(b) - time(a), (a, b) => area(b) - area(a), (a, b) => b.bytes - a.bytes, (a, b) => a.path.length - b.path.length],
  shortest: [(a, b) => a.path.length - b.path.length, (a, b) => area(b) - area(a), (a, b) => time(a) - time(b)],
};

/** The names of the rules, the usual one first. */
export const RULES = Object.keys(ORDERS);

/** The file that a rule keeps. @param {Group} group @param {string} rule @returns {File} */
export function best(group, rule) {
  return group.files.reduce((kept, file) => {
    for (const order of ORDERS[rule]) {
      const difference = order(kept, file);
      if (difference) return difference < 0 ? kept : file;
    }
    return kept;
  });
}

/** Where a file is and what it is called, without its ending. @param {File} file */
const stem = (file) => file.path.replace(/\.[^./\\]*$/, "").toLowerCase();

/**
 * What a rule keeps: the best file and, as one shot, those beside it with its name and another
 * ending. A JPEG next to its RAW is no copy that anybody wants to be rid of unasked.
 * @param {Group} group @param {string} rule @returns {Set<File>}
 */
export function suggested(group, rule) {
  const name = stem(best(group, rule));
  return new Set(group.files.filter((file) => stem(file) === name));
}

/** Which files of which groups are kept. */
export function makeChoice() {
  /** @type {Group[]} */
  let groups = [];
  /** @type {Map<Group, Set<File>>} */
  const kept = new Map();
  let rule = RULES[0];
  const of = (group) => {
    let files = kept.get(group);
    if (!files) kept.set(group, files = suggested(group, rule));
    return files;
  };
  const choice = {
    /** New groups: nothing that was chosen before holds. @param {Group[]} next @param {string} by */
    put(next, by) { groups = next; rule = by; kept.clear(); },
    /** Chooses anew in every group. @param {string} by */
    suggest(by) { rule = by; kept.clear(); },
    /** @param {Group} group @param {File} file */
    kept: (group, file) => of(group).has(file),
    /** @param {Group} group @param {File} file @param {boolean} keep */
    set(group, file, keep) { if (keep) of(group).add(file); else of(group).delete(file); },
    /** @param {Group} group */
    keepAll(group) { kept.set(group, new Set(group.files)); },
    /** What is not kept; nothing while none is, so that no picture is listed in all its copies. @param {Group} group @returns {File[]} */
    rest(group) {
      const files = of(group);
      return files.size ? group.files.filter((file) => !files.has(file)) : [];
    },
    /** What is not kept of all groups. @returns {File[]} */
    all: () => groups.flatMap(choice.rest),
    /** Groups of which nothing is kept. */
    empty: () => groups.filter((group) => kept.get(group)?.size === 0).length,
  };
  return choice;
}

/** @param {ReturnType<typeof makeChoice>} choice @param {Group} group */
export function keeps(choice, group) {
  return group.files.some((file) => choice.kept(group, file));
}
