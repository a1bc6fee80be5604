// The part of an image that all panes of the viewer show, and how the panes are arranged.
// Positions in an image are fractions (u, v) of its width and height.

import { clamp } from "./numbers.js";

const GAP = 12; // between panes, as in the style sheet
const HEADER = 30; // of a pane, above its picture
const FOOTER = 60; // of a pane, below its picture
const SMALLEST_STAGE = 160;
const LEAST_ROOM = 240; // that a picture is given, though panes then reach below the window
const MOST_MAGNIFIED = 64; // screen pixels per image pixel

export class View {
  constructor() {
    this.u = 0.5;
    this.v = 0.5;
    this.zoom = 1;
    this.image = { width: 1, height: 1 };
    this.stage = { width: 1, height: 1 };
  }

  /** Screen pixels (CSS) per image pixel at zoom 1, where the image just fits. */
  get fitted() {
    return Math.min(this.stage.width / this.image.width, this.stage.height / this.image.height);
  }

  get scale() {
    return this.fitted * this.zoom;
  }

  /** Where the image lies in the stage, in CSS pixels. */
  get box() {
    const width = this.image.width * this.scale;
    const height = this.image.height * this.scale;
    return { x: this.stage.width / 2 - this.u * width, y: this.stage.height / 2 - this.v * height, width, height };
  }

  get isFitted() {
    return this.zoom <= 1.0001;
  }

  get smallest() {
    return Math.min(1, 1 / (this.fitted * devicePixelRatio));
  }

  fractionAt(x, y) {
    const box = this.box;
    return { u: (x - box.x) / box.width, v: (y - box.y) / box.height };
  }

  /** Zoom so that the point of the image under (x, y) stays there. */
  zoomAbout(x, y, factor) {
    const fixed = this.fractionAt(x, y);
    this.setZoom(this.zoom * factor);
    const box = this.box;
    this.u += fixed.u - (x - box.x) / box.width;
    this.v += fixed.v - (y - box.y) / box.height;
    this.keepInSight();
  }

  setZoom(zoom) {
    const largest = Math.max(MOST_MAGNIFIED / (this.fitted * devicePixelRatio), 4);
    this.zoom = clamp(zoom, this.smallest, largest);
  }

  pan(dx, dy) {
    const box = this.box;
    this.u -= dx / box.width;
    this.v -= dy / box.height;
    this.keepInSight();
  }

  fit() {
    Object.assign(this, { u: 0.5, v: 0.5, zoom: 1 });
  }

  /** One image pixel on one screen pixel. */
  ownPixels() {
    this.setZoom(1 / (this.fitted * devicePixelRatio));
    this.keepInSight();
  }

  /** No empty margin where the image is larger than the stage; centred where it is smaller. */
  keepInSight() {
    const { width, height } = this.box;
    this.u = centred(this.u, this.stage.width / width / 2);
    this.v = centred(this.v, this.stage.height / height / 2);
  }
}

function centred(at, half) {
  return half >= 0.5 ? 0.5 : clamp(at, half, 1 - half);
}

/** The number of columns that makes the picture largest, and the stage's size then. */
export function arrangement(count, width, area, image) {
  let best = null;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const stage = {
      width: Math.floor((width - GAP * (columns - 1)) / columns),
      height: Math.floor((area - GAP * (rows - 1)) / rows) - HEADER - FOOTER,
    };
    stage.height = Math.max(stage.height, LEAST_ROOM);
    const scale = Math.min(stage.width / image.width, stage.height / image.height);
    if (!best || scale > best.scale * 1.001) best = { columns, stage, scale };
  }
  const needed = Math.ceil((best.stage.width * image.height) / image.width);
  best.stage.height = Math.max(Math.min(best.stage.height, needed), SMALLEST_STAGE);
  return best;
}
