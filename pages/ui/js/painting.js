// Pictures and lines on a canvas, at the screen's own pixels.

const HALO = { style: "rgba(0, 0, 0, 0.6)", extra: 2 };

export function inDevicePixels(box) {
  const ratio = devicePixelRatio;
  const x = Math.round(box.x * ratio);
  const y = Math.round(box.y * ratio);
  return { x, y, width: box.width * ratio, height: box.height * ratio };
}

/** Draw the visible part of a source that fills `box`, whole source pixels at a time. */
export function drawPart(context, source, width, height, box) {
  const across = visible(box.x, box.width, context.canvas.width, width);
  const down = visible(box.y, box.height, context.canvas.height, height);
  if (across.size <= 0 || down.size <= 0) return;
  const x = [box.x + (across.from * box.width) / width, (across.size * box.width) / width];
  const y = [box.y + (down.from * box.height) / height, (down.size * box.height) / height];
  context.drawImage(source, across.from, down.from, across.size, down.size, x[0], y[0], x[1], y[1]);
}

function visible(start, length, limit, pixels) {
  const from = Math.max(0, Math.floor((-start / length) * pixels) - 1);
  const to = Math.min(pixels, Math.ceil(((limit - start) / length) * pixels) + 1);
  return { from, size: to - from };
}

/** Stroke a path given in fractions of `box`, over a dark halo so that it shows on any colour. */
export function strokeOver(context, path, box, line) {
  const placed = new Path2D();
  placed.addPath(path, new DOMMatrix([box.width, 0, 0, box.height, box.x, box.y]));
  context.lineJoin = "round";
  context.setLineDash(line.dash.map((length) => length * devicePixelRatio));
  for (const [style, width] of [
    [HALO.style, line.width + HALO.extra],
    [line.style, line.width],
  ]) {
    context.strokeStyle = style;
    context.lineWidth = width * devicePixelRatio;
    context.stroke(placed);
  }
}
