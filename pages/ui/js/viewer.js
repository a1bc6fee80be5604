// Map viewer: an image and the anomaly maps of its scorers, in panes that share zoom and pan.
// Plain browser code without libraries; it loads only the addresses it is given. Texts are set as
// text, never as markup. Positions in an image are fractions (u, v) of its width and height.

import { button, element, keptInPlace, setText } from "./dom.js";
import { Help } from "./help.js";
import { isInSight, takesArrows, takesText } from "./keys.js";
import { images, outlines, prefetch } from "./loading.js";
import { decodeTable } from "./maps.js";
import { clamp } from "./numbers.js";
import { Pane } from "./pane.js";
import { Presses } from "./presses.js";
import { roomBelow } from "./room.js";
import { storedSettings, storeSettings } from "./settings.js";
import { arrangement, View } from "./view.js";

const STEPS_ON = ".st-key-step_next button";
const STEPS = `.st-key-step_previous button, ${STEPS_ON}`;
const MARGIN = 24; // below the panes
const SMALLEST_AREA = 440;
const ORIGINAL_MAY_COST = 0.15; // the original joins by itself if the pictures lose less than this
const CLICK = 4; // pixels that a pointer may move between down and up

const KEYS = [
  ["O", "original or overlay, in all panes"],
  ["T", "threshold contour on or off"],
  ["G", "ground-truth outline on or off"],
  ["S", "stretch colours over this image, or back to the run's range"],
  ["A", "colours anchored at the run's threshold, or back to the run's range"],
  ["R", "measure the region under the crosshair, else in the middle"],
  ["F", "fit the image to the panes"],
  ["W", "the whole screen, or back to the page"],
  ["L", "copy a link to this image, its scorers, order and filters"],
  ["+  −", "zoom in, zoom out"],
  ["Shift + arrows", "move the picture"],
  ["← or K,  → or J", "previous image, next image"],
  ["?", "show or hide this help"],
];
const POINTER_HELP =
  "Wheel or pinch zooms about the pointer, dragging moves, a click measures the region, a double click fits. " +
  "Scores under the pointer are interpolated between the map's own pixels.";

export default keptInPlace((parent) => new Viewer(parent));

class Viewer {
  constructor(parent) {
    this.view = new View();
    this.panes = [];
    this.thresholds = new Map(); // by scorer (the subtitle may change with the image), in raw units, as chosen here
    this.settings = null;
    this.tables = {};
    this.image = null;
    this.outline = null;
    this.ticket = 0;
    this.busy = false;
    this.slow = false;
    this.cursor = null;
    this.measured = null; // the fraction of the image whose region is measured
    this.pointers = new Map();
    this.build(parent);
    this.listen();
  }

  // building

  build(parent) {
    this.grid = element("div", { class: "panes" });
    this.help = new Help(KEYS, POINTER_HELP);
    this.root = element("div", { class: "viewer" }, [this.toolbar(), this.help.panel, this.copied, this.grid]);
    parent.append(this.root);
  }

