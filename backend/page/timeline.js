// The messages of one room as this client knows them: each once, in the order of their place (seq) in the room.
//
// Places have no holes, so arithmetic finds what was missed: `cursor` is the last place up to which nothing is missing,
// `target` the last place known to exist. What comes too early is held until the hole before it is filled. Edits,
// deletions and reactions have places of their own and change the message they refer to.
// Pure: it neither asks the server nor waits nor draws.

// More than this and the oldest fall off; they can be loaded again.
const KEPT_MAX = 1_000;

export class Timeline {
  // Rows to show: messages and the server's remarks. A row that changes is replaced, so that it can be compared by identity.
  messages = [];
  epoch = null;
  // null until the room was opened: there is nothing to continue from yet.
  cursor = null;
  target = 0;
  hasEarlier = false;
  // Holes between rows: `{ after, before, isLost }`. A lost one cannot be loaded, the server no longer has it.
  gaps = [];
  // Too early to show, by place.
  #held = new Map();
  // Places after the cursor that are shown although something before them is missing.
  #shown = new Set();

  // The answer to joinRoom or sync that was asked for what comes after `since`; null the first time. Returns the entries
  // that are new here, in order. Another epoch, or a log that ends before `since`, is another log: the old one is dropped.
  open(answer, since = null) {
    const { epoch = null, lastSeq = 0 } = answer;
    if (since !== null && this.epoch === epoch && lastSeq >= since) return this.addAfter(since, answer);
    this.#forget(since === null);
    this.epoch = epoch;
    return this.#begin(answer);
  }

  // An entry as it happens. Returns what can be shown now, in order: nothing if it is known or too early.
  add(entry) {
    const { seq } = entry;
    if (!isPlace(seq) || this.#isKnown(seq)) return [];
    this.#held.set(seq, entry);
    this.target = Math.max(this.target, seq);
    return this.#advance();
  }

  // A page that answers "what comes after `after`?". It speaks for every place up to its end, also for those it has no
  // entry for.
  addAfter(after, { messages = [], firstSeq = 0, lastSeq = 0, hasMore = false }) {
    const entries = messages.filter(({ seq }) => isPlace(seq) && seq > after);
    const end = hasMore ? (entries.at(-1)?.seq ?? after) : Math.max(lastSeq, entries.at(-1)?.seq ?? 0);
    this.target = Math.max(this.target, lastSeq, end);
    // Where the log begins after what was asked for, what lay between was removed for good.
    if (firstSeq > after + 1 && after === this.cursor) this.#addGap({ after, before: firstSeq, isLost: true });
    const fresh = [];
    for (const entry of entries) {
      this.#held.delete(entry.seq);
      if (this.#isKnown(entry.seq)) continue;
      this.#show(entry);
      fresh.push(entry);
    }
    if (end > this.cursor && after <= this.cursor) this.#reach(end);
    return [...fresh, ...this.#advance()];
  }

  // Starts anew at the end of the log, because what lies between is too much to fetch unasked.
  skipTo({ messages = [], lastSeq = 0 }) {
    const [first] = messages;
    if (!first || first.seq <= this.cursor) return this.addAfter(this.cursor, { messages, lastSeq });
    this.#addGap({ after: this.cursor, before: first.seq, isLost: false });
    this.#reach(first.seq - 1);
    return this.addAfter(first.seq - 1, { messages, lastSeq });
  }

  // The hole cannot be filled now: shows what is held anyway. The cursor stays, so that the hole is asked for again.
  release() {
    const early = [...this.#held.values()].sort((a, b) => a.seq - b.seq);
    this.#held.clear();
    for (const entry of early) {
      this.#shown.add(entry.seq);
      this.#show(entry);
    }
    return early;
  }

  // Nothing between the cursor and the next known place is to be had: goes on behind it.
  giveUpGap() {
    const next = Math.min(...this.#held.keys(), ...this.#shown, this.target + 1);
    if (next > this.cursor + 1) this.#addGap({ after: this.cursor, before: next, isLost: true });
    this.#reach(next - 1);
    return this.#advance();
  }

  // An earlier page, from getHistory before the oldest message.
  prepend({ messages = [], hasMore = false }) {
    this.hasEarlier = hasMore && messages.length > 0;
    const oldest = this.oldest ?? Infinity;
    this.#showBehind(messages.filter(({ seq }) => isPlace(seq) && seq < oldest));
  }

  // A page of what lies in a gap, from getHistory after its beginning.
  fillGap(gap, { messages = [], firstSeq = 0, hasMore = false }) {
    const at = this.gaps.indexOf(gap);
    if (at < 0) return;
    const inside = messages.filter(({ seq }) => isPlace(seq) && seq > gap.after && seq < gap.before);
    this.#showBehind(inside);
    const isWhole = inside.length < messages.length || !hasMore || (inside.at(-1)?.seq ?? 0) + 1 >= gap.before;
    const rest = isWhole ? [] : [{ ...gap, after: inside.at(-1)?.seq ?? gap.after }];
    const lost = firstSeq > gap.after + 1 ? [{ after: gap.after, before: Math.min(firstSeq, gap.before), isLost: true }] : [];
    this.gaps = this.gaps.toSpliced(at, 1, ...lost, ...rest);
  }

  get oldest() {
    return this.messages[0]?.seq ?? null;
  }

  // Whether something is known to be missing.
  get isBehind() {
    return this.cursor !== null && this.cursor < this.target;
  }

  // Whether something waits for a hole to be filled.
  get isHolding() {
    return this.#held.size > 0;
  }

  find(seq) {
    const at = this.#indexOf(seq);
    return this.messages[at]?.seq === seq ? this.messages[at] : undefined;
  }

  #begin({ messages = [], lastSeq = 0, hasMore = false }) {
    const fresh = messages.filter(({ seq }) => isPlace(seq) && seq <= lastSeq);
    for (const entry of fresh) this.#show(entry);
    this.cursor = lastSeq;
    this.hasEarlier = hasMore;
    this.target = Math.max(this.target, lastSeq);
    for (const seq of this.#held.keys()) if (seq <= lastSeq) this.#held.delete(seq);
    return [...fresh, ...this.#advance()];
  }

  #isKnown(seq) {
    return (this.cursor !== null && seq <= this.cursor) || this.#held.has(seq) || this.#shown.has(seq);
  }

  #reach(seq) {
    this.cursor = seq;
    for (const place of this.#shown) if (place <= seq) this.#shown.delete(place);
    for (const place of this.#held.keys()) if (place <= seq) this.#held.delete(place);
  }

  // Shows what is held and no longer too early.
  #advance() {
    const fresh = [];
    if (this.cursor === null) return fresh;
    for (let seq = this.cursor + 1; this.#held.has(seq) || this.#shown.has(seq); seq += 1) {
      const entry = this.#held.get(seq);
      if (entry) {
        this.#show(entry);
        fresh.push(entry);
      }
      this.#reach(seq);
    }
    return fresh;
  }

  #show(entry) {
    this.#apply(entry);
    this.#trim();
  }

  // What was there before what is shown: its changes are in its rows already, and nothing of it falls off at once.
  #showBehind(entries) {
    for (const entry of entries) if (isRow(entry)) this.#place(entry);
  }

  #apply(entry) {
    if (isRow(entry)) {
      this.#place(entry);
      return;
    }
    const at = this.#indexOf(entry.refSeq);
    const row = this.messages[at];
    if (row?.seq === entry.refSeq) this.messages[at] = changed(row, entry);
  }

  #place(row) {
    const at = this.#indexOf(row.seq);
    if (this.messages[at]?.seq !== row.seq) this.messages.splice(at, 0, row);
  }

  // Where `seq` is or would be. New ones belong at the end, so that is looked at first.
  #indexOf(seq) {
    let [low, high] = [0, this.messages.length];
    if (high > 0 && this.messages[high - 1].seq < seq) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.messages[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #addGap(gap) {
    if (this.messages.length > 0 && gap.before > gap.after + 1) this.gaps = [...this.gaps, gap];
  }

  #trim() {
    const surplus = this.messages.length - KEPT_MAX;
    if (surplus <= 0) return;
    this.messages.splice(0, surplus);
    this.gaps = this.gaps.filter(({ after }) => after >= this.oldest);
    this.hasEarlier = true;
  }

