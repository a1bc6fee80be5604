// Map viewer: an image and the anomaly maps of its scorers, in panes that share zoom and pan.
// Plain browser code without libraries; it loads only the addresses it is given. Texts are set as
// text, never as markup. Positions in an image are fractions (u, v) of its width and height.
// It follows viewer_maps.js in one module.

const SURFACE_SIDE = 768; // maps are interpolated to this longest side before they are coloured
const GAP = 12; // between panes, as in the style sheet
const HEADER = 30; // of a pane, above its picture
const FOOTER = 60; // of a pane, below its picture
const PAGE_REST = 240; // of the window's height, for what stands above and below the panes
const SMALLEST_STAGE = 160;
const SMALLEST_AREA = 440;
const ORIGINAL_MAY_COST = 0.15; // the original joins by itself if the pictures lose less than this
const MOST_MAGNIFIED = 64; // screen pixels per image pixel
const END_ROOM = 60; // of a colour bar, that the label of its end takes
const PRESSES_SENT = 32;
const REPEAT_WAIT = 1500; // ms until a held key may ask again for the next image
const SETTINGS_KEY = "mad-inspector.viewer";

const HALO = { style: "rgba(0, 0, 0, 0.6)", extra: 2 };
const THRESHOLD = { style: "#ffffff", width: 1.5, dash: [] };
const TRUTH = { style: "#ff7adb", width: 2, dash: [7, 5] };

const KEYS = [
  ["O", "original or overlay, in all panes"],
  ["T", "threshold contour on or off"],
  ["G", "ground-truth outline on or off"],
  ["S", "stretch colours over this image, or back to the run's range"],
  ["F", "fit the image to the panes"],
  ["+  −", "zoom in, zoom out"],
  ["Shift + arrows", "move the picture"],
  ["← or K,  → or J", "previous image, next image"],
  ["?", "show or hide this help"],
];
const POINTER_HELP =
  "Wheel or pinch zooms about the pointer, dragging moves, a double click fits. " +
  "Scores under the pointer are interpolated between the map's own pixels.";

const viewers = new WeakMap();

export default function (component) {
  const { parentElement } = component;
  let viewer = viewers.get(parentElement);
  if (!viewer) {
    viewer = new Viewer(parentElement);
    viewers.set(parentElement, viewer);
  }
  viewer.show(component);
  return () => {
    viewer.remove();
    viewers.delete(parentElement);
  };
}

// --- loading ---------------------------------------------------------------------------------

/** Keeps the last things loaded, so that going back and forth needs no waiting. */
class Recent {
  constructor(limit, load) {
    this.limit = limit;
    this.load = load;
    this.kept = new Map();
  }

  /** What the address holds; failures are not kept. */
  get(url) {
    const kept = this.kept.get(url) || this.load(url);
    this.put(url, kept);
    kept.catch(() => this.kept.get(url) === kept && this.kept.delete(url));
    return kept;
  }

  put(url, promise) {
    this.kept.delete(url);
    this.kept.set(url, promise);
    while (this.kept.size > this.limit) this.kept.delete(this.kept.keys().next().value);
  }
}

const maps = new Recent(48, async (url) => decodeMap(await bytesOf(url, "high")));
const images = new Recent(12, async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
});
const outlines = new Recent(16, async (url) => maskOutline(await images.get(url)));

async function bytesOf(url, priority) {
  const answer = await fetch(url, { priority });
  if (!answer.ok) throw new Sentence(await reasonOf(answer));
  return answer.arrayBuffer();
}

/** The sentence a route answered with, else one of our own. */
async function reasonOf(answer) {
  const plain = (answer.headers.get("content-type") || "").startsWith("text/plain");
  const text = plain ? (await answer.text()).trim() : "";
  return text && text.length <= 300 ? text : `The anomaly map cannot be loaded (status ${answer.status}). Reload the page.`;
}

/** Load quietly, so that it is there when asked for; what fails will say so then. */
async function prefetch(url) {
  try {
    const answer = await fetch(url, { priority: "low" });
    if (!answer.ok) return;
    const type = answer.headers.get("content-type") || "";
    if (type.startsWith("application/octet-stream")) maps.put(url, Promise.resolve(decodeMap(await answer.arrayBuffer())));
    else {
      await answer.arrayBuffer();
      await images.get(url);
    }
  } catch {
    return;
  }
}

// --- settings --------------------------------------------------------------------------------

function storedSettings() {
  try {
    return JSON.parse(localStorage.getItem(SETTINGS_KEY)) || {};
  } catch {
    return {};
  }
}

