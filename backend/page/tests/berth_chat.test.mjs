import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { BerthChat, deviceOf } from "../berth-chat.js";
import { FakeSocket, Server } from "./server.mjs";
import { Locks, MemoryStorage, settle, SharedStorage, World } from "./world.mjs";

const refusal = (code, retryable, more = {}) => ({ code, message: `${code}!`, retryable, ...more });

// A person at a server: their socket, their client, and what they were told.
function person({ server = new Server(), storage = new MemoryStorage(), locks = null, userId = "u-me", tabName = "", world, ...more } = {}) {
  const clock = world ?? new World();
  if (tabName !== "") clock.tabName = tabName;
  const socket = new FakeSocket(server, clock, userId);
  const chat = new BerthChat({ socket, storage, locks, world: clock, ...more });
  const told = [];
  for (const event of ["caughtUp", "reset", "refused", "problem", "sent", "unsent", "waiting", "welcome", "state"]) {
    chat.on(event, (body) => told.push([event, body]));
  }
  const heard = [];
  chat.on("message", ({ room, message, isBacklog }) => heard.push({ ...message, room: room.id, isBacklog }));
  const texts = (room = "lobby") => chat.rooms.get(room).timeline.messages.map(({ content }) => content);
  const said = (event) => told.filter(([name]) => name === event).map(([, body]) => body);
  return { server, storage, world: clock, socket, chat, told, heard, texts, said };
}

async function inLobby(options = {}) {
  const me = person(options);
  for (const text of options.before ?? []) me.server.says(text);
  me.chat.join("lobby");
  me.socket.connects();
  await settle();
  return me;
}

const stored = (server, room = "lobby") => server.room(room).log.filter(({ kind }) => kind === "message").map(({ content }) => content);
const asked = (server, event) => server.calls.filter(([name]) => name === event);
const seqs = (heard) => heard.map(({ seq }) => seq);

describe("joining", () => {
  test("opens a room with its newest messages, and then hears what is said", async () => {
    const me = await inLobby({ before: ["one", "two"] });
    me.server.says("three");
    assert.deepEqual(me.texts(), ["one", "two", "three"]);
    assert.deepEqual(me.heard.map(({ isBacklog }) => isBacklog), [true, true, false]);
  });

  test("the promise is kept by the first answer, however late it comes", async () => {
    const me = person();
    const opened = me.chat.join("lobby");
    me.server.refusals.set("joinRoom", [refusal("UNAVAILABLE", true, { retryAfterMs: 500 }), refusal("OVERLOADED", true)]);
    me.socket.connects();
    await me.world.live(5_000);
    assert.equal((await opened).joined, true);
    assert.equal(asked(me.server, "joinRoom").length, 3);
  });

  test("a final refusal rejects it, and only asking again tries again", async () => {
    const me = person();
    const opened = me.chat.join("lobby");
    me.server.refusals.set("joinRoom", [refusal("BANNED", false)]);
    me.socket.connects();
    await assert.rejects(opened, { name: "ChatError", code: "BANNED" });
    me.socket.breaks();
    me.socket.connects();
    await settle();
    assert.equal(asked(me.server, "joinRoom").length, 1, "a reconnect is no reason");
    await me.chat.join("lobby");
    assert.equal(me.chat.rooms.get("lobby").joined, true);
  });

  test("what is said between joining and the answer is there once", async () => {
    const me = person({ before: [] });
    me.server.says("before");
    me.server.isSlow = true;
    me.chat.join("lobby");
    me.socket.connects();
    await settle();
    me.server.says("between");
    me.server.answers();
    await settle();
    me.server.says("after");
    assert.deepEqual(me.texts(), ["before", "between", "after"]);
    assert.deepEqual(seqs(me.heard), [1, 2, 3]);
  });

  test("a server that does not greet is served all the same", async () => {
    const me = person();
    me.chat.join("lobby");
    me.socket.connected = true;
    me.server.sockets.add(me.socket);
    me.socket.hears("connect");
    await me.world.live(2_100);
    assert.equal(me.chat.rooms.get("lobby").joined, true);
    assert.equal(me.chat.can("sync"), false);
  });

  test("a room that is left is not joined again", async () => {
    const me = await inLobby();
    me.chat.leave("lobby");
    assert.deepEqual(me.socket.emitted, [["leaveRoom", "lobby"]]);
    me.socket.breaks();
    me.socket.connects();
    await settle();
    assert.equal(asked(me.server, "joinRoom").length, 1);
  });
});

