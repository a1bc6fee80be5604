// The keys of a component, shown on demand beside its controls.

import { button, element } from "./dom.js";

/** A button and the panel of keys that it opens; `rows` are pairs of key and meaning, `more` a sentence below them. */
export class Help {
  constructor(rows, more = "") {
    const keys = rows.flatMap(([key, text]) => [element("dt", {}, [key]), element("dd", {}, [text])]);
    this.panel = element("div", { class: "help", id: "help", role: "region", "aria-label": "Keys" }, [element("dl", {}, keys)]);
    if (more) this.panel.append(element("p", {}, [more]));
    const facts = { "aria-label": "Keys and help", "aria-controls": "help" };
    this.button = button("?", "Keys and help", () => this.toggle(), facts);
    this.show(false);
  }

  get shown() {
    return !this.panel.hidden;
  }

  show(shown) {
    this.panel.hidden = !shown;
    this.button.setAttribute("aria-expanded", String(shown));
  }

  toggle() {
    this.show(!this.shown);
  }
}
