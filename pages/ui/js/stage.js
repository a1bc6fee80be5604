// The stage: one picture over the whole window, for a room of people, led on by keys.
// Texts are set as text, never as markup.

import { button, element, keptInPlace, setText } from "./dom.js";
import { images, maps, prefetch } from "./loading.js";
import { coloured, decodeTable, fading, interpolated, packedColours } from "./maps.js";
import { drawPart, inDevicePixels } from "./painting.js";
import { Presses } from "./presses.js";
import { storedSettings } from "./settings.js";

const SURFACE_SIDE = 768; // maps are interpolated to this longest side before they are coloured
const OPACITY = 0.55;
const SCROLLED = 160; // pixels that an arrow moves a text that is longer than its room
const COVERED = 8000; // ms at most between two steps of the tour
const COVER = "mad-stage-cover";
const TOUR = { previous: ".st-key-guide_back a", next: ".st-key-guide_next a" }; // links of the bar below the stage

export default keptInPlace((parent) => new Stage(parent));

class Stage {
  constructor(parent) {
    this.presses = new Presses();
    this.shown = true; // the map
    this.ticket = 0;
    this.build();
    parent.append(this.dialog);
    this.onKeyDown = (event) => this.onKey(event);
    document.addEventListener("keydown", this.onKeyDown);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.frame);
  }

  build() {
    this.title = element("h1", { class: "title" });
    this.text = element("p", { class: "text" });
    this.words = element("header", { class: "words" }, [this.title, this.text]);
    this.canvas = element("canvas", { role: "img" });
    this.message = element("p", { class: "message", role: "status" });
    this.frame = element("div", { class: "frame" }, [this.canvas, this.message]);
    this.bar = element("canvas", { class: "bar", width: "256", height: "1", "aria-hidden": "true" });
    this.scale = element("p", { class: "scale" }, ["usual", this.bar, "unusual"]);
    this.picture = element("section", { class: "picture", "aria-label": "Picture" }, [this.frame, this.scale]);
    this.side = element("section", { class: "side", "aria-label": "Level, reason and place", tabindex: "0" });
    this.stage = element("div", { class: "stage" }, [this.words, this.picture, this.side, this.foot()]);
    this.dialog = element("dialog", { tabindex: "-1" }, [this.stage]);
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.leave();
    });
  }

  foot() {
    this.name = element("span", { class: "name" });
    this.back = keyed("Page Up", "Step back", () => this.step("previous"));
    this.on = keyed("Page Down", "Next step", () => this.step("next"));
    this.previous = keyed("←", "Previous", () => this.move("previous", false));
    this.next = keyed("→", "Next", () => this.move("next", false));
    this.flip = keyed("M", "Map", () => this.toggle());
    this.fill = keyed("F", "Full screen", () => this.fullScreen());
    const leave = keyed("Esc", "Leave", () => this.leave());
    const buttons = [this.back, this.on, this.previous, this.next, this.flip, this.fill, leave];
    return element("footer", {}, [this.name, element("div", { class: "keys", role: "group", "aria-label": "Keys" }, buttons)]);
  }

  // data from the page

  show({ data, setTriggerValue }) {
    this.send = setTriggerValue;
    this.presses.show(data, (presses) => setTriggerValue("move", presses));
    this.data = data;
    this.tables ||= Object.fromEntries(Object.entries(data.tables).map(([name, table]) => [name, decodeTable(table)]));
    this.write(data.picture, data.words);
    const wanted = JSON.stringify([data.picture?.original, data.picture?.map?.url]);
    const fresh = wanted !== this.wanted;
    if (fresh) this.load(data.picture);
    this.wanted = wanted;
    if (!this.dialog.open && !this.left) {
      this.dialog.showModal();
      this.dialog.focus({ preventScroll: true }); // not its first control: keys lead on from anywhere
    }
    if (fresh) this.side.scrollTop = this.dialog.scrollTop = 0;
    document.getElementById(COVER)?.remove();
  }

  write(picture, words) {
    this.stage.classList.toggle("wordy", !picture);
    this.stage.classList.toggle("toured", Boolean(words));
    this.words.hidden = !words;
    setText(this.title, words?.title || "");
    setText(this.text, words?.text || "");
    this.picture.hidden = this.side.hidden = this.previous.hidden = this.next.hidden = !picture;
    this.flip.hidden = !picture?.map?.url;
    this.back.hidden = this.on.hidden = !words;
    this.back.disabled = !words?.before;
    this.on.disabled = !words?.after;
    this.previous.disabled = !picture?.before;
    this.next.disabled = !picture?.after;
    setText(this.name, picture ? [picture.name, picture.count].filter(Boolean).join(" · ") : "");
    this.dialog.setAttribute("aria-label", `Stage: ${picture?.name || words?.title || ""}`);
    this.side.replaceChildren(...(picture ? said(picture) : []));
  }

  async load(picture) {
    const ticket = ++this.ticket;
    Object.assign(this, { image: null, overlay: null });
    setText(this.message, picture ? "Loading…" : "");
    if (!picture) return;
    this.dialog.dataset.state = "loading";
    const given = images.get(picture.original).catch(() => images.get(picture.fallback));
    const [image, overlay] = await Promise.all([given.catch(() => null), this.colouredMap(picture.map)]);
    if (ticket !== this.ticket) return;
    this.presses.arrived();
    Object.assign(this, { image, overlay });
    const missing = picture.map && !picture.map.url ? picture.map.missing : "";
    setText(this.message, image ? missing : "The picture cannot be shown. Its file may be gone.");
    this.draw();
    this.dialog.dataset.state = "ready";
    this.data.prefetch.forEach(prefetch);
  }

  /** The map in the colours that the person chose in the viewer; null where there is none. */
  async colouredMap(layer) {
    const map = layer?.url ? await maps.get(layer.url).catch(() => null) : null;
    if (!map) return null;
    const table = this.tables[storedSettings().colormap] || Object.values(this.tables)[0];
    const [low, high] = layer.low === null ? [map.low, map.high] : [layer.low, layer.high];
    drawBar(this.bar, packedColours(table, fading));
    return coloured(interpolated(map, SURFACE_SIDE), low, high, packedColours(table, fading));
  }

  draw() {
    const { clientWidth, clientHeight } = this.frame;
    const over = Boolean(this.overlay && this.shown);
    this.flip.setAttribute("aria-pressed", String(this.shown));
    this.scale.classList.toggle("off", !over);
    const picture = this.data?.picture;
    if (!this.image || !clientWidth || !picture) return;
    const { naturalWidth, naturalHeight } = this.image;
    const ratio = Math.min(clientWidth / naturalWidth, clientHeight / naturalHeight);
    const [width, height] = [naturalWidth * ratio, naturalHeight * ratio];
    Object.assign(this.canvas, { width: Math.round(width * devicePixelRatio), height: Math.round(height * devicePixelRatio) });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    const context = this.canvas.getContext("2d");
    const box = inDevicePixels({ x: 0, y: 0, width, height });
    context.imageSmoothingEnabled = ratio < 4;
    drawPart(context, this.image, naturalWidth, naturalHeight, box);
    context.imageSmoothingEnabled = true;
    context.globalAlpha = storedSettings().opacity ?? OPACITY;
    if (over) drawPart(context, this.overlay, this.overlay.width, this.overlay.height, box);
    this.canvas.setAttribute("aria-label", over ? `${picture.alt}, under the anomaly map of ${picture.map.title}` : picture.alt);
  }

  // keys

  onKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !this.dialog.open) return;
    const act = this.action(event.key, event.repeat);
    const pressed = event.composedPath()[0];
    const isButton = pressed instanceof Element && pressed.matches("button");
    if (!act || (isButton && (event.key === " " || event.key === "Enter"))) return;
    event.preventDefault();
    act();
  }

  action(key, repeat) {
    const move = (way) => () => this.move(way, repeat);
    const step = (way) => () => (this.data.words ? this.step(way) : this.move(way, repeat));
    const scroll = (way) => () => [this.side, this.dialog].forEach((node) => node.scrollBy(0, way * SCROLLED));
    const actions = {
      arrowleft: move("previous"),
      k: move("previous"),
      arrowright: move("next"),
      j: move("next"),
      pageup: step("previous"),
      pagedown: step("next"),
      " ": step("next"),
      arrowup: scroll(-1),
      arrowdown: scroll(1),
      m: () => this.toggle(),
      o: () => this.toggle(),
      f: () => this.fullScreen(),
    };
    return actions[key.toLowerCase()];
  }

  toggle() {
    this.shown = !this.shown;
    this.draw();
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.stage.requestFullscreen().catch(() => {});
  }

  /** Another picture; where the tour shows none, its next step. */
  move(way, repeated) {
    const { picture } = this.data;
    if (!picture) {
      this.step(way);
      return;
    }
    if (!(way === "next" ? picture.after : picture.before)) return;
    this.presses.press(way, repeated);
  }

  /** The step before or after this one, by the link of the tour's bar; what lies between stays covered. */
  step(way) {
    const link = document.querySelector(TOUR[way]);
    if (!link || !(way === "next" ? this.data.words?.after : this.data.words?.before)) return;
    const cover = element("div", { id: COVER, role: "presentation" });
    const ground = getComputedStyle(this.dialog).backgroundColor;
    Object.assign(cover.style, { position: "fixed", inset: "0", zIndex: "2147483647", background: ground });
    document.body.append(cover);
    setTimeout(() => cover.remove(), COVERED);
    link.click();
  }

  leave() {
    this.left = true;
    if (document.fullscreenElement) document.exitFullscreen();
    this.dialog.close();
    this.send("leave", true);
  }

  remove() {
    document.removeEventListener("keydown", this.onKeyDown);
    this.resized.disconnect();
    this.presses.remove();
    this.dialog.remove();
  }
}

