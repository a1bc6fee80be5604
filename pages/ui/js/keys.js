// Which keys are meant for a component, and which for what is in focus.

/** Whether a component can be seen: it is laid out, and no dialog stands before it. */
export function isInSight(root) {
  return root.getClientRects().length > 0 && !dialogIsOpen();
}

/** Whether a dialog of Streamlit stands before the page. */
export function dialogIsOpen() {
  return document.querySelector(".stDialog [role=dialog]") !== null;
}

export function takesText(node) {
  const writing = "textarea, select, [contenteditable=''], [contenteditable='true'], input";
  const silent = "input[type=range], input[type=checkbox], input[type=radio], input[type=button]";
  return node instanceof Element && node.matches(writing) && !node.matches(silent);
}

/** Whether arrows belong to the control in focus (sliders, tabs, lists, tables, players). */
export function takesArrows(node) {
  const roles = ["slider", "spinbutton", "tab", "radio", "listbox", "option", "combobox", "menuitem", "grid", "tree"];
  const takers = ["input:not([type=checkbox])", "video", "audio", "canvas[data-testid]", ...roles.map((r) => `[role=${r}]`)];
  return node instanceof Element && Boolean(node.closest(takers.join(", ")));
}
