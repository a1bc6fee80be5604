// The frame around the pages: names for parts of Streamlit that have none for a screen reader, and the theme.

import { keptInPlace } from "./dom.js";
import { dialogIsOpen } from "./keys.js";

export default keptInPlace(() => new Frame());

class Frame {
  constructor() {
    this.app = document.querySelector(".stApp");
    this.added = new MutationObserver(() => this.look());
    this.added.observe(document.body, { childList: true, subtree: true });
    this.themed = new MutationObserver(() => this.follow());
    if (this.app) this.themed.observe(this.app, { attributes: true, attributeFilter: ["class"] });
  }

  show({ setTriggerValue }) {
    this.send = () => setTriggerValue("theme", true);
    this.ground ||= this.seen();
    this.name();
  }

  seen() {
    return this.app && getComputedStyle(this.app).backgroundColor;
  }

  look() {
    this.name();
    if (this.waits) this.follow();
  }

  /** Colours that were chosen for another ground are chosen anew, once no dialog is open, which that would close. */
  follow() {
    const ground = this.seen();
    this.waits = ground !== this.ground;
    if (!this.waits || dialogIsOpen()) return;
    this.ground = ground;
    this.waits = false;
    this.send();
  }

  name() {
    for (const toast of document.querySelectorAll(".stToast[aria-labelledby]")) {
      toast.removeAttribute("aria-labelledby"); // of a title that is not there
      toast.setAttribute("aria-label", toast.querySelector("[data-testid=stToastText]")?.textContent || "Message");
    }
    const places = document.querySelectorAll("[data-testid=stFileUploaderDropzone][role=presentation]");
    for (const place of places) place.setAttribute("role", "group"); // it has a name, which a presentation has not
  }

  remove() {
    this.added.disconnect();
    this.themed.disconnect();
  }
}
