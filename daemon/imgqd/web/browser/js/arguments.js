// From the state of the page to the arguments of `imgq` and back, so that a question saved here is
// asked there with `imgq @NAME`, and one saved there is opened here. Needs no page: plain functions.

/** @typedef {import("./address.js").State} State */

/** Options that have one value in the state under another or the same name. @type {Record<string, string>} */
const ONE = {
  after: "after", before: "before", camera: "camera", near: "near", category: "category",
  rating: "rating", "min-size": "min_size", orientation: "orientation", "min-score": "min_score",
};
/** @type {Record<string, string>} */
const MANY = { in: "in", tag: "tag", where: "where" };
/** @type {Record<string, string>} */
const FLAGS = { relevant: "relevant", diverse: "diverse", all: "all" };
/** How an answer is shown or waited for: nothing that the page could do otherwise. */
const SHOWING = new Set(["top", "offset", "paths", "print0", "scores", "json", "jsonl", "csv", "format", "preview", "open", "web", "timeout", "sync", "facets"]);
const WITH_VALUE = new Set([...Object.keys(ONE), ...Object.keys(MANY), "like", "not", "not-like", "type", "text", "top", "offset", "format", "timeout", "watch",
  "copy-to", "link-to", "threshold", "save", "forget", "completions", "tag-add", "tag-remove", "describe", "set", "set-category"]);
const SHORT = /** @type {Record<string, string>} */ ({ n: "top", l: "paths", 0: "print0", h: "help" });
const SAFE = /^[A-Za-z0-9_@%+=:,./-]+$/;
/** What TEXT takes for more than itself. */
const WEIGHT = /\^[0-9.]+$/;
const SIGNS = /(^|\s)\+(\s|$)|\^/;
const EXAMPLE = /^id:(\d{1,18}(?:\^[0-9.]+)?)$/i;

/**
 * The search box taken apart, as client/imgq/box.py does: `-word`, `-"two words"`, `id:N` and
 * `-id:N` are words of their own, and what is left is TEXT. `literal`: TEXT was in quotes because of
 * its signs, and means them.
 * @param {string} q @returns {{text: string, not: string[], like: string[], unlike: string[], literal: boolean}}
 */