  toolbar() {
    this.colours = element("select", { title: "Colours of the anomaly maps" });
    this.colours.addEventListener("change", () => this.set({ colormap: this.colours.value }));
    this.opacity = element("input", { type: "range", min: "0", max: "100", step: "1" });
    this.opacity.addEventListener("input", () => this.set({ opacity: Number(this.opacity.value) / 100 }));
    this.opacityText = element("output", { class: "number", "aria-live": "off" });
    this.switches = {
      contour: this.checkbox("contour", "Contour", "Line where the score equals the threshold (T)", "solid"),
      truth: this.checkbox("truth", "Ground truth", "Outline of the labelled defect (G)", "dashed"),
      fade: this.checkbox("fade", "Fade low", "Low scores let the image through; the colour bar shows the full colours"),
      stretch: this.checkbox("stretch", "Stretch this image", "Colours from this image's lowest to its highest score; images do not compare then (S)"),
      anchored: this.checkbox("anchored", "Anchor at threshold", "Colours by value / (value + threshold): the same colour means the same evidence (A)"),
      beside: this.checkbox("beside", "Original beside", "A pane of its own for the original"),
    };
    this.flip = named("Original", "The original without overlay, in all panes (O)", () => this.toggle("flipped"));
    this.copy = named("Copy link", "Copy a link to this image, its scorers, order and filters (L)", () => this.copyLink());
    this.whole = named("Full screen", "The whole screen, or back to the page (W)", () => this.wholeScreen());
    this.copied = element("output", { class: "copied" });
    this.zoomText = element("output", { class: "number zoom", title: "Screen pixels per image pixel", "aria-live": "off" });
    this.mapControls = element("div", { class: "maps" }, [
      labelled("Colours", this.colours),
      labelled("Opacity", this.opacity, this.opacityText),
      this.switches.fade.label,
      this.switches.contour.label,
      this.switches.truth.label,
      this.switches.stretch.label,
      this.switches.anchored.label,
      this.switches.beside.label,
    ]);
    return element("div", { class: "toolbar", role: "toolbar", "aria-label": "View of the image" }, [
      this.mapControls,
      element("div", { class: "zooming" }, [
        this.flip,
        named("−", "Zoom out", () => this.zoomCentre(1 / 1.5)),
        this.zoomText,
        named("+", "Zoom in", () => this.zoomCentre(1.5)),
        named("Fit", "Fit the image to the panes (F)", () => this.fit()),
        named("1:1", "1:1, one image pixel on one screen pixel", () => this.change(() => this.view.ownPixels())),
        this.copy,
        this.whole,
        this.help.button,
      ]),
    ]);
  }

  checkbox(name, text, title, sample) {
    const input = element("input", { type: "checkbox" });
    input.addEventListener("change", () => this.set({ [name]: input.checked, ...otherScale(name, input.checked) }));
    const parts = sample ? [input, element("i", { class: `sample ${sample}` }), text] : [input, text];
    return { input, label: element("label", { class: `switch ${name}`, title }, parts) };
  }

  listen() {
    this.presses = new Presses();
    this.onKeyDown = (event) => this.onKey(event);
    this.onResize = () => this.layout();
    this.onClick = (event) => this.onStep(event);
    document.addEventListener("keydown", this.onKeyDown);
    document.addEventListener("click", this.onClick, true);
    window.addEventListener("resize", this.onResize);
    this.resized = new ResizeObserver(this.onResize);
    this.resized.observe(this.root);
    this.listenToPointers();
  }

  remove() {
    document.removeEventListener("keydown", this.onKeyDown);
    document.removeEventListener("click", this.onClick, true);
    window.removeEventListener("resize", this.onResize);
    this.resized.disconnect();
    clearTimeout(this.slowTimer);
    this.presses.remove();
    this.root.remove();
  }

  // data from the page

  show({ data, setTriggerValue }) {
    this.presses.show(data, (presses) => setTriggerValue("move", presses));
    this.prefetch = data.prefetch;
    this.alt = data.image.alt;
    this.link = data.link;
    this.copied.hidden = true;
    this.copy.hidden = !data.link;
    this.whole.hidden = !document.fullscreenEnabled;
    this.take(data);
    if (!this.source || this.source.url !== data.image.url || this.source.mask !== data.image.mask) {
      this.source = data.image;
      this.presses.arrived();
      this.measured = null;
      this.view.image = { width: data.image.width, height: data.image.height };
      this.loadImage();
    }
    this.layers = data.layers;
    this.layout();
  }

  /** Settings once, colour tables once; controls that would do nothing are hidden. */
  take(data) {
    if (!this.settings) {
      for (const [name, base64] of Object.entries(data.tables)) this.tables[name] = decodeTable(base64);
      this.colours.replaceChildren(...Object.keys(data.tables).map((name) => element("option", { value: name }, [name])));
      const first = { ...data.defaults, contour: true, truth: true, fade: true, beside: null, stretch: false, anchored: false, flipped: false };
      this.settings = { ...first, ...storedSettings() };
      if (!(this.settings.colormap in this.tables)) this.settings.colormap = data.defaults.colormap;
    }
    this.root.classList.toggle("unmapped", !data.layers.length);
    this.switches.truth.label.hidden = !data.image.mask;
  }

  get table() {
    return this.tables[this.settings.colormap];
  }

