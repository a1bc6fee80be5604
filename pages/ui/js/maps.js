// Anomaly maps: read, interpolated and coloured.
// Positions in an image are fractions (u, v) of its width and height.

import { clamp, mix } from "./numbers.js";

/** An error whose message is a sentence for the person at the screen. */
export class Sentence extends Error {}

/** Read the transport form: uint32 height, uint32 width, float32 values row by row. */
export function decodeMap(buffer) {
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
export function extent(values) {
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
export function interpolated(map, longest) {
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
export function scoreAt(map, u, v) {
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
export function coloured(surface, low, high, colours) {
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

/** Evidence of a value at a threshold: 0.5 at the threshold, 0 at and below 0, towards 1 far above. */
export function evidence(value, threshold) {
  const above = Math.max(value, 0);
  return above / (above + threshold);
}

/** The value that has this evidence, below 1. */
export function valueOfEvidence(share, threshold) {
  return (threshold * share) / (1 - share);
}

/** A surface in evidence. */
export function asEvidence(surface, threshold) {
  return { ...surface, values: surface.values.map((value) => (Number.isFinite(value) ? evidence(value, threshold) : value)) };
}

/**
 * The region of pixels at or above a level that holds the fraction (u, v): its share of the map, the mean and the
 * highest of its values, and the region as a map of ones; null where (u, v) lies below the level.
 */
export function regionAt(map, u, v, level) {
  const { width, height, values } = map;
  const start = clamp(Math.floor(v * height), 0, height - 1) * width + clamp(Math.floor(u * width), 0, width - 1);
  if (!(values[start] >= level)) return null;
  const inside = new Float32Array(values.length);
  const left = [start];
  inside[start] = 1;
  let [count, sum, max] = [0, 0, -Infinity];
  while (left.length) {
    const at = left.pop();
    count += 1;
    sum += values[at];
    max = Math.max(max, values[at]);
    const column = at % width;
    for (const next of [column ? at - 1 : -1, column < width - 1 ? at + 1 : -1, at - width, at + width]) {
      if (next < 0 || next >= values.length || inside[next] || !(values[next] >= level)) continue;
      inside[next] = 1;
      left.push(next);
    }
  }
  return { share: count / values.length, mean: sum / count, max, map: { width, height, values: inside } };
}

/** 256 RGB triples as 32-bit pixels; `alphaAt` gives the opacity at a fraction of the range. */
export function packedColours(table, alphaAt) {
  const bytes = new Uint8ClampedArray(1024);
  for (let i = 0; i < 256; i++) {
    bytes.set([table[3 * i], table[3 * i + 1], table[3 * i + 2], 255 * alphaAt(i / 255)], 4 * i);
  }
  return new Uint32Array(bytes.buffer);
}

export const opaque = () => 1;

/** Low scores let the image through; from half of the range on, colours are full. */
export const fading = (part) => Math.min(1, 2 * part);

export function decodeTable(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
