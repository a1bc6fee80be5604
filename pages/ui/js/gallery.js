// Gallery: a grid of thumbnails. Texts are set as text, never as markup; nodes are reused between runs.

import { element, keptInPlace, setText } from "./dom.js";
import { neighbour, spanned } from "./grid.js";

const TAIL = 11; // characters at the end of a caption that are always shown
const CHOSEN_WAIT = 350; // ms after the last choice until the page is told
const MISSING = "This image cannot be shown. Its file may have been moved or deleted.";

export default keptInPlace((parent) => new Gallery(parent));

class Gallery {
  constructor(parent) {
    this.list = element("ul", { class: "gallery", role: "list" });
    this.list.addEventListener("keydown", (event) => this.onKey(event));
    this.list.addEventListener("focusin", (event) => this.onFocus(event));
    this.list.addEventListener("click", (event) => this.onChoice(event), true);
    this.cells = [];
    this.chosen = null; // ids, where tiles can be chosen
    this.anchor = null; // the tile from which Shift reaches
    parent.append(this.list);
  }

  /** Bring the grid to the tiles of this run, changing only what differs. */
  show({ data, setTriggerValue }) {
    this.open = (id) => setTriggerValue("open", id);
    this.tell = (ids) => setTriggerValue("chosen", { ids });
    if (!this.timer) this.chosen = data.chosen && new Set(data.chosen);
    this.list.classList.toggle("fixed", Boolean(data.columns));
    this.list.style.setProperty("--columns", String(data.columns || 1));
    this.list.dataset.size = data.size || "medium";
    this.list.dataset.maps = data.maps || "off";
    this.cells = this.matched(data.tiles);
    this.lay(data.tiles);
    this.cells.forEach((cell, index) => cell.show(data.tiles[index], data.tiles[index].image_id === data.selected, data.maps));
    this.showChosen();
    this.keepOneTabStop(data.tiles.findIndex((tile) => tile.image_id === data.selected));
  }

  /** Cells in their order, before the first of a group its heading. */
  lay(tiles) {
    const wanted = tiles.flatMap((tile, index) => {
      const first = tile.group && tile.group !== tiles[index - 1]?.group;
      return first ? [heading(tile.group), this.cells[index].item] : [this.cells[index].item];
    });
    this.list.querySelectorAll(".group").forEach((node) => node.remove());
    wanted.forEach((node, index) => {
      if (this.list.children[index] !== node) this.list.insertBefore(node, this.list.children[index] || null);
    });
    while (this.list.children.length > wanted.length) this.list.lastElementChild.remove();
  }

  // choosing tiles

  /** A box, or Shift and a click, chooses and opens nothing. */
  onChoice(event) {
    if (!this.chosen) return;
    const index = this.indexOf(event.target);
    const boxed = event.target.closest?.(".choose");
    if (index < 0 || !(boxed || event.shiftKey)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.shiftKey && this.anchor !== null) this.chooseSpan(index);
    else this.choose([this.cells[index].id], !this.chosen.has(this.cells[index].id));
    if (!event.shiftKey) this.anchor = index;
    this.anchor ??= index;
    this.cells[index].button.focus();
  }

  chooseSpan(index) {
    this.choose(spanned(Math.min(this.anchor, this.cells.length - 1), index).map((place) => this.cells[place].id), true);
  }

  choose(ids, on) {
    ids.forEach((id) => (on ? this.chosen.add(id) : this.chosen.delete(id)));
    this.showChosen();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.tell([...this.chosen]);
    }, CHOSEN_WAIT);
  }

  showChosen() {
    this.list.classList.toggle("choosing", Boolean(this.chosen?.size));
    this.cells.forEach((cell) => cell.setChosen(this.chosen && this.chosen.has(cell.id)));
  }

  /** X chooses, Ctrl+A all of the page, Escape none; whether the key was one of these. */
  choiceKey(event, index) {
    if (!this.chosen || event.altKey) return false;
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (key === "x" && !control) {
      this.choose([this.cells[index].id], !this.chosen.has(this.cells[index].id));
      this.anchor = index;
    } else if (key === "a" && control) {
      this.choose(this.cells.map((cell) => cell.id), true);
    } else if (key === "escape" && this.chosen.size) {
      this.choose([...this.chosen], false);
    } else {
      return false;
    }
    return true;
  }

  /** A cell for each tile: the one that showed the same image before, else one that is free. */
  matched(tiles) {
    const wanted = new Set(tiles.map((tile) => tile.image_id));
    const before = new Map(this.cells.map((cell) => [cell.id, cell]));
    const free = this.cells.filter((cell) => !wanted.has(cell.id));
    return tiles.map((tile) => {
      const same = before.get(tile.image_id);
      before.delete(tile.image_id);
      return same || free.pop() || new Cell((id) => this.open(id));
    });
  }

  /** The grid is one stop of the Tab key; arrows move within it. */
  keepOneTabStop(preferred) {
    const focused = this.cells.findIndex((cell) => cell.button === this.list.getRootNode().activeElement);
    const stop = Math.max(focused, focused < 0 ? preferred : -1, 0);
    this.cells.forEach((cell, index) => (cell.button.tabIndex = index === stop ? 0 : -1));
  }

  onFocus(event) {
    const index = this.indexOf(event.target);
    if (index >= 0) this.cells.forEach((cell, other) => (cell.button.tabIndex = other === index ? 0 : -1));
  }

  onKey(event) {
    const index = this.indexOf(event.target);
    if (index >= 0 && this.choiceKey(event, index)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    if (event.altKey || event.ctrlKey || event.metaKey || (event.shiftKey && !this.chosen)) return;
    const columns = getComputedStyle(this.list).gridTemplateColumns.split(" ").length;
    const next = neighbour(index, event.key, columns, this.cells.length);
    if (next === null) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.shiftKey) {
      this.anchor ??= index;
      this.chooseSpan(next);
    } else {
      this.anchor = null;
    }
    this.cells[next].button.focus();
  }

  indexOf(node) {
    return this.cells.findIndex((cell) => cell.button.contains(node));
  }

  remove() {
    clearTimeout(this.timer);
    this.list.remove();
  }
}

