// One person's talk in one room: joins, catches up after every reconnect, sends what is in the outbox.
//
// It owns the order of these steps. The socket owns the connection, the timeline what is known, the outbox what is not
// yet stored; drawing is elsewhere. After every change it calls `onChange`; for news of others `onFresh`; for
// what went wrong `onProblem`, saying whether the log shows it anyway.

import { Timeline } from "./timeline.js";

const FIRST_PAGE = 50;
const PAGE = 200;
// One round of catching up never asks more often than this; the next message or reconnect continues.
const PAGES_MAX = 50;
const TRIES_MAX = 4;
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
const PROBE_TIMEOUT_MS = 5_000;
const MARKS_MAX = 50;

const browser = {
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  monotonic: () => performance.now(),
  now: () => Date.now(),
  makeId: () => makeId(),
};

export class Conversation {
  room = null;
  joined = false;
  joinError = null;
  timeline = new Timeline();
  // The server's `welcome`: userId, name, instanceId, limits. The last one is kept while the connection is away.
  welcome = null;
  isWelcome = false;
  rttMs = null;
  // Remarks between messages: `{ id, afterSeq, kind: "moved" | "caughtUp", ... }`.
  marks = [];
  loadingEarlier = false;
  #socket;
  #outbox;
  #world;
  // Counts rooms and connections: an answer to a question of an earlier visit is no longer of interest.
  #visit = 0;
  // The visits whose outbox is being sent and whose gaps are being filled: never twice at once for the same visit.
  #drainingVisit = null;
  #catchingUpVisit = null;
  #said = new Set();
  #lastMark = 0;

