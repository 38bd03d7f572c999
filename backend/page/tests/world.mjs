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
  monotonic = () => this.nowMs;
  random = () => this.randomness;
  makeId = () => `${this.tabName}id${this.#nextId++}`;
  tabName = "";
  #nextId = 1;

  get connection() {
    return this.connections.at(-1);
  }

  // Lets time pass in small steps, and everything that waits for it or for an answer go on.
  async live(ms, stepMs = 25) {
    await settle();
    for (let left = ms; left > 0; left -= stepMs) {
      this.pass(Math.min(stepMs, left));
      await settle();
    }
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

// A storage that several tabs share: what one writes, the others hear, a moment later.
export class SharedStorage {
  #memory = new MemoryStorage();
  #tabs = [];
  tab() {
    const tab = { heard: () => {} };
    this.#tabs.push(tab);
    const tell = (key, newValue) => {
      for (const other of this.#tabs) if (other !== tab) queueMicrotask(() => other.heard({ key, newValue }));
    };
    const memory = this.#memory;
    tab.storage = {
      get length() {
        return memory.length;
      },
      key: (index) => memory.key(index),
      getItem: (key) => memory.getItem(key),
      setItem: (key, value) => {
        memory.setItem(key, value);
        tell(key, String(value));
      },
      removeItem: (key) => {
        if (memory.getItem(key) === null) return;
        memory.removeItem(key);
        tell(key, null);
      },
    };
    return tab;
  }
  get length() {
    return this.#memory.length;
  }
}

// Web Locks, as far as they are used: one holder per name, in order of asking, an asker may give up.
export class Locks {
  held = new Set();
  #queues = new Map();
  request(name, { signal } = {}, run) {
    return new Promise((resolve, reject) => {
      const take = () => {
        this.held.add(name);
        const free = () => {
          this.held.delete(name);
          this.#queues.get(name)?.shift()?.();
        };
        Promise.resolve().then(run).finally(free).then(resolve, reject);
      };
      if (!this.held.has(name)) return take();
      const queue = this.#queues.get(name) ?? [];
      this.#queues.set(name, queue);
      queue.push(take);
      signal?.addEventListener("abort", () => {
        const at = queue.indexOf(take);
        if (at < 0) return;
        queue.splice(at, 1);
        reject(new Error("AbortError"));
      });
    });
  }
}