export function splitBox(q) {
  /** @type {{text: string, not: string[], like: string[], unlike: string[], literal: boolean}} */
  const said = { text: "", not: [], like: [], unlike: [], literal: false };
  const words = [];
  let signs = false;
  for (const [, minus, quoted, weight, bare] of q.matchAll(/(-(?=\S))?(?:"([^"]*)(?:"(\^[0-9.]+)?|$)|(\S+))/g)) {
    const word = quoted === undefined ? bare : quoted + (weight ?? "");
    const example = quoted === undefined ? EXAMPLE.exec(word) : null;
    if (!word.trim()) continue;
    if (example) (minus ? said.unlike : said.like).push(example[1]);
    else if (minus) said.not.push(word);
    else {
      words.push(word);
      if (quoted !== undefined && SIGNS.test(quoted)) said.literal = true;
      else if (word === "+" || WEIGHT.test(word)) signs = true;
    }
  }
  // Of `id:5 + at night` the plus is left alone where the example was.
  while (words[0] === "+") words.shift();
  while (words.at(-1) === "+") words.pop();
  said.text = words.filter((word, at) => word !== "+" || words[at - 1] !== "+").join(" ");
  // --literal is for all of TEXT; where some signs are meant and others not, it cannot be said.
  said.literal &&= !signs;
  return said;
}

/**
 * What of this state a terminal cannot be told: "in" (a path that is not UTF-8), "example", "sort".
 * @param {State} state @returns {string[]}
 */
export function untold(state) {
  const left = state.in.some((path) => path.startsWith("b64:")) ? ["in"] : [];
  if (state.example) left.push("example");
  if (state.sort) left.push("sort");
  return left;
}

/** The arguments that ask the same in a terminal; none when nothing is asked. @param {State} state @returns {string[]} */
export function toArguments(state) {
  const of = /** @type {any} */ (state);
  const said = splitBox(state.q);
  const all = [];
  const option = (name, value) => all.push(`--${name}=${value}`);
  for (const one of [...said.like, ...state.like]) option("like", `id:${one}`);
  for (const text of said.not) option("not", text);
  for (const one of [...said.unlike, ...state.unlike]) option("not-like", `id:${one}`);
  for (const path of state.in) if (!path.startsWith("b64:")) option("in", path);
  for (const [name, key] of Object.entries(ONE)) if (of[key]) option(name, of[key]);
  if (state.type.length) option("type", state.type.join(","));
  for (const tag of state.tag) option("tag", tag);
  if (state.words) option("text", state.words);
  for (const pair of state.where) option("where", pair);
  for (const [name, key] of Object.entries(FLAGS)) if (of[key]) all.push(`--${name}`);
  if (said.literal) all.push("--literal");
  return joined(said.text.split(/\s+/).filter(Boolean), all);
}

/** Words first, as a person would type them, where none could be taken for something else. @param {string[]} words @param {string[]} options */
function joined(words, options) {
  return words.some((word) => /^[-@]./.test(word)) ? [...options, "--", ...words] : [...words, ...options];
}

/**
 * What the page shows for these arguments: a change against asking nothing. `left` holds the options
 * that the page does not know, as they were given.
 * @param {string[]} given @returns {{state: Partial<State>, left: string[]}}
 */
export function fromArguments(given) {
  /** @type {any} */
  const state = { q: "", in: [], type: [], tag: [], where: [], like: [], unlike: [] };
  const words = [];
  const nots = [];
  const left = [];
  const ends = given.indexOf("--");
  const literal = (ends < 0 ? given : given.slice(0, ends)).includes("--literal");
  for (const { name, value, word, typed } of parsed(given)) {
    const example = EXAMPLE.exec(value ?? "");
    if (word !== undefined) words.push(word);
    else if (name === "like" && example) state.like.push(example[1]);
    else if (name === "not-like" && example) state.unlike.push(example[1]);
    else if (name === "not") nots.push(value);
    else if (name === "type") state.type.push(...value.split(",").map((one) => one.trim().toLowerCase()).filter(Boolean));
    else if (name === "text") state.words = [state.words, value].filter(Boolean).join(" ");
    else if (name in ONE) state[ONE[name]] = value;
    else if (name in MANY) state[MANY[name]].push(value);
    else if (name in FLAGS) state[FLAGS[name]] = true;
    else if (name !== "literal" && !SHOWING.has(name)) left.push(typed);
  }
  if (literal && SIGNS.test(words.join(" "))) words.splice(0, words.length, `"${words.join(" ").replaceAll('"', "")}"`);
  const text = words.flatMap((word) => (word.startsWith('"') ? [word] : word.split(/\s+/))).filter(Boolean).map((word) => (boxSafe(word) ? word : `"${word}"`));
  state.q = [...text, ...nots.map((one) => `-${negative(one)}`)].join(" ");
  return { state, left };
}

/** True for a word that the search box takes as it stands. @param {string} word */
function boxSafe(word) {
  return !(word.length > 1 && word.startsWith("-")) && !EXAMPLE.test(word);
}

/** @param {string} text of --not, with or without a weight */
function negative(text) {
  const weighed = /^(.*[^\s])(\^[0-9.]+)$/s.exec(text);
  const [bare, weight] = weighed ? [weighed[1], weighed[2]] : [text, ""];
  return /[\s]|^-|^id:/.test(bare) ? `"${bare.replaceAll('"', "")}"${weight}` : bare + weight;
}

/** @param {string[]} given @returns {Generator<any>} `{word}` or `{name, value, typed}` */
function* parsed(given) {
  for (let at = 0; at < given.length; at += 1) {
    const typed = given[at];
    if (typed === "--") {
      for (const word of given.slice(at + 1)) yield { word };
      return;
    }
    if (typed.length < 2 || typed[0] !== "-") {
      yield { word: typed };
    } else if (typed.startsWith("--")) {
      const equals = typed.indexOf("=");
      const name = typed.slice(2, equals < 0 ? undefined : equals);
      if (equals >= 0) yield { name, value: typed.slice(equals + 1), typed };
      else if (WITH_VALUE.has(name) && at + 1 < given.length) {
        at += 1;
        yield { name, value: given[at], typed: `${typed}=${given[at]}` };
      } else yield { name, typed };
    } else {
      // `-l0`, `-n5`, `-n 5`: the last letter may take the rest, or the next argument.
      for (let letter = 1; letter < typed.length; letter += 1) {
        const name = SHORT[typed[letter]] ?? typed[letter];
        if (name === "top") {
          if (letter === typed.length - 1) at += 1;
          break;
        }
        yield { name, typed: `-${typed[letter]}` };
      }
    }
  }
}

/** One line that a shell reads as these arguments. @param {string[]} all */
export function quoted(all) {
  return all.map((one) => (SAFE.test(one) ? one : `'${one.replaceAll("'", "'\"'\"'")}'`)).join(" ");
}

/** As a person would type it: without what only keeps words and options apart. @param {string[]} all */
export function readable(all) {
  const ends = all.indexOf("--");
  if (ends < 0) return quoted(all);
  return quoted(joined(all.slice(ends + 1), all.slice(0, ends)));
}

/**
 * The arguments of a line that `quoted` (here or in imgq) made; null where a quote is not closed.
 * @param {string} line @returns {string[] | null}
 */
export function unquoted(line) {
  const all = [];
  let word = "";
  let open = false;
  const part = /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|(\s+)|([^\s'"\\]+)/gsy;
  while (part.lastIndex < line.length) {
    const found = part.exec(line);
    if (!found) return null;
    const [, single, double, escaped, space, bare] = found;
    if (space !== undefined) {
      if (open) all.push(word);
      word = "";
      open = false;
      continue;
    }
    open = true;
    word += single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? escaped ?? bare;
  }
  if (open) all.push(word);
  return all;
}