  async loadImage() {
    const ticket = ++this.ticket;
    Object.assign(this, { image: null, outline: null, imageMessage: "", busy: true });
    this.announceSlowness();
    const source = this.source;
    const [image, outline] = await Promise.all([
      this.original(source, ticket),
      source.mask ? outlines.get(source.mask).catch(() => null) : null,
    ]);
    if (ticket !== this.ticket) return;
    Object.assign(this, { image, outline, busy: false });
    if (image) this.view.image = { width: image.naturalWidth, height: image.naturalHeight };
    this.layout();
  }

  /** The original; else the preview, and a sentence that says so. */
  async original(source, ticket) {
    const image = await images.get(source.url).catch(() => null);
    if (image || ticket !== this.ticket) return image;
    const preview = source.fallback ? await images.get(source.fallback).catch(() => null) : null;
    if (ticket !== this.ticket) return null;
    this.imageMessage = preview
      ? "A reduced preview: this browser cannot show the original's file format."
      : "The image cannot be shown. Its file may be gone, or this browser cannot read its format.";
    return preview;
  }

  /** "Loading…" appears only if there is something to wait for. */
  announceSlowness() {
    this.slow = false;
    clearTimeout(this.slowTimer);
    this.slowTimer = setTimeout(() => {
      this.slow = true;
      this.redraw();
    }, 200);
  }

  // layout and drawing

  layout() {
    const width = this.grid.clientWidth;
    if (!width || !this.settings) return;
    const area = Math.max(roomBelow(this.grid) - MARGIN, SMALLEST_AREA);
    const maps = this.layers.length;
    const alone = arrangement(Math.max(maps, 1), width, area, this.view.image);
    const joined = arrangement(maps + 1, width, area, this.view.image);
    const cheap = joined.scale > alone.scale * (1 - ORIGINAL_MAY_COST);
    this.withOriginal = maps === 0 || (this.settings.beside === null ? cheap : this.settings.beside);
    const chosen = this.withOriginal && maps ? joined : alone;
    this.grid.style.gridTemplateColumns = `repeat(${chosen.columns}, minmax(0, 1fr))`;
    this.view.stage = chosen.stage;
    this.view.setZoom(this.view.zoom);
    this.view.keepInSight();
    this.fillPanes(this.withOriginal ? [null, ...this.layers] : this.layers);
    this.redraw();
  }