function storeSettings(settings) {
  try {
    localStorage.setItem(SETTINGS_KEY, JSON.stringify(settings));
  } catch {
    return; // storage is full or forbidden: the settings last as long as the page
  }
}

// --- view: the part of the image that all panes show -------------------------------------------

class View {
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
function arrangement(count, width, area, image) {
  let best = null;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const stage = {
      width: Math.floor((width - GAP * (columns - 1)) / columns),
      height: Math.floor((area - GAP * (rows - 1)) / rows) - HEADER - FOOTER,
    };
    stage.height = Math.max(stage.height, SMALLEST_STAGE);
    const scale = Math.min(stage.width / image.width, stage.height / image.height);
    if (!best || scale > best.scale * 1.001) best = { columns, stage, scale };
  }
  const needed = Math.ceil((best.stage.width * image.height) / image.width);
  best.stage.height = Math.max(Math.min(best.stage.height, needed), SMALLEST_STAGE);
  return best;
}

// --- a pane: one map over the image, with its colour bar ------------------------------------------

class Pane {
  constructor(viewer) {
    this.viewer = viewer;
    this.layer = null;
    this.map = null;
    this.surface = null;
    this.picture = null; // the coloured surface
    this.contour = null;
    this.ticket = 0;
    this.busy = false;
    this.build();
  }

  build() {
    this.title = element("span", { class: "title" });
    this.subtitle = element("span", { class: "subtitle" });
    this.readout = element("output", { class: "readout", "aria-live": "off" });
    this.canvas = element("canvas", { role: "img" });
    this.across = element("i", { class: "hair across" });
    this.down = element("i", { class: "hair down" });
    this.tag = element("span", { class: "tag" });
    this.message = element("p", { class: "message", role: "status" });
    this.stage = element("div", { class: "stage", role: "group", tabindex: "0" }, [
      this.canvas,
      this.across,
      this.down,
      this.tag,
      this.message,
    ]);
    this.bar = element("canvas", { class: "bar", width: "256", height: "1", "aria-hidden": "true" });
    this.caret = element("i", { class: "caret" });
    this.slider = element("input", { type: "range", class: "threshold", step: "any" });
    this.slider.addEventListener("input", () => this.viewer.setThreshold(this, Number(this.slider.value)));
    this.scale = element("div", { class: "ticks", "aria-hidden": "true" });
    this.caption = element("span", { class: "caption" });
    this.level = element("span", { class: "level" });
    this.foot = element("div", { class: "foot" }, [
      element("div", { class: "track" }, [this.bar, this.caret, this.slider]),
      this.scale,
      element("div", { class: "notes" }, [this.caption, this.level]),
    ]);
    this.root = element("section", { class: "pane" }, [
      element("header", {}, [this.title, this.subtitle, this.readout]),
      this.stage,
      this.foot,
    ]);
  }

  /** Show a layer, or the original alone if there is none. */
  setLayer(layer) {
    const changed = !layer || !this.layer || layer.url !== this.layer.url;
    this.layer = layer;
    this.name = layer ? `${layer.title} ${layer.subtitle}`.trim() : "Original";
    setText(this.title, layer ? layer.title : "Original");
    setText(this.subtitle, layer ? layer.subtitle : "");
    this.root.setAttribute("aria-label", this.name);
    if (changed) this.load();
    else this.rescale();
  }

  async load() {
    const ticket = ++this.ticket;
    this.setMap(null);
    this.mapMessage = "";
    if (!this.layer) return;
    if (!this.layer.url) {
      this.mapMessage = this.layer.missing;
      return;
    }
    this.busy = true;
    try {
      const map = await maps.get(this.layer.url);
      if (ticket === this.ticket) this.setMap(map);
    } catch (error) {
      if (ticket === this.ticket) this.mapMessage = explained(error, "The anomaly map cannot be loaded. Reload the page.");
    }
    if (ticket !== this.ticket) return;
    this.busy = false;
    this.viewer.redraw();
  }

  setMap(map) {
    this.map = map;
    this.surface = map && interpolated(map, SURFACE_SIDE);
    this.rescale();
  }

  /** The colour range in use: the run's, or this image's own if asked for or if the run has none. */
  get range() {
    const own = this.map ? { low: this.map.low, high: this.map.high } : null;
    const fixed = this.layer && this.layer.low !== null ? { low: this.layer.low, high: this.layer.high } : null;
    const stretched = this.viewer.settings.stretch || !fixed;
    const range = (stretched && own) || fixed || { low: 0, high: 1 };
    const usable = Number.isFinite(range.low) && range.low < range.high;
    return usable ? { ...range, stretched } : { low: range.low || 0, high: (range.low || 0) + 1, stretched };
  }

