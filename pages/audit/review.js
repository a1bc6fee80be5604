// Review: one image of a queue, the ladder of levels beside it, and what the reviewer makes of it.
// The next images are in the browser before they are asked for; what the reviewer does is sent to the page
// and kept until the page has written it.

import { button, element, setText } from "../ui/js/dom.js";
import { Help } from "../ui/js/help.js";
import { clamp } from "../ui/js/numbers.js";
import { Keys } from "./keys.js";
import { boxBetween, movedBox, WAYS } from "../ui/js/region.js";
import { roomBelow } from "../ui/js/room.js";
import { Sender } from "./sending.js";
import { mount, picture, prefetch, whenPainted } from "./shared.js";

const BELOW = 64; // pixels, for what stands below the picture
const SMALLEST = 300;
const LENS = 240; // pixels across
const STRONGEST = 12;
const NO_REFERENCE = "Choose this level on an image that shows it well, then press A: the image becomes a reference of the level.";
const KEYS = [
  ["0–9", "level"],
  [".", "half"],
  ["U", "unsure; after a level: probably it"],
  ["G", "not gradable"],
  ["C", "comment"],
  ["R", "region"],
  ["Enter", "commit, then next"],
  ["← →", "previous, next"],
  ["Z", "undo"],
  ["Y", "redo"],
  ["M", "magnifier"],
  ["A", "make the image a reference of its level"],
  ["?", "show or hide this help"],
];

export default function (component) {
  const [review, leave] = mount(component, () => new Review());
  review.show(component);
  return leave;
}

class Review {
  constructor() {
    this.sender = new Sender();
    this.items = new Map(); // by place in the queue
    this.place = 0;
    this.times = [];
    this.lens = { on: false, strength: 3, u: 0.5, v: 0.5 };
    this.clear();
    this.build();
    this.keys = new Keys(this.root, (event) => this.onKey(event));
    this.onResize = () => this.layout();
    this.resized = new ResizeObserver(this.onResize);
    this.resized.observe(this.stage);
    window.addEventListener("resize", this.onResize);
  }

  end() {
    this.resized.disconnect();
    window.removeEventListener("resize", this.onResize);
  }

  // building

  build() {
    this.count = element("span", { class: "count" });
    this.bar = element("progress", { max: "1", value: "0", "aria-label": "Images of this queue that you have rated" });
    this.pace = element("span", { class: "pace" });
    this.saved = element("span", { class: "saved", role: "status" });
    this.note = element("p", { class: "note", role: "status" });
    this.frame = element("div", { class: "frame" });
    this.box = element("div", { class: "box" });
    this.lensBox = element("div", { class: "lens", "aria-hidden": "true" });
    this.message = element("p", { class: "message" });
    this.stage = element("div", { class: "stage", role: "group", tabindex: "0" }, [
      this.frame,
      this.lensBox,
      this.message,
    ]);
    this.listen();
    this.help = new Help(KEYS);
    this.aside = element("div", { class: "aside" }, [...this.buildLadder(), this.buildReveal(), ...this.buildDoubt(), this.buildEvidence()]);
    const off = { "aria-pressed": "false" };
    const strengthens = "Magnifier under the pointer (M); the wheel makes it stronger";
    this.lensButton = button("Magnifier", strengthens, () => this.toggleLens(), off);
    this.regionButton = button("Region", "Draw a box as evidence (R)", () => this.toggleDrawing(), off);
    this.tools = element("div", { class: "tools" }, [
      button("← Previous", "The image before this one (left arrow)", () => this.step(-1)),
      button("Next →", "The image after this one (right arrow)", () => this.step(1)),
      button("Undo", "Take back the last thing you did (Z)", () => this.undo()),
      button("Redo", "Do again what you took back (Y)", () => this.redo()),
      this.lensButton,
      this.regionButton,
      this.help.button,
    ]);
    const left = element("div", { class: "left" }, [this.stage, this.tools]);
    const top = element("div", { class: "top" }, [this.count, this.bar, this.pace, this.saved]);
    this.root = element("div", { class: "review", role: "region", "aria-label": "Review", tabindex: "-1" }, [
      top,
      this.note,
      element("div", { class: "both" }, [left, this.help.panel, this.aside]),
    ]);
  }

