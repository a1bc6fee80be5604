// What was loaded last is kept, so that going back and forth needs no waiting.

import { maskOutline } from "./contours.js";
import { decodeMap, Sentence } from "./maps.js";
import { decoded, Recent } from "./recent.js";

export const maps = new Recent(48, async (url) => decodeMap(await bytesOf(url, "high")));
export const images = new Recent(12, decoded);
export const outlines = new Recent(16, async (url) => maskOutline(await images.get(url)));

async function bytesOf(url, priority) {
  const answer = await fetch(url, { priority });
  if (!answer.ok) throw new Sentence(await reasonOf(answer));
  return answer.arrayBuffer();
}

/** The sentence a route answered with, else one of our own. */
async function reasonOf(answer) {
  const plain = (answer.headers.get("content-type") || "").startsWith("text/plain");
  const text = plain ? (await answer.text()).trim() : "";
  return text && text.length <= 300 ? text : `The anomaly map cannot be loaded (status ${answer.status}). Reload the page.`;
}

/** Load quietly, so that it is there when asked for; what fails will say so then. */
export async function prefetch(url) {
  try {
    const answer = await fetch(url, { priority: "low" });
    if (!answer.ok) return;
    const type = answer.headers.get("content-type") || "";
    if (type.startsWith("application/octet-stream")) maps.put(url, Promise.resolve(decodeMap(await answer.arrayBuffer())));
    else {
      await answer.arrayBuffer();
      await images.get(url);
    }
  } catch {
    return;
  }
}