describe("hearing in order", () => {
  test("frames that change places are put in order without asking", async () => {
    const me = await inLobby();
    me.server.passes = (_, { content }) => (content === "one" ? "later" : true);
    me.server.says("one");
    me.server.says("two");
    assert.deepEqual(seqs(me.heard), []);
    me.socket.catchesUp();
    assert.deepEqual(seqs(me.heard), [1, 2]);
    await me.world.live(1_000);
    assert.equal(asked(me.server, "getHistory").length, 0);
  });

  test("a frame that does not come within 300 ms is fetched", async () => {
    const me = await inLobby();
    me.server.passes = (_, { content }) => content !== "lost";
    me.server.says("lost");
    me.server.says("two");
    await me.world.live(275);
    assert.equal(asked(me.server, "getHistory").length, 0);
    await me.world.live(50);
    assert.deepEqual(me.heard.map(({ content }) => content), ["lost", "two"]);
    assert.ok(me.heard.every(({ unreliable }) => !unreliable));
  });

  test("doubled frames and old ones are heard once", async () => {
    const me = await inLobby({ before: ["one"] });
    me.server.passes = () => "twice";
    me.server.says("two");
    me.socket.hears("message", me.server.room("lobby").log[0]);
    assert.deepEqual(seqs(me.heard), [1, 2]);
  });

  test("a hole that cannot be filled does not hold up the rest, which is marked, and is filled later", async () => {
    const me = await inLobby();
    me.server.passes = (_, { content }) => content !== "lost";
    me.server.refusals.set("getHistory", [refusal("UNAVAILABLE", true)]);
    me.server.says("lost");
    me.server.says("two");
    await me.world.live(350);
    assert.deepEqual(me.heard.map(({ content, unreliable }) => [content, unreliable]), [["two", true]]);
    assert.equal(me.chat.rooms.get("lobby").timeline.isBehind, true);
    await me.world.live(1_000);
    assert.deepEqual(me.texts(), ["lost", "two"]);
    me.server.says("three");
    assert.deepEqual(me.heard.map(({ content, unreliable }) => [content, unreliable ?? false]), [["two", true], ["lost", false], ["three", false]]);
  });

  test("what has no place in the log is passed on and said to be unreliable", async () => {
    const me = await inLobby();
    me.socket.hears("message", { roomId: "lobby", content: "from a Node server" });
    assert.deepEqual(me.heard.map(({ content, unreliable }) => [content, unreliable]), [["from a Node server", true]]);
    me.socket.hears("message", { roomId: "elsewhere", content: "not joined" });
    me.socket.hears("message", null);
    assert.equal(me.heard.length, 1);
  });
});

