// `node --test tests/web/unit`: what the page saves is what `imgq @NAME` asks, and back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fromArguments, quoted, readable, splitBox, toArguments, unquoted, untold } from "../../../daemon/imgqd/web/browser/js/arguments.js";

const blank = {
  q: "", in: [], after: "", before: "", type: [], camera: "", tag: [], rating: "", orientation: "",
  category: "", near: "", words: "", min_size: "", min_score: "", where: [], like: [], unlike: [],
  relevant: false, diverse: false, all: false, example: false, sort: "", view: "", picture: "",
};

test("words come as a person would type them", () => {
  assert.deepEqual(toArguments({ ...blank, q: "sunset over ocean", tag: ["a"] }), ["sunset", "over", "ocean", "--tag=a"]);
});

test("words that look like options or saved names come after a double dash", () => {
  assert.deepEqual(toArguments({ ...blank, q: '"-v" cat', tag: ["a"] }), ["--tag=a", "--", "-v", "cat"]);
  assert.deepEqual(toArguments({ ...blank, q: "@home" }), ["--", "@home"]);
});

test("words and phrases with a minus become --not, examples --like", () => {
  const all = toArguments({ ...blank, q: 'id:12^2 + beach -people -"red car" -id:7' });
  assert.deepEqual(all, ["beach", "--like=id:12^2", "--not=people", "--not=red car", "--not-like=id:7"]);
});

test("a minus within a word is part of it", () => {
  assert.deepEqual(splitBox("black-and-white well-lit"), { text: "black-and-white well-lit", not: [], like: [], unlike: [], literal: false });
});

test("every filter survives being saved and opened", () => {
  const state = {
    ...blank, q: "cat + grass^2 -dog", in: ["/home/me/My Pictures", "/mnt"], after: "2 weeks ago", before: "2025",
    type: ["jpeg", "png"], camera: "Pixel 7", tag: ["a b", "favourite"], rating: "4", orientation: "portrait",
    category: "food", near: "-33.9,18.4,10", words: "anna birth*", min_size: "1920x1080", min_score: "-0.1",
    where: ["print=A4"], like: ["3"], unlike: ["4^0.5"], relevant: true, diverse: true, all: true,
  };
  const saved = toArguments(state);
  const opened = fromArguments(saved);
  assert.deepEqual(opened.left, []);
  assert.deepEqual({ ...blank, ...opened.state }, state);
});

test("what a terminal cannot be told is named", () => {
  const left = untold({ ...blank, q: "x", in: ["b64:L3j/"], example: true, sort: "oldest" });
  assert.deepEqual(left, ["in", "example", "sort"]);
});

test("nothing asked is no arguments", () => {
  assert.deepEqual(toArguments(blank), []);
});

test("options as people type them are understood", () => {
  const { state, left } = fromArguments(["-n", "5", "cat", "--in", "/a", "-l0", "--tag=x", "--json", "--", "-v"]);
  assert.equal(state.q, 'cat "-v"');
  assert.deepEqual(state.in, ["/a"]);
  assert.deepEqual(state.tag, ["x"]);
  assert.deepEqual(left, []);
});

test("options that the page does not know are handed back", () => {
  const { left } = fromArguments(["--like", "/home/me/a.jpg", "--expand", "--watch=/x", "cat"]);
  assert.deepEqual(left, ["--like=/home/me/a.jpg", "--expand", "--watch=/x"]);
});

test("signs that are meant are quoted here and --literal there", () => {
  assert.equal(fromArguments(["--literal", "cat"]).state.q, "cat");
  assert.equal(fromArguments(["--literal", "C^2", "+", "1"]).state.q, '"C^2 + 1"');
  assert.deepEqual(toArguments({ ...blank, q: '"C^2 + 1"' }), ["C^2", "+", "1", "--literal"]);
  assert.deepEqual(toArguments({ ...blank, q: '"two words" + cat^2' }), ["two", "words", "+", "cat^2"]);
});

test("a quote that is still open goes to the end", () => {
  assert.deepEqual(splitBox('beach -"red ca').not, ["red ca"]);
});

test("a phrase that must not be there keeps its weight", () => {
  assert.equal(fromArguments(["--not", "red car^2", "beach"]).state.q, 'beach -"red car"^2');
  assert.deepEqual(splitBox('beach -"red car"^2').not, ["red car^2"]);
});

test("a line is quoted so that it is read as it was", () => {
  const all = ["--in=/a b/it's", "", "$HOME", 'say "hi"', "a\nb", "plain"];
  assert.deepEqual(unquoted(quoted(all)), all);
  assert.equal(unquoted("it's"), null);
});

test("a saved question is shown words first", () => {
  assert.equal(readable(["--in=/a", "--", "cat"]), "cat --in=/a");
  assert.equal(readable(["--in=/a", "--", "-v"]), "--in=/a -- -v");
});
