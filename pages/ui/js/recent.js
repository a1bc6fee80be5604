// A store of the last things loaded.

/** Keeps the last things loaded, so that going back and forth needs no waiting. */
export class Recent {
  constructor(limit, load) {
    this.limit = limit;
    this.load = load;
    this.kept = new Map();
  }

  /** What the address holds; failures are not kept. */
  get(url, load = this.load) {
    const kept = this.kept.get(url) || load(url);
    this.put(url, kept);
    kept.catch(() => this.kept.get(url) === kept && this.kept.delete(url));
    return kept;
  }

  put(url, promise) {
    this.kept.delete(url);
    this.kept.set(url, promise);
    while (this.kept.size > this.limit) this.kept.delete(this.kept.keys().next().value);
  }
}

/** A picture of an address that can be drawn at once. */
export async function decoded(url) {
  const image = new Image();
  image.draggable = false;
  image.src = url;
  await image.decode();
  return image;
}