/** A button that says its key. */
function keyed(key, text, action) {
  const node = button("", "", action);
  node.removeAttribute("title");
  node.append(element("kbd", {}, [key]), ` ${text}`);
  return node;
}

/** Level, what it is called, the reason and the places, as elements. */
function said(picture) {
  const { level, called, reason, by, places } = picture;
  const parts = [];
  if (level) {
    const style = `background: ${level.colour}; color: ${level.ink}; border-color: ${level.edge}`;
    parts.push(element("p", { class: "level", style }, [level.text]));
  }
  if (called) parts.push(element("p", { class: "called" }, [called]));
  if (reason) parts.push(element("blockquote", {}, [reason, ...(by ? [element("cite", {}, [by])] : [])]));
  return [...parts, ...places.map(placed)];
}

function placed({ title, words, sentence, boxes }) {
  const head = element("p", { class: "score" }, [element("strong", {}, [title]), ` ${words}`]);
  return element("div", { class: "place" }, boxes ? [head, strip(boxes, sentence)] : [head]);
}

/** A row a level with its middle half, and the line of this picture across them. */
function strip({ mark, rows }, sentence) {
  const at = (share) => `${(100 * share).toFixed(2)}%`;
  const span = (name, [from, to], style = "") =>
    element("i", { class: name, style: `left: ${at(from)}; width: ${at(to - from)}; ${style}` });
  const lines = rows.map(({ label, colour, line, ink, ends, middle, median }) =>
    element("div", { class: "row" }, [
      element("span", { class: "label" }, [label]),
      element("span", { class: "track" }, [
        span("ends", ends, `background: ${line}`),
        span("middle", middle, `background: ${colour}; border-color: ${line}`),
        element("i", { class: "median", style: `left: ${at(median)}; background: ${ink}` }),
        element("i", { class: "mark", style: `left: ${at(mark)}` }),
      ]),
    ]),
  );
  return element("div", { class: "strip", role: "img", "aria-label": sentence }, lines);
}

function drawBar(canvas, colours) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(256, 1);
  new Uint32Array(image.data.buffer).set(colours);
  context.putImageData(image, 0, 0);
}