  buildLadder() {
    this.product = element("p", { class: "product" });
    this.ladder = element("div", { class: "ladder", role: "group", "aria-label": "Severity level" });
    this.rubric = element("pre", { class: "rubric" });
    this.rubricBox = element("details", {}, [element("summary", {}, ["Rubric"]), this.rubric]);
    return [this.product, this.ladder, this.rubricBox];
  }

  buildDoubt() {
    this.unsure = this.doubt("unsure", "U", "Unsure", "You cannot tell the level; after a level: it is probably that one (U)");
    this.ungradable = this.doubt("ungradable", "G", "Not gradable", "The image does not allow a level (G)");
    this.doubts = element("div", { class: "doubts" }, [this.unsure, this.ungradable]);
    return [this.doubts];
  }

  doubt(kind, key, text, title) {
    const node = button(text, title, () => this.choose({ kind, level: this.probable(kind) }), { class: "doubt" });
    node.prepend(element("kbd", {}, [key]), " ");
    return node;
  }

  /** Somebody unsure who has chosen a level holds it for probable. */
  probable(kind) {
    const chosen = this.draft.choice;
    return kind === "unsure" && chosen?.kind === "level" ? chosen.level : null;
  }

  buildEvidence() {
    this.comment = element("textarea", { rows: "2", maxlength: "10000", placeholder: "Comment (C)", "aria-label": "Comment" });
    this.comment.addEventListener("input", () => {
      this.draft.comment = this.comment.value;
      this.draw();
    });
    this.comment.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" && (event.key !== "Enter" || event.shiftKey)) return;
      event.preventDefault();
      event.stopPropagation();
      this.stage.focus();
    });
    this.commitButton = button("Commit", "Keep this rating (Enter)", () => this.enter(), { class: "commit" });
    return element("div", { class: "evidence" }, [this.comment, this.commitButton]);
  }

  buildReveal() {
    this.revealed = element("section", { class: "revealed", "aria-label": "What was hidden", "aria-live": "polite" });
    return this.revealed;
  }

  listen() {
    this.stage.addEventListener("pointermove", (event) => this.onMove(event));
    this.stage.addEventListener("pointerleave", () => this.drawLens(false));
    this.stage.addEventListener("pointerdown", (event) => this.onDown(event));
    this.stage.addEventListener("pointerup", () => (this.dragged = null));
    this.stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
  }

  // data from the page

  show({ data, setTriggerValue }) {
    const fresh = this.queue !== data.queue;
    this.queue = data.queue;
    this.data = data;
    this.sender.through((message) => setTriggerValue("acts", message), data.taken);
    const known = new Map([...this.items.values()].map((item) => [item.id, item]));
    if (fresh) this.items.clear();
    data.items.forEach((item, index) => this.keep(data.start + index, item, known.get(item.id)));
    if (fresh || data.at.number !== this.moved) this.goTo(data.at.place, performance.now());
    if (fresh && this.item && this.sender.holds(this.item.id)) this.onward(); // the page does not know of it yet
    this.moved = data.at.number;
    if (this.items.has(this.awaited?.place)) this.awaited.passing ? this.onward(this.awaited.place) : this.step(this.awaited.place - this.place);
    if (data.note && data.note.number !== this.noted) this.say(data.note.text, data.note.wrong);
    this.noted = data.note && data.note.number;
    this.draw();
  }

  /** What was done here and is still under way stands until the page has written it. */
  keep(place, item, before) {
    if (before && this.sender.holds(item.id)) item.mine = before.mine;
    if (before) Object.assign(item, { width: before.width, height: before.height });
    this.items.set(place, item);
  }

  get item() {
    return this.items.get(this.place);
  }

  get subset() {
    return this.item && this.data.subsets[this.item.subset];
  }

  // moving

  /** `passing`: on the way to an image without a rating. */
  step(by, passing = false) {
    const to = this.place + by;
    if (to < 0) return this.say("This is the first image of the queue.");
    if (to >= this.data.total) return this.say("This was the last image of the queue.");
    if (!this.items.has(to)) {
      this.awaited = { place: to, passing }; // the view goes on by itself when the page has sent that image
      const last = this.items.get(to - 1);
      if (by > 1 && last) this.sender.add({ act: "at", image: last.id }); // the page sends what lies around this one
      return this.say("The next images are on their way.");
    }
    this.goTo(to, performance.now());
    this.sender.add({ act: "at", image: this.item.id });
    return true;
  }

  /** To the next image without a rating; those that have one are passed over, also those that are still to come. */
  onward(from = this.place + 1) {
    let to = from;
    while (this.items.get(to)?.mine && to + 1 < this.data.total) to += 1;
    return this.step(to - this.place, true);
  }

  goTo(place, start) {
    this.place = place;
    this.awaited = null;
    this.clear();
    this.say("");
    this.shownAt = performance.now();
    if (this.drawing) this.toggleDrawing();
    if (this.comment) this.comment.value = this.item?.mine?.reason || "";
    this.load(start);
    this.draw();
    if (document.activeElement === document.body || this.root.contains(this.root.getRootNode().activeElement)) this.stage.focus({ preventScroll: true });
  }

  async load(start) {
    const item = this.item;
    if (!item) return;
    const ahead = [1, 2, 3, 4, 5, 6, -1].map((by) => this.items.get(this.place + by)).filter(Boolean);
    this.root.dataset.state = "loading";
    setText(this.message, "");
    try {
      const image = await picture(item);
      if (item.id !== this.item?.id) return;
      image.alt = "";
      this.frame.replaceChildren(image, this.box);
      item.width = image.naturalWidth;
      item.height = image.naturalHeight;
      this.root.dataset.image = item.id;
      this.root.dataset.state = "ready";
      this.layout();
      whenPainted(start, (took) => {
        this.times.push(Math.round(took));
        this.root.dataset.times = JSON.stringify(this.times.slice(-200));
      });
    } catch {
      if (item.id !== this.item?.id) return;
      this.frame.replaceChildren(this.box);
      this.root.dataset.state = "failed";
      setText(this.message, "This image cannot be shown. Its file may have been moved, or this browser cannot read its format. Press G if it stays so.");
    }
    prefetch(ahead);
  }

  // what the reviewer does

  clear() {
    this.draft = { choice: null, comment: null, region: undefined };
  }

  get choice() {
    return this.draft.choice || this.item?.mine || null;
  }

  get region() {
    return this.draft.region === undefined ? this.item?.mine?.region || null : this.draft.region;
  }

  get changed() {
    const { choice, comment, region } = this.draft;
    const mine = this.item?.mine;
    const other = choice && !(mine && mine.kind === choice.kind && mine.level === choice.level);
    const said = comment !== null && comment.trim() !== (mine?.reason || "").trim();
    return { choice: Boolean(other), comment: said, region: region !== undefined, any: Boolean(other) || said || region !== undefined };
  }

  choose(choice) {
    if (!this.item) return;
    this.draft.choice = choice;
    this.say("");
    this.draw();
    this.stage.focus({ preventScroll: true });
  }

  chooseLevel(digit, half) {
    const wanted = digit + (half ? 0.5 : 0);
    const level = this.subset?.levels.find((rung) => rung.level === wanted);
    if (level) this.choose({ kind: "level", level: wanted });
    else this.say(`This dataset has no level ${wanted}; it has ${this.subset.levels.map((rung) => rung.key).join(", ")}.`);
  }

  /** The level half a step above the one that is chosen, or back. */
  half() {
    const chosen = this.choice?.level ?? 0;
    this.chooseLevel(Math.floor(chosen), chosen % 1 === 0);
  }

  enter() {
    if (!this.item) return;
    if (this.drawing) return this.toggleDrawing();
    if (this.changed.any) return this.commit();
    if (this.item.mine) return this.onward();
    this.say(`Choose a level first, or U for unsure, or G for not gradable. Arrows go on without a rating.`);
  }

  commit() {
    const { item, draft, changed } = this;
    const comment = (draft.comment ?? item.mine?.reason ?? "").trim();
    const seconds = Math.round((performance.now() - this.shownAt) / 100) / 10;
    const choice = changed.choice ? draft.choice : null;
    if (choice) {
      this.sender.add({ act: choice.kind, image: item.id, after: choice.level, reason: comment, region: this.region, seconds });
    } else {
      if (changed.comment && comment) this.sender.add({ act: "comment", image: item.id, reason: comment, seconds });
      if (changed.region) this.sender.add({ act: "region", image: item.id, region: draft.region, seconds });
    }
    const rated = choice || item.mine;
    if (rated) item.mine = { kind: rated.kind, level: rated.level, reason: comment, region: this.region };
    this.clear();
    this.say("");
    if (choice && !this.data.show_after) this.onward();
    this.draw();
  }

  undo() {
    if (this.changed.any) {
      this.clear();
      this.comment.value = this.item?.mine?.reason || "";
      this.say("What was not committed yet is cleared.");
      this.draw();
      return;
    }
    this.sender.add({ act: "undo" });
  }

  redo() {
    this.sender.add({ act: "redo" });
  }

  /** Make this image a reference of its level, or stop it being one. */
  anchor() {
    const level = this.choice?.level;
    if (level === null || level === undefined) return this.say("Choose a level first; the image then becomes a reference of it.");
    this.sender.add({ act: "anchor", image: this.item.id, after: level });
  }

  say(text, wrong = false) {
    setText(this.note, text);
    this.note.classList.toggle("wrong", Boolean(wrong));
    return true;
  }

  // keys

  onKey(event) {
    const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code);
    if (this.drawing && this.onRegionKey(event)) return true;
    if (digit && (event.shiftKey || /^[0-9]$/.test(event.key))) {
      this.chooseLevel(Number(digit[1]), event.shiftKey);
      return true;
    }
    if (event.shiftKey && event.key.startsWith("Arrow")) return this.moveLens(event.key);
    const actions = {
      ".": () => this.half(),
      ",": () => this.half(),
      u: () => this.doubts.hidden || this.choose({ kind: "unsure", level: this.probable("unsure") }),
      g: () => this.doubts.hidden || this.choose({ kind: "ungradable", level: null }),
      c: () => this.comment.focus(),
      r: () => this.toggleDrawing(),
      z: () => (event.shiftKey ? this.redo() : this.undo()),
      y: () => this.redo(),
      m: () => this.toggleLens(),
      a: () => this.anchor(),
      enter: () => this.enter(),
      arrowleft: () => this.step(-1),
      arrowright: () => this.step(1),
      "?": () => this.help.toggle(),
      escape: () => (this.help.shown ? this.help.show(false) : this.say("")),
    };
    const act = this.data && actions[event.key.toLowerCase()];
    if (!act || (event.repeat && !event.key.startsWith("Arrow"))) return Boolean(act);
    act();
    return true;
  }

  // magnifier

  toggleLens() {
    this.lens.on = !this.lens.on;
    this.lensButton.setAttribute("aria-pressed", String(this.lens.on));
    this.drawLens(this.lens.on);
  }

  moveLens(key) {
    const [across, down] = WAYS[key];
    this.lens.u = clamp(this.lens.u + 0.04 * across, 0, 1);
    this.lens.v = clamp(this.lens.v + 0.04 * down, 0, 1);
    if (!this.lens.on) this.toggleLens();
    this.drawLens(true);
    return true;
  }

  onWheel(event) {
    if (!this.lens.on) return;
    event.preventDefault();
    this.lens.strength = clamp(this.lens.strength * Math.exp(-event.deltaY * 0.0016), 1.5, STRONGEST);
    this.drawLens(true);
  }

  drawLens(shown) {
    const image = this.frame.querySelector("img");
    this.lensBox.hidden = !(shown && this.lens.on && image);
    if (this.lensBox.hidden) return;
    const { u, v, strength } = this.lens;
    const width = this.frame.clientWidth * strength;
    const height = this.frame.clientHeight * strength;
    const x = this.frame.offsetLeft + u * this.frame.clientWidth;
    const y = this.frame.offsetTop + v * this.frame.clientHeight;
    Object.assign(this.lensBox.style, {
      left: `${x - LENS / 2}px`,
      top: `${y - LENS / 2}px`,
      backgroundImage: `url(${JSON.stringify(image.src)})`,
      backgroundSize: `${width}px ${height}px`,
      backgroundPosition: `${LENS / 2 - u * width}px ${LENS / 2 - v * height}px`,
      imageRendering: width / image.naturalWidth > 4 ? "pixelated" : "auto",
    });
  }

  // region

  toggleDrawing() {
    this.drawing = !this.drawing;
    this.regionButton.setAttribute("aria-pressed", String(this.drawing));
    this.stage.classList.toggle("drawing", this.drawing);
    if (!this.drawing) return this.say("");
    this.say("Draw a box with the pointer, or move it with the arrows and size it with Shift and arrows. Enter keeps it, Delete removes it.");
    this.stage.focus({ preventScroll: true });
  }

  onRegionKey(event) {
    if (event.key === "Delete" || event.key === "Backspace") {
      this.draft.region = null;
      this.draw();
      return true;
    }
    if (event.key === "Escape" || event.key === "r") {
      this.toggleDrawing();
      return true;
    }
    if (!(event.key in WAYS)) return false;
    const to = movedBox(this.region?.points, event.key, event.shiftKey);
    if (to) this.setBox(...to);
    return true;
  }

  setBox(...ends) {
    this.draft.region = { shape: "box", points: boxBetween(...ends) };
    this.draw();
  }

  at(event) {
    const edge = this.frame.getBoundingClientRect();
    return { u: (event.clientX - edge.left) / edge.width, v: (event.clientY - edge.top) / edge.height };
  }

  onDown(event) {
    if (!this.drawing || event.button > 0) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    this.dragged = this.at(event);
  }

  onMove(event) {
    const { u, v } = this.at(event);
    const inside = u >= 0 && u <= 1 && v >= 0 && v <= 1;
    if (inside) Object.assign(this.lens, { u, v });
    this.drawLens(inside && !this.dragged);
    if (this.dragged) this.setBox(this.dragged.u, this.dragged.v, u, v);
  }

  // drawing

  layout() {
    const item = this.item;
    if (!item || !this.stage.clientWidth) return;
    const width = item.width || 4;
    const height = item.height || 3;
    const room = Math.max(roomBelow(this.stage) - BELOW, SMALLEST);
    const scale = Math.min(this.stage.clientWidth / width, room / height);
    this.stage.style.height = `${Math.max(Math.round(height * scale), SMALLEST)}px`;
    this.frame.style.width = `${Math.round(width * scale)}px`;
    this.frame.style.height = `${Math.round(height * scale)}px`;
    this.drawBox();
    this.drawLens(this.lens.on);
  }

  draw() {
    if (!this.data) return;
    const { progress } = this.data;
    setText(this.count, `${this.place + 1} of ${this.data.total}`);
    this.bar.value = progress.total ? progress.done / progress.total : 0;
    setText(this.pace, [`${progress.done} of ${progress.total} ${this.data.decides ? "decided" : "rated"}`, progress.pace].filter(Boolean).join(" · "));
    setText(this.saved, this.sender.settled ? "" : "Saving…");
    this.root.dataset.saved = String(this.sender.settled);
    this.root.dataset.place = String(this.place);
    const name = `Image ${this.place + 1} of the queue${this.subset?.product ? `, ${this.subset.product}` : ""}`;
    this.stage.setAttribute("aria-label", name);
    this.drawLadder();
    this.drawBox();
    this.drawReveal();
    this.doubts.hidden = this.data.decides;
    const text = this.drawing ? "Keep region" : this.changed.any ? "Commit" : this.item?.mine ? "Next" : "Commit";
    if (this.commitButton.dataset.text !== text) {
      this.commitButton.dataset.text = text;
      this.commitButton.replaceChildren(`${text} `, element("kbd", {}, ["Enter"]));
    }
  }

  drawBox() {
    const region = this.region;
    this.box.hidden = !region;
    if (!region) return;
    const across = region.points.map((point) => point[0]);
    const down = region.points.map((point) => point[1]);
    const [left, top] = [Math.min(...across), Math.min(...down)];
    Object.assign(this.box.style, {
      left: `${100 * left}%`,
      top: `${100 * top}%`,
      width: `${100 * (Math.max(...across) - left)}%`,
      height: `${100 * (Math.max(...down) - top)}%`,
    });
  }

  drawLadder() {
    const subset = this.subset;
    if (!subset) return;
    if (this.drawnSubset !== subset) {
      this.drawnSubset = subset;
      setText(this.product, subset.product);
      setText(this.rubric, subset.rubric);
      this.rubricBox.hidden = !subset.rubric;
      this.rungs = subset.levels.map((level) => this.rung(level));
      this.ladder.replaceChildren(...this.rungs.map((rung) => rung.root));
    }
    const choice = this.choice;
    const pending = this.changed.choice;
    for (const rung of this.rungs) {
      const chosen = ["level", "unsure"].includes(choice?.kind) && choice.level === rung.level;
      rung.button.setAttribute("aria-pressed", String(chosen));
      rung.button.classList.toggle("kept", chosen && !pending);
      for (const [id, node] of rung.references) node.hidden = id === this.item?.id;
    }
    for (const [node, kind] of [[this.unsure, "unsure"], [this.ungradable, "ungradable"]]) {
      node.setAttribute("aria-pressed", String(choice?.kind === kind));
      node.classList.toggle("kept", choice?.kind === kind && !pending);
    }
  }

  rung(level) {
    const chip = element("span", { class: "chip" }, [level.label]);
    Object.assign(chip.style, { backgroundColor: level.colour, color: level.text, borderColor: level.edge });
    const words = element("span", { class: "words" }, [chip]);
    if (level.meaning) words.append(element("span", { class: "meaning" }, [level.meaning]));
    const choose = button("", level.meaning || level.label, () => this.choose({ kind: "level", level: level.level }), { class: "rung" });
    choose.append(element("kbd", {}, [level.key]), words);
    const references = level.references.map((one) => [one.id, this.reference(one)]);
    const strip = element("div", { class: "references" }, references.map(([, node]) => node));
    if (!references.length) strip.append(element("span", { class: "none", title: NO_REFERENCE }, ["no reference yet: A adds one"]));
    return { root: element("div", { class: "step" }, [choose, strip]), button: choose, level: level.level, references };
  }

  /** A small picture of a reference; pointing at it or focusing it shows it large beside the image. */
  reference(one) {
    const small = element("img", { src: one.small, alt: one.alt, draggable: "false" });
    const holder = element("button", { type: "button", class: "reference", "aria-label": one.alt }, [small]);
    const show = () => this.beside(holder, one);
    const hide = () => this.large?.remove();
    for (const name of ["pointerenter", "focus"]) holder.addEventListener(name, show);
    for (const name of ["pointerleave", "blur"]) holder.addEventListener(name, hide);
    return holder;
  }

  beside(holder, one) {
    this.large?.remove();
    const image = element("img", { src: one.url, alt: one.alt });
    image.addEventListener("error", () => (image.src = one.small), { once: true });
    this.large = element("figure", { class: "large" }, [image, element("figcaption", {}, [one.alt])]);
    this.aside.before(this.large);
  }

  drawReveal() {
    const reveal = this.item?.reveal;
    const waiting = !reveal && this.item?.mine && this.data.show_after;
    this.aside.classList.toggle("after", Boolean(reveal && this.item?.mine)); // it takes the place of the rubric
    const key = reveal ? JSON.stringify(reveal) : String(waiting);
    if (this.drawnReveal === key) return;
    this.drawnReveal = key;
    if (!reveal) {
      const text = waiting ? "…" : "Label, scores, maps and file name are hidden until you commit.";
      this.revealed.replaceChildren(element("p", { class: "none" }, [text]));
      return;
    }
    const chip = element("span", { class: "chip" }, [reveal.label]);
    Object.assign(chip.style, { backgroundColor: reveal.colour, color: reveal.text, borderColor: reveal.edge });
    const parts = reveal.label ? [element("p", {}, ["Label: ", chip])] : [];
    if (reveal.why) parts.push(element("p", {}, [reveal.why]));
    const lines = reveal.lines.map(([name, value]) => [element("dt", {}, [name]), element("dd", {}, [value])]);
    if (lines.length) parts.push(element("dl", {}, lines.flat()));
    if (reveal.path) parts.push(element("p", { class: "file" }, [reveal.path]));
    if (reveal.href) parts.push(element("p", {}, [element("a", { href: reveal.href, target: "_blank", rel: "noopener" }, ["Maps and scores of this image"])]));
    this.revealed.replaceChildren(...parts);
  }
}
