import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { PollingConnection } from "../polling.js";
import { Socket } from "../socket.js";
import { settle, World } from "./world.mjs";

const OPEN = (more = {}) => `0${JSON.stringify({ sid: "s 1", pingInterval: 25_000, pingTimeout: 60_000, ...more })}`;

// A server that answers when it is told to: requests wait in `polls` and `posts`.
function made() {
  const [polls, posts, told] = [[], [], []];
  const request = (url, { method = "GET", signal, ...more }) =>
    new Promise((resolve, reject) => {
      const answer = (text, status = 200) => resolve({ ok: status < 300, status, text: async () => text });
      signal?.addEventListener("abort", () => reject(new Error("aborted")));
      (method === "GET" ? polls : posts).push({ url, answer, fail: () => reject(new Error("network")), ...more });
    });
  const connection = new PollingConnection("http://h/socket.io/?EIO=4&transport=polling", request);
  connection.onmessage = ({ data }) => told.push(data);
  connection.onclose = () => told.push("closed");
  return { connection, polls, posts, told };
}

async function open(more) {
  const it = made();
  it.polls[0].answer(OPEN(more));
  await settle();
  return it;
}

describe("a connection over requests", () => {
  test("opens with the first answer and then asks for its session, one request at a time", async () => {
    const { connection, polls, told } = await open();
    assert.deepEqual([connection.readyState, told.length, polls.length], [1, 1, 2]);
    assert.ok(polls[1].url.endsWith("&sid=s%201"), polls[1].url);
    polls[1].answer("2\x1e42[\"m\"]\x1ebAAAA");
    await settle();
    assert.deepEqual(told.slice(1), ["2", '42["m"]']);
    assert.equal(polls.length, 3);
  });

  test("carries frames in order, those that wait together", async () => {
    const { connection, posts } = await open();
    for (const frame of ["3", "42[1]", "42[2]"]) connection.send(frame);
    assert.deepEqual(posts.map(({ body }) => body), ["3"]);
    posts[0].answer("ok");
    await settle();
    assert.deepEqual(posts.map(({ body }) => body), ["3", "42[1]\x1e42[2]"]);
  });

  test("says no more at once than the server takes", async () => {
    const { connection, posts } = await open({ maxPayload: 40 });
    for (const frame of ["a", "x".repeat(10), "y".repeat(10), "z".repeat(99)]) connection.send(frame);
    for (let at = 0; at < 4; at += 1) {
      posts[at].answer("ok");
      await settle();
    }
    assert.deepEqual(posts.map(({ body }) => body.length), [1, 10, 10, 99]);
  });

  for (const [what, breaks] of [
    ["a poll that fails", ({ polls }) => polls[1].fail()],
    ["a session that the server does not know", ({ polls }) => polls[1].answer('{"code":1}', 400)],
    ["a message that is not taken", ({ connection, posts }) => (connection.send("42[]"), posts[0].answer("", 502))],
  ]) {
    test(`${what} ends it, once`, async () => {
      const it = await open();
      breaks(it);
      await settle();
      assert.deepEqual([it.connection.readyState, it.told.slice(1)], [3, ["closed"]]);
      assert.equal(it.polls.length, 2, "nobody asks on");
    });
  }

  test("what answers something else than Engine.IO is no connection", async () => {
    const it = made();
    it.polls[0].answer("<html>");
    await settle();
    assert.deepEqual(it.told, ["closed"]);
  });

  test("closing says goodbye, behind what was said before, and hears nothing more", async () => {
    const it = await open();
    it.connection.send("41");
    it.connection.close();
    it.posts[0].answer("ok");
    await settle();
    assert.deepEqual(it.posts.map(({ body, keepalive }) => [body, keepalive]), [["41", false], ["1", true]]);
    assert.equal(it.polls.length, 2);
  });
});

describe("where no WebSocket gets through", () => {
  const URL = "wss://host/socket.io/?EIO=4&transport=websocket";
  const REQUESTS = "https://host/socket.io/?EIO=4&transport=polling";
  const start = () => {
    const world = new World();
    const socket = new Socket(URL, { world });
    const states = [];
    socket.on("state", (state) => states.push(state));
    socket.start();
    return { world, socket, states };
  };

  test("requests are tried, and WebSockets again when those fail as well", () => {
    const { world, socket } = start();
    for (let times = 0; times < 3; times += 1) {
      world.connection.breaks();
      world.pass(10_000);
    }
    assert.deepEqual(world.connections.map(({ url }) => url), [URL, REQUESTS, URL, REQUESTS]);
    world.connection.shakesHands();
    assert.deepEqual([socket.state, socket.transport], ["connected", "polling"]);
  });

  test("a WebSocket that spoke and broke is no reason", () => {
    const { world } = start();
    world.connection.shakesHands();
    world.connection.breaks();
    world.pass(10_000);
    world.connection.says('0{"sid":"x"}');
    world.connection.breaks();
    world.pass(10_000);
    assert.deepEqual(world.connections.map(({ url }) => url), [URL, URL, URL]);
  });

  test("requests that reach servers which do not know the session give way to a WebSocket", () => {
    const { world } = start();
    world.connection.breaks();
    world.pass(10_000);
    world.connection.says('0{"sid":"x"}');
    world.connection.breaks();
    world.pass(10_000);
    assert.deepEqual(world.connections.map(({ url }) => url), [URL, REQUESTS, URL]);
  });

  test("it moves to a WebSocket as soon as one opens", async () => {
    const { world, socket, states } = start();
    world.connection.breaks();
    world.pass(10_000);
    const requests = world.connection;
    requests.shakesHands();
    await world.live(31_000, 1_000);
    assert.deepEqual([world.connection.url, socket.state], [URL, "connected"], "it looks while it is connected");
    world.connection.breaks();
    await world.live(31_000, 1_000);
    const [probe] = world.connections.slice(3);
    probe.says(OPEN());
    await settle();
    assert.ok(probe.isClosed && requests.isClosed);
    assert.equal(world.connections.length, 5);
    world.connection.shakesHands();
    assert.deepEqual([socket.state, socket.transport], ["connected", "websocket"]);
    assert.deepEqual(states.slice(-3), ["waiting", "connecting", "connected"]);
  });

  test("who stops looks for nothing more", async () => {
    const { world, socket } = start();
    world.connection.breaks();
    world.pass(10_000);
    world.connection.shakesHands();
    socket.stop();
    await world.live(61_000, 1_000);
    assert.equal(world.connections.length, 2);
  });
});
