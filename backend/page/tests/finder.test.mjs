import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { findMessages } from "../finder.js";

const server = (status, body) => {
  const asked = [];
  const request = async (path) => {
    asked.push(path);
    if (body instanceof Error) throw body;
    return { ok: status < 300, status, json: async () => body };
  };
  return { asked, request };
};

describe("finding messages", () => {
  test("asks in one room, in all, and for more", async () => {
    const { asked, request } = server(200, { messages: [{ seq: 1 }], before: "ff" });
    assert.deepEqual(await findMessages({ words: "a & b", roomId: "dock 7" }, { request }), { messages: [{ seq: 1 }], before: "ff" });
    await findMessages({ words: "a", before: "ff" }, { request });
    assert.deepEqual(asked, ["/api/search?q=a+%26+b&limit=30&roomId=dock+7", "/api/search?q=a&limit=30&before=ff"]);
  });

  for (const [what, status, body, problem] of [
    ["a refusal is told in the server's words", 400, { error: { message: "q is empty" } }, "q is empty"],
    ["a server without an index says so", 404, {}, "This server keeps no index to search in."],
    ["no network is a sentence", 0, new Error("offline"), "The server could not be reached."],
  ]) {
    test(what, async () => assert.deepEqual(await findMessages({ words: "a" }, server(status, body)), { problem }));
  }

  test("nothing found is an empty list", async () => {
    assert.deepEqual(await findMessages({ words: "a" }, server(200, { messages: [] })), { messages: [], before: null });
  });
});
