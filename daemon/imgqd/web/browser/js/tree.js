// Folders with their counts as a tree: each folder counts what is in the folders below it, and the
// part that all have in common is left out.

import { pathText } from "./query.js";

/** @typedef {import("./pickers.js").Choice} Choice */

/** The separator that a path uses. @param {string} path */
const separator = (path) => (/^[A-Za-z]:\\/.test(path) ? "\\" : "/");

/** The last part of a path, and the root as it is. @param {string} path as in the URL */
export function baseName(path) {
  if (path.startsWith("b64:")) return new TextDecoder().decode(Uint8Array.from(atob(path.slice(4)), (c) => c.charCodeAt(0))).split("/").at(-1) || "/";
  return path.split(separator(path)).filter(Boolean).at(-1) ?? path;
}

/**
 * @param {import("./facets.js").Count[]} folders each picture's own folder
 * @returns {Choice[]} in the order of the tree, `value` as in the URL
 */
export function folderTree(folders) {
  /** @type {Map<string, {count: number, own: boolean, b64?: string}>} */
  const all = new Map();
  for (const { value, count, value_b64 } of folders) {
    const mark = separator(value);
    let path = value;
    let own = true;
    for (;;) {
      const one = all.get(path) ?? { count: 0, own: false };
      one.count += count;
      if (own) { one.own = true; one.b64 = value_b64; }
      all.set(path, one);
      own = false;
      const cut = path.lastIndexOf(mark);
      // A parent of a name that is not text would be guessed from its replacement characters.
      if (cut <= 0 || value_b64) break;
      path = path.slice(0, cut);
      if (/^[A-Za-z]:$/.test(path)) break;
    }
  }
  // A folder with nothing of its own and one folder below it says nothing that this one does not.
  const paths = [...all.keys()].sort();
  const kept = paths.filter((path) => {
    const one = /** @type {{count: number, own: boolean}} */ (all.get(path));
    if (one.own) return true;
    const below = paths.find((other) => other.length > path.length && other.startsWith(path + separator(path)));
    return !below || all.get(below)?.count !== one.count;
  });
  /** @type {string[]} */
  const above = [];
  return kept.map((path) => {
    const one = /** @type {{count: number, own: boolean, b64?: string}} */ (all.get(path));
    while (above.length && !path.startsWith(/** @type {string} */ (above.at(-1)) + separator(path))) above.pop();
    const parent = above.at(-1);
    const text = parent ? path.slice(parent.length + 1) : baseName(path);
    const depth = above.length;
    above.push(path);
    return { text, value: pathText({ path, path_b64: one.b64 }), count: one.count, depth, title: path };
  });
}
