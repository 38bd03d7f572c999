import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { membersOf, myRooms } from "../my_rooms.js";

const answers = (...bodies) => {
  const asked = [];
  const request = async (path) => {
    asked.push(path);
    const body = bodies.shift();
    if (body instanceof Error) throw body;
    return { ok: body !== null, json: async () => body };
  };
  return { asked, request };
};

describe("what the server has on record", () => {
  test("is asked for page by page", async () => {
    const { asked, request } = answers({ rooms: [{ id: "a" }, { id: "b" }], next: "b" }, { rooms: [{ id: "c" }] });
    assert.deepEqual((await myRooms({ request })).map(({ id }) => id), ["a", "b", "c"]);
    assert.deepEqual(asked, ["/api/rooms?limit=100", "/api/rooms?limit=100&after=b"]);
  });

  test("ends somewhere, whatever the server says", async () => {
    const { asked, request } = answers(...Array.from({ length: 9 }, () => ({ members: [{ userId: "a" }], next: "a" })));
    assert.equal((await membersOf("dock 7", { request })).length, 1);
    assert.deepEqual([asked.length, asked[0]], [3, "/api/rooms/dock%207/members?limit=100"]);
  });

  for (const [what, body] of [["a server that does not know the question", null], ["no network", new Error("offline")], ["another shape", { rooms: 7 }]]) {
    test(`${what} is nothing on record`, async () => assert.deepEqual(await myRooms(answers(body)), []));
  }
});
