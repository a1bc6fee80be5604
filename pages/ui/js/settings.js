// How a person likes the viewer, kept in this browser.

const SETTINGS_KEY = "mad-inspector.viewer";

export function storedSettings() {
  try {
    return JSON.parse(localStorage.getItem(SETTINGS_KEY)) || {};
  } catch {
    return {};
  }
}

export function storeSettings(settings) {
  try {
    localStorage.setItem(SETTINGS_KEY, JSON.stringify(settings));
  } catch {
    return; // storage is full or forbidden: the settings last as long as the page
  }
}
