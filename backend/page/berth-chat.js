// A client of Berth's chat that keeps its promise: every room's messages once and in order, across any loss of the
// connection; what is said here is sent until it is stored, also after a reload, and stored once.
//
// It stands on a Socket.IO socket that the caller makes (the official client's, or ./socket.js) and touches nothing of the
// page but the storage it is given. How to use it is in the README, "A client in 15 lines".
//
// Tells its listeners (`on`):
//   message  {room, message}     a message of anybody, in order; also edits, deletions, reactions and system entries, by
//                                `message.kind`. `unreliable: true`: something before it may be missing for now
//   joined   {room}              the room is open on this connection
//   caughtUp {room, afterSeq, missed}   what was missed while away is all there
//   reset    {room}              the log is another one than before: drop what was drawn
//   sent     {entry, ack} · unsent {entry, error} · waiting {entry, error}   what became of something said here
//   refused  {room, error} · problem {room?, error}
//   welcome  {welcome, movedFrom, isFirst}   who we are, on which instance, and whether this person is new here
//   state    {state}             connecting · connected · waiting · refused
//   change   {room?}             something to draw anew
// and every other event of the server by its own name (typing, presence, serverNotice, …).

import { Courier } from "./courier.js";
import { Link } from "./link.js";
import { Outbox } from "./outbox.js";
import { ReadMarks } from "./read_marks.js";
import { ChatError } from "./refusal.js";
import { ENTRY_EVENTS, Room } from "./room.js";

export { ChatError } from "./refusal.js";

const PROBE_TIMEOUT_MS = 5_000;
const SYNC_ROOMS_MAX = 200;
const SELVES_MAX = 100;
// What the server says of its own accord and this client has no part in.
const NOTICES = ["userJoined", "userLeft", "serverNotice", "sessionExpiring", "sessionEnded"];

const browser = {
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  makeId,
};

export class BerthChat {
  rooms = new Map();
  outbox;
  #link;
  #world;
  #courier;
  #listeners = new Map();
  // Every user id that the server gave us: a guest may be somebody else after a reconnect.
  #selves = new Set();
  #outcomes = new Map();
  #forRooms;

