// Cuts between levels: points of each level, and a handle for each cut that moves by pointer and by keys.

import { element, keptInPlace, setText } from "../ui/js/dom.js";
import { clamp, ticks } from "../ui/js/numbers.js";
import { calledAt, limits, stepped } from "./cuts.js";

const FLAG = 22;
const ROW = 34;
const AXIS = 30;
const LEAST_LEFT = 124; // for the names of the levels; more where one is longer
const MOST_LEFT = 0.4; // of the whole width
const RIGHT = 12;
const WAIT_MS = 350;
const MOVES = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
const SVG = "http://www.w3.org/2000/svg";

export default keptInPlace((parent) => new CutPlot(parent));

class CutPlot {
  constructor(parent) {
    const name = "Scores of each level and the cuts between levels";
    this.root = element("div", { class: "cutting", role: "group", "aria-label": name });
    this.picture = shape("svg", {});
    this.root.append(this.picture);
    this.handles = [];
    this.cuts = [];
    this.left = LEAST_LEFT;
    this.given = "";
    this.waiting = 0;
    this.held = -1;
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.root);
    parent.append(this.root);
  }

  /** Take over what this run of the page says; cuts only where it says others than before. */
  show({ data, setTriggerValue }) {
    this.data = data;
    this.send = () => {
      clearTimeout(this.waiting);
      this.waiting = 0;
      const now = JSON.stringify(this.cuts);
      if (now === this.given) return;
      this.given = now;
      setTriggerValue("cuts", [...this.cuts]);
    };
    const given = JSON.stringify(data.cuts);
    if (this.held < 0 && !this.waiting) {
      this.given = given;
      this.cuts = [...data.cuts];
    }
    this.matchHandles();
    this.draw();
  }

  matchHandles() {
    while (this.handles.length > this.cuts.length) this.handles.pop().node.remove();
    while (this.handles.length < this.cuts.length) {
      const handle = new Handle(this, this.handles.length);
      this.handles.push(handle);
      this.root.append(handle.node);
    }
  }

  get width() {
    return Math.max(this.root.clientWidth - this.left - RIGHT, 40);
  }

  /** Where the axis begins: behind the longest name, which is never cut where its level stands. */
  measure() {
    const names = this.data.rows.map((row) => shape("text", { class: "name" }, row.label));
    this.picture.replaceChildren(...names);
    const longest = Math.max(...names.map((name) => name.getComputedTextLength()));
    this.left = clamp(longest + 24, LEAST_LEFT, Math.max(MOST_LEFT * this.root.clientWidth, LEAST_LEFT));
  }

  /** A name at the left edge; its end gives way where it is too long. */
  name(label, y) {
    const node = shape("text", { class: "name", x: 4, y }, label);
    this.picture.append(node);
    let rest = label;
    while (rest.length > 3 && node.getComputedTextLength() > this.left - 12) {
      rest = rest.slice(0, -1);
      node.textContent = `${rest.trimEnd()}…`;
    }
    if (rest !== label) node.append(shape("title", {}, label));
    return node;
  }

  get top() {
    return FLAG * this.cuts.length + 4;
  }

  get bottom() {
    return this.top + ROW * this.data.rows.length;
  }

  place(value) {
    const { low, high } = this.data;
    return this.left + (this.width * (clamp(value, low, high) - low)) / (high - low);
  }

  valueAt(x) {
    const { low, high } = this.data;
    return clamp(low + ((high - low) * (x - this.left)) / this.width, low, high);
  }

  limits(index) {
    return limits(this.cuts, index, this.data);
  }

  move(index, value) {
    this.cuts[index] = clamp(value, ...this.limits(index));
    this.draw();
  }

  step(index, steps) {
    this.move(index, stepped(this.cuts[index], steps, this.data));
  }

  sendSoon() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(this.send, WAIT_MS);
  }

  draw() {
    if (!this.data || !this.root.clientWidth) return;
    const height = this.bottom + AXIS;
    this.root.style.height = `${height}px`;
    this.measure();
    this.picture.setAttribute("width", this.root.clientWidth);
    this.picture.setAttribute("height", height);
    this.picture.replaceChildren(...this.bands(), ...this.axis(), ...this.data.rows.flatMap((row, k) => this.row(row, k)));
    this.handles.forEach((handle) => handle.draw());
  }

  /** Behind the points the colour of the level that a score there is called. */
  bands() {
    const ends = [this.left, ...this.cuts.map((cut) => this.place(cut)), this.left + this.width];
    return this.data.rows.map((row, k) =>
      shape("rect", {
        class: "band",
        x: ends[k],
        y: this.top,
        width: Math.max(ends[k + 1] - ends[k], 0),
        height: this.bottom - this.top,
        fill: row.colour,
      }),
    );
  }

  row(row, k) {
    const middle = this.top + ROW * (k + 0.5);
    const name = this.name(row.label, middle - 2);
    const right = row.scores.filter((score) => calledAt(this.cuts, score) === k).length / (row.scores.length || 1);
    const called = shape("text", { class: "called", x: 4, y: middle + 12 }, `${Math.round(100 * right)} % of ${row.images} called so`);
    const points = (scores) => scores.map((score, i) => `M${this.place(score).toFixed(1)} ${(middle + jitter(i)).toFixed(1)}h0`).join("");
    const of = (scores, kind, colour) => shape("path", { class: kind, d: points(scores), stroke: colour });
    const line = shape("path", { class: "rule", d: `M${this.left} ${middle + ROW / 2}h${this.width}` });
    return [
      line,
      of(row.placed, "rim", row.edge),
      of(row.placed, "core", "var(--st-background-color)"),
      of(row.scores, "rim", row.edge),
      of(row.scores, "core", row.colour),
      name,
      called,
    ];
  }

  axis() {
    return ticks(this.data.low, this.data.high, this.width / 90, [1, 2, 5, 10]).flatMap((value) => [
      shape("path", { class: "rule", d: `M${this.place(value)} ${this.top}V${this.bottom + 4}` }),
      shape("text", { class: "tick", x: this.place(value), y: this.bottom + 18 }, text(value)),
    ]);
  }

  remove() {
    clearTimeout(this.waiting);
    this.sizes.disconnect();
    this.root.remove();
  }
}

