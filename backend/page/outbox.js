// What was said here and is not yet known to be stored. It outlives a reload: one storage key per message, so that
// several tabs can add and remove without reading each other's halves.
//
// Sending the same clientMsgId again is safe, so whoever finds an entry may send it. It does not send.

const PREFIX = "berth.outbox.";
// A browser grants about 5 MB; nobody types this much while offline.
export const ENTRIES_MAX = 200;

export class Outbox {
  #storage;
  #entries = new Map();
  #lastOrder = 0;

  // `storage` is a Storage, or null when the browser denies it: then the outbox lasts as long as the page.
  constructor(storage) {
    this.#storage = storage;
    for (const entry of readAll(storage)) {
      this.#entries.set(entry.clientMsgId, entry);
      this.#lastOrder = Math.max(this.#lastOrder, entry.order);
    }
  }

  get isFull() {
    return this.#entries.size >= ENTRIES_MAX;
  }

  // `now` is in milliseconds since the Unix epoch. It also orders entries, across tabs as well as clocks allow.
  add({ clientMsgId, roomId, content, now }) {
    this.#lastOrder = Math.max(now, this.#lastOrder + 1);
    const entry = { clientMsgId, roomId, content, at: now, order: this.#lastOrder, state: "pending", problem: null };
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

  next(roomId) {
    return this.inRoom(roomId).find((entry) => entry.state === "pending");
  }

  // Rooms that wait for something to be sent.
  rooms() {
    const waiting = this.#sorted().filter((entry) => entry.state === "pending");
    return [...new Set(waiting.map((entry) => entry.roomId))];
  }

  fail(clientMsgId, problem) {
    this.#change(clientMsgId, { state: "failed", problem });
  }

  retry(clientMsgId) {
    this.#change(clientMsgId, { state: "pending", problem: null });
  }

  // Stored by the server, or given up by the person. Returns whether it was here.
  remove(clientMsgId) {
    this.#guarded(() => this.#storage?.removeItem(PREFIX + clientMsgId));
    return this.#entries.delete(clientMsgId);
  }

  #change(clientMsgId, change) {
    const entry = this.#entries.get(clientMsgId);
    if (!entry) return;
    Object.assign(entry, change);
    this.#keep(entry);
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
  for (let index = 0; index < (storage?.length ?? 0); index += 1) {
    const key = storage.key(index);
    if (!key?.startsWith(PREFIX)) continue;
    const entry = readOne(storage.getItem(key));
    if (entry && PREFIX + entry.clientMsgId === key) entries.push(entry);
  }
  return entries;
}

function readOne(text) {
  try {
    const { clientMsgId, roomId, content, at, order, state, problem } = JSON.parse(text);
    const isWhole = [clientMsgId, roomId, content].every((value) => typeof value === "string");
    if (!isWhole || !Number.isFinite(at) || !Number.isFinite(order)) return null;
    const isFailed = state === "failed";
    return { clientMsgId, roomId, content, at, order, state: isFailed ? "failed" : "pending", problem: isFailed ? problem : null };
  } catch {
    return null;
  }
}
