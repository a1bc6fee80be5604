// Points of the map of pictures: the nearest, the next in a direction, outlines.

import assert from "node:assert/strict";
import { test } from "node:test";

import { boxAround, nearestPoint, pointTowards, thinned } from "../../pages/images/points.js";

const xs = [0, 0.5, 1, 0.5];
const ys = [0.5, 0.5, 0.5, 0];

test("the nearest point answers within reach", () => {
  assert.equal(nearestPoint(xs, ys, 0.52, 0.48, 0.1), 1);
  assert.equal(nearestPoint(xs, ys, 0.75, 0.75, 0.1), -1);
});

test("arrows lead to the next point in their direction, and stay where there is none", () => {
  assert.deepEqual([[1, 0], [-1, 0], [0, -1], [0, 1]].map(([dx, dy]) => pointTowards(xs, ys, 1, dx, dy)), [2, 0, 3, 1]);
});

test("an outline keeps few corners", () => {
  const circle = Array.from({ length: 400 }, (_, i) => [Math.cos(i / 64), Math.sin(i / 64)]);
  assert.equal(thinned(circle, 0.001, 48).length, 48);
  assert.ok(thinned(circle, 0.5, 48).length < 16);
});

test("a box holds its two points with some room, and reaches little beyond the map", () => {
  const box = boxAround([0.6, 0.1], [0.2, 1], 0.1).map((corner) => corner.map((value) => Number(value.toFixed(3))));
  assert.deepEqual(box, [[0.1, 0], [0.7, 0], [0.7, 1.05], [0.1, 1.05]]);
});
