import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Conversation } from "../conversation.js";
import { Outbox } from "../outbox.js";
import { SocketError } from "../socket.js";
import { MemoryStorage, settle } from "./world.mjs";

// A room on a server that does what the contract says, and what it is told to do wrong.
class Server {
  log = [];
  epoch = "a";
  refusals = [];
  calls = [];
  oldest = 1;
  // Answers that are stored but never arrive.
  losesAcks = false;

  answer(socket, event, args) {
    this.calls.push([event, ...args]);
    if (event === "sendMessage" && this.refusals.length > 0) return { ok: false, error: this.refusals.shift() };
    return this[event](socket, ...args);
  }
  joinRoom(_, roomId, { lastSeq, limit }) {
    const kept = this.log.filter(({ seq }) => seq >= this.oldest);
    const messages = lastSeq === undefined ? kept.slice(-limit) : kept.filter(({ seq }) => seq > lastSeq).slice(0, limit);
    const hasMore = lastSeq === undefined ? kept.length > limit : (messages.at(-1)?.seq ?? lastSeq) < this.log.length;
    return { ok: true, room: { id: roomId }, epoch: this.epoch, firstSeq: 1, lastSeq: this.log.length, messages, hasMore };
  }
  getHistory(_, { after, before, limit }) {
    const kept = this.log.filter(({ seq }) => seq >= this.oldest);
    const messages = before ? kept.filter(({ seq }) => seq < before).slice(-limit) : kept.filter(({ seq }) => seq > after).slice(0, limit);
    return { ok: true, messages, hasMore: before ? (messages[0]?.seq ?? 1) > 1 : false };
  }
  sendMessage(socket, { roomId, content, clientMsgId }) {
    const before = this.log.find((message) => message.clientMsgId === clientMsgId && message.senderId === socket.userId);
    const message = before ?? this.store(content, { roomId, clientMsgId, senderId: socket.userId });
    return { ok: true, id: message.id, roomId, seq: message.seq, timestamp: message.timestamp, clientMsgId, duplicate: before !== undefined };
  }
  store(content, more = {}) {
    const seq = this.log.length + 1;
    const timestamp = new Date(seq * 1_000).toISOString();
    const message = { id: `m${seq}`, roomId: "lobby", seq, kind: "message", type: "text", content, senderId: "u-other", senderName: "Other", timestamp, ...more };
    this.log.push(message);
    return message;
  }
}

