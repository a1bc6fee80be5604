// Cuts between levels on the axis of scores, from `low` to `high`; a score is called the level of the cuts it reaches.

import { clamp } from "../ui/js/numbers.js";

const STEPS = 200; // of a key, over the whole axis

/** Where a cut may move: between its neighbours, or to the end of the axis, or where it stands beyond that. */
export function limits(cuts, index, { low, high }) {
  const at = cuts[index];
  const least = index ? cuts[index - 1] : Math.min(low, at);
  const most = index < cuts.length - 1 ? cuts[index + 1] : Math.max(high, at);
  return [least, most];
}

/** A cut so many steps on, from the end of the axis where it stands beyond that. */
export function stepped(cut, steps, { low, high }) {
  return clamp(cut, low, high) + (steps * (high - low)) / STEPS;
}

/** Place of the level that a score is called: the number of cuts that it reaches. */
export function calledAt(cuts, score) {
  return cuts.filter((cut) => score >= cut).length;
}
