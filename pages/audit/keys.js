// Keys of the review components, taken before the page's own shortcuts see them.

import { isInSight, takesText } from "../ui/js/keys.js";

/** Calls `act` with each key that is meant for the component; true from it means the key was taken. */
export class Keys {
  constructor(root, act) {
    this.listener = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      if (!isInSight(root)) return;
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
  const regions = "[role=region], [role=group], [role=img], [role=main]";
  const controls = `button, a[href], input, select, summary, [role]:not(${regions})`;
  return node instanceof Element && Boolean(node.closest(controls));
}
