// What was said here and is not yet known to be stored. It outlives a reload: one storage key per message, so that
// several tabs can add and remove without reading each other's halves, and hear of each other's by `storage` events.
//
// An entry is `pending`, `failed` (with its `problem`) or `stored`: the server has it, and its row in the room is on its
// way here. Sending the same clientMsgId again is safe, so whoever finds an entry may send it. It does not send.

const PREFIX = "berth.outbox.";
// A browser grants about 5 MB; nobody types this much while offline.
export const ENTRIES_MAX = 200;
const GONE_MAX = 500;

export class Outbox {
  #storage;
  #entries = new Map();
  #lastOrder = 0;
  // Removed here a moment ago: news of other tabs about them come late and change nothing.
  #gone = new Set();

  // `storage` is a Storage, or null where there is none: then the outbox lasts as long as the page.
  constructor(storage) {
    this.#storage = storage;
    this.refresh();
  }

  get isFull() {
    return this.#entries.size >= ENTRIES_MAX;
  }

  // `now` is in milliseconds since the Unix epoch. It also orders entries, across tabs as well as clocks allow.
  // `userId` is who said it, null when that is not known yet.
  add({ clientMsgId, roomId, content, type = "text", replyTo = null, userId = null, now }) {
    this.#lastOrder = Math.max(now, this.#lastOrder + 1);
    const order = this.#lastOrder;
    const entry = { clientMsgId, roomId, content, type, replyTo, userId, at: now, order, state: "pending", problem: null };
    this.#entries.set(clientMsgId, entry);
    this.#keep(entry);
    return entry;
  }

  get(clientMsgId) {
    return this.#entries.get(clientMsgId);
  }

  // In the order in which they were said.
  inRoom(roomId) {
    return this.#sorted().filter((entry) => entry.roomId === roomId);
  }

  // The first that waits. Somebody else's words are not sent in this user's name.
  next(roomId, userId = null) {
    return this.inRoom(roomId).find((entry) => entry.state === "pending" && (entry.userId ?? userId) === userId);
  }

  // Rooms that wait for something to be sent.
  rooms() {
    const waiting = this.#sorted().filter((entry) => entry.state === "pending");
    return [...new Set(waiting.map((entry) => entry.roomId))];
  }

  // Stored by the server; the row in the room takes its place.
  settle(clientMsgId, { seq, timestamp }) {
    this.#change(clientMsgId, { state: "stored", seq, at: timestamp });
    // Other tabs have heard it by now; a later reload has no use for it.
    this.#guarded(() => this.#storage?.removeItem(PREFIX + clientMsgId));
  }

  fail(clientMsgId, problem) {
    this.#change(clientMsgId, { state: "failed", problem });
  }

  // `userId`: whoever says it again says it in their own name.
  retry(clientMsgId, userId = null) {
    this.#change(clientMsgId, { state: "pending", problem: null, userId });
  }

  // Seen in its room, or given up by the person. Returns whether it was here.
  remove(clientMsgId) {
    this.#guarded(() => this.#storage?.removeItem(PREFIX + clientMsgId));
    this.#gone.add(clientMsgId);
    if (this.#gone.size > GONE_MAX) this.#gone.delete(this.#gone.values().next().value);
    return this.#entries.delete(clientMsgId);
  }

  // Reads what other tabs wrote, without waiting to be told.
  refresh() {
    const found = new Map(readAll(this.#storage).map((entry) => [entry.clientMsgId, entry]));
    for (const [id, { state }] of this.#entries) if (this.#storage && state !== "stored" && !found.has(id)) this.#entries.delete(id);
    // One that is stored and still lies there belongs to a tab that ended in between.
    for (const entry of found.values()) if (entry.state !== "stored") this.#learn(entry);
  }

  // A `storage` event of another tab. Returns the room that it is about, if any.
  heard({ key, newValue }) {
    if (key === null) {
      this.refresh();
      return null;
    }
    if (!key.startsWith(PREFIX)) return null;
    const id = key.slice(PREFIX.length);
    const before = this.#entries.get(id);
    const entry = newValue === null ? null : readOne(newValue);
    if (entry?.clientMsgId === id) this.#learn(entry);
    // What was stored stays until it is seen in its room; what was given up is gone.
    else if (newValue === null && before?.state !== "stored") this.#entries.delete(id);
    return entry?.roomId ?? before?.roomId ?? null;
  }

  #learn(entry) {
    if (this.#gone.has(entry.clientMsgId)) return;
    if (this.#entries.get(entry.clientMsgId)?.state === "stored") return;
    this.#entries.set(entry.clientMsgId, entry);
    this.#lastOrder = Math.max(this.#lastOrder, entry.order);
  }

  #change(clientMsgId, change) {
    const entry = this.#entries.get(clientMsgId);
    if (!entry) return;
    const after = { ...entry, ...change };
    this.#entries.set(clientMsgId, after);
    this.#keep(after);
  }

  #keep(entry) {
    this.#guarded(() => this.#storage?.setItem(PREFIX + entry.clientMsgId, JSON.stringify(entry)));
  }

  #sorted() {
    return [...this.#entries.values()].sort((a, b) => a.order - b.order);
  }

  // A full or forbidden storage must not stop anybody from talking; the entry then lives in memory only.
  #guarded(run) {
    try {
      run();
    } catch {
      this.#storage = null;
    }
  }
}

function readAll(storage) {
  const entries = [];
  try {
    for (let index = 0; index < (storage?.length ?? 0); index += 1) {
      const key = storage.key(index);
      if (!key?.startsWith(PREFIX)) continue;
      const entry = readOne(storage.getItem(key));
      if (entry && PREFIX + entry.clientMsgId === key) entries.push(entry);
    }
  } catch {
    // Forbidden in the middle: what is known stays.
  }
  return entries;
}

const STATES = new Set(["pending", "failed", "stored"]);

function readOne(text) {
  try {
    const { clientMsgId, roomId, content, type = "text", replyTo = null, userId = null, at, order, state, problem, seq } = JSON.parse(text);
    const isWhole = [clientMsgId, roomId, content, type].every((value) => typeof value === "string");
    if (!isWhole || !Number.isFinite(order)) return null;
    const known = STATES.has(state) ? state : "pending";
    return { clientMsgId, roomId, content, type, replyTo, userId, at, order, state: known, problem: known === "failed" ? problem : null, ...(seq ? { seq } : {}) };
  } catch {
    return null;
  }
}