class Cell {
  constructor(open) {
    this.item = element("li", { class: "cell" });
    this.frame = element("span", { class: "frame" });
    this.picture = element("img", { loading: "lazy", decoding: "async", draggable: "false" });
    this.picture.addEventListener("load", () => this.setState("shown"));
    this.picture.addEventListener("error", () => this.setState("failed"));
    this.overlay = element("img", { class: "overlay", loading: "lazy", decoding: "async", draggable: "false", alt: "" });
    this.overlay.addEventListener("error", () => this.overlay.removeAttribute("src"));
    this.item.addEventListener("pointerenter", () => this.showMap());
    this.item.addEventListener("focusin", () => this.showMap());
    this.missing = element("span", { class: "missing" });
    this.badge = element("span", { class: "badge" });
    this.box = element("span", { class: "choose", "aria-hidden": "true", title: "Choose (X; with Shift up to here)" });
    this.frame.append(this.picture, this.overlay, this.missing, this.badge, this.box);
    this.level = element("span", { class: "level" });
    this.score = element("span", { class: "score" });
    const line = element("span", { class: "line" });
    this.caption = element("span", { class: "caption" });
    this.head = element("span", { class: "head" });
    this.tail = element("span", { class: "tail" });
    this.caption.append(this.head, this.tail);
    line.append(this.caption, this.score);
    this.content = [this.frame, this.level, line];
    this.openImage = open;
  }

  show(tile, selected, maps) {
    this.id = tile.image_id;
    this.map = maps === "off" ? null : tile.overlay;
    if (this.overlay.getAttribute("src") !== this.map) this.overlay.removeAttribute("src");
    if (maps === "always") this.showMap();
    this.shape(safeAddress(tile.href));
    setText(this.level, tile.level_label);
    this.level.style.backgroundColor = tile.level_colour;
    this.level.style.color = tile.text_colour;
    setText(this.score, tile.score_label);
    const [head, tail] = halves(tile.caption);
    setText(this.head, head);
    setText(this.tail, tail);
    this.caption.title = tile.caption;
    setText(this.badge, tile.badge || "");
    this.badge.hidden = !tile.badge;
    this.frame.title = tile.title || "";
    this.alt = tile.alt;
    this.picture.alt = tile.alt;
    if (selected) this.button.setAttribute("aria-current", "true");
    else this.button.removeAttribute("aria-current");
    if (this.picture.getAttribute("src") !== tile.url) {
      this.setState("loading");
      this.picture.src = tile.url;
      if (this.picture.complete && this.picture.naturalWidth) this.setState("shown");
    }
  }

  /** A link where there is an address (so that it opens in another tab too), else a button. */
  shape(address) {
    const tag = address ? "a" : "button";
    if (!this.button || this.button.localName !== tag) {
      const fresh = element(tag, { class: "tile" });
      if (!address) fresh.type = "button";
      fresh.addEventListener("click", (event) => this.onClick(event));
      fresh.addEventListener("keydown", (event) => this.onSpace(event));
      fresh.append(...this.content);
      this.item.replaceChildren(fresh);
      this.button = fresh;
    }
    if (address) this.button.href = address;
  }

  /** Whether the tile is chosen; null where tiles cannot be. */
  setChosen(on) {
    this.box.hidden = on === null;
    this.item.classList.toggle("chosen", Boolean(on));
    setText(this.box, on ? "✓" : "");
    this.picture.alt = this.alt + (on ? ", chosen" : "");
  }

  onClick(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.openImage(this.id);
  }

  /** Links answer to Enter by themselves; tiles answer to the space bar as buttons do. */
  onSpace(event) {
    if (event.key !== " " || this.button.localName !== "a") return;
    event.preventDefault();
    this.openImage(this.id);
  }

  /** The anomaly map over the picture is asked for once it is to be seen. */
  showMap() {
    if (this.map && this.overlay.getAttribute("src") !== this.map) this.overlay.src = this.map;
  }

  setState(state) {
    this.frame.dataset.state = state;
    setText(this.missing, state === "failed" ? MISSING : "");
  }
}

function heading(text) {
  return element("li", { class: "group" }, [text]);
}

/** A caption in two: where it is too long the end of the first part gives way, for names differ at their ends. */
function halves(text) {
  const at = text.length > TAIL + 4 ? text.length - TAIL : text.length;
  return [text.slice(0, at), text.slice(at)];
}

/** The address if it leads to this site, else null. */
function safeAddress(address) {
  if (!address) return null;
  try {
    const url = new URL(address, document.baseURI);
    return url.origin === location.origin ? url.href : null;
  } catch {
    return null;
  }
}
