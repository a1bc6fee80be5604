// The reviewer's name, kept in this browser. It draws nothing.

const NAME_KEY = "mad-inspector.reviewer";

export default function ({ data, setTriggerValue }) {
  try {
    if (data.name) localStorage.setItem(NAME_KEY, data.name);
    else if (data.name === "") localStorage.removeItem(NAME_KEY);
    else {
      const kept = localStorage.getItem(NAME_KEY);
      if (kept) setTriggerValue("name", kept);
    }
  } catch {
    return; // storage is forbidden: the name lasts as long as the session
  }
}
