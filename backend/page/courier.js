// Carries the outbox to the server: each room's messages one at a time, so that a refusal never lets a later one overtake
// an earlier one; again after every loss, with the same id, until the server acknowledges or finally refuses.
//
// Of several tabs one sends at a time (Web Locks). The lock saves work; that nothing is stored twice is the clientMsgId's doing.

import { refusedDelayMs } from "./refusal.js";

// A tab that holds the lock and does not get on is not waited for longer.
const LOCK_WAIT_MS = 15_000;
// Unknown outcomes on a connection that looks well, before it is replaced.
const UNANSWERED_MAX = 2;
// An internal error may be about this very message; it must not hold up the room for ever.
const INTERNAL_MAX = 5;

export class Courier {
  #outbox;
  #ask;
  #locks;
  #world;
  #told;
  #busy = new Set();
  #again = new Set();

  // `ask(event, ...args)` rejects with a ChatError. `isOpen(roomId)` says whether there is a way to that room, `userId()`
  // who is speaking. Told: `onStored(entry, ack)`, `onFailed(entry, error)`, `onWaiting(entry, error)`, `onDeadEnd()`.
  constructor({ outbox, ask, locks, world, isOpen, userId, ...told }) {
    this.#outbox = outbox;
    this.#ask = ask;
    this.#locks = locks;
    this.#world = world;
    this.#told = { isOpen, userId, ...told };
  }

  // There may be something to send in this room.
  async send(roomId) {
    if (this.#busy.has(roomId)) {
      this.#again.add(roomId);
      return;
    }
    this.#busy.add(roomId);
    try {
      do {
        this.#again.delete(roomId);
        if (this.#next(roomId)) await this.#alone(roomId, () => this.#sendAll(roomId));
      } while (this.#again.has(roomId));
    } finally {
      this.#busy.delete(roomId);
    }
  }

  #next(roomId) {
    return this.#told.isOpen(roomId) ? this.#outbox.next(roomId, this.#told.userId()) : undefined;
  }

  async #alone(roomId, run) {
    if (!this.#locks) return run();
    const patience = new AbortController();
    const timer = this.#world.setTimeout(() => patience.abort(), LOCK_WAIT_MS);
    let isRun = false;
    const held = () => {
      isRun = true;
      this.#world.clearTimeout(timer);
      return run();
    };
    try {
      return await this.#locks.request(`berth.outbox.${roomId}`, { signal: patience.signal }, held);
    } catch (error) {
      if (isRun) throw error;
      return run();
    } finally {
      this.#world.clearTimeout(timer);
    }
  }

  async #sendAll(roomId) {
    // Whoever had the lock may have sent some of them.
    this.#outbox.refresh();
    for (let entry; (entry = this.#next(roomId)); ) if (!(await this.#sendOne(entry))) return;
  }

  // Whether the entry is settled: stored, failed or given up. If not, it waits for the next connection.
  async #sendOne(entry) {
    const { clientMsgId, roomId, content, type, replyTo } = entry;
    const draft = { roomId, content, type, clientMsgId, ...(replyTo === null ? {} : { replyTo }) };
    const failures = { ACK_TIMEOUT: 0, INTERNAL: 0 };
    for (let attempt = 0; ; attempt += 1) {
      const { answer, error } = await this.#ask("sendMessage", draft).then((done) => ({ answer: done }), (why) => ({ error: why }));
      if (answer) {
        this.#told.onStored(entry, answer);
        return true;
      }
      if (this.#outbox.get(clientMsgId)?.state !== "pending") return true;
      if (error.code === "DISCONNECTED" || error.code === "NOT_CONNECTED") return false;
      if (error.code in failures) failures[error.code] += 1;
      if (failures.ACK_TIMEOUT >= UNANSWERED_MAX) {
        this.#told.onDeadEnd();
        return false;
      }
      if (!error.retryable || failures.INTERNAL >= INTERNAL_MAX) {
        this.#told.onFailed(entry, error);
        return true;
      }
      this.#told.onWaiting(entry, error);
      await this.#wait(refusedDelayMs(error, attempt, this.#world.random()));
      if (this.#outbox.get(clientMsgId)?.state !== "pending") return true;
      if (!this.#told.isOpen(roomId)) return false;
    }
  }

  #wait(ms) {
    return new Promise((resolve) => this.#world.setTimeout(resolve, ms));
  }
}
