import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Outbox } from "../outbox.js";
import { MemoryStorage } from "./world.mjs";

const draft = (clientMsgId, now = 1, roomId = "lobby") => ({ clientMsgId, roomId, content: `text of ${clientMsgId}`, now });

describe("outbox", () => {
  test("outlives a reload, in the order in which it was said", () => {
    const storage = new MemoryStorage();
    const outbox = new Outbox(storage);
    for (const id of ["c", "a", "b"]) outbox.add(draft(id, 5));
    const reloaded = new Outbox(storage);
    assert.deepEqual(reloaded.inRoom("lobby").map((entry) => entry.clientMsgId), ["c", "a", "b"]);
    reloaded.add(draft("d", 1));
    assert.equal(reloaded.inRoom("lobby").at(-1).clientMsgId, "d", "a clock that went back does not reorder");
  });

  test("gives failed ones only when asked to retry, also after a reload", () => {
    const storage = new MemoryStorage();
    const outbox = new Outbox(storage);
    outbox.add(draft("a"));
    outbox.add(draft("b"));
    outbox.fail("a", "You are muted.");
    const reloaded = new Outbox(storage);
    assert.equal(reloaded.get("a").problem, "You are muted.");
    assert.equal(reloaded.next("lobby").clientMsgId, "b");
    reloaded.retry("a");
    assert.equal(reloaded.next("lobby").clientMsgId, "a");
    assert.equal(reloaded.get("a").problem, null);
  });

  test("what was stored is gone for good", () => {
    const storage = new MemoryStorage();
    const outbox = new Outbox(storage);
    outbox.add(draft("a"));
    assert.equal(outbox.remove("a"), true);
    assert.equal(outbox.remove("a"), false);
    assert.equal(storage.length, 0);
  });

  test("two tabs do not overwrite each other", () => {
    const storage = new MemoryStorage();
    const [one, two] = [new Outbox(storage), new Outbox(storage)];
    one.add(draft("a"));
    two.add(draft("b"));
    one.remove("a");
    assert.deepEqual(new Outbox(storage).inRoom("lobby").map((entry) => entry.clientMsgId), ["b"]);
  });

  test("knows which rooms wait", () => {
    const outbox = new Outbox(null);
    outbox.add(draft("a", 1, "dock"));
    outbox.add(draft("b", 2, "lobby"));
    outbox.add(draft("c", 3, "dock"));
    outbox.fail("b", "no");
    assert.deepEqual(outbox.rooms(), ["dock"]);
  });

  test("foreign and broken storage entries are left alone", () => {
    const storage = new MemoryStorage();
    for (const text of ["{", "null", "[]", '{"clientMsgId":1}', '{"clientMsgId":"y","roomId":"r","content":"c","at":1,"order":1}']) {
      storage.setItem("berth.outbox.x", text);
      assert.deepEqual(new Outbox(storage).rooms(), [], text);
    }
    assert.equal(storage.length, 1);
  });

  test("a storage that refuses does not stop anybody from talking", () => {
    const storage = new MemoryStorage();
    storage.setItem = () => {
      throw new Error("QuotaExceededError");
    };
    const outbox = new Outbox(storage);
    outbox.add(draft("a"));
    assert.equal(outbox.next("lobby").clientMsgId, "a");
    outbox.remove("a");
    assert.equal(outbox.next("lobby"), undefined);
  });

  test("is bounded", () => {
    const outbox = new Outbox(null);
    for (let index = 0; index < 200; index += 1) outbox.add(draft(`m${index}`));
    assert.equal(outbox.isFull, true);
  });
});
