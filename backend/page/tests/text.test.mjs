import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { account, cleanName, ensureSession, offersOf } from "../identity.js";
import { hashOfRoom, roomFromHash, roomName, segments, snippet, typingLine } from "../text.js";

describe("links", () => {
  for (const [content, links] of [
    ["plain text", []],
    ["see https://example.org/a?b=c#d.", ["https://example.org/a?b=c#d"]],
    ["(https://en.example.org/wiki/Berth_(moorings)).", ["https://en.example.org/wiki/Berth_(moorings)"]],
    ["http://a.example, https://b.example!", ["http://a.example", "https://b.example"]],
    ["HTTPS://Example.ORG/x", ["HTTPS://Example.ORG/x"]],
    ["javascript:alert(1) data:text/html,x file:///etc vbscript:x", []],
    ["https://bank.example@evil.example/", []],
    ["https://user:word@evil.example/", []],
    ["https:// http://", []],
    ['https://a.example/"onmouseover="x', ["https://a.example/"]],
    ["<https://a.example/x>", ["https://a.example/x"]],
    ["xhttps://a.example", []],
  ]) {
    test(content, () => {
      const parts = segments(content);
      assert.deepEqual(parts.filter(({ href }) => href).map(({ text }) => text), links);
      assert.equal(parts.map(({ text }) => text).join(""), content, "nothing is lost");
      for (const { href } of parts) assert.match(href ?? "https:", /^https?:/);
    });
  }

  test("long nonsense is read in no time", () => {
    const start = performance.now();
    segments("https://a.example/" + ")".repeat(500_000));
    segments("https://".repeat(4_000));
    assert.ok(performance.now() - start < 2_000);
  });
});

describe("rooms in addresses", () => {
  for (const [hash, room] of [
    ["", "lobby"],
    ["#", "lobby"],
    ["#lobby", "lobby"],
    ["#dry%20dock", "dry dock"],
    ["#%E6%B8%AF", "港"],
    ["#100%", "100%"],
    ["#%00%0A", "lobby"],
    [`#${"x".repeat(129)}`, "lobby"],
    [`#${"x".repeat(128)}`, "x".repeat(128)],
  ]) {
    test(`${hash.slice(0, 20)} is ${room.slice(0, 20)}`, () => assert.equal(roomFromHash(hash), room));
  }

  test("a room's address leads back to it", () => {
    for (const room of ["lobby", "dry dock", "a/b?c#d", "100%", "港", "%41"]) assert.equal(roomFromHash(hashOfRoom(room)), room);
  });

  test("a typed name may start with the sign", () => {
    assert.equal(roomName("  # quay 3 "), "quay 3");
    assert.equal(roomName(" # "), null);
  });
});

describe("who speaks", () => {
  test("a name is one line of visible text", () => {
    assert.equal(cleanName("  Grace \n\t Hopper\u0000 "), "Grace Hopper");
    assert.equal([...cleanName("😀".repeat(60))].length, 16);
    assert.equal(cleanName(" \n "), "");
  });

  const answer = (status, body) => ({ ok: status < 300, json: async () => body });
  async function asked(first, second = answer(200, {})) {
    const paths = [];
    const answers = [first, second];
    const request = async (path) => {
      paths.push(path);
      const next = answers.shift();
      if (next instanceof Error) throw next;
      return next;
    };
    return { result: await ensureSession("Ada", { request }), paths };
  }

  test("a session with this name is kept", async () => {
    assert.deepEqual(await asked(answer(200, { user: { id: "1", name: "Ada" } })), { result: true, paths: ["/api/auth/me"] });
  });

  test("no session, or another name, makes one", async () => {
    for (const first of [answer(401, {}), answer(200, { user: { name: "Bob" } }), answer(200, { user: null })]) {
      assert.deepEqual(await asked(first), { result: true, paths: ["/api/auth/me", "/api/auth/guest"] });
    }
  });

  test("trouble with sessions is reported and never thrown", async () => {
    assert.equal((await asked(new TypeError("offline"))).result, false);
    assert.equal((await asked(answer(401, {}), answer(503, {}))).result, false);
  });
});

describe("who is typing", () => {
  for (const [names, line] of [
    [[], ""],
    [["Me"], ""],
    [["Ada"], "Ada is typing…"],
    [["Ada", "Me", "Bob"], "Ada and Bob are typing…"],
    [["A", "B", "C"], "A, B and one other are typing…"],
    [["A", "B", "C", "D"], "A, B and 2 others are typing…"],
  ]) {
    test(line || names.join() || "nobody", () => assert.equal(typingLine(names.map((name) => ({ id: name, name })), "Me"), line));
  }
});

describe("accounts", () => {
  const answering = (status, body) => async () => ({ ok: status < 300, json: async () => body });

  test("a login names the user, or says in a sentence why not", async () => {
    assert.deepEqual(await account("login", {}, { request: answering(200, { ok: true, user: { name: "Ada" } }) }), { user: { name: "Ada" } });
    assert.deepEqual(await account("login", {}, { request: answering(401, { error: { message: "wrong" } }) }), { problem: "wrong" });
    const lost = async () => Promise.reject(new TypeError("offline"));
    assert.deepEqual(await account("login", {}, { request: lost }), { problem: "The server could not be reached." });
  });

  test("a server that does not say what it offers offers nothing more", async () => {
    assert.deepEqual(await offersOf({ request: answering(200, { login: true }) }), { login: true });
    assert.deepEqual(await offersOf({ request: answering(404, {}) }), {});
    assert.deepEqual(await offersOf({ request: async () => Promise.reject(new Error("x")) }), {});
  });
});

describe("a snippet of a message", () => {
  for (const [message, text] of [
    [{ content: "short" }, "short"],
    [{ content: "two\n\n lines " }, "two lines"],
    [{ content: "x".repeat(200) }, `${"x".repeat(90)}…`],
    [{ content: "👩‍🚀".repeat(60) }, `${[..."👩‍🚀".repeat(60)].slice(0, 90).join("")}…`],
    [{ content: { odd: 1 } }, '{"odd":1}'],
    [{ content: "", deletedAt: "2026-01-01" }, "a deleted message"],
  ]) {
    test(JSON.stringify(message).slice(0, 40), () => assert.equal(snippet(message), text));
  }
});
