// Elements of a page. Texts are set as text, never as markup.

/**
 * The default export of a component: what `make` makes is kept for its place on the page, shown anew at each run and
 * removed when the page leaves it out.
 */
export function keptInPlace(make) {
  const kept = new WeakMap();
  return (component) => {
    const { parentElement } = component;
    if (!kept.has(parentElement)) kept.set(parentElement, make(parentElement));
    kept.get(parentElement).show(component);
    return () => {
      kept.get(parentElement)?.remove();
      kept.delete(parentElement);
    };
  };
}

export function element(tag, attributes = {}, children = []) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function button(text, title, action, attributes = {}) {
  const node = element("button", { type: "button", title, ...attributes }, [text]);
  node.addEventListener("click", action);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
