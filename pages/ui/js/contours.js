// Contours of a map by marching squares, and the outline of a mask.
// Positions in an image are fractions (u, v) of its width and height.

import { extent } from "./maps.js";
import { clamp, mix } from "./numbers.js";

const MASK_PIXELS = 4e6; // larger masks are reduced before they are traced

// Which cell sides a contour enters and leaves, by corners above the level (top left 8, top right 4,
// bottom right 2, bottom left 1); the higher side lies to the left of the way.
const [TOP, RIGHT, BOTTOM, LEFT] = [0, 1, 2, 3];
const CROSSINGS = {
  1: [[BOTTOM, LEFT]],
  2: [[RIGHT, BOTTOM]],
  3: [[RIGHT, LEFT]],
  4: [[TOP, RIGHT]],
  6: [[TOP, BOTTOM]],
  7: [[TOP, LEFT]],
  8: [[LEFT, TOP]],
  9: [[BOTTOM, TOP]],
  11: [[RIGHT, TOP]],
  12: [[LEFT, RIGHT]],
  13: [[BOTTOM, RIGHT]],
  14: [[LEFT, BOTTOM]],
};
const SADDLES = {
  5: { joined: [[TOP, LEFT], [BOTTOM, RIGHT]], apart: [[TOP, RIGHT], [BOTTOM, LEFT]] },
  10: { joined: [[RIGHT, TOP], [LEFT, BOTTOM]], apart: [[LEFT, TOP], [RIGHT, BOTTOM]] },
};

/**
 * Lines on which the bilinear surface through the grid's pixel centres equals `level`, as lists of
 * (u, v). The grid is continued by half a pixel on each side, so that lines reach the image's border.
 */
export function contours(grid, level) {
  const nodes = continued(grid);
  const next = crossings(nodes, level);
  return chains(next).map((chain) => chain.map((edge) => pointOn(nodes, edge, level)));
}

/** The grid with its border values repeated: node columns at 0, 0.5, 1.5, … width - 0.5, width. */
function continued({ width, height, values }) {
  const columns = width + 2;
  const rows = height + 2;
  const at = new Float32Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    const from = clamp(row - 1, 0, height - 1) * width;
    const to = row * columns;
    at[to] = values[from];
    for (let column = 0; column < width; column++) at[to + column + 1] = values[from + column];
    at[to + columns - 1] = values[from + width - 1];
  }
  return { width, height, columns, rows, at };
}

/** For each cell side where a line enters, the side where it leaves. Sides are numbered over the whole grid. */
function crossings({ columns, rows, at }, level) {
  const next = new Map();
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const node = row * columns + column;
      const [a, b, c, d] = [at[node], at[node + 1], at[node + columns + 1], at[node + columns]];
      const code = (a > level) * 8 + (b > level) * 4 + (c > level) * 2 + (d > level) * 1;
      if (code === 0 || code === 15 || !Number.isFinite(a + b + c + d)) continue;
      const sides = [2 * node, 2 * (node + 1) + 1, 2 * (node + columns), 2 * node + 1];
      const lines = CROSSINGS[code] || SADDLES[code][(a + b + c + d) / 4 > level ? "joined" : "apart"];
      for (const [enter, leave] of lines) next.set(sides[enter], sides[leave]);
    }
  }
  return next;
}

/** Follow the crossings from side to side; closed lines repeat their first side at the end. */
function chains(next) {
  const entered = new Set(next.values());
  const starts = [...next.keys()].filter((edge) => !entered.has(edge));
  const found = [];
  const follow = (start) => {
    const chain = [start];
    for (let edge = start; next.has(edge); ) {
      const leave = next.get(edge);
      next.delete(edge);
      chain.push(leave);
      edge = leave;
    }
    found.push(chain);
  };
  starts.forEach(follow);
  while (next.size) follow(next.keys().next().value);
  return found;
}

/** Where a cell side crosses the level, as (u, v). Even sides run right from their node, odd ones down. */
function pointOn({ width, height, columns, at }, edge, level) {
  const node = edge >> 1;
  const downwards = edge & 1;
  const other = node + (downwards ? columns : 1);
  const part = (level - at[node]) / (at[other] - at[node]);
  const x = mix(position(node % columns, width), position(other % columns, width), part);
  const y = mix(position(Math.floor(node / columns), height), position(Math.floor(other / columns), height), part);
  return [x / width, y / height];
}

/** Pixel position of a node column (or row) of a continued grid. */
function position(index, length) {
  return clamp(index - 0.5, 0, length);
}

export function pathOf(lines) {
  const path = new Path2D();
  for (const line of lines) {
    line.forEach(([u, v], index) => (index ? path.lineTo(u, v) : path.moveTo(u, v)));
  }
  return path;
}

/** Outline of a mask image: brighter than half its maximum is inside. */
export function maskOutline(image) {
  const pixels = image.naturalWidth * image.naturalHeight;
  const factor = Math.min(1, Math.sqrt(MASK_PIXELS / pixels));
  const width = Math.max(1, Math.round(image.naturalWidth * factor));
  const height = Math.max(1, Math.round(image.naturalHeight * factor));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  const data = context.getImageData(0, 0, width, height).data;
  const values = new Float32Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = data[4 * i];
  const { high } = extent(values);
  if (!(high > 0)) return new Path2D();
  const share = factor < 1 ? 0.25 : 0.5; // a reduced mask keeps defects thinner than its pixels
  return pathOf(contours({ width, height, values }, high * share));
}
