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

  test("one that is stored stays to be seen until its row is there, but not over a reload", () => {
    const storage = new MemoryStorage();
    const outbox = new Outbox(storage);
    outbox.add(draft("a"));
    outbox.settle("a", { seq: 7, timestamp: "2026-01-01T00:00:00Z" });
    assert.deepEqual(outbox.inRoom("lobby").map(({ state, seq }) => [state, seq]), [["stored", 7]]);
    assert.equal(outbox.next("lobby"), undefined);
    assert.equal(storage.length, 0);
    storage.setItem("berth.outbox.b", JSON.stringify({ ...draft("b"), order: 1, at: 1, state: "stored" }));
    assert.deepEqual(new Outbox(storage).inRoom("lobby"), [], "nor when the tab ended in between");
  });

  test("hears what another tab adds, settles and gives up, in whatever order it comes", () => {
    const [one, two] = [new Outbox(new MemoryStorage()), new Outbox(new MemoryStorage())];
    const event = (id, change) => ({ key: `berth.outbox.${id}`, newValue: change && JSON.stringify({ ...one.get(id), ...change }) });
    for (const id of ["a", "b", "c"]) one.add(draft(id));
    for (const id of ["a", "b", "c"]) assert.equal(two.heard(event(id, {})), "lobby");
    two.heard(event("a", { state: "stored", seq: 3 }));
    two.heard(event("a", null));
    two.heard(event("b", null));
    two.remove("c");
    two.heard(event("c", { state: "stored", seq: 4 }));
    assert.deepEqual(two.inRoom("lobby").map(({ clientMsgId, state }) => [clientMsgId, state]), [["a", "stored"]]);
    assert.equal(two.heard({ key: "other", newValue: "x" }), null);
    assert.equal(two.heard({ key: "berth.outbox.z", newValue: "{" }), null);
  });

  test("somebody else's words are not next", () => {
    const outbox = new Outbox(null);
    outbox.add({ ...draft("a"), userId: "u-a" });
    outbox.add(draft("b"));
    assert.equal(outbox.next("lobby", "u-a").clientMsgId, "a");
    assert.equal(outbox.next("lobby", "u-b").clientMsgId, "b");
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