  get threshold() {
    const { low, high } = this.range;
    const first = this.layer && this.layer.threshold !== null ? this.layer.threshold : mix(low, high, 0.75);
    const chosen = this.layer ? this.viewer.thresholds.get(this.layer.title) : undefined;
    return chosen === undefined ? first : chosen;
  }

  /** After a change of map, range or colours. */
  rescale() {
    const { low, high, stretched } = this.range;
    const table = this.viewer.table;
    const colours = packedColours(table, this.viewer.settings.fade ? fading : opaque);
    this.picture = this.surface && coloured(this.surface, low, high, colours);
    this.foot.hidden = !this.layer || !this.layer.url;
    if (this.layer) {
      drawBar(this.bar, table);
      this.drawTicks(low, high, stretched);
      const kind = stretched ? "stretched to this image" : "one range for the run";
      setText(this.caption, `${this.layer.unit} · ${kind}`);
      this.caption.classList.toggle("warned", stretched);
      Object.assign(this.slider, { min: String(low), max: String(high) });
      this.slider.setAttribute("aria-label", `Threshold of the contour, ${this.name}, ${this.layer.unit}`);
    }
    this.retrace();
  }

  /** Round numbers between the two ends; scores beyond the run's range take the end's colour. */
  drawTicks(low, high, stretched) {
    const span = high - low;
    const place = (value) => (100 * (value - low)) / span;
    const room = (100 * END_ROOM) / this.viewer.view.stage.width;
    const between = ticks(low, high).filter((value) => place(value) > room && place(value) < 100 - room);
    const [under, over] = stretched ? ["", ""] : ["≤ ", "≥ "];
    const marks = [
      [0, "first", under + tickText(low, span)],
      ...between.map((value) => [place(value), "", tickText(value, span)]),
      [100, "last", over + tickText(high, span)],
    ];
    this.scale.replaceChildren(
      ...marks.map(([at, end, text]) => element("span", { class: `tick ${end}`, style: `left: ${at}%` }, [text])),
    );
  }

  /** After a change of threshold. */
  retrace() {
    if (!this.layer) return;
    const { low, high } = this.range;
    this.slider.value = String(this.threshold);
    const text = written(this.threshold, high - low);
    this.slider.setAttribute("aria-valuetext", text);
    setText(this.level, `contour at ${text}`);
    this.foot.classList.toggle("contoured", this.viewer.settings.contour);
    const wanted = this.map && this.viewer.settings.contour;
    this.contour = wanted ? pathOf(contours(this.map, this.threshold)) : null;
  }

  draw() {
    const { view, settings, image, outline } = this.viewer;
    const context = this.sized();
    const box = inDevicePixels(view.box);
    this.canvas.dataset.transform = [box.x, box.y, box.width, box.height].map((x) => x.toFixed(2)).join(" ");
    const plain = settings.flipped || !this.layer;
    if (image) {
      context.imageSmoothingEnabled = box.width < image.naturalWidth;
      context.imageSmoothingQuality = "high";
      drawPart(context, image, image.naturalWidth, image.naturalHeight, box);
    }
    if (!settings.flipped && this.picture) {
      context.globalAlpha = settings.opacity;
      context.imageSmoothingEnabled = true;
      drawPart(context, this.picture, this.picture.width, this.picture.height, box);
      context.globalAlpha = 1;
    }
    if (!settings.flipped && settings.truth && outline) strokeOver(context, outline, box, TRUTH);
    if (!plain && this.contour) strokeOver(context, this.contour, box, THRESHOLD);
    setText(this.tag, settings.flipped && this.layer ? "Original" : "");
    this.describe();
  }

