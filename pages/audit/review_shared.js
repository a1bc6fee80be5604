// What the two review components share: pictures loaded ahead, acts that are sent until they are taken, keys, and
// that they go on where they were when they are taken off the page and put back.
// Plain browser code without libraries. Texts are set as text, never as markup.

const KEPT_PICTURES = 48;
const KEPT_COMPONENTS = 4;
const RESEND_MS = 8000;
const pictures = new Map(); // address -> promise of a decoded picture

/** A decoded picture of an address, or of the preview where the browser cannot read the original. */
function picture(item) {
  const known = pictures.get(item.url);
  const loading = known || decoded(item.url).catch(() => decoded(item.fallback));
  pictures.delete(item.url);
  pictures.set(item.url, loading);
  loading.catch(() => pictures.delete(item.url));
  while (pictures.size > KEPT_PICTURES) pictures.delete(pictures.keys().next().value);
  return loading;
}

async function decoded(url) {
  const image = new Image();
  image.draggable = false;
  image.src = url;
  await image.decode();
  return image;
}

/** Load quietly; what fails will say so when it is shown. */
function prefetch(items) {
  for (const item of items) picture(item).catch(() => {});
}

const kept = (globalThis.madReviews ??= new Map()); // whose -> component

/** Shows a component in its place on the page; returns what takes it away again. Streamlit may do so at any time. */
function mount({ parentElement, data }, make) {
  const shown = kept.get(data.whose) || make();
  kept.delete(data.whose);
  kept.set(data.whose, shown);
  for (const [whose, old] of kept) if (kept.size > KEPT_COMPONENTS && !old.root.isConnected && old.sender.settled) end(whose, old);
  for (const other of kept.values()) if (other !== shown && other.root.parentNode === parentElement) other.root.remove();
  if (shown.root.parentNode !== parentElement) parentElement.append(shown.root);
  const leave = () => {
    if (shown.root.parentNode !== parentElement) return;
    shown.root.remove();
    shown.sender.rest();
  };
  return [shown, leave];
}

function end(whose, component) {
  component.end();
  component.keys.remove();
  component.sender.end();
  kept.delete(whose);
}

/**
 * Sends acts to the page and keeps each until the page says that it was taken. One message is under way at a time:
 * Streamlit's page takes a component away and puts it back when the answers of many runs come at once.
 */
class Sender {
  constructor() {
    this.client = identifier();
    this.number = 0;
    this.waiting = [];
    this.send = () => {};
    this.onClose = (event) => this.settled || event.preventDefault(); // the browser asks whether to close the tab
    window.addEventListener("beforeunload", this.onClose);
  }

  end() {
    window.removeEventListener("beforeunload", this.onClose);
  }

  /** What waited while the component was off the page is sent. */
  through(send, answer) {
    this.send = send;
    this.taken(answer);
    if (!this.timer) this.flush();
  }

  add(act) {
    this.number += 1;
    this.waiting.push({ ...act, number: this.number, event: identifier() });
    if (!this.timer) this.flush();
  }

  flush() {
    this.rest();
    if (!this.waiting.length) return;
    this.sent = this.number;
    this.send({ client: this.client, acts: this.waiting });
    this.timer = setTimeout(() => this.flush(), RESEND_MS);
  }

  taken(answer) {
    if (!answer || answer.client !== this.client) return;
    this.waiting = this.waiting.filter((act) => act.number > answer.number);
    if (answer.number >= this.sent) this.rest();
  }

  rest() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  holds(id) {
    return this.waiting.some((act) => act.image === id && act.act !== "at");
  }

  get settled() {
    return !this.waiting.some((act) => act.act !== "at");
  }
}

/** 32 hexadecimal characters; crypto.randomUUID is not there on plain http. */
function identifier() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Calls `act` with each key that is meant for the component; true from it means the key was taken. */
class Keys {
  constructor(root, act) {
    this.listener = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      if (!root.getClientRects().length || document.querySelector('[role="dialog"][aria-modal="true"]')) return;
      const target = event.composedPath()[0];
      if (takesText(target) || (pressesControl(event) && isControl(target))) return;
      if (!act(event)) return;
      event.preventDefault();
      event.stopImmediatePropagation(); // some letters are the page's own shortcuts
    };
    // Before the page's own listeners, so that its shortcuts (C and R) do not fire too.
    window.addEventListener("keydown", this.listener, true);
  }

  remove() {
    window.removeEventListener("keydown", this.listener, true);
  }
}

function pressesControl(event) {
  return event.key === "Enter" || event.key === " " || event.key.startsWith("Arrow");
}

function isControl(node) {
  return node instanceof Element && Boolean(node.closest("button, a[href], input, select, summary, [role]:not([role=region], [role=group], [role=img], [role=main])"));
}

function takesText(node) {
  const writing = "textarea, select, [contenteditable=''], [contenteditable='true'], input";
  const silent = "input[type=range], input[type=checkbox], input[type=radio], input[type=button]";
  return node instanceof Element && node.matches(writing) && !node.matches(silent);
}

/** Milliseconds from `start` until what was drawn is on the screen. */
function whenPainted(start, tell) {
  requestAnimationFrame(() => requestAnimationFrame(() => tell(performance.now() - start)));
}

function element(tag, attributes = {}, children = []) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function button(text, title, action, attributes = {}) {
  const node = element("button", { type: "button", title, ...attributes }, [text]);
  node.addEventListener("click", action);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function hints(rows) {
  const parts = rows.map(([key, text]) => element("span", {}, [element("kbd", {}, [key]), ` ${text}`]));
  return element("p", { class: "hints" }, parts);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
