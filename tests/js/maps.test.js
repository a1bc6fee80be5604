// Anomaly maps as numbers: read, interpolated, coloured; contours around them; scales.

import assert from "node:assert/strict";
import { test } from "node:test";

import { contours } from "../../pages/ui/js/contours.js";
import { decodeMap, decodeTable, extent, fading, interpolated, opaque, packedColours, scoreAt } from "../../pages/ui/js/maps.js";
import { asEvidence, evidence, regionAt, valueOfEvidence } from "../../pages/ui/js/maps.js";
import { tickText, ticks, written } from "../../pages/ui/js/numbers.js";

const grid = (height, width, values) => ({ height, width, values: Float32Array.from(values) });

test("a map is read as it was packed, and a damaged one is refused", () => {
  const buffer = new ArrayBuffer(8 + 4 * 6);
  new Uint32Array(buffer, 0, 2).set([2, 3]);
  new Float32Array(buffer, 8).set([1, 2, NaN, 4, -5, Infinity]);
  const map = decodeMap(buffer);
  assert.deepEqual([map.height, map.width, map.low, map.high], [2, 3, -5, 4]);
  for (const length of [0, 4, 8, 28]) assert.throws(() => decodeMap(buffer.slice(0, length)), /arrived damaged/);
});

test("values that are not finite have no part in the extent", () => {
  assert.deepEqual(extent([NaN, 3, -Infinity, 1]), { low: 1, high: 3 });
  assert.deepEqual(extent([NaN, Infinity]), { low: NaN, high: NaN });
});

test("the score under the pointer is that of the surface that is drawn", () => {
  const map = grid(2, 3, [0, 1, 4, 2, 8, 3]);
  const surface = interpolated(map, 30);
  for (const [x, y] of [[0, 0], [7, 11], [29, 19], [15, 3]]) {
    const drawn = surface.values[y * surface.width + x];
    assert.ok(Math.abs(scoreAt(map, (x + 0.5) / surface.width, (y + 0.5) / surface.height) - drawn) < 1e-5);
  }
});

test("a map is never made smaller", () => {
  assert.deepEqual(interpolated(grid(2, 3, [0, 1, 4, 2, 8, 3]), 1).values, Float32Array.from([0, 1, 4, 2, 8, 3]));
});

test("colours keep their order, and low scores let the image through", () => {
  const table = decodeTable(Buffer.from(Array.from({ length: 768 }, (_, i) => Math.floor(i / 3))).toString("base64"));
  const bytes = (colours) => new Uint8Array(colours.buffer);
  assert.deepEqual([...bytes(packedColours(table, opaque)).slice(4 * 200, 4 * 201)], [200, 200, 200, 255]);
  const faded = bytes(packedColours(table, fading));
  assert.deepEqual([faded[3], faded[4 * 128 + 3], faded[4 * 255 + 3]], [0, 255, 255]);
  assert.ok(faded[4 * 64 + 3] > 100 && faded[4 * 64 + 3] < 150);
});

test("a contour lies where the surface has the level, between the pixel centres", () => {
  const lines = contours(grid(1, 2, [0, 1]), 0.25);
  assert.equal(lines.length, 1);
  for (const [u] of lines[0]) assert.ok(Math.abs(u - (0.5 + 0.25) / 2) < 1e-6);
  assert.deepEqual(contours(grid(2, 2, [1, 1, 1, 1]), 2), []);
});

test("a contour around a spot is one closed line", () => {
  const values = Array.from({ length: 49 }, (_, i) => (i === 24 ? 1 : 0));
  const lines = contours(grid(7, 7, values), 0.5);
  assert.equal(lines.length, 1);
  assert.deepEqual(lines[0][0], lines[0].at(-1));
});

test("ticks are round, inside, and about as many as asked for", () => {
  assert.deepEqual(ticks(0, 10), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(0, 10, 5, [1, 2, 5, 10]), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(-0.1, 0.6, 3, [1, 2, 5, 10]), [0, 0.5]);
  for (const value of ticks(0.13, 97, 9)) assert.ok(value >= 0.13 && value <= 97);
});

test("numbers are written with as many digits as their scale needs", () => {
  assert.deepEqual([written(0.1234, 1), written(12.34, 100), written(-3, 10)], ["0.12", "12", "−3.0"]);
  assert.deepEqual([written(NaN, 1), written(1234567, 1e6)], ["no score", "1.23e+6"]);
  assert.deepEqual([tickText(0.5, 1), tickText(0, 1), tickText(100, 200)], ["0.5", "0", "100"]);
});

test("evidence is half at the threshold, never negative, and leads back to the value", () => {
  assert.deepEqual([evidence(0.2, 0.2), evidence(-3, 0.2), evidence(0, 0.2)], [0.5, 0, 0]);
  for (const value of [0.01, 0.2, 7]) assert.ok(Math.abs(valueOfEvidence(evidence(value, 0.3), 0.3) - value) < 1e-9);
  const surface = asEvidence(grid(1, 3, [0.5, NaN, 1.5]), 0.5);
  assert.deepEqual([...surface.values], [0.5, NaN, 0.75]);
});

test("a region holds what joins at a side, with its area, mean and maximum", () => {
  const map = grid(3, 4, [5, 6, 0, 9, 0, 7, 0, 0, 1, 0, 8, 8]);
  const region = regionAt(map, 0.1, 0.1, 5);
  assert.deepEqual([region.share, region.mean, region.max], [3 / 12, 6, 7]);
  assert.deepEqual([...region.map.values], [1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  assert.equal(regionAt(map, 0.6, 0.1, 5), null);
  assert.equal(regionAt(map, 0.99, 0.99, 5).share, 2 / 12);
});