describe("coming back", () => {
  for (const canSync of [true, false]) {
    test(`rooms catch up ${canSync ? "with one question" : "one by one where the server knows no sync"}`, async () => {
      const me = await inLobby({ before: ["one"] });
      if (!canSync) me.server.events = me.server.events.filter((event) => event !== "sync");
      me.chat.join("dock");
      await settle();
      me.socket.breaks();
      me.server.says("missed");
      me.server.says("missed there", { room: "dock" });
      me.socket.connects({ instanceId: "two" });
      await settle();
      assert.deepEqual(me.texts(), ["one", "missed"]);
      assert.deepEqual(me.texts("dock"), ["missed there"]);
      assert.equal(asked(me.server, "sync").length, canSync ? 1 : 0);
      assert.equal(asked(me.server, "joinRoom").length, canSync ? 2 : 4);
      assert.deepEqual(me.said("caughtUp").map(({ room, missed }) => [room.id, missed]), [["lobby", 1], ["dock", 1]]);
      assert.equal(me.said("welcome").at(-1).movedFrom, "one");
      me.server.says("live again");
      assert.deepEqual(me.texts(), ["one", "missed", "live again"]);
    });
  }

  test("who came and went meanwhile is known after sync as well", async () => {
    const me = await inLobby();
    me.server.events.push("getPresence");
    me.server.getPresence = () => ({ count: 2, users: [{ id: "u-me", name: "me" }, { id: "u-new", name: "new" }] });
    me.chat.join("dock");
    await settle();
    me.chat.rooms.get("dock").presentNow({ count: 2, users: [{ id: "u-me", name: "me" }, { id: "u-gone", name: "gone" }] });
    me.socket.breaks();
    me.socket.connects();
    await settle();
    assert.equal(asked(me.server, "sync").length, 1);
    assert.deepEqual(me.chat.rooms.get("dock").presence.users.map(({ id }) => id), ["u-me", "u-new"]);
  });

  test("what sync cannot answer for one room, that room asks for itself", async () => {
    const me = await inLobby();
    me.chat.join("dock");
    await settle();
    const { sync } = me.server;
    me.server.sync = (...args) => ({ rooms: sync.apply(me.server, args).rooms.map((one) => (one.roomId === "dock" ? { roomId: "dock", error: refusal("UNAVAILABLE", true) } : one)) });
    me.socket.breaks();
    me.server.says("missed", { room: "dock" });
    me.socket.connects();
    await settle();
    assert.deepEqual(me.texts("dock"), ["missed"]);
    me.server.refusals.set("sync", [refusal("OVERLOADED", true)]);
    me.socket.breaks();
    me.server.says("again", { room: "dock" });
    me.socket.connects();
    await settle();
    assert.deepEqual(me.texts("dock"), ["missed", "again"]);
  });

  test("a long absence is fetched page by page, in order", async () => {
    const me = await inLobby({ before: ["m1"] });
    me.socket.breaks();
    for (let number = 2; number <= 701; number += 1) me.server.says(`m${number}`);
    me.socket.connects();
    await settle();
    await settle();
    assert.deepEqual(seqs(me.heard), Array.from({ length: 701 }, (_, index) => index + 1));
    assert.equal(me.said("caughtUp")[0].missed, 700);
  });

  test("or leaves a gap that can be loaded, where the caller prefers that", async () => {
    const me = await inLobby({ before: ["m1"], skipAfter: 300 });
    me.socket.breaks();
    for (let number = 2; number <= 801; number += 1) me.server.says(`m${number}`);
    me.socket.connects();
    await settle();
    const room = me.chat.rooms.get("lobby");
    assert.deepEqual(room.timeline.gaps, [{ after: 201, before: 602, isLost: false }]);
    for (let tries = 0; room.timeline.gaps.length > 0 && tries < 5; tries += 1) await room.loadGap(room.timeline.gaps[0]);
    assert.deepEqual(seqs(room.timeline.messages), Array.from({ length: 801 }, (_, index) => index + 1));
  });

  test("history that was removed meanwhile is a gap for good, and the room goes on", async () => {
    const me = await inLobby({ before: ["m1", "m2"] });
    me.socket.breaks();
    for (let number = 3; number <= 9; number += 1) me.server.says(`m${number}`);
    me.server.room("lobby").first = 6;
    me.socket.connects();
    await settle();
    assert.deepEqual(me.texts(), ["m1", "m2", "m6", "m7", "m8", "m9"]);
    assert.deepEqual(me.chat.rooms.get("lobby").timeline.gaps, [{ after: 2, before: 6, isLost: true }]);
    me.server.says("m10");
    assert.equal(me.texts().at(-1), "m10");
  });

  for (const [what, change] of [
    ["another epoch", (room) => Object.assign(room, { epoch: "b" })],
    ["a log that ends too early", (room) => room.log.splice(1)],
  ]) {
    test(`${what} is another log: nothing of the old one stays`, async () => {
      const me = await inLobby({ before: ["one", "two", "three"] });
      me.socket.breaks();
      const room = me.server.room("lobby");
      room.log = room.log.map((entry) => ({ ...entry, content: `new ${entry.content}` }));
      change(room);
      room.epoch = "b";
      me.socket.connects();
      await settle();
      assert.deepEqual(me.texts(), room.log.map(({ content }) => content));
      assert.equal(me.said("reset").length, 1);
      me.server.says("next");
      assert.equal(me.texts().at(-1), "next");
    });
  }

  test("a connection that comes while the old one is still asked does not mix the two", async () => {
    const me = await inLobby({ before: ["one"] });
    me.server.isSlow = true;
    me.socket.breaks();
    me.server.says("two");
    me.socket.connects();
    await settle();
    me.socket.breaks();
    me.server.says("three");
    me.server.isSlow = false;
    me.socket.connects();
    await settle();
    me.server.answers();
    await settle();
    assert.deepEqual(me.texts(), ["one", "two", "three"]);
    assert.deepEqual(seqs(me.heard), [1, 2, 3]);
  });

  test("a server that says goodbye is joined again after a delay", async () => {
    const me = await inLobby();
    let connects = 0;
    me.socket.wake = undefined;
    me.socket.disconnect = () => ({ connect: () => (connects += 1) });
    me.socket.breaks("io server disconnect");
    await me.world.live(300);
    assert.equal(connects, 0);
    await me.world.live(300);
    assert.equal(connects, 1);
  });

  test("a server that drains says when to go, and is left then", async () => {
    const me = await inLobby();
    me.socket.hears("serverDraining", { reconnectInMs: 700 });
    await me.world.live(650);
    assert.equal(me.socket.renewals, 0);
    await me.world.live(100);
    assert.equal(me.socket.renewals, 1);
  });

  test("being refused for who we are ends the trying, and is said", () => {
    const me = person();
    me.socket.active = false;
    me.socket.hears("connect_error", new Error("UNAUTHORIZED"));
    assert.equal(me.chat.state, "refused");
    assert.equal(me.said("problem")[0].error.code, "UNAUTHORIZED");
    assert.equal(me.world.timers.size, 0);
  });

  test("when the session ends, nobody comes back as somebody else", async () => {
    const me = await inLobby();
    me.socket.hears("sessionEnded", { reason: "logged_out" });
    me.socket.breaks("io server disconnect");
    await me.world.live(5_000, 100);
    assert.equal(me.chat.state, "refused");
    assert.equal(me.world.timers.size, 0);
  });

  test("waking finds out whether the connection is alive, and replaces one that is not", async () => {
    const me = await inLobby();
    me.chat.wake();
    await me.world.live(6_000);
    assert.equal(me.socket.renewals, 0);
    me.server.silent.add("getHistory");
    me.chat.wake();
    await me.world.live(6_000);
    assert.equal(me.socket.renewals, 1);
  });

  test("who is banned knows until when", async () => {
    const me = await inLobby();
    me.socket.hears("kicked", { roomId: "lobby", until: "2026-01-01T00:00:00.000Z" });
    const [{ error }] = me.said("refused");
    assert.deepEqual([error.code, error.message, error.details.until], ["BANNED", "You were banned from this room.", "2026-01-01T00:00:00.000Z"]);
  });

  test("kicked out is out, also after a reconnect", async () => {
    const me = await inLobby();
    me.socket.hears("kicked", { roomId: "lobby", reason: "noise" });
    assert.equal(me.said("refused")[0].error.code, "KICKED");
    me.socket.breaks();
    me.socket.connects();
    await settle();
    assert.equal(asked(me.server, "joinRoom").length, 1);
  });
});

