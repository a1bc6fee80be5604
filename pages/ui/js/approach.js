// A place for what is drawn once it comes near the window, or once the browser has nothing else to do.

import { element, keptInPlace } from "./dom.js";

const NEAR = "500px"; // below and above the window
const AGAIN = 4000; // ms after which a place that is still there asks once more, as a page drawn anew meanwhile forgot
// it, and then after twice as long each time: a server that is slow has enough to do.
const QUIET = 5000; // ms after which what is still out of sight is drawn, too, one place after the other

export default keptInPlace((parent) => new Approach(parent));

class Approach {
  constructor(parent) {
    this.root = element("div", { class: "place" }, ["Drawn when it comes into view."]);
    this.wait = AGAIN;
    parent.append(this.root);
    this.seen = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.near(), {
      rootMargin: `${NEAR} 0px ${NEAR} 0px`,
    });
    this.onPrint = () => this.near();
    window.addEventListener("beforeprint", this.onPrint);
  }

  show({ data, setTriggerValue }) {
    this.send = () => setTriggerValue("near", true);
    this.root.style.height = `${data.height}px`;
    if (this.sent) return;
    this.seen.observe(this.root);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.whenIdle(), QUIET + 400 * data.order);
  }

  whenIdle() {
    const idle = window.requestIdleCallback || ((run) => setTimeout(run, 200));
    idle(() => this.near());
  }

  near() {
    if (this.sent) return;
    this.sent = true;
    this.stop();
    this.send();
    this.timer = setTimeout(() => {
      this.sent = false;
      this.near();
    }, this.wait);
    this.wait *= 2;
  }

  stop() {
    clearTimeout(this.timer);
    this.seen.disconnect();
    window.removeEventListener("beforeprint", this.onPrint);
  }

  remove() {
    this.sent = true;
    this.stop();
    this.root.remove();
  }
}
