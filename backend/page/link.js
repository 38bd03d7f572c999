// The connection as the chat sees it: asks and is answered, knows who the server takes us for, comes back by itself.
//
// It stands on a Socket.IO socket, the official client's or ./socket.js. Those reconnect when the network fails; this
// adds what they leave to their user: a server that said goodbye, a connection that is up and does not answer.

import { ChatError, retryDelayMs } from "./refusal.js";

const ACK_TIMEOUT_MS = 10_000;
// The server greets before anything else; one that does not is not waited for.
const WELCOME_TIMEOUT_MS = 2_000;
// What every server of this protocol answers, whether it lists its events or not.
const BASE_EVENTS = ["joinRoom", "leaveRoom", "sendMessage", "getHistory"];
// Refused for who we are: another try as the same person ends the same.
const NOT_FOR_US = new Set(["UNAUTHORIZED", "FORBIDDEN", "BANNED"]);

export class Link {
  // connecting · connected · waiting · refused
  state = "connecting";
  // The server's `welcome`: userId, name, instanceId, limits, events. The last one is kept while the connection is away.
  welcome = null;
  // How long the last answer took.
  rttMs = null;
  #socket;
  #world;
  #told;
  // Counts connections: what belongs to an earlier one is over.
  #visit = 0;
  #greeted = () => {};
  #attempt = 0;
  #timer = null;

  // Told: `onOpen()`, `onLost()`, `onState()`, `onWelcome(movedFrom)`, `onRefused(error)`.
  constructor({ socket, world, ...told }) {
    this.#socket = socket;
    this.#world = world;
    this.#told = told;
    socket.on("connect", () => this.#connected());
    socket.on("disconnect", (reason) => this.#lost(reason));
    socket.on("connect_error", (error) => this.#refused(error));
    socket.on("welcome", (welcome) => this.#welcomed(welcome));
    // Whoever comes back would be somebody else.
    socket.on("sessionEnded", () => this.#enter("refused"));
    // Only the server knows how many others move, so it says when.
    socket.on("serverDraining", (notice) => this.#moveIn(notice?.reconnectInMs ?? 0));
    if (socket.connected) this.#connected();
  }

  get isUp() {
    return this.#socket.connected;
  }

  // Whether this server answers the event. Asking one that does not would never be answered.
  can(event) {
    return (this.welcome?.events ?? BASE_EVENTS).includes(event);
  }

  emit(event, ...args) {
    if (this.isUp) this.#socket.emit(event, ...args);
  }

  // Resolves with a positive ack; rejects with a ChatError for everything else.
  async ask(event, ...args) {
    if (!this.isUp) throw new ChatError("NOT_CONNECTED", "There is no connection.");
    if (!this.can(event)) throw new ChatError("UNSUPPORTED", `This server does not know ${event}.`);
    const [visit, start] = [this.#visit, this.#world.monotonic()];
    let answer;
    try {
      answer = await this.#socket.timeout(ACK_TIMEOUT_MS).emitWithAck(event, ...args);
    } catch {
      if (visit !== this.#visit || !this.isUp) throw new ChatError("DISCONNECTED", "The connection was lost.");
      throw new ChatError("ACK_TIMEOUT", "The server did not answer.", { retryable: true });
    }
    this.rttMs = this.#world.monotonic() - start;
    if (answer?.ok === true) return answer;
    throw ChatError.from(answer?.error);
  }

  // `run` resolves once the server answered it; if that takes too long, this connection is replaced.
  async probe(run, timeoutMs) {
    const visit = this.#visit;
    const timer = this.#world.setTimeout(() => visit === this.#visit && this.renew(), timeoutMs);
    await run().catch(() => {});
    this.#world.clearTimeout(timer);
  }

  // Does not sit out a delay.
  connectNow() {
    this.#stopTimer();
    if (this.isUp) return;
    if (this.#socket.wake) this.#socket.wake();
    else this.#socket.disconnect().connect();
  }

  // Gives up on this connection and makes a new one.
  renew() {
    if (this.#socket.renew) this.#socket.renew("no answer");
    else this.#socket.io?.engine?.close();
  }

  async #connected() {
    const visit = ++this.#visit;
    this.#stopTimer();
    // What the server can do is known after its greeting, which is on its way with the connection itself.
    await new Promise((resolve) => {
      const timer = this.#world.setTimeout(resolve, WELCOME_TIMEOUT_MS);
      this.#greeted = () => {
        this.#world.clearTimeout(timer);
        resolve();
      };
    });
    if (visit !== this.#visit) return;
    this.#attempt = 0;
    this.#enter("connected");
    this.#told.onOpen();
  }

  #welcomed(welcome) {
    const before = this.welcome?.instanceId;
    this.welcome = welcome;
    this.#told.onWelcome(before !== undefined && before !== welcome.instanceId ? before : null);
    this.#greeted();
  }

  #lost(reason) {
    this.#visit += 1;
    this.#greeted();
    this.#told.onLost();
    if (this.state === "refused") return;
    this.#enter("waiting");
    // The official client does not come back by itself when the server says goodbye.
    if (reason === "io server disconnect") this.#connectLater();
  }

  #refused(error) {
    this.#told.onRefused(new ChatError(error.message, error.message));
    if (NOT_FOR_US.has(error.message)) this.#enter("refused");
    // The official client goes on trying unless the server itself said no.
    else if (this.#socket.active === false) this.#connectLater();
  }

  #connectLater() {
    this.#stopTimer();
    const delayMs = retryDelayMs(this.#attempt++, this.#world.random());
    this.#timer = this.#world.setTimeout(() => this.connectNow(), delayMs);
  }

  #moveIn(ms) {
    const visit = this.#visit;
    this.#world.setTimeout(() => visit === this.#visit && this.renew(), ms);
  }

  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.#told.onState();
  }

  #stopTimer() {
    if (this.#timer !== null) this.#world.clearTimeout(this.#timer);
    this.#timer = null;
  }
}