describe("saying", () => {
  test("is stored once, shown once, and the promise has its place", async () => {
    const me = await inLobby();
    const ack = await me.chat.send("lobby", "hello");
    assert.equal(ack.seq, 1);
    assert.deepEqual(me.texts(), ["hello"]);
    assert.deepEqual(me.chat.outbox.inRoom("lobby"), []);
    assert.equal(me.storage.length, 0, "nothing is left behind but what was read");
    assert.equal(me.chat.isMine(me.heard[0]), true);
  });

  test("without a connection it waits, in order, also for rooms not yet joined", async () => {
    const me = person();
    const outcomes = ["one", "two", "three"].map((text) => me.chat.send("lobby", text));
    await me.world.live(60_000, 1_000);
    me.socket.connects();
    await Promise.all(outcomes);
    assert.deepEqual(stored(me.server), ["one", "two", "three"]);
  });

  test("a reload in the middle sends it again, and it is stored once", async () => {
    for (const loses of ["nothing", "the ack", "all"]) {
      const me = await inLobby();
      if (loses === "the ack") me.server.silent.add("sendMessage");
      me.server.passes = () => loses === "nothing";
      if (loses === "all") me.socket.connected = false;
      me.chat.send("lobby", "hello");
      await settle();
      me.socket.breaks();
      me.server.silent.clear();
      me.server.passes = () => true;
      const again = person({ server: me.server, storage: me.storage, tabName: "reloaded" });
      again.chat.join("lobby");
      again.socket.connects();
      await settle();
      assert.deepEqual(stored(me.server), ["hello"], loses);
      assert.deepEqual(again.chat.outbox.inRoom("lobby"), [], loses);
      assert.deepEqual(again.texts(), ["hello"], loses);
    }
  });

  test("a loss between send and ack sends the same id again", async () => {
    const me = await inLobby();
    me.server.silent.add("sendMessage");
    me.server.passes = () => false;
    const outcome = me.chat.send("lobby", "hello");
    await settle();
    me.socket.breaks();
    me.server.silent.clear();
    me.socket.connects();
    await settle();
    assert.equal((await outcome).seq, 1);
    assert.deepEqual(stored(me.server), ["hello"]);
    const ids = asked(me.server, "sendMessage").map(([, { clientMsgId }]) => clientMsgId);
    assert.equal(new Set(ids).size, 1);
    assert.deepEqual(me.texts(), ["hello"]);
  });

  test("an ack that is lost for ever is no reason to wait for ever: the broadcast tells as much", async () => {
    const me = await inLobby();
    me.server.silent.add("sendMessage");
    me.chat.send("lobby", "hello");
    await settle();
    assert.deepEqual(me.chat.outbox.inRoom("lobby"), []);
    assert.deepEqual(me.texts(), ["hello"]);
  });

  test("two unknown outcomes on one connection end that connection", async () => {
    const me = await inLobby();
    me.server.silent.add("sendMessage");
    me.server.passes = () => false;
    me.chat.send("lobby", "hello");
    await me.world.live(25_000, 500);
    assert.equal(me.socket.renewals, 1);
    assert.equal(me.chat.outbox.inRoom("lobby")[0].state, "pending");
    assert.deepEqual(stored(me.server), ["hello"], "asked twice, stored once");
  });

  test("is asked again for as long as the server says that it may help, and never sooner", async () => {
    const me = await inLobby();
    me.server.refusals.set("sendMessage", [refusal("RATE_LIMITED", true, { retryAfterMs: 4_000 }), ...Array(8).fill(refusal("UNAVAILABLE", true))]);
    const outcome = me.chat.send("lobby", "hello");
    await me.world.live(3_900);
    assert.equal(asked(me.server, "sendMessage").length, 1);
    await me.world.live(200_000, 500);
    assert.equal((await outcome).seq, 1);
    assert.equal(me.said("waiting").length, 9);
    assert.equal(me.said("unsent").length, 0);
  });

  test("a final refusal fails that one, says so, and lets the next ones go on", async () => {
    const me = await inLobby();
    me.server.refusals.set("sendMessage", [refusal("MUTED", false)]);
    const first = me.chat.send("lobby", "first");
    const second = me.chat.send("lobby", "second");
    await assert.rejects(first, { code: "MUTED", message: "MUTED!" });
    await second;
    assert.deepEqual(stored(me.server), ["second"]);
    const [failed] = me.chat.outbox.inRoom("lobby");
    assert.deepEqual([failed.content, failed.state, failed.problem], ["first", "failed", "MUTED!"]);
    me.chat.retry(failed.clientMsgId);
    await settle();
    assert.deepEqual(stored(me.server), ["second", "first"]);
    assert.equal(me.storage.length, 0);
  });

  test("an internal error that does not end fails the message instead of holding up the room", async () => {
    const me = await inLobby();
    me.server.refusals.set("sendMessage", Array(5).fill(refusal("INTERNAL", true)));
    me.chat.send("lobby", "poison");
    me.chat.send("lobby", "next");
    await me.world.live(60_000, 500);
    assert.deepEqual(stored(me.server), ["next"]);
    assert.equal(me.chat.outbox.inRoom("lobby")[0].state, "failed");
  });

  test("one that is discarded while it waits is not sent", async () => {
    const me = person();
    me.chat.join("lobby");
    const outcome = me.chat.send("lobby", "never mind");
    me.chat.discard(me.chat.outbox.inRoom("lobby")[0].clientMsgId);
    await assert.rejects(outcome, { code: "DISCARDED" });
    me.socket.connects();
    await settle();
    assert.deepEqual(stored(me.server), []);
  });

  test("a refusal in one room does not hold up another", async () => {
    const me = await inLobby();
    me.chat.join("dock");
    await settle();
    me.server.refusals.set("sendMessage", [refusal("SLOW_MODE", true, { retryAfterMs: 60_000 })]);
    me.chat.send("lobby", "slow");
    await settle();
    await me.chat.send("dock", "quick");
    assert.deepEqual(stored(me.server, "dock"), ["quick"]);
  });

  test("what somebody else wrote in this browser is not sent in this user's name", async () => {
    const me = await inLobby();
    me.socket.breaks();
    me.chat.send("lobby", "as me");
    const other = person({ server: me.server, storage: me.storage, userId: "u-else" });
    other.socket.connects();
    await settle();
    assert.deepEqual(stored(me.server), []);
    const [entry] = other.chat.outbox.inRoom("lobby");
    other.chat.retry(entry.clientMsgId);
    await settle();
    assert.equal(me.server.room("lobby").log[0].senderId, "u-else", "unless asked to");
  });
});

