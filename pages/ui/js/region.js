// Boxes of evidence: two opposite corners, as fractions of the image.

import { clamp } from "./numbers.js";

export const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 0.02; // of the image, that a key moves a box by

/** The corners, top left first, of the box between two points; kept inside the image, to four digits. */
export function boxBetween(x0, y0, x1, y1) {
  const rounded = (value) => Math.round(clamp(value, 0, 1) * 1e4) / 1e4;
  return [
    [Math.min(x0, x1), Math.min(y0, y1)],
    [Math.max(x0, x1), Math.max(y0, y1)],
  ].map((point) => point.map(rounded));
}

/** A box moved by an arrow, or sized by it; null where it would leave the image or vanish. Without a box a first one. */
export function movedBox(points, key, sized) {
  const [[x0, y0], [x1, y1]] = points || [[0.4, 0.4], [0.6, 0.6]];
  const [across, down] = WAYS[key].map((way) => way * STEP);
  const to = sized ? [x0, y0, x1 + across, y1 + down] : [x0 + across, y0 + down, x1 + across, y1 + down];
  const fits = to.every((value) => value >= 0 && value <= 1) && to[2] - to[0] >= STEP && to[3] - to[1] >= STEP;
  return fits ? to : null;
}
