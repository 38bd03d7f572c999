// A browser made of numbers: its clock only moves when told, its connections are lists of frames.

export class World {
  nowMs = 0;
  timers = new Map();
  connections = [];
  randomness = 0.5;
  refusesToOpen = false;
  #nextTimer = 1;

  open = (url) => {
    if (this.refusesToOpen) throw new Error("blocked");
    const connection = new Connection(url);
    this.connections.push(connection);
    return connection;
  };
  setTimeout = (run, ms) => {
    this.timers.set(this.#nextTimer, { at: this.nowMs + ms, run });
    return this.#nextTimer++;
  };
  clearTimeout = (timer) => this.timers.delete(timer);
  now = () => this.nowMs;
  random = () => this.randomness;

  get connection() {
    return this.connections.at(-1);
  }

  // Runs what falls due on the way, in its order.
  pass(ms) {
    const end = this.nowMs + ms;
    for (;;) {
      const [next] = [...this.timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (!next) break;
      this.timers.delete(next[0]);
      this.nowMs = next[1].at;
      next[1].run();
    }
    this.nowMs = end;
  }
}

class Connection {
  readyState = 0;
  sent = [];
  isClosed = false;

  constructor(url) {
    this.url = url;
  }
  send(frame) {
    this.sent.push(frame);
  }
  close() {
    this.isClosed = true;
    this.readyState = 2;
  }
  says(frame) {
    this.readyState = 1;
    this.onmessage?.({ data: frame });
  }
  breaks() {
    this.readyState = 3;
    this.onclose?.({});
  }
  shakesHands({ pingInterval = 25_000, pingTimeout = 60_000 } = {}) {
    this.says(`0${JSON.stringify({ sid: "e", upgrades: [], pingInterval, pingTimeout, maxPayload: 1e6 })}`);
    this.says('40{"sid":"s"}');
  }
}

// Lets promises that are already settled run their followers.
export async function settle() {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

export class MemoryStorage {
  #items = new Map();
  get length() {
    return this.#items.size;
  }
  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }
  getItem(key) {
    return this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    this.#items.set(key, String(value));
  }
  removeItem(key) {
    this.#items.delete(key);
  }
}