describe("several tabs", () => {
  function tabs(server = new Server(), world = new World()) {
    const [shared, locks] = [new SharedStorage(), new Locks()];
    const made = ["a", "b"].map((name) => {
      const tab = shared.tab();
      const clock = Object.assign(Object.create(world), { makeId: () => `${name}${++ids}` });
      const me = person({ server, storage: tab.storage, locks, world: clock });
      tab.heard = (event) => me.chat.heard(event);
      me.chat.join("lobby");
      return me;
    });
    return { server, world, locks, shared, made };
  }
  let ids = 0;

  test("send each message once, and both show it", async () => {
    const { server, made: [one, two] } = tabs();
    for (const me of [one, two]) me.socket.connects();
    await settle();
    await Promise.all([one.chat.send("lobby", "from one"), two.chat.send("lobby", "from two"), one.chat.send("lobby", "again one")]);
    await settle();
    assert.equal(asked(server, "sendMessage").length, 3, "no call was wasted");
    for (const me of [one, two]) {
      assert.deepEqual(me.texts(), stored(server));
      assert.deepEqual(me.chat.outbox.inRoom("lobby"), []);
    }
  });

  test("one that is online sends for one that is not, which knows it is stored and shows it once it can", async () => {
    const { server, shared, made: [one, two] } = tabs();
    for (const me of [one, two]) me.socket.connects();
    await settle();
    one.socket.breaks();
    one.chat.send("lobby", "from the offline one");
    await settle();
    assert.deepEqual(stored(server), ["from the offline one"]);
    assert.equal(one.chat.outbox.inRoom("lobby")[0].state, "stored");
    one.socket.connects();
    await settle();
    assert.deepEqual(one.texts(), ["from the offline one"]);
    assert.deepEqual(one.chat.outbox.inRoom("lobby"), []);
    assert.equal(shared.length, 0);
  });

  test("a tab that holds the lock and hangs is not waited for, and still nothing is doubled", async () => {
    const { server, world, made: [one, two] } = tabs();
    for (const me of [one, two]) me.socket.connects();
    await settle();
    server.isSlow = true;
    one.chat.send("lobby", "hangs");
    await settle();
    server.isSlow = false;
    const outcome = two.chat.send("lobby", "goes on");
    await world.live(8_000, 500);
    assert.deepEqual(stored(server), ["hangs"]);
    await world.live(8_000, 500);
    await outcome;
    assert.deepEqual(stored(server), ["hangs", "goes on"]);
    server.answers();
    await world.live(30_000, 500);
    assert.deepEqual(stored(server), ["hangs", "goes on"]);
    for (const me of [one, two]) assert.deepEqual(me.chat.outbox.inRoom("lobby"), []);
  });

  test("one given up in a tab is given up in all", async () => {
    const { made: [one, two] } = tabs();
    one.chat.send("lobby", "hm");
    await settle();
    const [entry] = two.chat.outbox.inRoom("lobby");
    assert.equal(entry.content, "hm");
    two.chat.discard(entry.clientMsgId);
    await settle();
    assert.deepEqual(one.chat.outbox.inRoom("lobby"), []);
  });

  test("what was read in one is read in the other", async () => {
    const { server, made: [one, two] } = tabs();
    for (const me of [one, two]) me.socket.connects();
    await settle();
    server.says("news");
    assert.deepEqual([one, two].map((me) => me.chat.rooms.get("lobby").unread), [1, 1]);
    one.chat.rooms.get("lobby").markRead();
    await settle();
    assert.equal(two.chat.rooms.get("lobby").unread, 0);
  });
});

