// What the map viewer computes: anomaly maps read, interpolated and coloured; contours; scales.
// Positions in an image are fractions (u, v) of its width and height.

const MASK_PIXELS = 4e6; // larger masks are reduced before they are traced

/** An error whose message is a sentence for the person at the screen. */
class Sentence extends Error {}

// --- maps: arrays of raw scores --------------------------------------------------------------

/** Read the transport form: uint32 height, uint32 width, float32 values row by row. */
function decodeMap(buffer) {
  const head = new DataView(buffer);
  const height = buffer.byteLength >= 8 ? head.getUint32(0, true) : 0;
  const width = buffer.byteLength >= 8 ? head.getUint32(4, true) : 0;
  if (!height || !width || buffer.byteLength !== 8 + 4 * height * width) {
    throw new Sentence("The anomaly map arrived damaged. Reload the page.");
  }
  const values = new Float32Array(buffer, 8);
  const map = { height, width, values };
  return Object.assign(map, extent(values));
}

/** Smallest and largest finite value; NaN if there is none. */
function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? { low, high } : { low: NaN, high: NaN };
}

/** Neighbours and weights of `to` evenly spread samples over `from` pixels, pixel centres aligned. */
function taps(from, to) {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const weight = new Float32Array(to);
  for (let i = 0; i < to; i++) {
    const at = clamp(((i + 0.5) * from) / to - 0.5, 0, from - 1);
    first[i] = Math.floor(at);
    second[i] = Math.min(first[i] + 1, from - 1);
    weight[i] = at - first[i];
  }
  return { first, second, weight };
}

/** The map interpolated bilinearly to `longest` pixels on its longest side (never made smaller). */
function interpolated(map, longest) {
  const factor = Math.max(1, longest / Math.max(map.width, map.height));
  const width = Math.round(map.width * factor);
  const height = Math.round(map.height * factor);
  const x = taps(map.width, width);
  const y = taps(map.height, height);
  const values = new Float32Array(width * height);
  for (let row = 0, k = 0; row < height; row++) {
    const above = y.first[row] * map.width;
    const below = y.second[row] * map.width;
    const down = y.weight[row];
    for (let column = 0; column < width; column++, k++) {
      const left = x.first[column];
      const right = x.second[column];
      const across = x.weight[column];
      const top = mix(map.values[above + left], map.values[above + right], across);
      values[k] = mix(top, mix(map.values[below + left], map.values[below + right], across), down);
    }
  }
  return { width, height, values };
}

/** Raw score at the fraction (u, v) of the image: the value of the surface that is drawn. */
function scoreAt(map, u, v) {
  const x = clamp(u * map.width - 0.5, 0, map.width - 1);
  const y = clamp(v * map.height - 0.5, 0, map.height - 1);
  const left = Math.floor(x);
  const right = Math.min(left + 1, map.width - 1);
  const above = Math.floor(y) * map.width;
  const below = Math.min(Math.floor(y) + 1, map.height - 1) * map.width;
  const top = mix(map.values[above + left], map.values[above + right], x - left);
  const bottom = mix(map.values[below + left], map.values[below + right], x - left);
  return mix(top, bottom, y - Math.floor(y));
}

/** A canvas of the surface in `colours` over [low, high]; values that are not finite stay clear. */
function coloured(surface, low, high, colours) {
  const canvas = document.createElement("canvas");
  canvas.width = surface.width;
  canvas.height = surface.height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(surface.width, surface.height);
  const pixels = new Uint32Array(image.data.buffer);
  const steps = 255.999 / (high - low || 1);
  for (let i = 0; i < pixels.length; i++) {
    const value = surface.values[i];
    if (Number.isFinite(value)) pixels[i] = colours[clamp(((value - low) * steps) | 0, 0, 255)];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** 256 RGB triples as 32-bit pixels; `alphaAt` gives the opacity at a fraction of the range. */
function packedColours(table, alphaAt) {
  const bytes = new Uint8ClampedArray(1024);
  for (let i = 0; i < 256; i++) {
    bytes.set([table[3 * i], table[3 * i + 1], table[3 * i + 2], 255 * alphaAt(i / 255)], 4 * i);
  }
  return new Uint32Array(bytes.buffer);
}

const opaque = () => 1;

/** Low scores let the image through; from half of the range on, colours are full. */
const fading = (part) => Math.min(1, 2 * part);

function decodeTable(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// --- contours: marching squares --------------------------------------------------------------

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
function contours(grid, level) {
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

function pathOf(lines) {
  const path = new Path2D();
  for (const line of lines) {
    line.forEach(([u, v], index) => (index ? path.lineTo(u, v) : path.moveTo(u, v)));
  }
  return path;
}

/** Outline of a mask image: brighter than half its maximum is inside. */
function maskOutline(image) {
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

// --- numbers ---------------------------------------------------------------------------------

function clamp(value, low, high) {
  return value < low ? low : value > high ? high : value;
}

function mix(from, to, part) {
  return from + (to - from) * part;
}

/** Round numbers that divide [low, high] in about five. */
function ticks(low, high) {
  const span = high - low;
  const rough = span / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((x) => x * power).find((x) => x >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** A number with as many digits as a scale of that span needs. */
function written(value, span) {
  if (!Number.isFinite(value)) return "no score";
  const size = Math.max(Math.abs(value), span || 0);
  if (size >= 1e5 || (size > 0 && size < 1e-3)) return value.toExponential(2).replace("-", "−");
  const digits = clamp(2 - Math.floor(Math.log10(span || size || 1)), 0, 6);
  return value.toFixed(digits).replace("-", "−");
}

function tickText(value, span) {
  const text = written(value, span);
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}
