// Map of pictures: a canvas of points; what a lasso or a box encloses becomes the gallery's list.

import { element, keptInPlace, setText } from "../ui/js/dom.js";
import { Help } from "../ui/js/help.js";
import { clamp } from "../ui/js/numbers.js";
import { BEYOND, boxAround, nearestPoint, pointTowards, thinned } from "./points.js";

const EDGE = 14; // pixels between the outermost points and the edge
const REACH = 14; // pixels within which a point answers
const STEP = 0.008; // between corners of a lasso, of the map's side
const MOST_CORNERS = 48;
const ROOM = 0.012; // that a box chosen by keys leaves around its points
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = [
  ["arrows", "to the next picture in that direction"],
  ["Enter", "open the picture"],
  ["S", "first corner of a box; again: select what lies between"],
  ["Esc", "no corner; else no selection"],
];
const POINTER_HELP = "Drag around pictures to select them, with Shift to draw a box; a click opens a picture.";

export default keptInPlace((parent) => new PictureMap(parent));

class PictureMap {
  constructor(parent) {
    this.canvas = element("canvas", { tabindex: "0", role: "application" });
    this.card = element("div", { class: "card", hidden: "" });
    this.picture = element("img", { alt: "", decoding: "async" });
    this.name = element("strong", { class: "name" });
    this.text = element("span", { class: "text" });
    this.card.append(this.picture, this.name, this.text);
    this.said = element("output", { class: "said", "aria-live": "polite" });
    this.stage = element("div", { class: "stage" }, [this.canvas, this.card]);
    this.legend = element("ul", { class: "legend", "aria-label": "Colours" });
    this.help = new Help(KEYS, POINTER_HELP);
    const foot = element("div", { class: "foot" }, [this.legend, this.help.button]);
    this.root = element("div", { class: "map" }, [this.stage, foot, this.help.panel, this.said]);
    parent.append(this.root);
    this.at = -1; // the point under the pointer or in focus
    this.corner = -1; // the point that a box of keys begins at
    this.path = null; // the lasso or box that is being drawn
    this.listen();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    canvas.addEventListener("pointerup", (event) => this.onUp(event));
    canvas.addEventListener("pointercancel", () => this.drop());
    canvas.addEventListener("pointerleave", () => this.path || this.aim(-1));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && this.aim(Math.max(this.at, 0), true));
    canvas.addEventListener("blur", () => this.aim(-1));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.stage);
  }

  show({ data, setTriggerValue }) {
    const selection = { outline: data.outline };
    this.send = (name, value) => setTriggerValue(name, value);
    if (this.key !== data.key) this.at = this.corner = -1;
    Object.assign(this, { key: data.key, data, selection });
    this.xs = Float64Array.from(data.x, (value) => value / 10000);
    this.ys = Float64Array.from(data.y, (value) => value / 10000);
    this.canvas.setAttribute("aria-label", data.alt);
    this.stage.style.height = `${data.height}px`;
    this.fillLegend(data.legend);
    this.draw();
  }

  fillLegend(entries) {
    const items = entries.map(({ label, colour, edge, shape, count }) => {
      const sample = element("canvas", { width: "28", height: "28", "aria-hidden": "true" });
      const context = sample.getContext("2d");
      context.scale(2, 2);
      mark(context, shape, 7, 7, 4.5);
      context.fillStyle = colour;
      context.fill();
      context.strokeStyle = edge;
      context.stroke();
      return element("li", {}, [sample, count === null ? label : `${label} (${count.toLocaleString("en")})`]);
    });
    this.legend.replaceChildren(...items);
  }

  // places: fractions of the map, and pixels of the canvas

  get size() {
    return { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  pixel(x, y) {
    const { width, height } = this.size;
    return [EDGE + x * (width - 2 * EDGE), EDGE + y * (height - 2 * EDGE)];
  }

  place(event) {
    const { width, height } = this.size;
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left - EDGE) / (width - 2 * EDGE), (event.clientY - box.top - EDGE) / (height - 2 * EDGE)];
  }

  under(event) {
    const { width, height } = this.size;
    const [x, y] = this.place(event);
    const [wide, high] = [width - 2 * EDGE, height - 2 * EDGE];
    return nearestPoint(this.xs.map((value) => value * wide), this.ys.map((value) => value * high), x * wide, y * high, REACH);
  }

  // pointer

  onDown(event) {
    if (event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.path = { box: event.shiftKey, corners: [this.place(event)], moved: false };
  }

  onMove(event) {
    if (!this.path) {
      this.aim(this.under(event));
      return;
    }
    this.path.corners.push(this.place(event));
    const [first, last] = [this.path.corners[0], this.path.corners.at(-1)];
    const { width, height } = this.size;
    this.path.moved ||= Math.hypot((last[0] - first[0]) * width, (last[1] - first[1]) * height) > 5;
    if (this.path.moved) {
      this.aim(-1);
      this.draw();
    }
  }

  onUp(event) {
    const path = this.path;
    this.path = null;
    if (!path) return;
    if (!path.moved) {
      const point = this.under(event);
      if (point >= 0) this.send("open", this.data.ids[point]);
      else if (this.selection.outline) this.select([]);
      return;
    }
    this.select(outlineOf(path));
  }

  drop() {
    this.path = null;
    this.draw();
  }

  select(corners) {
    if (corners.length && corners.length < 3) {
      this.draw();
      return;
    }
    const whole = corners.map((corner) => corner.map(toWhole));
    this.selection.outline = corners.length ? whole : null;
    this.draw();
    this.send("region", { corners: whole });
  }

  // keys

  onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in WAYS) {
      const [dx, dy] = WAYS[event.key];
      this.aim(this.at < 0 ? 0 : pointTowards(this.xs, this.ys, this.at, dx, dy), true);
    } else if (event.key === "Enter" && this.at >= 0) {
      this.send("open", this.data.ids[this.at]);
    } else if (event.key === "s" || event.key === "S") {
      this.box();
    } else if (event.key === "Escape") {
      if (this.corner >= 0) this.corner = -1;
      else if (this.selection.outline) this.select([]);
      this.draw();
    } else if (event.key === "?") {
      this.help.toggle();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  box() {
    if (this.at < 0) return;
    if (this.corner < 0) {
      this.corner = this.at;
      setText(this.said, "First corner of a box. Move to another picture and press S again.");
      this.draw();
      return;
    }
    const [from, to] = [this.corner, this.at].map((i) => [this.xs[i], this.ys[i]]);
    this.corner = -1;
    this.select(boxAround(from, to, ROOM));
  }

  /** The picture that is pointed at: its thumbnail and what is known of it. */
  aim(point, aloud = false) {
    if (point === this.at && this.card.hidden === point < 0) return;
    this.at = point;
    this.card.hidden = point < 0;
    if (point >= 0) {
      const address = this.data.urls[point];
      if (this.picture.getAttribute("src") !== address) this.picture.src = address;
      setText(this.name, this.data.names[point]);
      setText(this.text, this.data.texts[point]);
      if (aloud) setText(this.said, `${this.data.names[point]}, ${this.data.texts[point]}`);
      this.lay(point);
    }
    this.draw();
  }

  lay(point) {
    const { width, height } = this.size;
    const [x, y] = this.pixel(this.xs[point], this.ys[point]);
    const box = { width: this.card.offsetWidth, height: this.card.offsetHeight };
    const left = x + 16 + box.width > width ? x - 16 - box.width : x + 16;
    this.card.style.left = `${Math.max(0, left)}px`;
    this.card.style.top = `${Math.min(Math.max(0, y - box.height / 2), Math.max(0, height - box.height))}px`;
  }

  // drawing

  draw() {
    if (this.frame || !this.data) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    const { width, height } = this.size;
    if (!width) return;
    const ratio = devicePixelRatio;
    const device = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
    if (this.canvas.width !== device.width || this.canvas.height !== device.height) Object.assign(this.canvas, device);
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const { on, c, legend } = this.data;
    const radius = this.xs.length > 1500 ? 3 : 4;
    for (const wanted of [0, 1]) {
      context.globalAlpha = wanted ? 0.9 : 0.18;
      legend.forEach(({ colour, edge, shape }, number) => {
        context.beginPath();
        for (let i = 0; i < c.length; i++) {
          if (c[i] === number && on[i] === wanted) mark(context, shape, ...this.pixel(this.xs[i], this.ys[i]), radius, false);
        }
        context.fillStyle = colour;
        context.fill();
        context.strokeStyle = edge;
        context.lineWidth = 0.75;
        context.stroke();
      });
    }
    context.globalAlpha = 1;
    this.paintMarks(context);
    this.root.dataset.state = "ready";
  }

  paintMarks(context) {
    const style = getComputedStyle(this.root);
    context.strokeStyle = context.fillStyle = style.getPropertyValue("--st-link-color") || style.color;
    context.lineWidth = 2;
    const drawn = this.path?.moved ? outlineOf(this.path) : this.selection.outline?.map((corner) => corner.map(fromWhole));
    if (drawn?.length) {
      context.beginPath();
      drawn.forEach(([x, y], i) => (i ? context.lineTo(...this.pixel(x, y)) : context.moveTo(...this.pixel(x, y))));
      context.closePath();
      context.globalAlpha = 0.08;
      context.fill();
      context.globalAlpha = 1;
      context.stroke();
    }
    context.strokeStyle = style.color;
    for (const [point, radius] of [[this.at, 8], [this.corner, 11]]) {
      if (point < 0) continue;
      context.beginPath();
      context.arc(...this.pixel(this.xs[point], this.ys[point]), radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  remove() {
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
    this.root.remove();
  }
}

function outlineOf({ box, corners }) {
  return box ? boxAround(corners[0], corners.at(-1)) : thinned(corners, STEP, MOST_CORNERS);
}

/** A place as selections write it: 0 to 1000, from a little before the first point to a little behind the last. */
function toWhole(value) {
  return Math.round((1000 * (clamp(value, -BEYOND, 1 + BEYOND) + BEYOND)) / (1 + 2 * BEYOND));
}

function fromWhole(value) {
  return (value / 1000) * (1 + 2 * BEYOND) - BEYOND;
}

/** Add a mark to the path in hand; `fresh` begins one. */
function mark(context, shape, x, y, r, fresh = true) {
  if (fresh) context.beginPath();
  const through = (...corners) => {
    corners.forEach(([dx, dy], i) => (i ? context.lineTo(x + dx * r, y + dy * r) : context.moveTo(x + dx * r, y + dy * r)));
    context.closePath();
  };
  if (shape === "square") context.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r);
  else if (shape === "triangle") through([0, -1.15], [1.1, 0.8], [-1.1, 0.8]);
  else if (shape === "diamond") through([0, -1.25], [1.1, 0], [0, 1.25], [-1.1, 0]);
  else if (shape === "down") through([0, 1.15], [1.1, -0.8], [-1.1, -0.8]);
  else if (shape === "bar") context.rect(x - 1.2 * r, y - 0.5 * r, 2.4 * r, r);
  else {
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, 2 * Math.PI);
  }
}
