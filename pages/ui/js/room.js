// How much of the window is left for a picture.

/** Pixels of the window below the upper edge of a node, as it is where the page is not scrolled. */
export function roomBelow(node) {
  const host = node.getRootNode().host || node;
  const scrolled = host.closest("[data-testid=stMain]")?.scrollTop || 0;
  return window.innerHeight - node.getBoundingClientRect().top - scrolled;
}
