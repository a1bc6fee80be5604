// Boxes over a picture, drawn with the pointer or moved with the keys; they come back as fractions of the picture.

import { button, element, keptInPlace } from "../ui/js/dom.js";
import { boxBetween, movedBox, WAYS } from "../ui/js/region.js";

const MOST = 32;

export default keptInPlace((parent) => new Boxes(parent));

class Boxes {
  constructor(parent) {
    this.boxes = [];
    this.image = element("img", { draggable: "false" });
    this.layer = element("div", { class: "layer" });
    this.frame = element("div", { class: "frame", tabindex: "0", role: "application" }, [this.image, this.layer]);
    this.count = element("span", { role: "status" });
    const bar = element("div", { class: "bar" }, [
      button("Another box", "Add a box (N)", () => this.add()),
      button("Remove the last", "Remove the last box (Delete)", () => this.drop()),
      this.count,
    ]);
    const help = "Draw boxes with the pointer. N adds one; arrows move the last box, Shift and arrows size it, Delete removes it.";
    this.root = element("div", { class: "boxes" }, [element("p", {}, [help]), this.frame, bar]);
    this.frame.setAttribute("aria-label", help);
    this.frame.addEventListener("pointerdown", (event) => this.onDown(event));
    this.frame.addEventListener("pointermove", (event) => this.onMove(event));
    this.frame.addEventListener("pointerup", () => this.onUp());
    this.frame.addEventListener("keydown", (event) => this.onKey(event));
    parent.append(this.root);
  }

  show({ data, setStateValue }) {
    this.send = (boxes) => setStateValue("boxes", boxes);
    if (this.image.getAttribute("src") !== data.url) this.image.src = data.url;
    this.image.alt = data.alt;
    if (this.key !== data.key) {
      this.key = data.key;
      this.boxes = [];
    }
    this.draw();
  }

  at(event) {
    const edge = this.frame.getBoundingClientRect();
    return [(event.clientX - edge.left) / edge.width, (event.clientY - edge.top) / edge.height];
  }

  onDown(event) {
    if (event.button > 0 || this.boxes.length >= MOST) return;
    event.preventDefault();
    this.frame.focus({ preventScroll: true });
    this.frame.setPointerCapture(event.pointerId);
    this.from = this.at(event);
    this.boxes.push(boxBetween(...this.from, ...this.from));
  }

  onMove(event) {
    if (!this.from) return;
    this.boxes[this.boxes.length - 1] = boxBetween(...this.from, ...this.at(event));
    this.draw();
  }

  onUp() {
    if (!this.from) return;
    this.from = null;
    const [[left, top], [right, bottom]] = this.boxes[this.boxes.length - 1];
    if (right - left < 0.002 || bottom - top < 0.002) this.boxes.pop();
    this.keep();
  }

  onKey(event) {
    if (event.key === "n") this.add();
    else if (event.key === "Delete" || event.key === "Backspace") this.drop();
    else if (event.key in WAYS && this.boxes.length) {
      const to = movedBox(this.boxes[this.boxes.length - 1], event.key, event.shiftKey);
      if (to) this.boxes[this.boxes.length - 1] = boxBetween(...to);
      this.keep();
    } else return;
    event.preventDefault();
  }

  add() {
    if (this.boxes.length < MOST) this.boxes.push(boxBetween(0.4, 0.4, 0.6, 0.6));
    this.keep();
  }

  drop() {
    this.boxes.pop();
    this.keep();
  }

  remove() {
    this.root.remove();
  }

  keep() {
    this.draw();
    this.send(this.boxes.map(([[left, top], [right, bottom]]) => [left, top, right, bottom]));
  }

  draw() {
    this.layer.replaceChildren(
      ...this.boxes.map(([[left, top], [right, bottom]]) => {
        const node = element("div", { class: "box" });
        Object.assign(node.style, {
          left: `${100 * left}%`,
          top: `${100 * top}%`,
          width: `${100 * (right - left)}%`,
          height: `${100 * (bottom - top)}%`,
        });
        return node;
      }),
    );
    this.count.textContent = this.boxes.length === 1 ? "1 box" : `${this.boxes.length} boxes`;
  }
}
