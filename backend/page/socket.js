// A small Socket.IO client: Engine.IO 4 over WebSocket, or over HTTP requests where no WebSocket gets through; Socket.IO
// protocol 5, the main namespace.
//
// It connects, keeps the connection alive, notices when it is dead and connects again. It buffers nothing: what must
// survive a broken connection belongs in the outbox, which knows what may be sent twice. Binary events are not for it.

import { encodeEvent, parseFrame, ProtocolError } from "./frames.js";
import { PollingConnection } from "./polling.js";
import { retryDelayMs } from "./refusal.js";

const CONNECT_TIMEOUT_MS = 10_000;
const RETRY_MAX_MS = 8_000;
// A connection that lived this long was a good one; the next retry starts from the shortest delay again.
const STABLE_MS = 5_000;
// How often a connection that makes do with requests tries whether a WebSocket gets through by now.
const BETTER_EVERY_MS = 30_000;

// What this client itself tells its listeners; a server cannot make it say so.
const OWN_EVENTS = new Set(["connect", "disconnect", "connect_error", "state"]);

export class SocketError extends Error {
  // Codes: NOT_CONNECTED (nothing was sent), ACK_TIMEOUT and DISCONNECTED (sent; whether it arrived is unknown).
  constructor(code, message) {
    super(message);
    this.name = "SocketError";
    this.code = code;
  }
}

// By its scheme: a WebSocket, or requests.
export function openConnection(url) {
  return url.startsWith("ws") ? new WebSocket(url) : new PollingConnection(url);
}

const browser = {
  open: openConnection,
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  now: () => performance.now(),
  random: () => Math.random(),
};

// Tells its listeners: `connect` (sid), `disconnect` (reason), `connect_error` ({message, data}), `state` (state), and
// every event that the server sends. States: stopped, connecting, connected, waiting.
export class Socket {
  #url;
  #auth;
  #world;
  #listeners = new Map();
  #state = "stopped";
  #ws = null;
  // Whether this connection said anything at all; by which way the next one goes.
  #isHeard = false;
  #transport = "websocket";
  #better = null;
  #timers = { connect: null, life: null, retry: null, better: null };
  #lifeMs = 0;
  #aliveUntil = Infinity;
  #attempt = 0;
  #connectedAt = null;
  #nextId = 0;
  #waiting = new Map();

  // `url` is a WebSocket's; over HTTP it is the same place. `auth` is a function: it is asked at every connection for the CONNECT payload. `world` stands in for the browser.
  constructor(url, { auth = () => ({}), world = browser } = {}) {
    this.#url = url;
    this.#auth = auth;
    this.#world = world;
  }

  get state() {
    return this.#state;
  }

  // websocket or polling.
  get transport() {
    return this.#transport;
  }

  // When the next try is due, on the world's clock; null unless waiting.
  retryAt = null;

  on(event, listener) {
    const listeners = this.#listeners.get(event) ?? [];
    this.#listeners.set(event, [...listeners, listener]);
    return this;
  }