  fillPanes(layers) {
    while (this.panes.length > layers.length) this.panes.pop().root.remove();
    while (this.panes.length < layers.length) {
      const pane = new Pane(this);
      this.panes.push(pane);
      this.grid.append(pane.root);
    }
    layers.forEach((layer, index) => {
      const pane = this.panes[index];
      if (pane.layer === undefined || pane.layer !== layer || !pane.name) pane.setLayer(layer);
    });
  }

  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    this.showControls();
    for (const pane of this.panes) pane.draw();
    this.point(this.cursor);
    const waiting = this.busy || this.panes.some((pane) => pane.busy);
    this.root.dataset.state = waiting ? "loading" : "ready";
    if (!waiting) this.warm();
  }

  warm() {
    const wanted = this.prefetch || [];
    this.prefetch = null;
    const idle = window.requestIdleCallback || ((run) => setTimeout(run, 200));
    if (wanted.length) idle(() => wanted.forEach(prefetch));
  }

  showControls() {
    const { settings, view } = this;
    this.colours.value = settings.colormap;
    this.opacity.value = String(Math.round(settings.opacity * 100));
    setText(this.opacityText, `${Math.round(settings.opacity * 100)} %`);
    for (const name of ["contour", "truth", "stretch", "anchored", "fade"]) this.switches[name].input.checked = settings[name];
    this.switches.beside.input.checked = this.withOriginal;
    this.flip.setAttribute("aria-pressed", String(settings.flipped));
    setText(this.zoomText, `${Math.round(view.scale * devicePixelRatio * 100)} %`);
    this.grid.classList.toggle("zoomed", view.zoom > 1.001);
  }

  // settings

  set(changes) {
    this.settings = { ...this.settings, ...changes };
    const { colormap, opacity, contour, truth, fade, beside, anchored } = this.settings;
    storeSettings({ colormap, opacity, contour, truth, fade, beside, anchored });
    if (["colormap", "stretch", "anchored", "fade"].some((name) => name in changes)) this.panes.forEach((pane) => pane.rescale());
    else if ("contour" in changes) this.panes.forEach((pane) => pane.retrace());
    if ("beside" in changes) this.layout();
    this.redraw();
  }

  toggle(name) {
    this.set({ [name]: !this.settings[name], ...otherScale(name, !this.settings[name]) });
  }

  /** Moving a threshold shows its contour. */
  setThreshold(pane, value) {
    this.thresholds.set(pane.layer.title, value);
    if (!this.settings.contour) this.set({ contour: true });
    pane.retrace();
    this.redraw();
  }

  // link and full screen

  /** Where the browser gives no clipboard, the address stands there to be copied by hand. */
  async copyLink() {
    const address = new URL(this.link, location.href).href;
    const words = await written(address).then(() => "Link copied.").catch(() => address);
    setText(this.copied, words);
    this.copied.hidden = false;
  }

  wholeScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen().catch(() => {});
  }

  // zoom and pan

  change(act) {
    act();
    this.redraw();
  }

  fit() {
    this.change(() => this.view.fit());
  }

  zoomCentre(factor) {
    const { width, height } = this.view.stage;
    this.change(() => this.view.zoomAbout(width / 2, height / 2, factor));
  }

  listenToPointers() {
    const { grid } = this;
    grid.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    grid.addEventListener("dblclick", (event) => stageOf(event) && this.fit());
    grid.addEventListener("pointerdown", (event) => this.onDown(event));
    grid.addEventListener("pointermove", (event) => this.onMove(event));
    for (const end of ["pointerup", "pointercancel"]) grid.addEventListener(end, (event) => this.onUp(event));
    grid.addEventListener("pointerleave", () => this.aim(null));
    grid.addEventListener("focusin", (event) => stageOf(event)?.matches(":focus-visible") && this.aimAtCentre());
    grid.addEventListener("focusout", () => this.aim(null));
  }

  /** The wheel stops at the fitted image; from there on it scrolls the page. */
  onWheel(event) {
    const stage = stageOf(event);
    const { deltaY } = event;
    if (!stage || (deltaY > 0 && this.view.isFitted && !event.ctrlKey)) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.0016;
    const factor = Math.exp(clamp(-deltaY * lines * speed, -1, 1));
    const at = within(stage, event);
    this.change(() => this.view.zoomAbout(at.x, at.y, Math.max(factor, Math.min(1, 1 / this.view.zoom))));
    this.aim(this.view.fractionAt(at.x, at.y));
  }

  onDown(event) {
    const stage = stageOf(event);
    if (!stage || event.button > 0) return;
    stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, within(stage, event));
    this.pressed = this.pointers.size === 1 ? { id: event.pointerId, at: within(stage, event) } : null;
    this.grid.classList.add("dragging");
  }

  onMove(event) {
    const stage = stageOf(event);
    if (!stage) {
      this.aim(null);
      return;
    }
    const at = within(stage, event);
    const before = this.pointers.get(event.pointerId);
    if (before) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId);
      this.change(() => (other ? this.pinch(before, at, other[1]) : this.view.pan(at.x - before.x, at.y - before.y)));
      this.pointers.set(event.pointerId, at);
    }
    this.aim(this.view.fractionAt(at.x, at.y));
  }

  pinch(before, after, other) {
    const factor = distance(after, other) / Math.max(distance(before, other), 1);
    this.view.pan((after.x - before.x) / 2, (after.y - before.y) / 2);
    this.view.zoomAbout((after.x + other.x) / 2, (after.y + other.y) / 2, factor);
  }

  onUp(event) {
    const stage = stageOf(event);
    const at = stage && within(stage, event);
    if (event.type === "pointerup" && at && this.pressed?.id === event.pointerId && distance(at, this.pressed.at) < CLICK) {
      this.measure(this.view.fractionAt(at.x, at.y));
    }
    this.pressed = null;
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.grid.classList.remove("dragging");
  }

  /** Measure the region of each map at a fraction of the image; outside of it, none. */
  measure(at) {
    this.measured = at && at.u >= 0 && at.u < 1 && at.v >= 0 && at.v < 1 ? at : null;
    this.panes.forEach((pane) => pane.measure(this.measured));
    this.redraw();
  }

  // readout

  aim(at) {
    this.cursor = at;
    this.point(at);
  }

  aimAtCentre() {
    this.aim({ u: this.view.u, v: this.view.v });
  }

  point(at) {
    for (const pane of this.panes) pane.point(at);
  }

  /** Position and colour of the original's pixel at a fraction of the image. */
  pixelAt({ u, v }) {
    if (!this.image) return "";
    const x = clamp(Math.floor(u * this.image.naturalWidth), 0, this.image.naturalWidth - 1);
    const y = clamp(Math.floor(v * this.image.naturalHeight), 0, this.image.naturalHeight - 1);
    this.probe ||= Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const context = this.probe.getContext("2d", { willReadFrequently: true });
    context.drawImage(this.image, x, y, 1, 1, 0, 0, 1, 1);
    const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
    const colour = red === green && green === blue ? `grey ${red}` : `rgb ${red} ${green} ${blue}`;
    return `x ${x}  y ${y}  ${colour}`;
  }

  // keys

  onKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!isInSight(this.root)) return;
    const target = event.composedPath()[0];
    if (takesText(target)) return;
    const moves = event.key.startsWith("Arrow");
    if (moves && event.shiftKey ? !this.root.contains(target) : moves && takesArrows(target)) return;
    const act = event.shiftKey && moves ? this.panKey(event.key) : this.action(event);
    if (!act) return;
    event.preventDefault();
    act();
  }

  action({ key, repeat }) {
    const actions = {
      o: () => this.toggle("flipped"),
      t: () => this.toggle("contour"),
      g: () => this.toggle("truth"),
      s: () => this.toggle("stretch"),
      a: () => this.toggle("anchored"),
      r: () => this.measure(this.cursor || { u: this.view.u, v: this.view.v }),
      f: () => this.fit(),
      "+": () => this.zoomCentre(1.25),
      "=": () => this.zoomCentre(1.25),
      "-": () => this.zoomCentre(1 / 1.25),
      w: () => this.wholeScreen(),
      l: () => this.link && this.copyLink(),
      "?": () => this.help.toggle(),
      escape: this.help.shown ? () => this.help.show(false) : this.measured ? () => this.measure(null) : undefined,
      arrowleft: () => this.move("previous", repeat),
      k: () => this.move("previous", repeat),
      arrowright: () => this.move("next", repeat),
      j: () => this.move("next", repeat),
    };
    return actions[key.toLowerCase()];
  }

  panKey(key) {
    const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (!(key in steps)) return null;
    const [across, down] = steps[key].map((step) => step * 0.1);
    return () => {
      this.change(() => this.view.pan(across * this.view.stage.width, down * this.view.stage.height));
      this.aimAtCentre();
    };
  }

  /** Presses of the page's own buttons go the way of the keys: of two that wait the page would see but one. */
  onStep(event) {
    const step = event.target.closest?.(STEPS)?.matches(STEPS_ON);
    if (step === undefined) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.move(step ? "next" : "previous", false);
  }

  /** Ask the page for another image; a key held down waits until that image is here. */
  move(direction, repeated) {
    this.presses.press(direction, repeated);
  }
}

/** Of the two other scales than the run's range one goes when the other comes. */
function otherScale(name, on) {
  const others = { stretch: "anchored", anchored: "stretch" };
  return on && name in others ? { [others[name]]: false } : {};
}

/** Without a secure connection a browser has no clipboard, which fails here. */
async function written(text) {
  await navigator.clipboard.writeText(text);
}

/** A button whose title is its name. */
function named(text, title, action) {
  return button(text, title, action, { "aria-label": title });
}

function labelled(text, ...controls) {
  return element("label", { class: "labelled" }, [element("span", {}, [text]), ...controls]);
}

function stageOf(event) {
  return event.target.closest(".stage");
}

function within(stage, event) {
  const edge = stage.getBoundingClientRect();
  return { x: event.clientX - edge.left, y: event.clientY - edge.top };
}

function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