  // `storage`: a Storage that outlives a reload, or null. `locks`: navigator.locks, or null where there is one client only.
  // `skipAfter`: with more than so many missed entries, start at the end and leave a gap that can be loaded.
  constructor({ socket, storage = null, locks = null, skipAfter = Infinity, world = browser }) {
    this.#world = world;
    this.outbox = new Outbox(storage);
    this.#forRooms = {
      world,
      skipAfter,
      reads: new ReadMarks(storage),
      ask: (event, ...args) => this.ask(event, ...args),
      can: (event) => this.can(event),
      tell: (event, body) => this.#tell(event, body),
      isMine: (message) => this.isMine(message),
      onEntries: (room, entries, isBacklog) => this.#shown(room, entries, isBacklog),
    };
    this.#courier = new Courier({
      outbox: this.outbox,
      ask: this.#forRooms.ask,
      locks,
      world,
      isOpen: (roomId) => this.rooms.get(roomId)?.joined === true,
      userId: () => this.welcome?.userId ?? null,
      onStored: (entry, ack) => this.#stored(entry, ack),
      onFailed: (entry, error) => this.#failed(entry, error),
      onWaiting: (entry, error) => this.#waits(entry, error),
      onDeadEnd: () => this.renew(),
    });
    this.#listen(socket);
    this.#link = new Link({
      socket,
      world,
      onOpen: () => this.#recover(),
      onLost: () => this.rooms.forEach((room) => room.left()),
      onState: () => this.#tell("state", { state: this.state }),
      onWelcome: (movedFrom) => this.#welcomed(movedFrom),
      onRefused: (error) => this.#tell("problem", { error }),
    });
  }

  get state() {
    return this.#link?.state ?? "connecting";
  }

  get welcome() {
    return this.#link?.welcome ?? null;
  }

  get rttMs() {
    return this.#link.rttMs;
  }

  on(event, listener) {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return this;
  }

  // Whether this server answers the event. Asking one that does not would never be answered.
  can(event) {
    return this.#link.can(event);
  }

  isMine(message) {
    return this.#selves.has(message.senderId);
  }

  // Takes part in a room from now on, across reconnects. The promise is settled by the server's first answer; until
  // then the room is there already, empty. `readUpTo`: what counts as read in a room that was never read here; without it
  // everything, as somebody new has missed nothing.
  join(roomId, { readUpTo = null } = {}) {
    const room = this.rooms.get(roomId) ?? this.#add(roomId);
    room.lastReadSeq ??= readUpTo;
    if (this.state === "connected" && !room.joined) room.join();
    const opened = room.opened();
    opened.catch(() => {});
    return opened;
  }

  leave(roomId) {
    const room = this.rooms.get(roomId);
    if (!room) return;
    this.rooms.delete(roomId);
    room.refuse(new ChatError("NOT_MEMBER", "The room was left."));
    this.#link.emit("leaveRoom", roomId);
    this.#tell("change", {});
  }

  // Resolves with the ack once it is stored. Rejects with a ChatError when it is finally refused; then it stays in the
  // outbox as failed, for `retry` or `discard`. Ignoring the promise is fine: the events tell the same.
  send(roomId, content, { type = "text", replyTo = null } = {}) {
    const clientMsgId = this.#world.makeId();
    const userId = this.welcome?.userId ?? null;
    this.outbox.add({ clientMsgId, roomId, content, type, replyTo, userId, now: this.#world.now() });
    if (!this.rooms.has(roomId)) this.join(roomId);
    const stored = this.#outcomeOf(clientMsgId);
    this.#tell("change", { room: this.rooms.get(roomId) });
    this.#courier.send(roomId);
    return stored;
  }

  retry(clientMsgId) {
    this.outbox.retry(clientMsgId, this.welcome?.userId ?? null);
    this.#afterOutbox(clientMsgId);
  }

  discard(clientMsgId) {
    const { roomId } = this.outbox.get(clientMsgId) ?? {};
    this.outbox.remove(clientMsgId);
    this.#settle(clientMsgId, { error: new ChatError("DISCARDED", "It was discarded.") });
    this.#tell("change", { room: this.rooms.get(roomId) });
  }

  edit(roomId, seq, content) {
    return this.#change("editMessage", { roomId, seq, content });
  }

  remove(roomId, seq) {
    return this.#change("deleteMessage", { roomId, seq });
  }

  react(roomId, seq, emoji, isOn = true) {
    return this.#change(isOn ? "addReaction" : "removeReaction", { roomId, seq, emoji });
  }

  // A room with one other person. Resolves with it, open.
  async openDirect(userId) {
    const { room } = await this.ask("openDirect", { userId });
    return this.join(room.id);
  }

  // A new room, open, with this person as its owner. `type` is public or private.
  async createRoom(name, { type = "private", settings } = {}) {
    const { room } = await this.ask("createRoom", { name, type, settings });
    return this.join(room.id);
  }

  // Gives up the membership, where there is one. Leaving alone is for a while: whoever is on record stays invited.
  async quit(roomId) {
    const { info, joined } = this.rooms.get(roomId) ?? {};
    const isOnRecord = joined && (info.type === "private" || info.createdBy !== undefined) && info.type !== "dm";
    this.leave(roomId);
    if (isOnRecord && this.can("kickUser")) await this.ask("kickUser", { roomId, userId: this.welcome.userId, reason: "you left it" });
  }

  // Volatile: nobody waits for it and nothing keeps it.
  typing(roomId, isTyping) {
    if (this.can("typing")) this.#link.emit("typing", { roomId, isTyping });
  }

  // Any event with an ack. Resolves with the ack, rejects with a ChatError.
  ask(event, ...args) {
    return this.#link.ask(event, ...args);
  }

  // The network, the tab or the machine is back: do not sit out a delay, and find out whether the connection is alive.
  wake() {
    if (this.#link.isUp) this.probe();
    else this.#link.connectNow();
  }

  // Asks something small; a connection that does not answer is replaced.
  async probe() {
    const [room] = [...this.rooms.values()].filter(({ joined }) => joined);
    if (!room) return;
    await this.#link.probe(() => room.probe(), PROBE_TIMEOUT_MS);
    this.#tell("change", {});
  }

  // Gives up on this connection and makes a new one.
  renew() {
    this.#link.renew();
  }

  // What another tab did to the storage: pass window's `storage` events in.
  heard(event) {
    const roomId = this.outbox.heard(event);
    if (roomId !== null) {
      this.#tell("change", { room: this.rooms.get(roomId) });
      this.#courier.send(roomId);
    }
    const read = this.#forRooms.reads.heard(event);
    if (read) this.rooms.get(read.roomId)?.readElsewhere(read.seq);
  }

  #listen(socket) {
    for (const event of ENTRY_EVENTS.keys()) socket.on(event, (body) => this.rooms.get(body?.roomId)?.receive(event, body));
    for (const event of NOTICES) socket.on(event, (body) => this.#tell(event, body));
    socket.on("typing", (body) => this.#inRoom("typing", body, (room) => (room.typing = body.users ?? [])));
    socket.on("presence", (body) => this.#inRoom("presence", body, (room) => room.presentNow(body)));
    socket.on("kicked", (body) => this.#inRoom("kicked", body, (room) => room.refuse(kickedError(body))));
    socket.on("readReceipt", (body) => this.#inRoom("readReceipt", body, (room) => room.readBy(body.userId, body.lastReadSeq)));
    socket.on("roomUpdated", (body) => {
      this.rooms.get(body?.room?.id)?.updated(body.room);
      this.#tell("roomUpdated", body);
    });
    socket.on("error", (body) => this.#tell("problem", { error: ChatError.from(body?.error) }));
  }

  #welcomed(movedFrom) {
    const isFirst = !this.#selves.has(this.welcome.userId);
    this.#selves.add(this.welcome.userId);
    if (this.#selves.size > SELVES_MAX) this.#selves.delete(this.#selves.values().next().value);
    this.#tell("welcome", { welcome: this.welcome, movedFrom, isFirst });
    this.#tell("change", {});
  }

  // On a new connection: every room catches up, many with one question where the server takes it.
  async #recover() {
    // Left over from rooms that this client does not know yet.
    for (const roomId of this.outbox.rooms()) if (!this.rooms.has(roomId)) this.#add(roomId);
    const rooms = [...this.rooms.values()].filter(({ refusal }) => refusal === null);
    const known = rooms.filter(({ timeline }) => timeline.cursor !== null);
    const batch = this.can("sync") && known.length > 1 ? known.slice(0, SYNC_ROOMS_MAX) : [];
    for (const room of rooms) if (!batch.includes(room)) room.join();
    if (batch.length === 0) return;
    const question = batch.map(({ id, timeline }) => ({ roomId: id, lastSeq: timeline.cursor, epoch: timeline.epoch }));
    let answers;
    try {
      answers = new Map((await this.ask("sync", { rooms: question })).rooms.map((one) => [one.roomId, one]));
    } catch (error) {
      // The next connection asks anew; otherwise each room asks for itself.
      if (error.code === "DISCONNECTED" || error.code === "NOT_CONNECTED") return;
      answers = new Map();
    }
    for (const [index, room] of batch.entries()) {
      const answer = answers.get(room.id);
      if (!answer || answer.ok === false || answer.error) room.join();
      else room.resume(answer, question[index].lastSeq);
    }
  }

  #add(roomId) {
    const room = new Room(roomId, this.#forRooms);
    this.rooms.set(roomId, room);
    return room;
  }

  #inRoom(event, body, act) {
    const room = this.rooms.get(body?.roomId);
    if (!room) return;
    act(room);
    this.#tell(event, { ...body, room });
    this.#tell("change", { room });
  }

  #shown(room, entries, isBacklog) {
    for (const message of entries) {
      const entry = message.clientMsgId && this.outbox.get(message.clientMsgId);
      // Anybody may use anybody's id; only our own message is the one that waits.
      if (entry && (message.senderId === entry.userId || this.isMine(message))) {
        // Not just gone: other tabs may not have seen it yet.
        this.outbox.settle(entry.clientMsgId, message);
        this.outbox.remove(entry.clientMsgId);
        if (entry.state === "pending") {
          room.spoke();
          this.#tell("sent", { entry, ack: message });
        }
        this.#settle(entry.clientMsgId, { ack: message });
      }
      this.#tell("message", { room, message, isBacklog });
    }
  }

  #stored(entry, ack) {
    const { content, type, replyTo, clientMsgId } = entry;
    if (this.outbox.get(clientMsgId)?.state !== "pending") return;
    this.outbox.settle(clientMsgId, ack);
    this.#settle(clientMsgId, { ack });
    this.#tell("sent", { entry, ack });
    this.rooms.get(entry.roomId)?.spoke();
    const { userId, name } = this.welcome ?? {};
    const { id, seq, timestamp, roomId } = ack;
    const message = { id, roomId, seq, kind: "message", type, content, senderId: userId, senderName: name, timestamp, clientMsgId };
    // Its broadcast may have been lost with a connection; the ack says as much.
    this.rooms.get(entry.roomId)?.receive("message", replyTo === null ? message : { ...message, replyTo });
    this.#tell("change", { room: this.rooms.get(entry.roomId) });
  }

  #waits(entry, error) {
    this.rooms.get(entry.roomId)?.waitFor(error);
    this.#tell("waiting", { entry, error });
  }

  #failed(entry, error) {
    this.outbox.fail(entry.clientMsgId, error.message);
    this.#settle(entry.clientMsgId, { error });
    this.#tell("unsent", { entry, error });
    this.#tell("change", { room: this.rooms.get(entry.roomId) });
  }

  #outcomeOf(clientMsgId) {
    const outcome = new Promise((resolve, reject) => this.#outcomes.set(clientMsgId, { resolve, reject }));
    outcome.catch(() => {});
    return outcome;
  }

  #settle(clientMsgId, { ack, error }) {
    const { resolve, reject } = this.#outcomes.get(clientMsgId) ?? {};
    this.#outcomes.delete(clientMsgId);
    if (error) reject?.(error);
    else resolve?.(ack);
  }

  #afterOutbox(clientMsgId) {
    const { roomId } = this.outbox.get(clientMsgId) ?? {};
    this.#tell("change", { room: this.rooms.get(roomId) });
    if (roomId) this.#courier.send(roomId);
  }

  // An id of its own, so that a change that is sent again is the same change.
  #change(event, body) {
    return this.ask(event, { ...body, clientMsgId: this.#world.makeId() });
  }

  #tell(event, body) {
    if (event === "joined") this.#courier.send(body.room.id);
    for (const listener of this.#listeners.get(event) ?? []) listener(body);
  }
}

// Who is banned is told until when; who is only removed may be let in again.
function kickedError({ reason, until }) {
  const done = until === undefined ? "removed" : "banned";
  const message = `You were ${done} from this room${reason ? `: ${reason}` : "."}`;
  return new ChatError(until === undefined ? "KICKED" : "BANNED", message, { details: { until } });
}

// Random, in UUID's shape. randomUUID exists only on https and localhost; getRandomValues everywhere.
function makeId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

// A secret by which a guest without a session is the same person on every connection, so that what is sent again is
// recognised. For the handshake: `auth: { device: deviceOf(localStorage) }`.
export function deviceOf(storage, makeSecret = makeId) {
  const KEY = "berth.device";
  try {
    const known = storage.getItem(KEY);
    if (known) return known;
    const made = makeSecret();
    storage.setItem(KEY, made);
    return made;
  } catch {
    return makeSecret();
  }
}
