// Tells a person who allows it when runs have ended, by the notifications of the browser.

import { button, element, keptInPlace } from "./dom.js";

const WANTED = "mad-inspector.notify";
const TOLD = "mad-inspector.notified";
const KEPT = 200; // ends remembered in this browser, so that a reload tells of none again

export default keptInPlace((parent) => new Notices(parent));

class Notices {
  constructor(parent) {
    this.button = button("Notify me", "", () => this.toggle());
    this.root = element("div", { class: "notices" }, [this.button]);
    this.root.hidden = !("Notification" in window) || !window.isSecureContext;
    parent.append(this.root);
    this.write();
  }

  get wanted() {
    return Notification.permission === "granted" && stored(WANTED) === "yes";
  }

  async toggle() {
    const wants = !this.wanted;
    if (wants && (await Notification.requestPermission()) !== "granted") return this.write();
    store(WANTED, wants ? "yes" : "no");
    return this.write();
  }

  write() {
    if (this.root.hidden) return;
    const blocked = Notification.permission === "denied";
    this.button.disabled = blocked;
    this.button.setAttribute("aria-pressed", String(this.wanted));
    this.button.title = blocked
      ? "This browser blocks notifications of this page; its settings allow them."
      : "A notification of this browser when a run ends";
  }

  show({ data }) {
    if (this.root.hidden || !this.wanted) return;
    const told = (stored(TOLD) || "").split("\n");
    const fresh = data.ended.filter(({ key }) => !told.includes(key));
    if (!fresh.length) return;
    store(TOLD, [...told, ...fresh.map(({ key }) => key)].slice(-KEPT).join("\n"));
    const title = fresh.length === 1 ? "A run has ended" : `${fresh.length} runs have ended`;
    const note = new Notification(title, { body: fresh.map(({ text }) => text).join("\n"), tag: fresh[0].key });
    note.onclick = () => {
      window.focus();
      note.close();
    };
  }

  remove() {
    this.root.remove();
  }
}

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function store(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch {
    return; // storage is full or forbidden: it holds until the page is left
  }
}