  start() {
    if (this.#state === "stopped") this.#dial();
  }

  stop() {
    if (this.#state === "stopped") return;
    if (this.#state === "connected") this.#write("41");
    this.#lose("stopped", false);
  }

  // The network or the tab is back: do not sit out a delay, and do not trust a connection whose ping is overdue.
  wake() {
    if (this.#state === "waiting") this.#dial();
    else if (this.#world.now() > this.#aliveUntil) this.#lose("ping timeout", true);
  }

  // Gives up on this connection and makes a new one.
  renew(reason) {
    if (this.#state === "connected" || this.#state === "connecting") this.#lose(reason, true);
  }

  // Whether it was handed to the connection; nothing is kept for later.
  emit(event, ...args) {
    return this.#state === "connected" && this.#write(encodeEvent(event, args, null));
  }

  get connected() {
    return this.#state === "connected";
  }

  // `timeout(ms).emitWithAck(event, ...args)`, as the official client has it: resolves with the ack's first argument,
  // rejects with a SocketError.
  timeout(timeoutMs) {
    return { emitWithAck: (event, ...args) => this.#emitWithAck(event, args, timeoutMs) };
  }

  #emitWithAck(event, args, timeoutMs) {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      if (this.#state !== "connected" || !this.#write(encodeEvent(event, args, id))) {
        reject(new SocketError("NOT_CONNECTED", "not connected"));
        return;
      }
      const timer = this.#world.setTimeout(() => {
        this.#waiting.delete(id);
        reject(new SocketError("ACK_TIMEOUT", `no answer to ${event} within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
    });
  }

  #dial() {
    this.#clear("retry");
    this.retryAt = null;
    this.#enter("connecting");
    this.#isHeard = false;
    let ws;
    try {
      ws = this.#world.open(this.#transport === "polling" ? overHttp(this.#url) : this.#url);
    } catch (error) {
      this.#tell("connect_error", { message: String(error.message ?? error) });
      this.#lose("transport error", true);
      return;
    }
    this.#ws = ws;
    // A socket that was given up may still speak; only the current one is heard.
    const ifCurrent = (run) => (event) => {
      if (this.#ws === ws) run(event);
    };
    ws.onmessage = ifCurrent(({ data }) => this.#hear(data));
    ws.onclose = ifCurrent(() => this.#lose("transport close", true));
    ws.onerror = null;
    this.#timers.connect = this.#world.setTimeout(() => this.#lose("connect timeout", true), CONNECT_TIMEOUT_MS);
  }

  #hear(frame) {
    let packet;
    try {
      packet = parseFrame(frame);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#lose("parse error", true);
      return;
    }
    this.#isHeard = true;
    this.#stayAlive();
    if (packet) this.#handle(packet);
  }

  #handle(packet) {
    switch (packet.kind) {
      case "open":
        this.#lifeMs = (packet.pingInterval ?? 25_000) + (packet.pingTimeout ?? 20_000);
        this.#stayAlive();
        this.#write(`40${JSON.stringify(this.#auth())}`);
        break;
      case "ping":
        this.#write(`3${packet.payload}`);
        break;
      case "connected":
        this.#clear("connect");
        this.#connectedAt = this.#world.now();
        this.#enter("connected");
        if (this.#transport === "polling") this.#lookForBetter();
        this.#tell("connect", packet.sid);
        break;
      case "event":
        if (!OWN_EVENTS.has(packet.event)) this.#tell(packet.event, ...packet.args);
        break;
      case "ack":
        this.#settle(packet.id, packet.args[0]);
        break;
      case "refused":
        this.#tell("connect_error", { message: packet.message ?? "refused", data: packet.data });
        this.#lose("refused", true);
        break;
      default:
        this.#lose(packet.kind === "disconnected" ? "server disconnect" : "transport close", true);
    }
  }

  #settle(id, answer) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    this.#world.clearTimeout(waiting.timer);
    waiting.resolve(answer);
  }

  // Servers ping every pingInterval. Any frame proves life, so a busy connection is never taken for a dead one.
  #stayAlive() {
    if (this.#lifeMs === 0) return;
    this.#clear("life");
    this.#aliveUntil = this.#world.now() + this.#lifeMs;
    this.#timers.life = this.#world.setTimeout(() => this.#lose("ping timeout", true), this.#lifeMs);
  }

  // A WebSocket that opens shows that one gets through: the connection moves there.
  #lookForBetter() {
    this.#timers.better = this.#world.setTimeout(() => {
      let ws;
      try {
        ws = this.#world.open(this.#url);
      } catch {
        return this.#lookForBetter();
      }
      this.#better = ws;
      const isOpen = new Promise((resolve) => {
        ws.onmessage = () => resolve(true);
        ws.onclose = () => resolve(false);
      });
      isOpen.then((opened) => {
        if (this.#better !== ws) return;
        this.#better = null;
        ws.close();
        if (!opened) return this.#lookForBetter();
        this.#transport = "websocket";
        this.#lose("moves to a WebSocket", true);
        this.#dial();
      });
    }, BETTER_EVERY_MS);
  }

  #lose(reason, again) {
    const wasConnected = this.#state === "connected";
    // What never spoke may be shut off on the way, and requests may reach servers that do not know each other's sessions: the other
    // way is tried next.
    if (this.#state === "connecting" && (!this.#isHeard || this.#transport === "polling")) this.#transport = this.#transport === "polling" ? "websocket" : "polling";
    this.#better?.close();
    this.#better = null;
    const ws = this.#ws;
    this.#ws = null;
    this.#lifeMs = 0;
    this.#aliveUntil = Infinity;
    for (const timer of Object.keys(this.#timers)) this.#clear(timer);
    // Closing a dead connection can take minutes; nobody waits for it.
    ws?.close();
    if (wasConnected && this.#world.now() - this.#connectedAt >= STABLE_MS) this.#attempt = 0;
    if (again) {
      const delayMs = retryDelayMs(this.#attempt++, this.#world.random(), { maxMs: RETRY_MAX_MS });
      this.retryAt = this.#world.now() + delayMs;
      this.#timers.retry = this.#world.setTimeout(() => this.#dial(), delayMs);
    } else {
      this.retryAt = null;
      this.#attempt = 0;
    }
    this.#enter(again ? "waiting" : "stopped");
    const unanswered = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, timer } of unanswered) {
      this.#world.clearTimeout(timer);
      reject(new SocketError("DISCONNECTED", reason));
    }
    if (wasConnected) this.#tell("disconnect", reason);
  }

  #write(frame) {
    // 1 is WebSocket.OPEN; in any other state the browser drops or throws.
    if (this.#ws?.readyState !== 1) return false;
    this.#ws.send(frame);
    return true;
  }

  #enter(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#tell("state", state);
  }

  #clear(name) {
    if (this.#timers[name] !== null) this.#world.clearTimeout(this.#timers[name]);
    this.#timers[name] = null;
  }

  #tell(event, ...args) {
    for (const listener of this.#listeners.get(event) ?? []) listener(...args);
  }
}

function overHttp(url) {
  return url.replace(/^ws/, "http").replace("transport=websocket", "transport=polling");
}
