// Numbers: between two others, on a scale, and as a text.

export function clamp(value, low, high) {
  return value < low ? low : value > high ? high : value;
}

export function mix(from, to, part) {
  return from + (to - from) * part;
}

/** Round numbers that divide [low, high] in about `count`, a step being one of `steps` times a power of ten. */
export function ticks(low, high, count = 5, steps = [1, 2, 2.5, 5, 10]) {
  const rough = (high - low) / Math.max(count, 2);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = steps.map((x) => x * power).find((x) => x >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** A number with as many digits as a scale of that span needs. */
export function written(value, span) {
  if (!Number.isFinite(value)) return "no score";
  const size = Math.max(Math.abs(value), span || 0);
  if (size >= 1e5 || (size > 0 && size < 1e-3)) return value.toExponential(2).replace("-", "−");
  const digits = clamp(2 - Math.floor(Math.log10(span || size || 1)), 0, 6);
  return value.toFixed(digits).replace("-", "−");
}

export function tickText(value, span) {
  const text = written(value, span);
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}