  constructor({ socket, outbox, onChange, onFresh = () => {}, onProblem = () => {}, world = browser }) {
    this.#socket = socket;
    this.#outbox = outbox;
    this.#world = world;
    this.onChange = onChange;
    this.onFresh = onFresh;
    this.onProblem = onProblem;
    socket.on("connect", () => this.#join());
    socket.on("disconnect", () => {
      this.isWelcome = false;
      this.#left();
    });
    socket.on("welcome", (welcome) => this.#welcomed(welcome));
    socket.on("message", (message) => this.#received(message));
    socket.on("error", (body) => this.onProblem(body?.error?.message ?? "The server refused something."));
  }

  enter(room) {
    if (room === this.room) return;
    if (this.room !== null && this.joined) this.#socket.emit("leaveRoom", this.room);
    this.room = room;
    this.timeline = new Timeline();
    this.marks = [];
    this.#left();
    if (this.#socket.state === "connected") this.#join();
  }

  // What is on its way here or did not make it, in the order in which it was said.
  get unsent() {
    return this.#outbox.inRoom(this.room);
  }

  isMine(message) {
    return message.senderId === this.welcome?.userId || this.#said.has(message.clientMsgId);
  }

  say(content) {
    const entry = { clientMsgId: this.#world.makeId(), roomId: this.room, content, now: this.#world.now() };
    this.#outbox.add(entry);
    this.#said.add(entry.clientMsgId);
    this.onChange();
    this.#drain();
  }

  retry(clientMsgId) {
    this.#outbox.retry(clientMsgId);
    this.onChange();
    this.#drain();
  }

  discard(clientMsgId) {
    this.#outbox.remove(clientMsgId);
    this.onChange();
  }

  async loadEarlier() {
    const { timeline } = this;
    if (this.loadingEarlier || !timeline.hasEarlier || timeline.oldest === null) return;
    this.loadingEarlier = true;
    this.onChange();
    const page = await this.#ask("getHistory", [{ roomId: this.room, before: timeline.oldest, limit: FIRST_PAGE }]);
    this.loadingEarlier = false;
    if (page.ok) timeline.prepend(page);
    else this.onProblem(`Earlier messages could not be loaded: ${page.error.message}`);
    this.onChange();
  }

  // Whether the connection still answers; a dead one is replaced without waiting for a ping to be missed.
  async probe() {
    if (!this.joined) return;
    const visit = this.#visit;
    const question = [{ roomId: this.room, after: this.timeline.cursor ?? 0, limit: 1 }];
    const answer = await this.#ask("getHistory", question, PROBE_TIMEOUT_MS);
    if (visit !== this.#visit) return;
    if (answer.error?.code === "ACK_TIMEOUT") this.#socket.renew("no answer");
    this.onChange();
  }

  async #join() {
    if (this.room === null) return;
    const visit = ++this.#visit;
    const { room, timeline } = this;
    const { cursor, epoch } = timeline;
    const options = cursor === null ? { limit: FIRST_PAGE } : { lastSeq: cursor, epoch, limit: PAGE };
    const answer = await this.#persist(() => this.#ask("joinRoom", [room, options]), visit);
    if (visit !== this.#visit || answer === null) return;
    if (!answer.ok) {
      this.joinError = answer.error;
      this.onProblem(`#${room} could not be joined: ${answer.error.message}`, { isInLog: true });
      this.onChange();
      // Another connection may lead to a backend that is better off.
      if (answer.error.retryable) this.#socket.renew("join failed");
      return;
    }
    this.joined = true;
    this.joinError = null;
    this.#take(timeline.open(answer, cursor), cursor === null);
    await this.#catchUp();
    if (visit !== this.#visit) return;
    if (cursor !== null) this.#markCaughtUp(cursor);
    this.onChange();
    this.#drain();
  }

  #left() {
    this.#visit += 1;
    this.joined = false;
    this.joinError = null;
    this.onChange();
  }

  #welcomed(welcome) {
    const before = this.welcome?.instanceId;
    this.welcome = welcome;
    this.isWelcome = true;
    if (before !== undefined && before !== welcome.instanceId) {
      this.#mark({ kind: "moved", from: before, to: welcome.instanceId });
    }
    this.onChange();
  }

  #received(message) {
    if (message?.roomId !== this.room) return;
    this.#take(this.timeline.add([message]), false);
    this.onChange();
    if (this.timeline.isBehind && this.joined) this.#catchUp();
  }

  // New in the timeline: what was ours is no longer in the outbox.
  #take(messages, isBacklog) {
    for (const { clientMsgId } of messages) if (clientMsgId) this.#outbox.remove(clientMsgId);
    if (!isBacklog && messages.length > 0) this.onFresh(messages);
    return messages;
  }

  // Fetches until nothing is missing. History that is gone is shown as a gap.
  async #catchUp() {
    const visit = this.#visit;
    if (this.#catchingUpVisit === visit) return;
    this.#catchingUpVisit = visit;
    const { timeline, room } = this;
    for (let pages = 0; pages < PAGES_MAX && timeline.isBehind && visit === this.#visit; pages += 1) {
      const before = timeline.cursor;
      const page = await this.#ask("getHistory", [{ roomId: room, after: before, limit: PAGE }]);
      if (!page.ok || visit !== this.#visit) break;
      this.#take(timeline.add(page.messages ?? []), false);
      if (timeline.cursor === before) timeline.skipGap();
      this.onChange();
    }
    if (this.#catchingUpVisit === visit) this.#catchingUpVisit = null;
  }

  // One at a time, so that a refusal never lets a later message overtake an earlier one.
  async #drain() {
    const visit = this.#visit;
    if (!this.joined || this.#drainingVisit === visit) return;
    this.#drainingVisit = visit;
    let goesOn = true;
    for (let room; goesOn && (room = this.#roomToSend()) !== undefined; ) {
      goesOn = room === this.room ? await this.#sendAll(room, visit) : await this.#sendElsewhere(room, visit);
    }
    if (this.#drainingVisit === visit) this.#drainingVisit = null;
  }

  #roomToSend() {
    const rooms = this.#outbox.rooms();
    return rooms.includes(this.room) ? this.room : rooms[0];
  }

  // Whether there is any point in going on: false after the visit ended.
  async #sendAll(room, visit) {
    for (let entry; (entry = this.#outbox.next(room)); ) {
      const isDone = await this.#send(entry, visit);
      if (!isDone || visit !== this.#visit) return false;
      this.onChange();
    }
    return true;
  }

  // Left over from a room that is no longer open here.
  async #sendElsewhere(room, visit) {
    const answer = await this.#persist(() => this.#ask("joinRoom", [room, { limit: FIRST_PAGE }]), visit);
    if (answer === null || visit !== this.#visit) return false;
    if (!answer.ok) {
      for (const { clientMsgId } of this.#outbox.inRoom(room)) this.#outbox.fail(clientMsgId, answer.error.message);
      return true;
    }
    for (const { clientMsgId } of answer.messages ?? []) this.#outbox.remove(clientMsgId);
    const goesOn = await this.#sendAll(room, visit);
    if (goesOn) this.#socket.emit("leaveRoom", room);
    return goesOn;
  }

  // Whether the entry is settled: stored, failed or given up. If not, it waits for the next visit.
  async #send({ clientMsgId, roomId, content }, visit) {
    const draft = { roomId, content, type: "text", clientMsgId };
    const answer = await this.#persist(() => this.#ask("sendMessage", [draft]), visit, clientMsgId);
    if (!this.#outbox.get(clientMsgId)) return true;
    if (answer === null) return false;
    if (answer.ok) {
      this.#outbox.remove(clientMsgId);
      if (roomId === this.room) this.timeline.add([this.#asStored(draft, answer)]);
      return true;
    }
    if (visit !== this.#visit) return false;
    this.#outbox.fail(clientMsgId, answer.error.message);
    this.onProblem(`A message was not sent: ${answer.error.message}`, { isInLog: true });
    return true;
  }

  #asStored(draft, { id, seq, timestamp }) {
    const { userId, name } = this.welcome ?? {};
    return { ...draft, id, seq, timestamp, kind: "message", senderId: userId, senderName: name };
  }

  // Asks again while the refusal says that it may help. null: the visit ended, whatever it was waits for the next one.
  async #persist(ask, visit, clientMsgId = null) {
    for (let tries = 1; ; tries += 1) {
      const answer = await ask();
      if (answer.ok) return answer;
      if (visit !== this.#visit || answer.error.code === "DISCONNECTED") return null;
      if (!answer.error.retryable || tries >= TRIES_MAX) return answer;
      await this.#world.wait(Math.min(answer.error.retryAfterMs ?? RETRY_MS * tries, RETRY_MAX_MS));
      if (visit !== this.#visit || (clientMsgId !== null && !this.#outbox.get(clientMsgId))) return null;
    }
  }

  // Always an acknowledgement: trouble with the connection is put into the same shape as a refusal.
  async #ask(event, args, timeoutMs) {
    const start = this.#world.monotonic();
    try {
      const answer = await this.#socket.emitWithAck(event, args, timeoutMs);
      this.rttMs = this.#world.monotonic() - start;
      if (answer?.ok === true) return answer;
      const { code = "INTERNAL", message = "The server refused it.", retryable = false, retryAfterMs } = answer?.error ?? {};
      return { ok: false, error: { code, message, retryable, retryAfterMs } };
    } catch (error) {
      const isTimeout = error.code === "ACK_TIMEOUT";
      const message = isTimeout ? "The server did not answer." : "The connection was lost.";
      return { ok: false, error: { code: isTimeout ? "ACK_TIMEOUT" : "DISCONNECTED", message, retryable: isTimeout } };
    }
  }

  #markCaughtUp(cursor) {
    const missed = this.timeline.messages.filter((message) => message.seq > cursor && !this.isMine(message)).length;
    if (missed > 0) this.#mark({ kind: "caughtUp", count: missed, afterSeq: cursor });
  }

  #mark(mark) {
    const id = ++this.#lastMark;
    this.marks = [...this.marks, { id, afterSeq: this.timeline.messages.at(-1)?.seq ?? 0, ...mark }].slice(-MARKS_MAX);
  }
}

// Random, in UUID's shape. randomUUID exists only on https and localhost; getRandomValues everywhere.
function makeId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
