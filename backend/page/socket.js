// A small Socket.IO client: Engine.IO 4 over WebSocket, Socket.IO protocol 5, the main namespace.
//
// It connects, keeps the connection alive, notices when it is dead and connects again. It buffers nothing: what must
// survive a broken connection belongs in the outbox, which knows what may be sent twice. Binary events are not for it.
//
// The frames: an Engine.IO digit (0 open, 1 close, 2 ping, 3 pong, 4 message); a message continues with a Socket.IO
// digit (0 connect, 1 disconnect, 2 event, 3 ack, 4 connect error, 5/6 binary), an optional "/namespace,", an optional
// ack id and JSON.

import { retryDelayMs } from "./refusal.js";

const CONNECT_TIMEOUT_MS = 10_000;
const RETRY_MAX_MS = 8_000;
// A connection that lived this long was a good one; the next retry starts from the shortest delay again.
const STABLE_MS = 5_000;

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

export class ProtocolError extends Error {}

// Returns `{ kind, ... }`, or null for what this client may ignore. Throws ProtocolError for what no server sends.
export function parseFrame(frame) {
  if (typeof frame !== "string") return null;
  switch (frame[0]) {
    case "0":
      return { kind: "open", ...parseObject(frame.slice(1)) };
    case "1":
      return { kind: "close" };
    case "2":
      return { kind: "ping", payload: frame.slice(1) };
    case "3":
    case "6":
      return null;
    case "4":
      return parsePacket(frame);
    default:
      throw new ProtocolError(`unknown frame ${JSON.stringify(frame.slice(0, 20))}`);
  }
}

function parsePacket(frame) {
  const type = frame[1];
  if (type === "5" || type === "6") return null;
  let rest = frame.slice(2);
  if (rest[0] === "/") {
    const comma = rest.indexOf(",");
    const namespace = comma < 0 ? rest : rest.slice(0, comma);
    if (namespace.split("?")[0] !== "/") return null;
    rest = comma < 0 ? "" : rest.slice(comma + 1);
  }
  const digits = /^\d*/.exec(rest)[0];
  const id = digits === "" ? null : Number(digits);
  const json = rest.slice(digits.length);
  switch (type) {
    case "0":
      return { kind: "connected", ...parseObject(json) };
    case "1":
      return { kind: "disconnected" };
    case "2": {
      const [event, ...args] = parseArray(json);
      if (typeof event !== "string") throw new ProtocolError("event without a name");
      return { kind: "event", event, args, id };
    }
    case "3":
      if (id === null) throw new ProtocolError("ack without an id");
      return { kind: "ack", id, args: parseArray(json) };
    case "4":
      return { kind: "refused", ...parseObject(json) };
    default:
      throw new ProtocolError(`unknown packet type ${type}`);
  }
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new ProtocolError("payload is not JSON");
  }
}

function parseArray(text) {
  const value = parseJson(text);
  if (!Array.isArray(value)) throw new ProtocolError("payload is not an array");
  return value;
}

function parseObject(text) {
  const value = text === "" ? {} : parseJson(text);
  if (typeof value !== "object" || value === null) throw new ProtocolError("payload is not an object");
  return value;
}

export function encodeEvent(event, args, id) {
  return `42${id ?? ""}${JSON.stringify([event, ...args])}`;
}

const browser = {
  open: (url) => new WebSocket(url),
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
  #timers = { connect: null, life: null, retry: null };
  #lifeMs = 0;
  #aliveUntil = Infinity;
  #attempt = 0;
  #connectedAt = null;
  #nextId = 0;
  #waiting = new Map();

  // `auth` is a function: it is asked at every connection for the CONNECT payload. `world` stands in for the browser.
  constructor(url, { auth = () => ({}), world = browser } = {}) {
    this.#url = url;
    this.#auth = auth;
    this.#world = world;
  }

  get state() {
    return this.#state;
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
    let ws;
    try {
      ws = this.#world.open(this.#url);
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

  #lose(reason, again) {
    const wasConnected = this.#state === "connected";
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
