// Names for parts of Streamlit that have none for a screen reader.

import { keptInPlace } from "./dom.js";

export default keptInPlace(() => new Names());

class Names {
  constructor() {
    this.added = new MutationObserver(() => this.give());
    this.added.observe(document.body, { childList: true, subtree: true });
  }

  show() {
    this.give();
  }

  give() {
    for (const toast of document.querySelectorAll(".stToast[aria-labelledby]")) {
      toast.removeAttribute("aria-labelledby"); // of a title that is not there
      toast.setAttribute("aria-label", toast.querySelector("[data-testid=stToastText]")?.textContent || "Message");
    }
    const places = document.querySelectorAll("[data-testid=stFileUploaderDropzone][role=presentation]");
    for (const place of places) place.setAttribute("role", "group"); // it has a name, which a presentation has not
  }

  remove() {
    this.added.disconnect();
  }
}
