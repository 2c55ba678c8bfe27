// The clipboard and paths as text that a terminal reads as they are.

import { toast } from "./dom.js";
import { T } from "./texts.js";

const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** Copies and says so. @param {string} text @param {string} [said] @returns {Promise<boolean>} */
export async function copy(text, said = T.copied) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    toast(T.copyFailed, { danger: true });
    return false;
  }
  toast(said);
  return true;
}

/** The exact bytes of a path. @param {{path: string, path_b64?: string}} item @returns {Uint8Array} */
export function pathBytes(item) {
  if (!item.path_b64) return new TextEncoder().encode(item.path);
  return Uint8Array.from(atob(item.path_b64), (letter) => letter.charCodeAt(0));
}

/** True where the text of a path is the path, on one line. @param {{path: string, path_b64?: string}} item */
export function isOneLine(item) {
  return !item.path_b64 && !/[\n\r]/.test(item.path);
}

/**
 * A path as one word of a POSIX shell, whatever is in it: line breaks, quotes and bytes that are no
 * text included. (`$'...'` is in POSIX since 2024, and in bash, zsh and ksh long before.)
 * @param {{path: string, path_b64?: string}} item @returns {string}
 */
export function shellQuoted(item) {
  if (isOneLine(item)) {
    return PLAIN.test(item.path) ? item.path : `'${item.path.replaceAll("'", "'\\''")}'`;
  }
  let quoted = "";
  for (const byte of pathBytes(item)) {
    const letter = String.fromCharCode(byte);
    // Octal always with three digits, so that a digit that follows is not taken for part of it.
    quoted += byte > 31 && byte < 127 && letter !== "'" && letter !== "\\"
      ? letter : `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return `$'${quoted}'`;
}
