// `node --test tests/web/unit`: what is asked again by itself, and what is not.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

// As much of a browser as these modules need.
globalThis.window = Object.assign(new EventTarget(), { setTimeout: (run, ms) => setTimeout(run, ms) });
globalThis.location = { search: "?q=cat%5E", hash: "" };
globalThis.requestAnimationFrame = (run) => queueMicrotask(run);
globalThis.history = { state: null, scrollRestoration: "auto", replaceState() {} };

const { ask, onHint, onProgress } = await import("../../../daemon/imgqd/web/browser/js/asking.js");
const results = await import("../../../daemon/imgqd/web/browser/js/results.js");
const address = await import("../../../daemon/imgqd/web/browser/js/address.js");

let status = 400;
let asked = 0;
const told = [];
onHint((text) => told.push(text));
onProgress((progress) => told.push(progress.kind));
/** @type {any[]} */
const bodies = [];
/** How many pictures there are, for answers without an error. */
let there = 0;
globalThis.fetch = async (_url, { body, signal }) => {
  asked += 1;
  const { most = there, ...rest } = JSON.parse(body);
  bodies.push({ most, ...rest });
  if (status === 200) {
    await Promise.resolve();
    signal?.throwIfAborted();
    const ids = Array.from({ length: Math.min(most, there) }, (_, at) => at + 1);
    // As the daemon says it: of words, what was cut is all that it knows of.
    return Response.json({ ids, ratios: ids.map(() => 1), total: rest.q ? ids.length : there, generation: 1, took_ms: 1 });
  }
  return Response.json({ error: { code: "said", message: "what is wrong" } }, { status });
};

beforeEach(() => {
  asked = 0;
  bodies.length = 0;
  told.length = 0;
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
});

test("a question that makes no sense is asked once, also when the library changed", async () => {
  status = 400;
  await ask(address.read(), { whole: true, quiet: true });
  mock.timers.tick(60_000);
  assert.equal(asked, 1);
  assert.deepEqual(told, ["what is wrong", "answered"]);
});

test("a daemon that is away is asked again, and nobody is told", async () => {
  status = 503;
  await ask(address.read(), { whole: true, quiet: true });
  mock.timers.tick(2_000);
  assert.equal(asked, 2);
  assert.deepEqual(told, []);
});

/** @param {Partial<import("../../../daemon/imgqd/web/browser/js/address.js").State>} changed */
const state = (changed) => ({ ...address.read(), q: "", ...changed });

test("the first screen comes first, then all of it, with words and without", async () => {
  status = 200;
  there = 500;
  mock.timers.reset();
  await ask(state({}));
  assert.deepEqual(bodies.map((body) => body.most), [60, 500]);
  await ask(state({ q: "cat" }));
  assert.deepEqual(bodies.map((body) => body.most), [60, 500, 60, 2000]);
  assert.equal(results.read().ids.length, 500);
  assert.equal(results.read().complete, true);
});

test("a few pictures are all there are, but words may find more than they say", async () => {
  status = 200;
  there = 20;
  mock.timers.reset();
  await ask(state({}));
  await ask(state({ q: "cat" }));
  assert.deepEqual(bodies.map((body) => body.most), [60, 60, 2000]);
});

test("the best by date are taken from all of the best", async () => {
  status = 200;
  there = 500;
  mock.timers.reset();
  await ask(state({ q: "cat", sort: "newest" }));
  assert.deepEqual(bodies.map((body) => body.most), [2000]);
});

test("what the history is to hold goes with the whole answer, also when a quiet question comes between", async () => {
  status = 200;
  there = 500;
  mock.timers.reset();
  await ask(state({ q: "cat" }), { whole: true, remember: "cat" });
  assert.deepEqual(bodies.map((body) => body.remember), ["cat"]);
  const first = ask(state({ q: "dog" }), { remember: "dog" });
  await ask(state({ q: "dog" }), { whole: true, quiet: true });
  await first;
  assert.deepEqual(bodies.filter((body) => body.remember).map((body) => body.remember), ["cat", "dog"]);
  await ask(state({ q: "bird" }));
  assert.equal(bodies.at(-1).remember, undefined);
});
