// `node --test tests/web/unit`: what is asked again by itself, and what is not.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

// As much of a browser as these modules need.
globalThis.window = Object.assign(new EventTarget(), { setTimeout: (run, ms) => setTimeout(run, ms) });
globalThis.location = { search: "?q=cat%5E", hash: "" };
globalThis.history = { state: null, scrollRestoration: "auto", replaceState() {} };

const { ask, onHint, onProgress } = await import("../../../daemon/imgqd/web/browser/js/asking.js");
const address = await import("../../../daemon/imgqd/web/browser/js/address.js");

let status = 400;
let asked = 0;
const told = [];
onHint((text) => told.push(text));
onProgress((progress) => told.push(progress.kind));
globalThis.fetch = async () => {
  asked += 1;
  return Response.json({ error: { code: "said", message: "what is wrong" } }, { status });
};

beforeEach(() => {
  asked = 0;
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
