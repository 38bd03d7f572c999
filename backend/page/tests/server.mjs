// A server that does what the contract says, and what it is told to do wrong; and the official client's socket to it.

export class Server {
  rooms = new Map();
  sockets = new Set();
  events = ["joinRoom", "leaveRoom", "sendMessage", "getHistory", "sync", "editMessage", "deleteMessage", "addReaction", "removeReaction", "markRead", "createRoom", "kickUser"];
  calls = [];
  // By event: refusals to give instead of answers, first come first served.
  refusals = new Map();
  // `passes(event, body, socket)`: false loses it on the way to a client, "later" lets it be overtaken, "twice" doubles it.
  passes = () => true;
  // Acks of these events never come.
  silent = new Set();
  // Whether answers take their time: then `answers()` lets them go.
  isSlow = false;
  #open = [];

  room(id) {
    if (!this.rooms.has(id)) this.rooms.set(id, { id, log: [], epoch: "a", first: 1, card: { id, name: id } });
    return this.rooms.get(id);
  }

  // Somebody else says something.
  says(content, { room = "lobby", senderId = "u-other", ...more } = {}) {
    const { log } = this.room(room);
    const seq = log.length + 1;
    const timestamp = new Date(seq * 1_000).toISOString();
    const entry = { id: `${room}${seq}`, roomId: room, seq, kind: "message", type: "text", content, senderId, senderName: senderId, timestamp, ...more };
    log.push(entry);
    this.tell(EVENTS[entry.kind], entry);
    return entry;
  }

  tell(event, body) {
    for (const socket of this.sockets) {
      if (!socket.joined.has(body.roomId)) continue;
      const how = this.passes(event, body, socket);
      const copy = () => structuredClone(body);
      if (how === "later") socket.overtaken.push([event, copy()]);
      else if (how) socket.hears(event, copy());
      if (how === "twice") socket.hears(event, copy());
    }
  }

  answer(socket, event, args) {
    this.calls.push([event, ...structuredClone(args)]);
    const [refusal] = this.refusals.get(event) ?? [];
    if (refusal) {
      this.refusals.get(event).shift();
      return { ok: false, error: refusal };
    }
    return structuredClone({ ok: true, ...this[event](socket, ...args) });
  }

  joinRoom(socket, id, { lastSeq, epoch, limit }) {
    socket.joined.add(id);
    return { room: this.room(id).card, ...this.#since(id, lastSeq, epoch, limit) };
  }
  leaveRoom(socket, id) {
    socket.joined.delete(id);
    return {};
  }
  sync(socket, { rooms }) {
    return {
      rooms: rooms.map(({ roomId, lastSeq, epoch }) => {
        socket.joined.add(roomId);
        return { roomId, room: this.room(roomId).card, ...this.#since(roomId, lastSeq, epoch, 200) };
      }),
    };
  }
  getHistory(_, { roomId, after, before, limit }) {
    const { log, first, epoch } = this.room(roomId);
    const kept = log.filter(({ seq }) => seq >= first);
    const found = after === undefined ? kept.filter(({ seq }) => seq < (before ?? Infinity)) : kept.filter(({ seq }) => seq > after);
    const messages = after === undefined ? found.slice(-limit) : found.slice(0, limit);
    return { messages, hasMore: found.length > limit, firstSeq: kept[0]?.seq ?? 0, lastSeq: log.length, epoch };
  }
  sendMessage(socket, { roomId, content, clientMsgId, ...more }) {
    const before = this.room(roomId).log.find((entry) => entry.clientMsgId === clientMsgId && entry.senderId === socket.userId);
    const { id, seq, timestamp } = before ?? this.says(content, { room: roomId, clientMsgId, senderId: socket.userId, ...more });
    return { id, roomId, seq, timestamp, clientMsgId, duplicate: before !== undefined };
  }
  editMessage({ userId }, { roomId, seq, content }) {
    return this.says(content, { room: roomId, kind: "edit", refSeq: seq, senderId: userId });
  }
  markRead() {
    return {};
  }
  createRoom() {
    return { room: { id: "made" } };
  }
  kickUser() {
    return {};
  }

  #since(id, lastSeq, epoch, limit) {
    const room = this.room(id);
    const resumes = lastSeq !== undefined && lastSeq <= room.log.length && epoch === room.epoch;
    const page = this.getHistory(null, { roomId: id, limit, ...(resumes ? { after: lastSeq } : {}) });
    return { ...page, recovered: resumes && !page.hasMore };
  }

  // Answers on their way, oldest first; `count` of them arrive now.
  answers(count = Infinity) {
    for (const deliver of this.#open.splice(0, count)) deliver();
  }
  hold(deliver) {
    if (this.isSlow) this.#open.push(deliver);
    else queueMicrotask(deliver);
  }
}

const EVENTS = { message: "message", edit: "messageUpdated", delete: "messageDeleted", reaction: "reaction", system: "systemMessage" };

export class FakeSocket {
  connected = false;
  joined = new Set();
  overtaken = [];
  renewals = 0;
  emitted = [];
  #listeners = new Map();
  #waiting = new Set();

  constructor(server, world, userId = "u-me") {
    Object.assign(this, { server, world, userId });
  }
  on(event, listener) {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return this;
  }
  hears(event, ...args) {
    for (const listener of this.#listeners.get(event) ?? []) listener(...args);
  }
  emit(...args) {
    this.emitted.push(args);
    if (args[0] === "leaveRoom") this.server.leaveRoom(this, args[1]);
  }
  timeout(ms) {
    return { emitWithAck: (event, ...args) => this.#ask(ms, event, args) };
  }
  #ask(ms, event, args) {
    return new Promise((resolve, reject) => {
      if (!this.connected) return reject(new Error("not connected"));
      const answer = this.server.answer(this, event, structuredClone(args));
      const waiting = { reject, timer: this.world.setTimeout(() => this.#waiting.delete(waiting) && reject(new Error("timeout")), ms) };
      this.#waiting.add(waiting);
      if (this.server.silent.has(event)) return;
      this.server.hold(() => {
        if (!this.#waiting.delete(waiting)) return;
        this.world.clearTimeout(waiting.timer);
        resolve(answer);
      });
    });
  }
  connects({ instanceId = "one", events = this.server.events } = {}) {
    this.connected = true;
    this.server.sockets.add(this);
    this.hears("connect");
    this.hears("welcome", { userId: this.userId, name: "Me", instanceId, limits: {}, events });
  }
  breaks(reason = "transport close") {
    this.connected = false;
    this.server.sockets.delete(this);
    this.joined.clear();
    this.overtaken = [];
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.hears("disconnect", reason);
    for (const { reject, timer } of waiting) {
      this.world.clearTimeout(timer);
      reject(new Error("disconnected"));
    }
  }
  // What was overtaken arrives after all.
  catchesUp() {
    for (const [event, body] of this.overtaken.splice(0)) this.hears(event, body);
  }
  renew() {
    this.renewals += 1;
    this.breaks("no answer");
  }
  wake() {}
}
