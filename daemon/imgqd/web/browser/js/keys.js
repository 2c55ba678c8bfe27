// The keyboard map: who listens for which key, and what the help dialog says about it. The last one
// bound wins, so that a picture that is open takes the arrows from the grid below it.

/** @typedef {{keys: string[], run: (event: KeyboardEvent) => void, text: string, group: string, inputs: boolean, when: () => boolean}} Binding */

/** @type {Binding[]} */
const bindings = [];
/** @type {{keys: string[], text: string, group: string}[]} */
const described = [];

/** True where keys are for writing. @param {EventTarget | null} target */
function writing(target) {
  return target instanceof HTMLElement &&
    (target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName) ||
      (target instanceof HTMLInputElement && !/^(checkbox|radio|button|range|file|submit)$/.test(target.type)));
}

/**
 * Runs `run` on one of `keys`: names as in KeyboardEvent.key, letters small, with `Ctrl+`, `Shift+`
 * (named keys only) or `Alt+` before; Ctrl is Cmd on a Mac. Not while a person writes in a field,
 * unless `inputs`; not while a modal dialog is open, unless `when` is given and says so.
 * @param {string | string[]} keys @param {(event: KeyboardEvent) => void} run
 * @param {string} text for the help; "" is not shown there
 * @param {{group?: string, inputs?: boolean, when?: () => boolean}} [options]
 * @returns {() => void} unbinds
 */
export function bind(keys, run, text, options = {}) {
  const free = () => !document.querySelector("dialog[open]");
  const binding = {
    keys: Array.isArray(keys) ? keys : [keys], run, text,
    group: options.group ?? "", inputs: options.inputs ?? false, when: options.when ?? free,
  };
  bindings.push(binding);
  return () => {
    const at = bindings.indexOf(binding);
    if (at >= 0) bindings.splice(at, 1);
  };
}

/** For keys that an element handles itself: only for the help. @param {string | string[]} keys @param {string} text @param {string} [group] */
export function describe(keys, text, group = "") {
  described.push({ keys: Array.isArray(keys) ? keys : [keys], text, group });
}

/** What the help shows, in the order bound. @returns {{keys: string[], text: string, group: string}[]} */
export function help() {
  return [...described, ...bindings].filter((one) => one.text);
}

/** A key press as `bind` names it. @param {KeyboardEvent} event */
export function named(event) {
  let name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.key === " ") name = "Space";
  if (event.shiftKey && event.key.length > 1) name = `Shift+${name}`;
  if (event.altKey) name = `Alt+${name}`;
  if (event.ctrlKey || event.metaKey) name = `Ctrl+${name}`;
  return name;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const name = named(event);
  const inField = writing(event.target);
  for (let at = bindings.length - 1; at >= 0; at -= 1) {
    const binding = bindings[at];
    if (!binding.keys.includes(name) || (inField && !binding.inputs) || !binding.when()) continue;
    // A control under focus keeps the keys that work it.
    if ((name === "Enter" || name === "Space") && event.target instanceof HTMLElement && event.target.closest("button, a[href], summary, label")) return;
    event.preventDefault();
    binding.run(event);
    return;
  }
});
