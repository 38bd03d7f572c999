import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { encodeEvent, parseFrame, ProtocolError } from "../frames.js";
import { Socket } from "../socket.js";
import { settle, World } from "./world.mjs";

const URL = "ws://host/socket.io/?EIO=4&transport=websocket";

function make(options = {}) {
  const world = new World();
  const told = [];
  const socket = new Socket(URL, { world, ...options });
  for (const event of ["connect", "disconnect", "connect_error", "state", "message"]) {
    socket.on(event, (...args) => told.push([event, ...args]));
  }
  return { world, socket, told, events: (name) => told.filter(([event]) => event === name).map(([, ...args]) => args) };
}

function connected(options) {
  const made = make(options);
  made.socket.start();
  made.world.connection.shakesHands();
  return made;
}

describe("frames", () => {
  for (const [frame, expected] of [
    ['0{"sid":"a","pingInterval":1}', { kind: "open", sid: "a", pingInterval: 1 }],
    ["1", { kind: "close" }],
    ["2probe", { kind: "ping", payload: "probe" }],
    ["3", null],
    ["6", null],
    ['40{"sid":"x"}', { kind: "connected", sid: "x" }],
    ["40", { kind: "connected" }],
    ["41", { kind: "disconnected" }],
    ['42["message",{"a":1},2]', { kind: "event", event: "message", args: [{ a: 1 }, 2], id: null }],
    ['4212["m"]', { kind: "event", event: "m", args: [], id: 12 }],
    ['42/,7["m"]', { kind: "event", event: "m", args: [], id: 7 }],
    ['42/admin,7["m"]', null],
    ['430[{"ok":true}]', { kind: "ack", id: 0, args: [{ ok: true }] }],
    ['44{"message":"no","data":{"code":1}}', { kind: "refused", message: "no", data: { code: 1 } }],
    ['451-["m",{"_placeholder":true,"num":0}]', null],
    [new ArrayBuffer(2), null],
  ]) {
    test(`${frame} is understood`, () => assert.deepEqual(parseFrame(frame), expected));
  }

  for (const frame of ["", "9", "0[", "0null", "47", "42", "42{}", "42[]", "42[1]", "43[1]", "431x", '42["m"', "40[", "44\"x"]) {
    test(`${JSON.stringify(frame)} is refused`, () => assert.throws(() => parseFrame(frame), ProtocolError));
  }

  test("an event is written as the protocol wants it", () => {
    assert.equal(encodeEvent("sendMessage", ["lobby", { content: "a" }], 3), '423["sendMessage","lobby",{"content":"a"}]');
    assert.equal(encodeEvent("leaveRoom", ["lobby"], null), '42["leaveRoom","lobby"]');
  });
});

describe("connecting", () => {
  test("opens, introduces itself with what auth says now, and tells so once", () => {
    const { world, socket, events } = make({ auth: () => ({ displayName: "Ada" }) });
    socket.start();
    socket.start();
    assert.equal(world.connections.length, 1);
    assert.equal(world.connection.url, URL);
    world.connection.says('0{"sid":"e","pingInterval":25000,"pingTimeout":60000}');
    assert.deepEqual(world.connection.sent, ['40{"displayName":"Ada"}']);
    assert.equal(socket.state, "connecting");
    world.connection.says('40{"sid":"s"}');
    assert.deepEqual(events("connect"), [["s"]]);
    assert.deepEqual(events("state"), [["connecting"], ["connected"]]);
  });

  test("a refusal is told with its words and tried again", () => {
    const { world, socket, events } = make();
    socket.start();
    world.connection.says('0{"sid":"e"}');
    world.connection.says('44{"message":"UNAUTHORIZED","data":{"code":"UNAUTHORIZED"}}');
    assert.deepEqual(events("connect_error"), [[{ message: "UNAUTHORIZED", data: { code: "UNAUTHORIZED" } }]]);
    assert.equal(socket.state, "waiting");
    world.pass(1_000);
    assert.equal(world.connections.length, 2);
  });

  test("a server that accepts and then says nothing is given up after ten seconds", () => {
    const { world, socket } = make();
    socket.start();
    world.pass(9_999);
    assert.equal(socket.state, "connecting");
    world.pass(1);
    assert.equal(socket.state, "waiting");
    assert.ok(world.connections[0].isClosed);
  });

  test("a browser that will not even open is an error, and tried again", () => {
    const { world, socket, events } = make();
    world.refusesToOpen = true;
    socket.start();
    assert.deepEqual(events("connect_error"), [[{ message: "blocked" }]]);
    world.refusesToOpen = false;
    world.pass(1_000);
    assert.equal(world.connections.length, 1);
  });
});