class Handle {
  constructor(plot, index) {
    this.plot = plot;
    this.index = index;
    this.flag = element("span", { class: "flag" });
    const facts = { class: "handle", tabindex: "0", role: "slider", "aria-orientation": "horizontal" };
    this.node = element("div", facts, [element("span", { class: "line" }), this.flag]);
    this.node.addEventListener("pointerdown", (event) => this.onDown(event));
    this.node.addEventListener("pointermove", (event) => this.onMove(event));
    this.node.addEventListener("pointerup", () => this.onUp());
    this.node.addEventListener("pointercancel", () => this.onUp());
    this.node.addEventListener("keydown", (event) => this.onKey(event));
    this.node.addEventListener("blur", () => this.plot.waiting && this.plot.send());
  }

  draw() {
    const { plot, index } = this;
    const value = plot.cuts[index];
    const { low, high, rows } = plot.data;
    const row = rows[index + 1];
    const x = plot.place(value);
    const beyond = value > high ? " ▸" : value < low ? " ◂" : "";
    this.node.style.left = `${x}px`;
    this.node.style.top = `${FLAG * index}px`;
    this.node.style.height = `${plot.bottom - FLAG * index}px`;
    this.node.classList.toggle("leftward", x > plot.left + plot.width * 0.7);
    setText(this.flag, `${row.short} from ${text(value)}${beyond}`);
    this.flag.style.backgroundColor = row.colour;
    this.flag.style.color = row.ink;
    const [least, most] = plot.limits(index);
    this.node.setAttribute("aria-label", `Scores are called ${row.short} or worse from`);
    this.node.setAttribute("aria-valuemin", least);
    this.node.setAttribute("aria-valuemax", most);
    this.node.setAttribute("aria-valuenow", value);
    this.node.setAttribute("aria-valuetext", text(value));
  }

  onDown(event) {
    if (event.button) return;
    event.preventDefault();
    this.node.focus();
    this.node.setPointerCapture(event.pointerId);
    this.plot.held = this.index;
    this.grip = event.clientX - this.plot.root.getBoundingClientRect().left - this.plot.place(this.plot.cuts[this.index]);
    this.moved = false;
  }

  onMove(event) {
    if (this.plot.held !== this.index) return;
    const x = event.clientX - this.plot.root.getBoundingClientRect().left - this.grip;
    if (!this.moved && Math.abs(x - this.plot.place(this.plot.cuts[this.index])) < 2) return;
    this.moved = true;
    this.plot.move(this.index, this.plot.valueAt(x));
  }

  onUp() {
    if (this.plot.held !== this.index) return;
    this.plot.held = -1;
    this.plot.send();
  }

  onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const [least, most] = this.plot.limits(this.index);
    const { low, high } = this.plot.data;
    if (event.key in MOVES) this.plot.step(this.index, MOVES[event.key] * (event.shiftKey ? 10 : 1));
    else if (event.key === "Home") this.plot.move(this.index, Math.max(least, low));
    else if (event.key === "End") this.plot.move(this.index, Math.min(most, high));
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.plot.sendSoon();
  }
}

/** Up to six places, one after the other, so that points of equal score stand beside each other. */
function jitter(index) {
  return ((index * 7) % 13) * 1.3 - 7.8;
}

/** Four significant digits. */
function text(value) {
  return String(Number(value.toPrecision(4)));
}

function shape(tag, attributes, content) {
  const node = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
  if (content !== undefined) node.textContent = content;
  return node;
}

