// Zoom and pan of the viewer, and how panes are arranged.

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrangement, View } from "../../pages/ui/js/view.js";

globalThis.devicePixelRatio = 1;

/** A view of an image of 400 x 200 in a stage of 200 x 200. */
function view() {
  return Object.assign(new View(), { image: { width: 400, height: 200 }, stage: { width: 200, height: 200 } });
}

const near = (found, expected) => assert.ok(Math.abs(found - expected) < 1e-9, `${found} is not ${expected}`);

test("an image fits its stage at zoom 1", () => {
  assert.deepEqual(view().box, { x: 0, y: 50, width: 200, height: 100 });
});

test("zooming keeps the point under the pointer where it is", () => {
  const shown = view();
  shown.setZoom(4); // wide and high enough that no margin is kept in sight
  for (const [x, y, factor] of [[100, 100, 1.7], [90, 110, 0.8], [120, 95, 2.2]]) {
    const before = shown.fractionAt(x, y);
    shown.zoomAbout(x, y, factor);
    const after = shown.fractionAt(x, y);
    near(after.u, before.u);
    near(after.v, before.v);
  }
});

test("panning moves the image with the pointer, and no margin comes into sight", () => {
  const shown = view();
  shown.setZoom(8);
  const before = shown.box;
  shown.pan(30, -20);
  near(shown.box.x - before.x, 30);
  near(shown.box.y - before.y, -20);
  shown.pan(1e6, 1e6);
  near(shown.box.x, 0);
  near(shown.box.y, 0);
  shown.pan(-1e6, -1e6);
  near(shown.box.x + shown.box.width, 200);
});

test("an image smaller than its stage stays in the middle", () => {
  const shown = view();
  shown.pan(50, 50);
  assert.deepEqual([shown.u, shown.v], [0.5, 0.5]);
});

test("zoom has ends, and one image pixel can stand on one screen pixel", () => {
  const shown = view();
  shown.setZoom(1e9);
  near(shown.scale, 64);
  shown.setZoom(0);
  assert.equal(shown.zoom, 1);
  shown.ownPixels();
  near(shown.scale, 1);
  shown.fit();
  assert.ok(shown.isFitted);
});

test("panes are arranged so that the picture is largest", () => {
  for (const image of [{ width: 300, height: 100 }, { width: 100, height: 300 }, { width: 200, height: 200 }]) {
    for (const count of [1, 2, 3, 5]) {
      const best = arrangement(count, 1200, 700, image);
      for (let columns = 1; columns <= count; columns++) {
        const rows = Math.ceil(count / columns);
        const width = Math.floor((1200 - 12 * (columns - 1)) / columns);
        const height = Math.max(Math.floor((700 - 12 * (rows - 1)) / rows) - 90, 240);
        assert.ok(Math.min(width / image.width, height / image.height) <= best.scale * 1.0011);
      }
      assert.ok(best.stage.height >= 160);
    }
  }
});
