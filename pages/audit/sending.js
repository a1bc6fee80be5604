// What a reviewer does, sent to the page and kept until the page says that it was taken.

const RESEND_MS = 8000;

/**
 * Sends acts to the page and keeps each until the page says that it was taken. One message is under way at a time:
 * Streamlit's page takes a component away and puts it back when the answers of many runs come at once.
 */
export class Sender {
  constructor() {
    this.client = identifier();
    this.number = 0;
    this.waiting = [];
    this.send = () => {};
    this.onClose = (event) => this.settled || event.preventDefault(); // the browser asks whether to close the tab
    window.addEventListener("beforeunload", this.onClose);
  }

  end() {
    window.removeEventListener("beforeunload", this.onClose);
  }

  /** What waited while the component was off the page is sent. */
  through(send, answer) {
    this.send = send;
    this.taken(answer);
    if (!this.timer) this.flush();
  }

  add(act) {
    this.number += 1;
    this.waiting.push({ ...act, number: this.number, event: identifier() });
    if (!this.timer) this.flush();
  }

  flush() {
    this.rest();
    if (!this.waiting.length) return;
    this.sent = this.number;
    this.send({ client: this.client, acts: this.waiting });
    this.timer = setTimeout(() => this.flush(), RESEND_MS);
  }

  taken(answer) {
    if (!answer || answer.client !== this.client) return;
    this.waiting = this.waiting.filter((act) => act.number > answer.number);
    if (answer.number >= this.sent) this.rest();
  }

  rest() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  holds(id) {
    return this.waiting.some((act) => act.image === id && act.act !== "at");
  }

  get settled() {
    return !this.waiting.some((act) => act.act !== "at");
  }
}

/** 32 hexadecimal characters; crypto.randomUUID is not there on plain http. */
function identifier() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
