// `node --test tests/web/unit`: what the page suggests to keep of duplicates, and what it lists.

import assert from "node:assert/strict";
import { test } from "node:test";

import { makeChoice } from "../../../daemon/imgqd/web/browser/js/duplicates/choice.js";

const file = (path, width, bytes, modified) => ({ id: 1, path, width, height: width, bytes, modified });
const large = file("/b/large.jpg", 4000, 9, "2024-05-01T00:00:00Z");
const old = file("/a/old.jpg", 2000, 5, "2019-05-01T00:00:00Z");
const late = file("/a/x/late.jpg", 2000, 5, "2025-05-01T00:00:00Z");
const group = { kind: "near", similarity: 0.98, files: [old, large, late] };

test("the rule says what is kept, and the rest is listed", () => {
  const choice = makeChoice();
  choice.put([group], "largest");
  assert.deepEqual(choice.all(), [old, late]);
  choice.suggest("oldest");
  assert.deepEqual(choice.all(), [large, late]);
  choice.suggest("newest");
  assert.deepEqual(choice.all(), [old, large]);
});

test("a group of which nothing is kept is not listed at all", () => {
  const choice = makeChoice();
  choice.put([group], "largest");
  choice.set(group, large, false);
  assert.deepEqual(choice.all(), []);
});

test("a RAW and its JPEG are kept together", () => {
  const raw = file("/a/Shot.dng", 4000, 90, "2024-05-01T00:00:00Z");
  const jpeg = file("/a/shot.JPG", 4000, 9, "2024-05-01T00:00:00Z");
  const copy = file("/b/shot.JPG", 4000, 9, "2024-05-01T00:00:00Z");
  const choice = makeChoice();
  choice.put([{ kind: "near", similarity: 1, files: [jpeg, copy, raw] }], "largest");
  assert.deepEqual(choice.all(), [copy]);
});
