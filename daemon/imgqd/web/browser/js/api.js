// Talking to the daemon: JSON over /v1, errors with the daemon's own sentence, and one stream of
// events that all parts of the page share.

import { T } from "./texts.js";

/** What the daemon refused, or that it could not be reached (`status` 0). */
export class ApiError extends Error {
  /** @param {string} code @param {string} message @param {number} status */
  constructor(code, message, status) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
  }
}

/** @typedef {{ok: boolean, status: number, data: any}} Reply `data` is the JSON, null where there is none */

/** What early.js asked for already, once and only where it is exactly this. @returns {Promise<Reply> | null} */
function early(/** @type {string} */ url, /** @type {RequestInit} */ request) {
  const asked = /** @type {any} */ (window).imgqEarly;
  if (!asked || url !== "/v1/grid") return null;
  // Whatever is asked first: later on it would be an answer of long ago.
  delete (/** @type {any} */ (window).imgqEarly);
  return asked.body === request.body ? asked.answer : null;
}

/** Resolves when what was asked early is answered, or has taken this long. @param {number} ms */
export function arrived(ms) {
  const answer = /** @type {any} */ (window).imgqEarly?.answer;
  if (!answer) return Promise.resolve();
  return Promise.race([answer.catch(() => {}), new Promise((then) => setTimeout(then, ms))]);
}

/** @param {string} url @param {RequestInit} request @returns {Promise<Reply>} */
async function send(url, request) {
  const response = await fetch(url, request);
  const { ok, status } = response;
  if (status === 204) return { ok, status, data: null };
  try {
    return { ok, status, data: await response.json() };
  } catch (error) {
    if (aborted(error)) throw error;
    return { ok, status, data: null };
  }
}

/** @type {Set<() => void>} */
const lockedListeners = new Set();

/** Calls `listener` when the daemon wants to know who we are. @param {() => void} listener */
export function onLocked(listener) {
  lockedListeners.add(listener);
}

/**
 * @param {string} method @param {string} path below /v1, or whole @param {any} [body]
 * @param {{signal?: AbortSignal, keepalive?: boolean}} [options] @returns {Promise<any>} the answer's JSON, null for 204
 */
async function call(method, path, body, options = {}) {
  const url = path.startsWith("/v1") ? path : `/v1${path}`;
  /** @type {RequestInit} */
  const request = { method, credentials: "same-origin", ...options };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers = { "Content-Type": "application/json" };
  }
  /** @type {Reply} */
  let reply;
  try {
    reply = await (early(url, request) ?? send(url, request));
  } catch (error) {
    if (aborted(error)) throw error;
    throw new ApiError("unreachable", T.errors.unreachable, 0);
  }
  const { ok, status, data } = reply;
  if (ok) return data;
  // A link that is no longer good says nothing of the session that may be held all the same.
  if (status === 401 && path !== "/session") for (const listener of lockedListeners) listener();
  const said = data?.error;
  throw new ApiError(said?.code ?? "failed", said?.message ?? T.errors.status(status), status);
}

export const api = {
  /** @param {string} path @param {{signal?: AbortSignal}} [options] */
  get: (path, options) => call("GET", path, undefined, options),
  /** @param {string} path @param {any} [body] @param {{signal?: AbortSignal, keepalive?: boolean}} [options] */
  post: (path, body = {}, options = undefined) => call("POST", path, body, options),
  /** @param {string} path @param {any} [body] @param {{signal?: AbortSignal}} [options] */
  put: (path, body = {}, options = undefined) => call("PUT", path, body, options),
  /** @param {string} path @param {any} [body] @param {{signal?: AbortSignal}} [options] */
  delete: (path, body, options) => call("DELETE", path, body, options),
};

/** True for the error of a request that we ended ourselves. @param {any} error */
export const aborted = (error) => error?.name === "AbortError";

let version = "";

/** What thumbnails are made with now: under one version a thumbnail never changes. @param {string | number} now */
export function thumbnailVersion(now) {
  version = String(now);
}

/** Where a picture's small version is. @param {number} id @param {64|128|256|512|1024|2048} side */
export const thumbnail = (id, side) => `/v1/pictures/${id}/thumbnail?side=${side}${version ? `&v=${encodeURIComponent(version)}` : ""}`;

const KINDS = ["progress", "picture-added", "picture-changed", "picture-removed", "folder", "model", "alike", "problem", "missed", "stopping"];
const REOPEN_MS = 4000;
/** @type {Map<string, Set<(data: any) => void>>} */
const listeners = new Map();
/** @type {EventSource | null} */
let source = null;
let reopening = 0;

function tell(kind, data) {
  for (const listener of listeners.get(kind) ?? []) listener(data);
}

function open() {
  source = new EventSource("/v1/events");
  source.addEventListener("open", () => tell("connected", {}));
  source.addEventListener("error", () => {
    tell("lost", {});
    // After a refusal (401, 503) a browser does not try again by itself.
    if (source?.readyState === EventSource.CLOSED && !reopening) {
      reopening = window.setTimeout(() => { reopening = 0; if (listeners.size) open(); }, REOPEN_MS);
    }
  });
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      let data = {};
      try { data = JSON.parse(/** @type {MessageEvent} */ (event).data); } catch { return; }
      tell(kind, data);
    });
  }
}

/**
 * Events as in docs/api.md, and `connected` (again) and `lost` of ours. One stream for all.
 * @param {string | string[]} kinds @param {(data: any) => void} listener @returns {() => void} ends it
 */
export function subscribe(kinds, listener) {
  const all = Array.isArray(kinds) ? kinds : [kinds];
  for (const kind of all) {
    if (!listeners.has(kind)) listeners.set(kind, new Set());
    listeners.get(kind)?.add(listener);
  }
  if (!source) open();
  return () => { for (const kind of all) listeners.get(kind)?.delete(listener); };
}
