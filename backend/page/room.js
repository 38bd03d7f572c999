// One room as this client takes part in it: joins, catches up after every connection, delivers in order, counts what is
// unread. It owns the order of these steps for its room; the connection, the outbox and drawing are elsewhere.

import { retryDelayMs, refusedDelayMs } from "./refusal.js";
import { Timeline } from "./timeline.js";

const FIRST_PAGE = 50;
const PAGE = 200;
// What comes too early waits so long for what is before it; most holes are two frames that changed places.
const HOLD_MS = 300;
// The server hears so often at most how far somebody has read.
const READ_EVERY_MS = 2_000;

// Everything in a room's log, by the event that shows it and the kind that pages call it.
export const ENTRY_EVENTS = new Map([
  ["message", "message"],
  ["messageUpdated", "edit"],
  ["messageDeleted", "delete"],
  ["reaction", "reaction"],
  ["systemMessage", "system"],
]);

export class Room {
  id;
  // What the server says about it: name, type, role.
  info;
  joined = false;
  // The ChatError that keeps us out, or null.
  refusal = null;
  timeline = new Timeline();
  // Messages of others that were not read, and the place up to which all is read.
  unread = 0;
  lastReadSeq = null;
  // Who is here: `{ count, users, approximate }`, null when the server does not say.
  presence = null;
  typing = [];
  // Who is on record, `{ userId, name, … }`, as far as somebody has asked.
  members = [];
  // How far others have read, by user, where the room is small enough for the server to say.
  readers = new Map();
  // What one's own words wait for: `{ code, until }` in the world's milliseconds, or null.
  hold = null;
  loadingEarlier = false;
  #chat;
  // Counts connections: an answer to a question of an earlier one is no longer of interest.
  #visit = 0;
  #filling = false;
  #timer = null;
  #reading = null;
  // How far the server knows that somebody has read.
  #toldSeq = 0;
  #wanted = [];

  // `chat` is what the room needs of its client: `ask`, `world`, `tell`, `isMine`, `onEntries`, `skipAfter`, `reads`.
  constructor(id, chat) {
    this.id = id;
    this.info = { id, name: id };
    this.#chat = chat;
    this.lastReadSeq = chat.reads.get(id);
  }

