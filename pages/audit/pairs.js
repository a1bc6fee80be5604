// Pairs: two images and one question, which of them is worse.

import { button, element, setText } from "../ui/js/dom.js";
import { Help } from "../ui/js/help.js";
import { roomBelow } from "../ui/js/room.js";
import { Keys } from "./keys.js";
import { Sender } from "./sending.js";
import { mount, picture, prefetch, whenPainted } from "./shared.js";

const BELOW = 70; // pixels, for what stands below the pictures
const SMALLEST = 260;
const KEYS = [
  ["←", "left is worse"],
  ["→", "right is worse"],
  ["Space", "equal"],
  ["S", "another pair"],
  ["Z", "undo"],
  ["Y", "redo"],
  ["?", "show or hide this help"],
];

export default function (component) {
  const [pairs, leave] = mount(component, () => new Pairs());
  pairs.show(component);
  return leave;
}

class Pairs {
  constructor() {
    this.sender = new Sender();
    this.answered = new Set();
    this.pair = null;
    this.times = [];
    this.build();
    this.keys = new Keys(this.root, (event) => this.onKey(event));
    this.onResize = () => this.layout();
    this.resized = new ResizeObserver(this.onResize);
    this.resized.observe(this.root);
  }

  end() {
    this.resized.disconnect();
  }

  build() {
    this.question = element("span", { class: "count" }, ["Which is worse?"]);
    this.count = element("span", { class: "pace" });
    this.saved = element("span", { class: "saved", role: "status" });
    this.note = element("p", { class: "note", role: "status" });
    this.help = new Help(KEYS);
    this.sides = ["Left", "Right"].map((name, index) => this.side(name, index));
    const answers = element("div", { class: "answers" }, [
      this.answer("←", "Left is worse", 1),
      this.answer("Space", "Equal", 0.5),
      this.answer("→", "Right is worse", 0),
    ]);
    this.root = element("div", { class: "pairs", role: "region", "aria-label": "Pairs", tabindex: "-1" }, [
      element("div", { class: "top" }, [this.question, this.count, this.saved, this.help.button]),
      this.help.panel,
      this.note,
      element("div", { class: "pair" }, this.sides.map((side) => side.root)),
      answers,
    ]);
  }

  side(name, index) {
    const frame = element("div", { class: "frame" });
    const message = element("p", { class: "message" });
    const stage = element("div", { class: "stage", role: "img", "aria-label": `${name} image` }, [frame, message]);
    stage.addEventListener("click", () => this.say(index === 0 ? 1 : 0));
    return { root: element("div", { class: "side" }, [stage]), stage, frame, message };
  }

  answer(key, text, worse) {
    const node = button("", text, () => this.say(worse));
    node.append(element("kbd", {}, [key]), ` ${text}`);
    return node;
  }

  show({ data, setTriggerValue }) {
    this.data = data;
    this.sender.through((message) => setTriggerValue("acts", message), data.taken);
    setText(this.count, data.count);
    setText(this.saved, this.sender.settled ? "" : "Saving…");
    this.root.dataset.saved = String(this.sender.settled);
    if (data.note && data.note.number !== this.noted) {
      setText(this.note, data.note.text);
      this.note.classList.toggle("wrong", Boolean(data.note.wrong));
    }
    this.noted = data.note && data.note.number;
    if (data.at !== this.moved) {
      this.moved = data.at;
      this.answered.clear();
      this.pair = null;
    }
    if (!this.pair || this.answered.has(this.pair.key)) this.next(performance.now());
    prefetch(data.pairs.flatMap((pair) => pair.images));
  }

  /** The first pair that the page offers and that was not answered here. */
  next(start) {
    this.pair = this.data.pairs.find((pair) => !this.answered.has(pair.key)) || null;
    this.root.dataset.pair = this.pair ? this.pair.key : "";
    if (!this.pair) return;
    this.since = performance.now();
    this.sides.forEach((side, index) => this.load(side, this.pair.images[index], start));
  }

  async load(side, item, start) {
    const pair = this.pair;
    setText(side.message, "");
    try {
      const image = await picture(item);
      if (pair !== this.pair) return;
      const copy = image.cloneNode();
      copy.alt = "";
      side.frame.replaceChildren(copy);
      side.ratio = image.naturalWidth / image.naturalHeight;
      this.layout();
      whenPainted(start, (took) => {
        this.times.push(Math.round(took));
        this.root.dataset.times = JSON.stringify(this.times.slice(-200));
      });
    } catch {
      if (pair !== this.pair) return;
      side.frame.replaceChildren();
      setText(side.message, "This image cannot be shown. Press S for another pair.");
    }
  }

  layout() {
    const room = Math.max(roomBelow(this.sides[0].stage) - BELOW, SMALLEST);
    for (const side of this.sides) {
      const ratio = side.ratio || 4 / 3;
      const width = Math.min(side.stage.clientWidth, room * ratio);
      side.stage.style.height = `${room}px`;
      side.frame.style.width = `${width}px`;
      side.frame.style.height = `${width / ratio}px`;
    }
  }

  say(worse) {
    this.act({ act: "compare", after: worse });
  }

  act(act) {
    if (!this.pair) return;
    const [first, second] = this.pair.images;
    const seconds = Math.round((performance.now() - this.since) / 100) / 10;
    this.answered.add(this.pair.key);
    setText(this.note, "");
    this.sender.add({ ...act, image: first.id, other: second.id, seconds });
    setText(this.saved, "Saving…");
    this.root.dataset.saved = "false";
    this.next(performance.now());
  }

  onKey(event) {
    const actions = {
      arrowleft: () => this.say(1),
      arrowright: () => this.say(0),
      " ": () => this.say(0.5),
      s: () => this.act({ act: "skip" }),
      z: () => this.sender.add({ act: event.shiftKey ? "redo" : "undo" }),
      y: () => this.sender.add({ act: "redo" }),
      "?": () => this.help.toggle(),
      escape: () => this.help.show(false),
    };
    const act = this.data && actions[event.key.toLowerCase()];
    if (act && !event.repeat) act();
    return Boolean(act);
  }
}
