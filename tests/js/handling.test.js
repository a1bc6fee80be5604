// What keys and pointers do: tiles of a grid, cuts between levels, boxes of evidence, acts that are sent, recent pictures.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { boxBetween, movedBox } from "../../pages/ui/js/region.js";
import { Sender } from "../../pages/audit/sending.js";
import { calledAt, limits, stepped } from "../../pages/studies/cuts.js";
import { neighbour, spanned } from "../../pages/ui/js/grid.js";
import { Presses } from "../../pages/ui/js/presses.js";
import { Recent } from "../../pages/ui/js/recent.js";

beforeEach(() => {
  globalThis.window = new EventTarget();
  mock.timers.enable({ apis: ["setTimeout"] });
});
afterEach(() => mock.timers.reset());

test("arrows move within a grid, and stay where it ends", () => {
  const to = (place, key) => neighbour(place, key, 4, 10);
  assert.deepEqual(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].map((key) => to(5, key)), [4, 6, 1, 9, 0, 9]);
  assert.deepEqual([to(0, "ArrowLeft"), to(2, "ArrowUp"), to(7, "ArrowDown"), to(9, "ArrowRight")], [0, 2, 7, 9]);
  assert.deepEqual([to(5, "Enter"), to(-1, "Home")], [null, null]);
});

test("a cut stays between its neighbours, or where it stands beyond the axis", () => {
  const axis = { low: 0, high: 10 };
  assert.deepEqual([limits([2, 6], 0, axis), limits([2, 6], 1, axis)], [[0, 6], [2, 10]]);
  assert.deepEqual(limits([2, 14], 1, axis), [2, 14]);
  assert.equal(stepped(5, 10, axis), 5.5);
  assert.equal(stepped(14, -1, axis), 9.95);
});

test("a score is called the level of the cuts that it reaches", () => {
  assert.deepEqual([1, 2, 5.9, 6, 99].map((score) => calledAt([2, 6], score)), [0, 1, 1, 2, 2]);
});

test("a box is the same whichever corner comes first, and stays inside", () => {
  const box = [[0.1, 0.2], [0.5, 0.6]];
  assert.deepEqual(boxBetween(0.1, 0.2, 0.5, 0.6), box);
  assert.deepEqual(boxBetween(0.5, 0.2, 0.1, 0.6), box);
  assert.deepEqual(boxBetween(-1, 0.33333, 2, 9), [[0, 0.3333], [1, 1]]);
});

test("arrows move a box or size it, never out of the image and never to nothing", () => {
  const rounded = (box) => box && box.map((value) => Math.round(value * 100) / 100);
  const box = [[0.1, 0.1], [0.2, 0.2]];
  assert.deepEqual(rounded(movedBox(box, "ArrowRight", false)), [0.12, 0.1, 0.22, 0.2]);
  assert.deepEqual(rounded(movedBox(box, "ArrowDown", true)), [0.1, 0.1, 0.2, 0.22]);
  assert.equal(movedBox([[0, 0], [0.2, 0.2]], "ArrowLeft", false), null);
  assert.equal(movedBox([[0.1, 0.1], [0.11, 0.2]], "ArrowLeft", true), null);
  assert.deepEqual(rounded(movedBox(undefined, "ArrowUp", false)), [0.4, 0.38, 0.6, 0.58]);
});

test("acts are kept and sent again until the page says that they were taken", () => {
  const sender = new Sender();
  const sent = [];
  sender.through((message) => sent.push(message.acts.map((act) => act.number)), null);
  sender.add({ act: "level", image: "a" });
  sender.add({ act: "at", image: "b" });
  assert.deepEqual(sent, [[1]]); // one message at a time
  assert.ok(sender.holds("a") && !sender.holds("b") && !sender.settled);
  mock.timers.tick(8000);
  assert.deepEqual(sent, [[1], [1, 2]]);
  sender.taken({ client: "another", number: 9 });
  assert.ok(!sender.settled);
  sender.taken({ client: sender.client, number: 2 });
  assert.ok(sender.settled && !sender.holds("a"));
  mock.timers.tick(60_000);
  assert.equal(sent.length, 2);
});

test("what was loaded last is kept, failures are not", async () => {
  const asked = [];
  const recent = new Recent(2, async (url) => {
    asked.push(url);
    if (url === "bad") throw new Error("gone");
    return url;
  });
  for (const url of ["a", "b", "a", "c", "a", "b"]) assert.equal(await recent.get(url), url);
  assert.deepEqual(asked, ["a", "b", "c", "b"]); // "a" was used since, so "b" made room for "c"
  await assert.rejects(recent.get("bad"));
  await assert.rejects(recent.get("bad"));
  assert.deepEqual(asked.slice(-2), ["bad", "bad"]);
});

test("Shift reaches from one tile to another, whichever stands first", () => {
  assert.deepEqual([spanned(2, 5), spanned(5, 2), spanned(3, 3)], [[2, 3, 4, 5], [2, 3, 4, 5], [3]]);
});

test("a press that the page never took is sent again, by one made anew as well, but not to a session that begins", () => {
  const sent = [];
  const send = ({ id, total, moves }) => sent.push({ id, total, moves });
  const shown = (taken) => {
    const presses = new Presses();
    presses.show({ key: "viewer", taken }, send);
    return presses;
  };
  const first = shown({});
  first.press("next", false);
  first.press("previous", false);
  const { id } = sent[1];
  assert.deepEqual(sent[1], { id, total: 2, moves: ["next", "previous"] });
  first.remove();
  const second = shown({ [id]: 1 });
  mock.timers.tick(2000);
  assert.deepEqual(sent.slice(2), [{ id, total: 2, moves: ["next", "previous"] }]);
  second.show({ key: "viewer", taken: { [id]: 2 } }, send);
  mock.timers.tick(2000);
  second.show({ key: "viewer", taken: {} }, send);
  mock.timers.tick(2000);
  assert.equal(sent.length, 3);
  second.press("next", false);
  assert.deepEqual([sent[3].total, sent[3].moves, sent[3].id === id], [1, ["next"], false]);
});