describe("rooms and their people", () => {
  test("a room that is made is open, and is made as it was asked for", async () => {
    const me = await inLobby();
    const room = await me.chat.createRoom("Engine room", { type: "public", settings: { readOnly: true } });
    assert.deepEqual([room.joined, room.info.name], [true, "made"]);
    assert.deepEqual(asked(me.server, "createRoom"), [["createRoom", { name: "Engine room", type: "public", settings: { readOnly: true } }]]);
  });

  test("quitting gives up the membership where there is one", async () => {
    const me = await inLobby();
    const cards = { lobby: { type: "public" }, mine: { type: "public", createdBy: "u-me" }, secret: { type: "private" }, two: { type: "dm" } };
    for (const [id, card] of Object.entries(cards)) {
      await me.chat.join(id);
      me.socket.hears("roomUpdated", { room: { id, ...card } });
      await me.chat.quit(id);
    }
    assert.deepEqual(asked(me.server, "kickUser").map(([, { roomId, userId }]) => [roomId, userId]), [["mine", "u-me"], ["secret", "u-me"]]);
    assert.deepEqual(me.socket.emitted.map(([event, id]) => [event, id]), Object.keys(cards).map((id) => ["leaveRoom", id]));
    assert.equal(me.chat.rooms.size, 0);
  });

  test("a room's card follows what the server says, and only what is about us changes what we are", async () => {
    const me = await inLobby();
    const { info: first } = me.chat.rooms.get("lobby");
    assert.equal(first.mutedUntil, undefined);
    const hears = (room) => {
      me.socket.hears("roomUpdated", { room: { id: "lobby", ...room } });
      const { name, role, mutedUntil } = me.chat.rooms.get("lobby").info;
      return [name, role, mutedUntil];
    };
    assert.deepEqual(hears({ name: "Quay", role: "member", mutedUntil: "forever" }), ["Quay", "member", "forever"]);
    assert.deepEqual(hears({ name: "Pier" }), ["Pier", "member", "forever"]);
    assert.deepEqual(hears({ name: "Pier", role: "moderator" }), ["Pier", "moderator", undefined]);
  });

  test("news that come late, by another way than later ones, change nothing", async () => {
    const me = await inLobby();
    const room = me.chat.rooms.get("lobby");
    const hears = (news) => {
      me.socket.hears("roomUpdated", { room: { id: "lobby", ...news } });
      const { name, role, mutedUntil } = room.info;
      return [name, role, mutedUntil];
    };
    assert.deepEqual(hears({ name: "Quay", version: 2 }), ["Quay", undefined, undefined]);
    assert.deepEqual(hears({ name: "Pier", version: 1, role: "member", memberVersion: 4 }), ["Quay", "member", undefined]);
    assert.deepEqual(hears({ name: "Dock", version: 3, role: "member", mutedUntil: "forever", memberVersion: 3 }), ["Dock", "member", undefined]);
    assert.deepEqual(hears({ name: "Dock", version: 3, role: "moderator", memberVersion: 5 }), ["Dock", "moderator", undefined]);
    // An answer may be the older one, too; beside another log, it says what is.
    me.server.room("lobby").card = { id: "lobby", name: "Mole", version: 1 };
    const comesBack = async () => {
      me.socket.breaks();
      me.socket.connects();
      await settle();
      return room.info.name;
    };
    assert.equal(await comesBack(), "Dock");
    me.server.room("lobby").epoch = "another";
    assert.equal(await comesBack(), "Mole");
  });

  test("what rooms have become while one was away comes with what was said in them", async () => {
    const me = await inLobby();
    await me.chat.join("quay");
    me.socket.breaks();
    Object.assign(me.server.room("quay").card, { name: "The quay", version: 1 });
    me.socket.connects();
    await settle();
    assert.equal(asked(me.server, "sync").length, 1);
    assert.equal(me.chat.rooms.get("quay").info.name, "The quay");
  });

  test("receipts say how far others have read, and what one read oneself elsewhere", async () => {
    const me = await inLobby();
    const room = me.chat.rooms.get("lobby");
    for (const text of ["one", "two"]) me.server.says(text);
    for (const [userId, lastReadSeq] of [["u-a", 2], ["u-a", 1], ["u-b", 1]]) me.socket.hears("readReceipt", { roomId: "lobby", userId, lastReadSeq });
    assert.deepEqual([...room.readers], [["u-a", 2], ["u-b", 1]]);
    assert.equal(room.unread, 2);
    me.socket.hears("readReceipt", { roomId: "lobby", userId: "u-me", lastReadSeq: 1 });
    assert.equal(room.unread, 1);
  });

  test("what the server makes wait is known with its end", async () => {
    const me = await inLobby();
    const room = me.chat.rooms.get("lobby");
    me.server.refusals.set("sendMessage", [refusal("SLOW_MODE", true, { retryAfterMs: 5_000 })]);
    const sent = me.chat.send("lobby", "too soon");
    await settle();
    assert.deepEqual(room.hold, { code: "SLOW_MODE", until: me.world.nowMs + 5_000 });
    await me.world.live(8_000, 100);
    await sent;
    assert.equal(room.hold, null);
    me.socket.hears("roomUpdated", { room: { id: "lobby", settings: { slowModeMs: 3_000 } } });
    await me.chat.send("lobby", "and now the wait begins");
    assert.deepEqual(room.hold, { code: "SLOW_MODE", until: me.world.nowMs + 3_000 });
  });
});