describe("staying alive", () => {
  test("answers pings with their payload", () => {
    const { world } = connected();
    world.connection.says("2");
    world.connection.says("2x");
    assert.deepEqual(world.connection.sent.slice(1), ["3", "3x"]);
  });

  test("takes silence of interval plus timeout for death, and any frame for life", () => {
    const { world, socket, events } = connected();
    world.pass(84_999);
    world.connection.says('42["message",1]');
    world.pass(84_999);
    assert.equal(socket.state, "connected");
    world.pass(1);
    assert.equal(socket.state, "waiting");
    assert.deepEqual(events("disconnect"), [["ping timeout"]]);
    assert.ok(world.connections[0].isClosed);
  });

  test("after a sleep in which no timer ran, waking notices the overdue ping", () => {
    const { world, socket, events } = connected();
    world.nowMs += 90_000;
    socket.wake();
    assert.deepEqual(events("disconnect"), [["ping timeout"]]);
  });

  test("waking leaves a good connection alone", () => {
    const { world, socket } = connected();
    world.pass(1_000);
    socket.wake();
    assert.equal(socket.state, "connected");
    assert.equal(world.connections.length, 1);
  });

  test("nonsense ends the connection, not the page", () => {
    const { world, socket, events } = connected();
    world.connection.says("42{");
    assert.deepEqual(events("disconnect"), [["parse error"]]);
    assert.equal(socket.state, "waiting");
  });
});

describe("connecting again", () => {
  test("each failure waits longer; a connection that lasted starts over", () => {
    const { world, socket } = connected();
    world.randomness = 1;
    const delays = [];
    const lose = () => {
      world.connection.breaks();
      delays.push(socket.retryAt - world.nowMs);
      world.pass(delays.at(-1));
    };
    world.pass(5_000);
    lose();
    lose();
    lose();
    world.connection.shakesHands();
    world.pass(4_999);
    lose();
    world.connection.shakesHands();
    world.pass(5_000);
    lose();
    assert.deepEqual(delays, [500, 1000, 2000, 4000, 500]);
  });

  test("the network coming back does not wait for the delay", () => {
    const { world, socket } = connected();
    world.connection.breaks();
    socket.wake();
    assert.equal(socket.state, "connecting");
    assert.equal(socket.retryAt, null);
    world.pass(5_000);
    assert.equal(world.connections.length, 2);
  });

  test("a server that says goodbye is joined again", () => {
    for (const frame of ["41", "1"]) {
      const { world, socket } = connected();
      world.connection.says(frame);
      assert.equal(socket.state, "waiting");
      world.pass(1_000);
      assert.equal(world.connections.length, 2);
    }
  });

  test("a connection that was given up is not heard any more", () => {
    const { world, events } = connected();
    const [first] = world.connections;
    first.breaks();
    world.pass(1_000);
    world.connection.shakesHands();
    first.onmessage({ data: '42["message","late"]' });
    first.onclose({});
    assert.deepEqual(events("message"), []);
    assert.equal(events("disconnect").length, 1);
  });

  test("stopping says goodbye, leaves no timer behind and stays stopped", () => {
    const { world, socket } = connected();
    socket.stop();
    assert.equal(world.connection.sent.at(-1), "41");
    assert.equal(world.timers.size, 0);
    world.pass(100_000);
    assert.equal(world.connections.length, 1);
    assert.equal(socket.state, "stopped");
  });

  test("renewing replaces a connection that looks well", () => {
    const { world, socket, events } = connected();
    socket.renew("no answer");
    assert.deepEqual(events("disconnect"), [["no answer"]]);
    world.pass(1_000);
    world.connection.shakesHands();
    assert.equal(socket.state, "connected");
  });
});

describe("events and acks", () => {
  test("every argument of an event arrives", () => {
    const { world, events } = connected();
    world.connection.says('42["message",{"seq":1},"b"]');
    assert.deepEqual(events("message"), [[{ seq: 1 }, "b"]]);
  });

  test("a server cannot speak for this client's own events", () => {
    const { world, events } = connected();
    world.connection.says('42["disconnect","boo"]');
    world.connection.says('42["state","stopped"]');
    assert.equal(events("disconnect").length, 0);
    assert.equal(events("state").length, 2);
  });

  test("each ack finds its question, in whatever order they come", async () => {
    const { world, socket } = connected();
    const first = socket.timeout(10_000).emitWithAck("a", 1);
    const second = socket.timeout(10_000).emitWithAck("b");
    assert.deepEqual(world.connection.sent.slice(1), ['420["a",1]', '421["b"]']);
    world.connection.says('431["two"]');
    world.connection.says('430["one"]');
    world.connection.says('430["again"]');
    assert.deepEqual(await Promise.all([first, second]), ["one", "two"]);
  });

  test("an answer that does not come is an error after its time, and too late afterwards", async () => {
    const { world, socket } = connected();
    const answer = socket.timeout(2_000).emitWithAck("a");
    world.pass(2_000);
    await assert.rejects(answer, { code: "ACK_TIMEOUT" });
    world.connection.says('430["late"]');
    assert.equal(socket.state, "connected");
  });

  test("losing the connection answers all open questions at once", async () => {
    const { world, socket } = connected();
    const answers = [socket.timeout(10_000).emitWithAck("a"), socket.timeout(10_000).emitWithAck("b")];
    world.connection.breaks();
    for (const answer of answers) await assert.rejects(answer, { code: "DISCONNECTED" });
    await settle();
    assert.equal(world.timers.size, 1, "only the next try is pending");
  });

  test("without a connection nothing is sent and nothing is kept", async () => {
    const { world, socket } = make();
    assert.equal(socket.emit("a"), false);
    await assert.rejects(socket.timeout(10_000).emitWithAck("a"), { code: "NOT_CONNECTED" });
    socket.start();
    world.connection.shakesHands();
    assert.equal(world.connection.sent.length, 1);
    assert.equal(socket.emit("a", 1), true);
    world.connection.readyState = 2;
    assert.equal(socket.emit("a", 2), false);
  });
});
