// Points of a map: which is nearest, which lies in a direction, and outlines of selections. Places go from 0 to 1.

export const BEYOND = 0.05; // of the map's side, that an outline may lie outside of the outermost points

/** The number of the point nearest to (x, y) within `reach`, else -1. */
export function nearestPoint(xs, ys, x, y, reach) {
  let best = -1;
  let least = reach * reach;
  for (let i = 0; i < xs.length; i++) {
    const apart = (xs[i] - x) ** 2 + (ys[i] - y) ** 2;
    if (apart <= least) {
      least = apart;
      best = i;
    }
  }
  return best;
}

/** The nearest point from point `from` in a direction (dx, dy), sideways counting double; `from` where there is none. */
export function pointTowards(xs, ys, from, dx, dy) {
  let best = from;
  let least = Infinity;
  for (let i = 0; i < xs.length; i++) {
    const along = (xs[i] - xs[from]) * dx + (ys[i] - ys[from]) * dy;
    const aside = Math.abs((xs[i] - xs[from]) * dy) + Math.abs((ys[i] - ys[from]) * dx);
    if (i === from || along <= 1e-6 || aside > 2 * along) continue;
    const cost = along + 2 * aside;
    if (cost < least) {
      least = cost;
      best = i;
    }
  }
  return best;
}

/** An outline with at most `most` corners, none nearer than `step` to the one before. */
export function thinned(corners, step, most) {
  const kept = corners.filter((corner, i) => i === 0 || Math.hypot(corner[0] - corners[i - 1][0], corner[1] - corners[i - 1][1]) > 0);
  const far = [];
  for (const corner of kept) {
    const last = far[far.length - 1];
    if (!last || Math.hypot(corner[0] - last[0], corner[1] - last[1]) >= step) far.push(corner);
  }
  if (far.length <= most) return far;
  return Array.from({ length: most }, (_, i) => far[Math.floor((i * far.length) / most)]);
}

/** The four corners of the box between two points, made `room` larger on each side and kept near the map. */
export function boxAround([x0, y0], [x1, y1], room = 0) {
  const inside = (value) => Math.min(1 + BEYOND, Math.max(-BEYOND, value));
  const [left, right] = [inside(Math.min(x0, x1) - room), inside(Math.max(x0, x1) + room)];
  const [top, bottom] = [inside(Math.min(y0, y1) - room), inside(Math.max(y0, y1) + room)];
  return [[left, top], [right, top], [right, bottom], [left, bottom]];
}
