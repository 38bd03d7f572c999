import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { RoomList } from "../room_list.js";
import { MemoryStorage } from "./world.mjs";

describe("the list of rooms", () => {
  test("outlives a reload, in its order", () => {
    const storage = new MemoryStorage();
    const list = new RoomList(storage);
    for (const id of ["a", "b", "a", "c"]) list.add(id);
    list.remove("b");
    assert.deepEqual(new RoomList(storage).ids, ["a", "c"]);
  });

  test("takes in what is on record, but not what was put away, unless there is news", () => {
    const storage = new MemoryStorage();
    const list = new RoomList(storage);
    list.add("put away");
    list.remove("put away");
    const again = new RoomList(storage);
    assert.deepEqual(again.learn([{ id: "new", unread: 0 }, { id: "put away", unread: 0 }]).map(({ id }) => id), ["new"]);
    assert.deepEqual(again.learn([{ id: "new", unread: 3 }, { id: "put away", unread: 2 }]).map(({ id }) => id), ["put away"]);
    assert.deepEqual(again.ids, ["new", "put away"]);
  });

  test("has an end: what was opened makes place, what is only on record does not", () => {
    const list = new RoomList(null);
    for (let number = 0; number < 40; number += 1) assert.equal(list.add(`r${number}`), null);
    assert.equal(list.add("one more"), "r0");
    assert.deepEqual(list.learn([{ id: "on record", unread: 9 }]), []);
  });

  test("a broken one is none", () => {
    const storage = new MemoryStorage();
    storage.setItem("berth.rooms", "{");
    assert.deepEqual(new RoomList(storage).ids, []);
  });
});
