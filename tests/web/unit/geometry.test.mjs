// `node --test tests/web/unit`: where a zoomed picture lies, and what is copied as a path.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fit, keepIn, largestScale, whole, zoomTo } from "../../../daemon/imgqd/web/browser/js/picture/geometry.js";

const box = { width: 1000, height: 500 };

test("a picture is fitted into the box and centred", () => {
  const sheet = fit({ width: 4000, height: 4000 }, box);
  assert.deepEqual(sheet, { width: 500, height: 500 });
  assert.deepEqual(whole(sheet, box), { x: 250, y: 0, scale: 1 });
});

test("a small picture is enlarged to twice its size at most", () => {
  assert.deepEqual(fit({ width: 100, height: 50 }, box), { width: 200, height: 100 });
});

test("what is under the pointer stays under it", () => {
  const sheet = { width: 1000, height: 500 };
  const view = zoomTo({ x: 0, y: 0, scale: 1 }, 3, { x: 300, y: 200 }, sheet, box, 8);
  assert.deepEqual(view, { x: -600, y: -400, scale: 3 });
});

test("a zoomed picture leaves no gap", () => {
  const sheet = { width: 1000, height: 500 };
  assert.deepEqual(keepIn({ x: 50, y: -5000, scale: 2 }, sheet, box), { x: 0, y: -500, scale: 2 });
});

test("zooming ends at the whole picture and at large pixels", () => {
  const sheet = { width: 1000, height: 500 };
  assert.equal(zoomTo(whole(sheet, box), 0.1, { x: 0, y: 0 }, sheet, box, 8).scale, 1);
  assert.equal(zoomTo(whole(sheet, box), 99, { x: 0, y: 0 }, sheet, box, 8).scale, 8);
  assert.equal(largestScale({ width: 4000, height: 2000 }, sheet), 16);
});