  // Resolves when the room is open; rejects when the server finally refuses.
  opened() {
    if (this.joined) return Promise.resolve(this);
    if (this.refusal) return Promise.reject(this.refusal);
    return new Promise((resolve, reject) => this.#wanted.push({ resolve, reject }));
  }

  // What to ask joinRoom or sync with.
  get cursor() {
    const { cursor, epoch } = this.timeline;
    return cursor === null ? { limit: FIRST_PAGE } : { lastSeq: cursor, epoch, limit: PAGE };
  }

  // On a new connection, or asked to by a person after a refusal.
  async join() {
    const visit = this.#begin();
    const { cursor } = this;
    for (let attempt = 0; visit === this.#visit; attempt += 1) {
      const asked = this.#chat.ask("joinRoom", this.id, cursor);
      const { answer, error } = await asked.then((done) => ({ answer: done }), (why) => ({ error: why }));
      if (visit !== this.#visit) return;
      if (answer) return this.#open(answer, cursor.lastSeq ?? null, visit);
      if (error.code === "DISCONNECTED" || error.code === "NOT_CONNECTED") return;
      if (!error.retryable) return this.refuse(error);
      this.#chat.tell("problem", { room: this, error, isFinal: false });
      await this.#wait(refusedDelayMs(error, attempt, this.#chat.world.random()));
    }
  }

  // The same with an answer that came for many rooms at once.
  resume(answer, since) {
    return this.#open(answer, since, this.#begin());
  }

  refuse(error) {
    this.left();
    this.refusal = error;
    for (const { reject } of this.#wanted.splice(0)) reject(error);
    this.#chat.tell("refused", { room: this, error });
    this.#changed();
  }

  // The connection is gone, or the room was left.
  left() {
    this.#visit += 1;
    this.joined = false;
    this.typing = [];
    this.#stopTimer();
    this.#changed();
  }

  // Something of this room's log as it happens. Without a place it is from a server that keeps no log (Node beside
  // Berth): it is passed on as it came, and nobody can say what was lost before it.
  receive(event, body) {
    const entry = { ...body, kind: body.kind ?? ENTRY_EVENTS.get(event) };
    if (entry.seq === undefined) {
      this.#deliver([{ ...entry, unreliable: true }]);
      return;
    }
    this.#deliver(this.timeline.add(entry));
    this.#watch();
  }

  // Everything up to the end was seen by a person.
  markRead() {
    const seq = this.timeline.cursor ?? 0;
    if (seq > this.#toldSeq) this.#tellRead();
    if (this.unread === 0 && (this.lastReadSeq ?? 0) >= seq) return;
    this.unread = 0;
    if (seq > (this.lastReadSeq ?? 0)) {
      this.lastReadSeq = seq;
      this.#chat.reads.set(this.id, seq);
    }
    this.#changed();
  }

  #tellRead() {
    if (this.#reading !== null || !this.#chat.can("markRead")) return;
    this.#reading = this.#chat.world.setTimeout(() => {
      this.#reading = null;
      if (!this.joined) return;
      this.#toldSeq = this.lastReadSeq;
      this.#chat.ask("markRead", { roomId: this.id, seq: this.lastReadSeq }).catch(() => (this.#toldSeq = 0));
    }, READ_EVERY_MS);
  }

  // Another name, other rules; with a role it is about this very person, and says all there is to say about them. The way
  // of news is another one than that of answers: what is older than what is known changes nothing.
  updated({ role, mutedUntil, memberVersion, ...card }) {
    const known = this.info;
    const isOld = card.version < known.version;
    const isAboutUs = role !== undefined && !(memberVersion < known.memberVersion);
    this.info = { ...known, ...(isOld ? {} : card), ...(isAboutUs ? { role, mutedUntil, memberVersion } : {}) };
    this.#changed();
  }

  // What an answer to joinRoom or sync says. Beside another log, versions begin anew.
  #introduced({ room, epoch }) {
    if (this.timeline.epoch !== null && this.timeline.epoch !== epoch) this.info = { id: this.id, name: this.id };
    this.updated(room);
  }

  // Somebody has read up to there; perhaps the same person, on another device.
  readBy(userId, seq) {
    if (this.#chat.isMine({ senderId: userId })) this.readElsewhere(seq);
    else if (seq > (this.readers.get(userId) ?? 0)) this.readers.set(userId, seq);
  }

  // The server lets us speak again after a while, or does not say when.
  waitFor({ code, retryAfterMs }) {
    this.hold = { code, until: retryAfterMs === undefined ? null : this.#chat.world.now() + retryAfterMs };
    this.#changed();
  }

  // Something of ours was taken. Where one has to wait between two messages, the wait begins now.
  spoke() {
    const slowMs = this.info.settings?.slowModeMs ?? 0;
    this.hold = slowMs > 0 ? { code: "SLOW_MODE", until: this.#chat.world.now() + slowMs } : null;
  }

  // The same person read it in another window.
  readElsewhere(seq) {
    if (seq <= (this.lastReadSeq ?? 0)) return;
    this.lastReadSeq = seq;
    this.#count();
    this.#changed();
  }

  // `presence`: who came and went, or everybody at once.
  presentNow({ count, users, joined = [], left = [], approximate = false }) {
    const gone = new Set(left.map(idOf));
    const before = (this.presence?.users ?? []).filter((user) => !gone.has(idOf(user)));
    const known = new Set(before.map(idOf));
    const now = users ?? [...before, ...joined.filter((user) => !known.has(idOf(user)))];
    this.presence = { count: count ?? now.length, users: now, approximate };
  }

  async loadEarlier() {
    const { timeline } = this;
    if (this.loadingEarlier || !timeline.hasEarlier || timeline.oldest === null) return;
    this.loadingEarlier = true;
    this.#changed();
    try {
      const page = await this.#chat.ask("getHistory", { roomId: this.id, before: timeline.oldest, limit: FIRST_PAGE });
      timeline.prepend(page);
    } finally {
      this.loadingEarlier = false;
      this.#changed();
    }
  }

  async loadGap(gap) {
    const page = await this.#chat.ask("getHistory", { roomId: this.id, after: gap.after, limit: PAGE });
    this.timeline.fillGap(gap, page);
    this.#changed();
  }

  // Something small to ask.
  probe() {
    return this.#chat.ask("getHistory", { roomId: this.id, after: this.timeline.cursor ?? 0, limit: 1 });
  }

  #begin() {
    this.left();
    this.refusal = null;
    return this.#visit;
  }

  async #open(answer, since, visit) {
    if (answer.room) this.#introduced(answer);
    this.presence = answer.presence ?? this.presence;
    this.joined = true;
    const before = this.timeline.cursor;
    const epochBefore = this.timeline.epoch;
    const fresh = this.timeline.open(answer, since);
    if (since !== null && this.timeline.epoch !== epochBefore) this.#chat.tell("reset", { room: this });
    this.#deliver(fresh, { isBacklog: since === null });
    if (since === null) this.#firstCount(answer);
    for (const { resolve } of this.#wanted.splice(0)) resolve(this);
    this.#chat.tell("joined", { room: this });
    if (!answer.presence) void this.#lookAround(visit);
    await this.#fill(visit);
    if (visit !== this.#visit || since === null) return;
    const missed = this.timeline.messages.filter((row) => row.seq > before && !this.#chat.isMine(row)).length;
    if (missed > 0) this.#chat.tell("caughtUp", { room: this, afterSeq: before, missed });
  }

  // An answer to sync does not say who is there, and whoever came or went meanwhile was not told of.
  async #lookAround(visit) {
    if (!this.#chat.can("getPresence")) return;
    const answer = await this.#chat.ask("getPresence", this.id).catch(() => null);
    if (!answer || visit !== this.#visit) return;
    this.presentNow(answer);
    this.#changed();
  }

  #deliver(entries, { isBacklog = false } = {}) {
    if (entries.length > 0) this.#chat.onEntries(this, entries, isBacklog);
    if (!isBacklog) this.unread += entries.filter((entry) => this.#isNews(entry)).length;
    this.#changed();
  }

  #isNews(entry) {
    return entry.kind === "message" && !this.#chat.isMine(entry) && !(entry.seq <= this.lastReadSeq);
  }

  // The server's count where it keeps one: it knows what was read on other devices. Who never read there has nothing
  // unread by its count; then, and without one, it is what lies behind the place that this browser remembers.
  #firstCount({ unread }) {
    // Somebody new has not missed what was said before they came.
    this.lastReadSeq ??= this.timeline.cursor;
    this.#count();
    if (Number.isSafeInteger(unread) && (unread > 0 || this.lastReadSeq > 0)) {
      this.unread = unread;
      const rows = this.timeline.messages.filter(({ kind }) => kind === "message");
      const first = rows.at(-unread) ?? rows[0];
      this.lastReadSeq = unread > 0 && first ? first.seq - 1 : this.timeline.cursor;
    }
    this.#changed();
  }

  #count() {
    this.unread = this.timeline.messages.filter((row) => this.#isNews(row)).length;
  }

  // A hole gets its time to close by itself, then it is asked for.
  #watch() {
    if (!this.timeline.isBehind || !this.joined || this.#timer !== null || this.#filling) return;
    this.#later(HOLD_MS, 0);
  }

  #later(ms, attempt) {
    const visit = this.#visit;
    this.#stopTimer();
    this.#timer = this.#chat.world.setTimeout(() => {
      this.#timer = null;
      if (visit === this.#visit) this.#fill(visit, attempt);
    }, ms);
  }

  // Fetches until nothing is missing. If that cannot be had now, what is there is shown, said to be unreliable, and
  // asked for again.
  async #fill(visit, attempt = 0) {
    if (this.#filling) return;
    this.#filling = true;
    this.#stopTimer();
    try {
      while (this.timeline.isBehind && visit === this.#visit) await this.#fetch(visit);
    } catch (error) {
      if (visit !== this.#visit) return;
      this.#deliver(this.timeline.release().map((entry) => ({ ...entry, unreliable: true })));
      this.#chat.tell("problem", { room: this, error, isFinal: false });
      this.#later(retryDelayMs(attempt, this.#chat.world.random()), attempt + 1);
    } finally {
      this.#filling = false;
      // A connection that came while the old one's question was open has its own to ask.
      if (visit !== this.#visit && this.joined) this.#fill(this.#visit);
    }
  }

  async #fetch(visit) {
    const { timeline } = this;
    const before = timeline.cursor;
    const isFar = timeline.target - before > this.#chat.skipAfter;
    const cursor = isFar ? {} : { after: before };
    const page = await this.#chat.ask("getHistory", { roomId: this.id, limit: PAGE, ...cursor });
    if (visit !== this.#visit) return;
    this.#deliver(isFar ? timeline.skipTo(page) : timeline.addAfter(before, page));
    if (timeline.cursor === before) this.#deliver(timeline.giveUpGap());
  }

  #wait(ms) {
    return new Promise((resolve) => this.#chat.world.setTimeout(resolve, ms));
  }

  #stopTimer() {
    if (this.#timer !== null) this.#chat.world.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #changed() {
    this.#chat.tell("change", { room: this });
  }
}

// People come as `{ id, name }` or as bare ids.
function idOf(user) {
  return user?.id ?? user?.userId ?? user;
}
