// `node --test tests/web/unit`: stacks that are open, closed, and walked through.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import * as results from "../../../daemon/imgqd/web/browser/js/results.js";

const ANSWER = {
  ids: [1, 5, 9], ratios: [1, 1.5, 2], scores: [0.3, 0.2, 0.1], relevances: [0.9, null, 0.1],
  placeholders: btoa(String.fromCharCode(...Array(18).fill(1), ...Array(18).fill(5), ...Array(18).fill(9))),
  stacks: { 5: 3 }, shots: { 5: 1 }, alike: { 5: [6, 7] }, total: 5, generation: 4, took_ms: 1,
};

beforeEach(() => {
  results.closeAll();
  results.lend(null);
  results.put(results.fromAnswer(ANSWER));
});

const walk = (from, step) => {
  const seen = [from];
  for (let id = results.neighbour(from, step); id !== null; id = results.neighbour(id, step)) seen.push(id);
  return seen;
};

test("what stands behind a picture is told apart", () => {
  assert.deepEqual(results.read().stacks.get(5), { copies: 2, shots: 1, alike: [6, 7] });
  assert.equal(results.held(ANSWER), 5);
  assert.deepEqual([...results.everyId()].sort(), [1, 5, 6, 7, 9]);
});

test("steps go through a stack, whether it is open or not", () => {
  assert.deepEqual(walk(1, 1), [1, 5, 6, 7, 9]);
  assert.deepEqual(walk(9, -1), [9, 7, 6, 5, 1]);
  assert.deepEqual(results.standing(7), { at: 2, of: 3 });
  results.open(5, new Map([[6, 0.5]]));
  assert.deepEqual(walk(1, 1), [1, 5, 6, 7, 9]);
  assert.deepEqual(walk(9, -1), [9, 7, 6, 5, 1]);
  assert.deepEqual(results.standing(7), { at: 4, of: 5 });
});

test("an open stack has its pictures in their place, with what is known of them", () => {
  results.open(5, new Map([[6, 0.5], [7, 0.75]]));
  const { ids, ratios, scores, relevances, placeholders } = results.read();
  assert.deepEqual(ids, [1, 5, 6, 7, 9]);
  assert.deepEqual(ratios, [1, 1.5, 0.5, 0.75, 2]);
  assert.deepEqual(scores, [0.3, 0.2, null, null, 0.1]);
  assert.deepEqual(relevances, [0.9, null, null, null, 0.1]);
  assert.deepEqual([0, 18, 36, 54, 72].map((at) => placeholders[at]), [1, 5, 0x88, 0x88, 9]);
  assert.ok(results.isOpen(7) && !results.isOpen(1));
  results.open(5, null);
  assert.deepEqual(results.read().ids, [1, 5, 9]);
});

test("an open stack stays open in the next answer to the same question", () => {
  results.open(5, new Map());
  results.put(results.fromAnswer({ ...ANSWER, ids: [4, 1, 5, 9], ratios: [1, 1, 1, 1], scores: null, relevances: null, placeholders: "", alike: { 5: [6] } }));
  assert.deepEqual(results.read().ids, [4, 1, 5, 6, 9]);
});

test("who is in a stack is where the one that stands for it is", () => {
  assert.equal(results.indexOf(6), -1);
  assert.equal(results.placeOf(6), 1);
  assert.equal(results.placeOf(77), -1);
  assert.deepEqual(results.stackOf(6), [5, 6, 7]);
  assert.equal(results.stackOf(9), null);
});

test("a picture of another list has its neighbours there", () => {
  results.lend([40, 5, 41]);
  assert.deepEqual(walk(40, 1), [40, 5, 41]);
  assert.deepEqual(results.standing(5), { at: 2, of: 3 });
  assert.equal(results.stackOf(5), null);
  assert.equal(results.neighbour(1, 1), 5);
});
