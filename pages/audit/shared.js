// What the two review components share: they go on where they were when they are taken off the page and put back, and
// load their pictures ahead.

import { decoded, Recent } from "../ui/js/recent.js";

const KEPT_COMPONENTS = 4;
const pictures = new Recent(48);

/** A decoded picture of an address, or of the preview where the browser cannot read the original. */
export function picture(item) {
  return pictures.get(item.url, () => decoded(item.url).catch(() => decoded(item.fallback)));
}

/** Load quietly; what fails will say so when it is shown. */
export function prefetch(items) {
  for (const item of items) picture(item).catch(() => {});
}

const kept = (globalThis.madReviews ??= new Map()); // whose -> component

/** Shows a component in its place on the page; returns what takes it away again. Streamlit may do so at any time. */
export function mount({ parentElement, data }, make) {
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

/** Milliseconds from `start` until what was drawn is on the screen. */
export function whenPainted(start, tell) {
  requestAnimationFrame(() => requestAnimationFrame(() => tell(performance.now() - start)));
}