  /** The canvas at the screen's own pixels, cleared. */
  sized() {
    const { width, height } = this.viewer.view.stage;
    const device = { width: Math.round(width * devicePixelRatio), height: Math.round(height * devicePixelRatio) };
    if (this.canvas.width !== device.width || this.canvas.height !== device.height) Object.assign(this.canvas, device);
    this.stage.style.height = `${height}px`;
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, device.width, device.height);
    return context;
  }

  describe() {
    const { alt, settings } = this.viewer;
    const over = this.layer && this.map && !settings.flipped;
    this.canvas.setAttribute("aria-label", over ? `${alt}, under the anomaly map of ${this.name}` : alt);
    this.stage.setAttribute("aria-label", `${this.name}: plus and minus zoom, Shift with arrows moves`);
    setText(this.message, this.viewer.imageMessage || this.mapMessage || (this.waiting ? "Loading…" : ""));
    this.message.classList.toggle("whole", !this.viewer.image);
  }

  get waiting() {
    return this.viewer.slow && (this.busy || this.viewer.busy);
  }

  /** Crosshair, score and the mark on the colour bar at a fraction of the image, or none of them. */
  point(at) {
    const seen = at && at.u >= 0 && at.u <= 1 && at.v >= 0 && at.v <= 1;
    this.across.hidden = this.down.hidden = !seen;
    if (seen) {
      const box = this.viewer.view.box;
      this.across.style.transform = `translateY(${Math.round(box.y + at.v * box.height)}px)`;
      this.down.style.transform = `translateX(${Math.round(box.x + at.u * box.width)}px)`;
    }
    if (this.layer) this.pointScore(seen && this.map ? scoreAt(this.map, at.u, at.v) : null);
    else setText(this.readout, seen ? this.viewer.pixelAt(at) : "");
  }

  pointScore(score) {
    const { low, high } = this.range;
    this.caret.hidden = score === null || !Number.isFinite(score);
    if (!this.caret.hidden) this.caret.style.left = `${100 * clamp((score - low) / (high - low), 0, 1)}%`;
    setText(this.readout, score === null ? "" : written(score, high - low));
  }
}

function inDevicePixels(box) {
  const ratio = devicePixelRatio;
  const x = Math.round(box.x * ratio);
  const y = Math.round(box.y * ratio);
  return { x, y, width: box.width * ratio, height: box.height * ratio };
}

