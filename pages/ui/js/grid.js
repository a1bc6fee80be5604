// Keys that move between the tiles of a grid.

import { clamp } from "./numbers.js";

/** The place that a key leads to from a place in a grid; the same where there is none; null if the key is another. */
export function neighbour(place, key, columns, count) {
  const ways = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -place, End: count - 1 - place };
  if (place < 0 || !(key in ways)) return null;
  const to = place + ways[key];
  return to === clamp(to, 0, count - 1) ? to : place;
}

/** All places from one to another, both among them. */
export function spanned(from, to) {
  const [first, last] = from < to ? [from, to] : [to, from];
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
