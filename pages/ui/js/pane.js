// A pane of the viewer: one anomaly map over the image, with its colour bar.

import { contours, pathOf } from "./contours.js";
import { element, setText } from "./dom.js";
import { maps } from "./loading.js";
import { asEvidence, coloured, evidence, fading, interpolated, opaque, packedColours, regionAt, scoreAt, Sentence, valueOfEvidence } from "./maps.js";
import { clamp, mix, tickText, ticks, written } from "./numbers.js";
import { drawPart, inDevicePixels, strokeOver } from "./painting.js";

const SURFACE_SIDE = 768; // maps are interpolated to this longest side before they are coloured
const END_ROOM = 60; // of a colour bar, that the label of its end takes
const THRESHOLD = { style: "#ffffff", width: 1.5, dash: [] };
const MEASURED = { style: "#ffd166", width: 2.5, dash: [] };
const MOST_EVIDENCE = 0.98; // that the threshold's slider reaches on the anchored scale
const TRUTH = { style: "#ff7adb", width: 2, dash: [7, 5] };

export class Pane {
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
    this.region = element("output", { class: "region", role: "status" });
    this.message = element("p", { class: "message", role: "status" });
    this.stage = element("div", { class: "stage", role: "group", tabindex: "0" }, [
      this.canvas,
      this.across,
      this.down,
      this.tag,
      this.region,
      this.message,
    ]);
    this.bar = element("canvas", { class: "bar", width: "256", height: "1", "aria-hidden": "true" });
    this.caret = element("i", { class: "caret" });
    this.slider = element("input", { type: "range", class: "threshold", step: "any" });
    this.slider.addEventListener("input", () => this.viewer.setThreshold(this, this.chosenThreshold));
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

  /** Whether colours stand for evidence, value / (value + threshold); only where the run has a threshold above 0. */
  get anchored() {
    const { anchored, stretch } = this.viewer.settings;
    return Boolean(anchored && !stretch && this.layer && this.layer.threshold > 0);
  }

  /** Where a value stands on the colour bar, 0 to 1 within it. */
  placeOf(value) {
    const { low, high } = this.range;
    return this.anchored ? evidence(value, this.layer.threshold) : (value - low) / (high - low);
  }

  /** The threshold that the slider shows, in raw units. */
  get chosenThreshold() {
    const at = Number(this.slider.value);
    return this.anchored ? valueOfEvidence(at, this.layer.threshold) : at;
  }

  /** After a change of map, range or colours. */
  rescale() {
    const { low, high, stretched } = this.range;
    const table = this.viewer.table;
    const colours = packedColours(table, this.viewer.settings.fade ? fading : opaque);
    if (this.anchored) this.picture = this.surface && coloured(asEvidence(this.surface, this.layer.threshold), 0, 1, colours);
    else this.picture = this.surface && coloured(this.surface, low, high, colours);
    this.foot.hidden = !this.layer || !this.layer.url;
    if (this.layer) {
      drawBar(this.bar, table);
      if (this.anchored) this.drawEvidence(high - low);
      else this.drawTicks(low, high, stretched);
      setText(this.caption, this.scaleInWords(low, high, stretched));
      this.caption.title = this.anchored ? `Evidence is ${this.layer.unit} / (${this.layer.unit} + threshold).` : "";
      this.caption.classList.toggle("warned", stretched);
      Object.assign(this.slider, this.anchored ? { min: "0", max: String(MOST_EVIDENCE) } : { min: String(low), max: String(high) });
      this.slider.setAttribute("aria-label", `Threshold of the contour, ${this.name}, ${this.layer.unit}`);
    }
    this.retrace();
  }

  scaleInWords(low, high, stretched) {
    const { unit, threshold } = this.layer;
    if (this.anchored) return `evidence · .5 is the threshold, ${written(threshold, high - low)}`;
    if (stretched) return `${unit} · stretched to this image`;
    const why = this.viewer.settings.anchored ? "; it has no threshold above 0" : "";
    return `${unit} · one range for the run${why}`;
  }

  /** Evidence below the bar, with the values that have it. */
  drawEvidence(span) {
    const marks = [0, 0.25, 0.5, 0.75, 1].map((at) => {
      const value = at < 1 ? tickText(valueOfEvidence(at, this.layer.threshold), span) : "";
      const text = at === 0 || at === 1 ? String(at) : `${String(at).slice(1)} = ${value}`;
      const end = at === 0 ? "first" : at === 1 ? "last" : "";
      return element("span", { class: `tick ${end}`, style: `left: ${100 * at}%` }, [text]);
    });
    this.scale.replaceChildren(...marks);
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
    this.slider.value = String(this.anchored ? this.placeOf(this.threshold) : this.threshold);
    const text = written(this.threshold, high - low);
    this.slider.setAttribute("aria-valuetext", text);
    setText(this.level, `contour at ${text}`);
    this.foot.classList.toggle("contoured", this.viewer.settings.contour);
    const wanted = this.map && this.viewer.settings.contour;
    this.contour = wanted ? pathOf(contours(this.map, this.threshold)) : null;
    this.measure(this.viewer.measured);
  }

  /** The region above the contour's threshold at a fraction of the image: its outline, area, mean and maximum. */
  measure(at) {
    const region = at && this.map ? regionAt(this.map, at.u, at.v, this.threshold) : null;
    this.measured = region && pathOf(contours(region.map, 0.5));
    if (!at || !this.map) setText(this.region, "");
    else if (!region) setText(this.region, "No region here: the score lies below the contour.");
    else setText(this.region, this.regionInWords(region));
  }

  regionInWords({ share, mean, max }) {
    const { width, height } = this.viewer.view.image;
    const span = this.range.high - this.range.low;
    const area = `${(100 * share).toPrecision(2)} % of the image, ${Math.round(share * width * height).toLocaleString("en")} px`;
    return `Region: ${area} · mean ${written(mean, span)} · maximum ${written(max, span)}`;
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
    if (!plain && this.measured) strokeOver(context, this.measured, box, MEASURED);
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
    if (!this.caret.hidden) this.caret.style.left = `${100 * clamp(this.placeOf(score), 0, 1)}%`;
    const worth = score !== null && this.anchored ? `, evidence ${this.placeOf(score).toFixed(2)}` : "";
    setText(this.readout, score === null ? "" : `${written(score, high - low)}${worth}`);
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
