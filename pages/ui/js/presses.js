// Presses that ask the page for the image before or after this one.

const PRESSES_SENT = 32;
const REPEAT_WAIT = 1500; // ms until a held key may ask again for the next image
const LOST_AFTER = 1000; // ms after the page was drawn: a press that it still does not know of is sent once more
const UNANSWERED = 5000; // ms after a press: a page that was not drawn anew may never have heard of it

/** What was pressed in components, by their key: one that is made anew in the middle of presses counts on. */
const PRESSED = new Map();

/** How many of them the page has taken, by their id. */
const KNOWN = new Map();

export class Presses {
  constructor() {
    this.since = 0;
  }

  /**
   * The page was drawn, and has taken so many presses of each id; those that it does not know of were lost on the way.
   * A page that knows of fewer than before is another session (the server began anew): what was pressed is over.
   */
  show({ key, taken }, send) {
    Object.assign(this, { key, send });
    clearTimeout(this.timer);
    const { id, total } = this.pressed;
    const known = taken[id] ?? 0;
    if (known < (KNOWN.get(id) ?? 0)) PRESSED.delete(key);
    else if (known < total) this.again(LOST_AFTER);
    KNOWN.set(id, known);
  }

  remove() {
    clearTimeout(this.timer);
  }

  get pressed() {
    return PRESSED.get(this.key) ?? { id: Math.random().toString(36).slice(2), total: 0, moves: [] };
  }

  /** The image that was asked for is here. */
  arrived() {
    this.since = 0;
  }

  /** Ask for another image; a key held down waits until the image it asked for is here. */
  press(direction, repeated) {
    const now = performance.now();
    if (repeated && this.since && now - this.since < REPEAT_WAIT) return;
    this.since = now;
    // While the page is busy a newer press takes the place of the one that waits, so each carries those before it.
    const { id, total, moves } = this.pressed;
    PRESSED.set(this.key, { id, total: total + 1, moves: [...moves, direction].slice(-PRESSES_SENT) });
    this.send(this.pressed);
    this.again(UNANSWERED);
  }

  /** Send what was pressed once more, unless the page is drawn before; it is counted, so twice does no harm. */
  again(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(this.pressed), wait);
  }
}