class FakeSocket {
  state = "stopped";
  userId = "u-me";
  renewed = [];
  emitted = [];
  #listeners = new Map();
  #open = new Set();
  constructor(server) {
    this.server = server;
  }
  on(event, listener) {
    this.#listeners.set(event, listener);
  }
  tell(event, ...args) {
    this.#listeners.get(event)?.(...args);
  }
  emit(...args) {
    this.emitted.push(args);
    return true;
  }
  emitWithAck(event, args) {
    if (this.state !== "connected") return Promise.reject(new SocketError("NOT_CONNECTED", "not connected"));
    const answer = this.server.answer(this, event, structuredClone(args));
    return new Promise((resolve, reject) => {
      if (this.server.losesAcks && event === "sendMessage") this.#open.add(reject);
      else queueMicrotask(() => resolve(structuredClone(answer)));
    });
  }
  renew(reason) {
    this.renewed.push(reason);
  }
  async connects(instanceId = "one") {
    this.state = "connected";
    this.tell("connect");
    this.tell("welcome", { userId: this.userId, name: "Me", instanceId, limits: {} });
    await settle();
  }
  async breaks() {
    this.state = "waiting";
    this.tell("disconnect", "transport close");
    for (const reject of this.#open) reject(new SocketError("DISCONNECTED", "transport close"));
    this.#open.clear();
    await settle();
  }
  async hears(message) {
    this.tell("message", structuredClone(message));
    await settle();
  }
}

let ids = 0;
function make({ server = new Server(), storage = new MemoryStorage(), room = "lobby" } = {}) {
  const socket = new FakeSocket(server);
  const problems = [];
  const fresh = [];
  const waits = [];
  const world = { wait: async (ms) => void waits.push(ms), monotonic: () => 0, now: () => 1, makeId: () => `id${++ids}` };
  const outbox = new Outbox(storage);
  const conversation = new Conversation({
    socket,
    outbox,
    world,
    onChange: () => {},
    onFresh: (messages) => fresh.push(...messages.map(({ content }) => content)),
    onProblem: (text) => problems.push(text),
  });
  conversation.enter(room);
  const texts = () => conversation.timeline.messages.map(({ content }) => content);
  return { server, storage, socket, outbox, conversation, problems, fresh, waits, texts };
}

const refusal = (code, retryable, more = {}) => ({ code, message: `${code}!`, retryable, ...more });

describe("joining", () => {
  test("shows the history, which is not news", async () => {
    const { server, socket, texts, fresh, conversation } = make();
    server.store("old");
    await socket.connects();
    assert.deepEqual(texts(), ["old"]);
    assert.deepEqual(fresh, []);
    await socket.hears(server.store("new"));
    assert.deepEqual(fresh, ["new"]);
    assert.equal(conversation.welcome.instanceId, "one");
  });

  test("a room that may not be entered says why", async () => {
    const { server, socket, problems, conversation } = make();
    server.joinRoom = () => ({ ok: false, error: refusal("BAD_REQUEST", false) });
    await socket.connects();
    assert.deepEqual(problems, ["#lobby could not be joined: BAD_REQUEST!"]);
    assert.equal(conversation.joined, false);
    assert.deepEqual(socket.renewed, []);
  });

  test("a backend that cannot serve is asked a few times and then left for another", async () => {
    const { server, socket, waits } = make();
    server.joinRoom = () => ({ ok: false, error: refusal("UNAVAILABLE", true, { retryAfterMs: 700 }) });
    await socket.connects();
    assert.deepEqual(waits, [700, 700, 700]);
    assert.deepEqual(socket.renewed, ["join failed"]);
  });

  test("messages of other rooms are not shown, and switching leaves the old one", async () => {
    const { server, socket, conversation, texts } = make();
    await socket.connects();
    await socket.hears({ ...server.store("elsewhere"), roomId: "dock" });
    assert.deepEqual(texts(), []);
    conversation.enter("dock");
    await settle();
    assert.deepEqual(socket.emitted, [["leaveRoom", "lobby"]]);
    assert.equal(server.calls.at(-1)[1], "dock");
  });
});

describe("reconnecting", () => {
  test("fetches what was missed from the last unbroken place, and says how much", async () => {
    const { server, socket, texts, conversation } = make();
    server.store("a");
    await socket.connects("one");
    await socket.breaks();
    server.store("b");
    server.store("c");
    await socket.connects("two");
    assert.deepEqual(server.calls.at(-1).slice(1), ["lobby", { lastSeq: 1, epoch: "a", limit: 200 }]);
    assert.deepEqual(texts(), ["a", "b", "c"]);
    assert.deepEqual(conversation.marks.map(({ kind, afterSeq, count }) => [kind, afterSeq, count]), [["moved", 1, undefined], ["caughtUp", 1, 2]]);
  });

  test("goes on asking until it has everything", async () => {
    const { server, socket, texts } = make();
    await socket.connects();
    await socket.breaks();
    for (let index = 0; index < 450; index += 1) server.store(`n${index}`);
    await socket.connects();
    await settle();
    assert.equal(texts().length, 450);
    assert.equal(server.calls.filter(([event]) => event === "getHistory").length, 2);
  });

  test("a message that overtook another fetches the other", async () => {
    const { server, socket, texts } = make();
    await socket.connects();
    server.store("lost frame");
    await socket.hears(server.store("seen"));
    assert.deepEqual(texts(), ["lost frame", "seen"]);
  });

  test("what the server no longer has is a gap, not a standstill", async () => {
    const { server, socket, texts, conversation } = make();
    server.store("a");
    await socket.connects();
    await socket.breaks();
    for (const text of ["b", "c", "d"]) server.store(text);
    server.oldest = 4;
    await socket.connects();
    assert.deepEqual(texts(), ["a", "d"]);
    assert.deepEqual([...conversation.timeline.gaps], [1]);
    assert.equal(conversation.timeline.isBehind, false);
  });
});

describe("sending", () => {
  test("is kept before it is sent, and gone from the outbox once stored", async () => {
    const { socket, conversation, storage, texts } = make();
    conversation.say("hello");
    assert.equal(storage.length, 1);
    assert.equal(conversation.unsent[0].state, "pending");
    await socket.connects();
    assert.deepEqual(texts(), ["hello"]);
    assert.equal(storage.length, 0);
    assert.ok(conversation.isMine(conversation.timeline.messages[0]));
  });

  test("keeps the order of what was said, also across a refusal that heals", async () => {
    const { server, socket, conversation, waits } = make();
    await socket.connects();
    server.refusals = [refusal("RATE_LIMITED", true, { retryAfterMs: 250 })];
    for (const text of ["1", "2", "3"]) conversation.say(text);
    await settle();
    assert.deepEqual(server.log.map(({ content }) => content), ["1", "2", "3"]);
    assert.deepEqual(waits, [250]);
  });

  test("the broadcast and the ack of one message are one message, whichever comes first", async () => {
    const { server, socket, conversation, texts } = make();
    await socket.connects();
    conversation.say("once");
    await socket.hears(server.log[0]);
    await socket.hears(server.log[0]);
    assert.deepEqual(texts(), ["once"]);
    assert.deepEqual(conversation.unsent, []);
  });

  test("an ack lost with its connection neither loses nor doubles", async () => {
    const { server, socket, conversation, texts } = make();
    await socket.connects();
    server.losesAcks = true;
    conversation.say("unsure");
    await settle();
    await socket.breaks();
    assert.equal(conversation.unsent.length, 1);
    server.losesAcks = false;
    await socket.connects("two");
    assert.deepEqual(texts(), ["unsure"]);
    assert.equal(server.log.length, 1);
    assert.deepEqual(conversation.unsent, []);
  });

  test("a reload in mid-send neither loses nor doubles, even if the person looks different now", async () => {
    const first = make();
    await first.socket.connects();
    first.server.losesAcks = true;
    first.conversation.say("said, then reloaded");
    first.server.store("someone else");
    await settle();
    first.server.losesAcks = false;
    const second = make({ server: first.server, storage: first.storage });
    second.socket.userId = "u-me-again";
    await second.socket.connects();
    assert.deepEqual(second.texts(), ["said, then reloaded", "someone else"]);
    assert.equal(first.server.log.length, 2);
    assert.equal(first.storage.length, 0);
  });

  test("a refusal for good is shown, does not hold up the rest, and can be retried or dropped", async () => {
    const { server, socket, conversation, problems, texts } = make();
    await socket.connects();
    server.refusals = [refusal("MUTED", false), refusal("MUTED", false)];
    conversation.say("a");
    conversation.say("b");
    conversation.say("c");
    await settle();
    assert.deepEqual(texts(), ["c"]);
    assert.deepEqual(conversation.unsent.map(({ content, state, problem }) => [content, state, problem]), [["a", "failed", "MUTED!"], ["b", "failed", "MUTED!"]]);
    assert.equal(problems.length, 2);
    const [a, b] = conversation.unsent;
    conversation.retry(b.clientMsgId);
    conversation.discard(a.clientMsgId);
    await settle();
    assert.deepEqual(texts(), ["c", "b"]);
    assert.deepEqual(conversation.unsent, []);
  });

  test("a refusal that does not heal fails after a few tries", async () => {
    const { server, socket, conversation, waits } = make();
    await socket.connects();
    server.refusals = Array(9).fill(refusal("UNAVAILABLE", true));
    conversation.say("a");
    await settle();
    assert.equal(conversation.unsent[0].state, "failed");
    assert.deepEqual(waits, [1_000, 2_000, 3_000]);
  });

  test("what was left in another room is sent there, quietly", async () => {
    const storage = new MemoryStorage();
    new Outbox(storage).add({ clientMsgId: "left", roomId: "dock", content: "left behind", now: 1 });
    const { server, socket, texts } = make({ storage });
    await socket.connects();
    assert.deepEqual(server.log.map(({ roomId, content }) => [roomId, content]), [["dock", "left behind"]]);
    assert.deepEqual(texts(), []);
    assert.deepEqual(socket.emitted, [["leaveRoom", "dock"]]);
    assert.equal(storage.length, 0);
  });

  test("a connection that is closing does not spin", async () => {
    const { socket, conversation } = make();
    await socket.connects();
    socket.emitWithAck = () => Promise.reject(new SocketError("NOT_CONNECTED", "closing"));
    conversation.say("a");
    await settle();
    assert.equal(conversation.unsent[0].state, "pending");
  });
});

describe("looking around", () => {
  test("earlier messages come page by page", async () => {
    const { server, socket, conversation } = make();
    for (let index = 0; index < 120; index += 1) server.store(`n${index}`);
    await socket.connects();
    assert.equal(conversation.timeline.oldest, 71);
    for (const oldest of [21, 1]) {
      await conversation.loadEarlier();
      assert.equal(conversation.timeline.oldest, oldest);
    }
    assert.equal(conversation.timeline.hasEarlier, false);
  });

  test("a connection that does not answer a probe is renewed", async () => {
    const { socket, conversation } = make();
    await socket.connects();
    await conversation.probe();
    assert.deepEqual(socket.renewed, []);
    socket.emitWithAck = () => Promise.reject(new SocketError("ACK_TIMEOUT", "silence"));
    await conversation.probe();
    assert.deepEqual(socket.renewed, ["no answer"]);
  });
});