describe("unread", () => {
  test("counts what others said since it was read, also over a reload", async () => {
    const me = await inLobby({ before: ["old"] });
    const room = me.chat.rooms.get("lobby");
    assert.equal(room.unread, 0, "somebody new has missed nothing");
    me.server.says("one");
    await me.chat.send("lobby", "mine");
    me.server.says("two");
    assert.equal(room.unread, 2);
    room.markRead();
    assert.equal(room.unread, 0);
    me.server.says("three");
    me.socket.breaks();
    const again = await inLobby({ server: me.server, storage: me.storage });
    assert.equal(again.chat.rooms.get("lobby").unread, 1);
  });

  test("a room that somebody else opened for us is unread from its beginning", async () => {
    const me = await inLobby();
    me.server.says("psst", { room: "dm" });
    await me.chat.join("dm", { readUpTo: 0 });
    assert.equal(me.chat.rooms.get("dm").unread, 1);
  });

  test("the server learns how far somebody new has read, and again if it did not hear it", async () => {
    const me = await inLobby({ before: ["old"] });
    const room = me.chat.rooms.get("lobby");
    me.server.refusals.set("markRead", [refusal("RATE_LIMITED", true)]);
    room.markRead();
    await me.world.live(3_000, 100);
    room.markRead();
    await me.world.live(3_000, 100);
    assert.equal(asked(me.server, "markRead").length, 2);
    room.markRead();
    await me.world.live(3_000, 100);
    assert.equal(asked(me.server, "markRead").length, 2);
  });

  test("the server hears of it, and not with every message", async () => {
    const me = await inLobby();
    const room = me.chat.rooms.get("lobby");
    for (const text of ["one", "two", "three"]) {
      me.server.says(text);
      room.markRead();
    }
    await me.world.live(3_000, 100);
    assert.deepEqual(asked(me.server, "markRead"), [["markRead", { roomId: "lobby", seq: 3 }]]);
    room.markRead();
    await me.world.live(3_000, 100);
    assert.equal(asked(me.server, "markRead").length, 1);
  });

  for (const [unread, before, count, place] of [
    [2, 1, 2, 1],
    [0, 1, 0, 3],
    [37, 1, 37, 0],
    [0, null, 0, 3],
  ]) {
    test(`the server's own count is taken where it keeps one: ${unread} with ${before} read here`, async () => {
      const server = new Server();
      const { joinRoom } = server;
      server.joinRoom = (...args) => ({ ...joinRoom.apply(server, args), unread });
      const storage = new MemoryStorage();
      if (before !== null) storage.setItem("berth.read.lobby", String(before));
      const me = await inLobby({ server, storage, before: ["one", "two", "three"] });
      const room = me.chat.rooms.get("lobby");
      assert.deepEqual([room.unread, room.lastReadSeq], [count, place]);
    });
  }
});

describe("changes", () => {
  test("an edit, a deletion and reactions change their message, live and from history", async () => {
    const me = await inLobby({ before: ["helo", "second"] });
    await me.chat.edit("lobby", 1, "hello");
    assert.equal(me.texts()[0], "hello");
    me.server.says(undefined, { kind: "reaction", refSeq: 1, emoji: "👍", added: true, senderId: "u-a" });
    me.server.says(undefined, { kind: "reaction", refSeq: 1, emoji: "👍", added: true, senderId: "u-b" });
    me.server.says(undefined, { kind: "reaction", refSeq: 1, emoji: "👍", added: true, senderId: "u-b" });
    const row = () => me.chat.rooms.get("lobby").timeline.find(1);
    assert.deepEqual(row().reactions, [{ emoji: "👍", count: 2, users: ["u-a", "u-b"] }]);
    me.socket.breaks();
    me.server.says(undefined, { kind: "reaction", refSeq: 1, emoji: "👍", added: false, senderId: "u-a" });
    me.server.says(undefined, { kind: "delete", refSeq: 2 });
    me.socket.connects();
    await settle();
    assert.deepEqual(row().reactions, [{ emoji: "👍", count: 1, users: ["u-b"] }]);
    assert.ok(me.chat.rooms.get("lobby").timeline.find(2).deletedAt);
    assert.equal(me.chat.rooms.get("lobby").unread, 0, "changes are no messages");
  });

  test("a server that cannot is not asked", async () => {
    const me = await inLobby();
    me.server.events = ["joinRoom"];
    me.socket.connects();
    await assert.rejects(me.chat.edit("lobby", 1, "x"), { code: "UNSUPPORTED" });
  });
});