  #forget(keepsHeld) {
    this.messages = [];
    this.gaps = [];
    this.#shown.clear();
    if (!keepsHeld) this.#held.clear();
    this.target = Math.max(0, ...this.#held.keys());
    this.cursor = null;
  }
}

const CHANGES = new Set(["edit", "delete", "reaction"]);

function isPlace(seq) {
  return Number.isSafeInteger(seq) && seq >= 1;
}

// What this version does not know is shown as what it is rather than dropped.
function isRow({ kind }) {
  return !CHANGES.has(kind);
}

// The row after an edit, a deletion or a reaction. Repeating one changes nothing, and nothing changes a deleted message.
function changed(row, { kind, content, timestamp, emoji, senderId, added, seq }) {
  if (row.deletedAt) return row;
  if (kind === "reaction") return { ...row, reactions: reacted(row.reactions, emoji, senderId, added !== false) };
  if ((row.changedBy ?? 0) >= seq) return row;
  if (kind === "delete") return { ...row, content: "", deletedAt: timestamp, reactions: [], changedBy: seq };
  return { ...row, content, editedAt: timestamp, changedBy: seq };
}

// `reactions` is a list of `{ emoji, count, users }`; `users` may name only the first of them.
function reacted(reactions = [], emoji, userId, isAdded) {
  const before = reactions.find((one) => one.emoji === emoji) ?? { emoji, count: 0, users: [] };
  const isIn = before.users.includes(userId);
  // Who is not named may still be counted.
  const isUnchanged = isAdded ? isIn : !isIn && before.count === before.users.length;
  if (isUnchanged) return reactions;
  const users = isAdded ? [...before.users, userId] : before.users.filter((id) => id !== userId);
  const after = { emoji, count: before.count + (isAdded ? 1 : -1), users };
  const list = reactions.includes(before) ? reactions.map((one) => (one === before ? after : one)) : [...reactions, after];
  return list.filter(({ count }) => count > 0);
}