/** Draw the visible part of a source that fills `box`, whole source pixels at a time. */
function drawPart(context, source, width, height, box) {
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
function strokeOver(context, path, box, line) {
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

function drawBar(canvas, table) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(256, 1);
  new Uint32Array(image.data.buffer).set(packedColours(table, opaque));
  context.putImageData(image, 0, 0);
}

function explained(error, otherwise) {
  return error instanceof Sentence ? error.message : otherwise;
}

// --- the viewer --------------------------------------------------------------------------------

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
    this.pointers = new Map();
    this.build(parent);
    this.listen();
  }

  // building

  build(parent) {
    this.grid = element("div", { class: "panes" });
    this.root = element("div", { class: "viewer" }, [this.toolbar(), this.helpPanel(), this.grid]);
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
      beside: this.checkbox("beside", "Original beside", "A pane of its own for the original"),
    };
    this.flip = this.button("Original", "The original without overlay, in all panes (O)", () => this.toggle("flipped"));
    this.zoomText = element("output", { class: "number zoom", title: "Screen pixels per image pixel", "aria-live": "off" });
    this.help = this.button("?", "Keys and help", () => this.showHelp(this.helpBox.hidden));
    this.mapControls = element("div", { class: "maps" }, [
      labelled("Colours", this.colours),
      labelled("Opacity", this.opacity, this.opacityText),
      this.switches.fade.label,
      this.switches.contour.label,
      this.switches.truth.label,
      this.switches.stretch.label,
      this.switches.beside.label,
    ]);
    return element("div", { class: "toolbar", role: "toolbar", "aria-label": "View of the image" }, [
      this.mapControls,
      element("div", { class: "zooming" }, [
        this.flip,
        this.button("−", "Zoom out", () => this.zoomCentre(1 / 1.5)),
        this.zoomText,
        this.button("+", "Zoom in", () => this.zoomCentre(1.5)),
        this.button("Fit", "Fit the image to the panes (F)", () => this.fit()),
        this.button("1:1", "One image pixel on one screen pixel", () => this.change(() => this.view.ownPixels())),
        this.help,
      ]),
    ]);
  }

  checkbox(name, text, title, sample) {
    const input = element("input", { type: "checkbox" });
    input.addEventListener("change", () => this.set({ [name]: input.checked }));
    const parts = sample ? [input, element("i", { class: `sample ${sample}` }), text] : [input, text];
    return { input, label: element("label", { class: `switch ${name}`, title }, parts) };
  }

  button(text, title, action) {
    const button = element("button", { type: "button", title, "aria-label": title }, [text]);
    button.addEventListener("click", action);
    return button;
  }

  helpPanel() {
    const rows = KEYS.flatMap(([key, text]) => [element("dt", {}, [key]), element("dd", {}, [text])]);
    this.helpBox = element("div", { class: "help", id: "help", role: "region", "aria-label": "Keys" }, [
      element("dl", {}, rows),
      element("p", {}, [POINTER_HELP]),
    ]);
    this.helpBox.hidden = true;
    this.help.setAttribute("aria-controls", "help");
    this.help.setAttribute("aria-expanded", "false");
    return this.helpBox;
  }

  showHelp(shown) {
    this.helpBox.hidden = !shown;
    this.help.setAttribute("aria-expanded", String(shown));
  }

  listen() {
    this.presses = { id: Math.random().toString(36).slice(2), total: 0, moves: [] };
    this.onKeyDown = (event) => this.onKey(event);
    this.onResize = () => this.layout();
    document.addEventListener("keydown", this.onKeyDown);
    window.addEventListener("resize", this.onResize);
    this.resized = new ResizeObserver(this.onResize);
    this.resized.observe(this.root);
    this.listenToPointers();
  }

  remove() {
    document.removeEventListener("keydown", this.onKeyDown);
    window.removeEventListener("resize", this.onResize);
    this.resized.disconnect();
    clearTimeout(this.slowTimer);
    this.root.remove();
  }

  // data from the page

  show({ data, setTriggerValue }) {
    this.send = (presses) => setTriggerValue("move", presses);
    this.prefetch = data.prefetch;
    this.alt = data.image.alt;
    this.take(data);
    if (!this.source || this.source.url !== data.image.url || this.source.mask !== data.image.mask) {
      this.source = data.image;
      this.moving = 0;
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
      const first = { ...data.defaults, contour: true, truth: true, fade: true, beside: null, stretch: false, flipped: false };
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
    const area = Math.max(window.innerHeight - PAGE_REST, SMALLEST_AREA);
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
    for (const name of ["contour", "truth", "stretch", "fade"]) this.switches[name].input.checked = settings[name];
    this.switches.beside.input.checked = this.withOriginal;
    this.flip.setAttribute("aria-pressed", String(settings.flipped));
    setText(this.zoomText, `${Math.round(view.scale * devicePixelRatio * 100)} %`);
    this.grid.classList.toggle("zoomed", view.zoom > 1.001);
  }

  // settings

  set(changes) {
    this.settings = { ...this.settings, ...changes };
    const { colormap, opacity, contour, truth, fade, beside } = this.settings;
    storeSettings({ colormap, opacity, contour, truth, fade, beside });
    if ("colormap" in changes || "stretch" in changes || "fade" in changes) this.panes.forEach((pane) => pane.rescale());
    else if ("contour" in changes) this.panes.forEach((pane) => pane.retrace());
    if ("beside" in changes) this.layout();
    this.redraw();
  }

  toggle(name) {
    this.set({ [name]: !this.settings[name] });
  }

  /** Moving a threshold shows its contour. */
  setThreshold(pane, value) {
    this.thresholds.set(pane.layer.title, value);
    if (!this.settings.contour) this.set({ contour: true });
    pane.retrace();
    this.redraw();
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
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.grid.classList.remove("dragging");
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
    if (!this.root.getClientRects().length || document.querySelector('[role="dialog"][aria-modal="true"]')) return;
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
      f: () => this.fit(),
      "+": () => this.zoomCentre(1.25),
      "=": () => this.zoomCentre(1.25),
      "-": () => this.zoomCentre(1 / 1.25),
      "?": () => this.showHelp(this.helpBox.hidden),
      escape: this.helpBox.hidden ? undefined : () => this.showHelp(false),
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

  /** Ask the page for another image; a key held down waits until that image is here. */
  move(direction, repeated) {
    const now = performance.now();
    if (repeated && this.moving && now - this.moving < REPEAT_WAIT) return;
    this.moving = now;
    // While the page is busy a newer press takes the place of the one that waits, so each carries those before it.
    const { id, total, moves } = this.presses;
    this.presses = { id, total: total + 1, moves: [...moves, direction].slice(-PRESSES_SENT) };
    this.send(this.presses);
  }
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

function takesText(node) {
  const writing = "textarea, select, [contenteditable=''], [contenteditable='true'], input";
  const silent = "input[type=range], input[type=checkbox], input[type=radio], input[type=button]";
  return node instanceof Element && node.matches(writing) && !node.matches(silent);
}

/** Whether arrows belong to the control in focus (sliders, tabs, lists, tables, players). */
function takesArrows(node) {
  const roles = ["slider", "spinbutton", "tab", "radio", "listbox", "option", "combobox", "menuitem", "grid", "tree"];
  const takers = ["input:not([type=checkbox])", "video", "audio", "canvas[data-testid]", ...roles.map((r) => `[role=${r}]`)];
  return node instanceof Element && Boolean(node.closest(takers.join(", ")));
}

// --- elements ----------------------------------------------------------------------------------

function element(tag, attributes = {}, children = []) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function labelled(text, ...controls) {
  return element("label", { class: "labelled" }, [element("span", {}, [text]), ...controls]);
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
