// The messages of one room as this window knows them: each once, in the order of their place (seq) in the room.
//
// Places have no holes, so arithmetic finds what was missed: `cursor` is the last place up to which nothing is missing,
// `target` the last place known to exist. Pure: it neither asks the server nor draws.

// More than this and the oldest fall off; they can be loaded again.
const KEPT_MAX = 1_000;

export class Timeline {
  messages = [];
  epoch = null;
  // null until the room was opened: there is nothing to continue from yet.
  cursor = null;
  target = 0;
  hasEarlier = false;
  // Places after which messages are missing for good.
  gaps = new Set();
  #known = new Set();

  // The answer to joinRoom, which was asked for what comes after `since`; null the first time. Returns the messages
  // that are new here. Another epoch, or a log that ends before `since`, is another log: the old one is dropped.
  open({ epoch = null, lastSeq = 0, messages = [], hasMore = false }, since = null) {
    const resumes = since !== null && this.epoch === epoch && lastSeq >= since;
    if (!resumes) {
      const early = since === null ? this.messages : [];
      this.#forget();
      this.epoch = epoch;
      const fresh = this.add([...messages, ...early.filter((message) => message.seq > lastSeq)]);
      this.cursor = lastSeq;
      this.hasEarlier = hasMore;
      this.target = Math.max(this.target, lastSeq);
      this.#advance();
      return fresh;
    }
    this.target = Math.max(this.target, lastSeq);
    return this.add(messages);
  }

  // Returns those that were not known, in order.
  add(messages) {
    const fresh = messages.filter(({ seq }) => {
      if (!Number.isSafeInteger(seq) || seq < 1 || this.#known.has(seq)) return false;
      this.#known.add(seq);
      return true;
    });
    if (fresh.length === 0) return fresh;
    for (const message of fresh) this.#place(message);
    this.target = Math.max(this.target, this.messages.at(-1).seq);
    this.#advance();
    this.#trim();
    return fresh.sort((a, b) => a.seq - b.seq);
  }

  // An earlier page, from getHistory before the oldest message.
  prepend({ messages = [], hasMore = false }) {
    this.hasEarlier = hasMore && messages.length > 0;
    // Not `add`: what was just asked for must not fall off at once.
    for (const message of messages) {
      if (this.#known.has(message.seq)) continue;
      this.#known.add(message.seq);
      this.#place(message);
    }
  }

  get oldest() {
    return this.messages[0]?.seq ?? null;
  }

  get isBehind() {
    return this.cursor !== null && this.cursor < this.target;
  }

  // The missing messages are not to be had: go on with the next one that is.
  skipGap() {
    const next = this.messages.find(({ seq }) => seq > this.cursor);
    if (this.messages.some(({ seq }) => seq <= this.cursor)) this.gaps.add(this.cursor);
    this.cursor = next ? next.seq : this.target;
    this.#advance();
  }

  #place(message) {
    let at = this.messages.length;
    while (at > 0 && this.messages[at - 1].seq > message.seq) at -= 1;
    this.messages.splice(at, 0, message);
  }

  #advance() {
    if (this.cursor === null) return;
    while (this.#known.has(this.cursor + 1)) this.cursor += 1;
  }

  #trim() {
    const surplus = this.messages.length - KEPT_MAX;
    if (surplus <= 0) return;
    // Forgotten entirely, so that loading them again finds them new. The cursor never goes back.
    for (const { seq } of this.messages.splice(0, surplus)) this.#known.delete(seq);
    this.hasEarlier = true;
  }

  #forget() {
    this.messages = [];
    this.#known.clear();
    this.gaps.clear();
    this.target = 0;
    this.cursor = null;
  }
}