// Everything that can happen, in an order that dice choose, then an end at which everything must be well.
describe("any interleaving", () => {
  const ROUNDS = 300;
  for (const canSync of [true, false]) {
    test(`${ROUNDS} random lives ${canSync ? "with" : "without"} sync lose, double and misorder nothing`, async () => {
      let shakes = 0;
      for (let seed = 1; seed <= ROUNDS; seed += 1) shakes += await live(seed * 7_919, canSync);
      assert.ok(shakes > ROUNDS * 5, `only ${shakes} faults`);
    });
  }

  async function live(seed, canSync) {
    let state = seed;
    const dice = (sides) => (state = (state * 48_271) % 2_147_483_647) % sides;
    const server = new Server();
    if (!canSync) server.events = server.events.filter((event) => event !== "sync");
    const storage = new MemoryStorage();
    const heard = [];
    const said = [];
    let me;
    let faults = 0;
    const open = (number) => {
      me = person({ server, storage, tabName: `t${number}-` });
      heard.push([]);
      const own = heard.at(-1);
      me.chat.on("message", ({ room, message }) => own.push([room.id, message]));
      for (const room of ["lobby", "dock"]) me.chat.join(room);
      me.socket.connects();
    };
    open(0);
    server.passes = () => [true, true, true, false, "later", "twice"][dice(6)];
    const deeds = [
      () => server.says(`other ${said.length}`, { room: ["lobby", "dock"][dice(2)] }),
      () => server.says(`other ${said.length}`, { room: ["lobby", "dock"][dice(2)] }),
      () => {
        const [room, text] = [["lobby", "dock"][dice(2)], `mine ${said.length}`];
        said.push([room, text]);
        me.chat.send(room, text);
      },
      () => me.socket.catchesUp(),
      () => ((faults += 1), me.socket.connected && me.socket.breaks()),
      () => me.socket.connected || me.socket.connects({ instanceId: `i${dice(3)}` }),
      () => me.socket.connected || me.socket.connects(),
      () => ((faults += 1), (server.isSlow = !server.isSlow)),
      () => server.answers(dice(3)),
      () => ((faults += 1), server.silent.add("sendMessage")),
      () => server.silent.clear(),
      () => ((faults += 1), server.refusals.set(["sendMessage", "joinRoom", "getHistory", "sync"][dice(4)], [refusal("OVERLOADED", true, { retryAfterMs: dice(500) })])),
      () => {
        if (dice(4) > 0) return;
        faults += 1;
        me.socket.breaks();
        open(heard.length);
      },
    ];
    for (let step = 0; step < 60; step += 1) {
      deeds[dice(deeds.length)]();
      await me.world.live(dice(200), 50);
    }
    // All is well again.
    server.passes = () => true;
    server.isSlow = false;
    server.silent.clear();
    server.refusals.clear();
    server.answers();
    if (!me.socket.connected) me.socket.connects();
    for (const room of ["lobby", "dock"]) server.says("the end", { room });
    await me.world.live(60_000, 500);
    if (!me.socket.connected) {
      me.socket.connects();
      await me.world.live(60_000, 500);
    }
    for (const room of ["lobby", "dock"]) {
      const mine = said.filter(([where]) => where === room).map(([, text]) => text);
      const log = server.room(room).log;
      assert.deepEqual(log.filter(({ senderId }) => senderId === "u-me").map(({ content }) => content), mine, `seed ${seed}: ${room} has what was said, once, in order`);
      assert.deepEqual(me.chat.rooms.get(room).timeline.messages.map(({ seq }) => seq), log.slice(-me.chat.rooms.get(room).timeline.messages.length).map(({ seq }) => seq), `seed ${seed}: ${room} is shown whole`);
      assert.equal(me.chat.rooms.get(room).timeline.cursor, log.length, `seed ${seed}`);
      assert.deepEqual(me.chat.outbox.inRoom(room), [], `seed ${seed}`);
      for (const life of heard) {
        const places = life.filter(([where]) => where === room).map(([, message]) => message);
        assert.equal(new Set(seqs(places)).size, places.length, `seed ${seed}: nothing is heard twice`);
        let last = null;
        for (const { seq, unreliable } of places) {
          if (last !== null && !unreliable && !places.some((one) => one.unreliable)) assert.equal(seq, last + 1, `seed ${seed}: in order, without a hole`);
          last = seq;
        }
      }
    }
    return faults;
  }
});

test("a device is made up once per browser", () => {
  const storage = new MemoryStorage();
  const device = deviceOf(storage);
  assert.ok(device.length >= 16);
  assert.equal(deviceOf(storage), device);
  assert.ok(deviceOf(null).length >= 16);
});
