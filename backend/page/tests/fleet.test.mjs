import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Fleet, quantile, total } from "../fleet.js";

const overview = (id, { uptimeSeconds = 10, state = "up", mode = "cluster", figures = {}, redis = true, sharesProcess = false, hotRooms = [] } = {}) => ({
  mode,
  instance: { id, version: "1", state, uptimeSeconds, sharesProcess },
  hotRooms,
  dependencies: [{ name: "redis", kind: "redis", up: redis, required: true }],
  figures,
});
const texts = (fleet) => fleet.events.map(({ text }) => text).reverse();

describe("the fleet", () => {
  test("is put together from the words of single instances, in the order of their names", () => {
    const fleet = new Fleet();
    for (const [id, now] of [["b-10", 1_000], ["b-2", 2_000], ["b-10", 3_000]]) fleet.hear(overview(id), now);
    assert.deepEqual(fleet.rows(4_000).map(({ id, ageMs }) => [id, ageMs]), [["b-2", 2_000], ["b-10", 1_000]]);
  });

  test("is as well as the worst of them says", () => {
    const fleet = new Fleet();
    assert.equal(fleet.mode, null);
    fleet.hear(overview("a"), 0);
    fleet.hear(overview("b", { mode: "degraded-redis" }), 0);
    assert.equal(fleet.mode, "degraded-redis");
    fleet.hear(overview("c", { mode: "degraded-store" }), 0);
    assert.equal(fleet.mode, "degraded-store");
  });

  test("loses those that nobody hears of, and remembers what happened", () => {
    const fleet = new Fleet();
    fleet.hear(overview("a"), 0);
    fleet.hear(overview("a", { redis: false, mode: "degraded-redis" }), 1_000);
    fleet.hear(overview("a", { uptimeSeconds: 1 }), 2_000);
    fleet.hear(overview("a", { uptimeSeconds: 2, state: "draining" }), 3_000);
    fleet.forget(602_999);
    assert.equal(fleet.rows(0).length, 1);
    fleet.forget(603_000);
    assert.equal(fleet.rows(0).length, 0);
    assert.deepEqual(texts(fleet), [
      "a is there",
      "a says degraded-redis",
      "redis is down for a",
      "a was restarted",
      "a says cluster",
      "redis is back for a",
      "a is draining",
      "a is no longer heard of",
    ]);
  });

  test("memory per socket is each program's own, or that of all instances in it", () => {
    const figures = (bytes, sockets) => ({ process_resident_memory_bytes: bytes, chat_connections: { websocket: sockets, polling: 0 } });
    const fleet = new Fleet();
    fleet.hear(overview("a", { figures: figures(1_000, 10) }), 0);
    fleet.hear(overview("b", { figures: figures(1_000, 0) }), 0);
    fleet.hear(overview("c", { figures: {} }), 0);
    assert.deepEqual(fleet.rows(0).map(({ socketBytes }) => socketBytes), [100, null, null]);
    const one = new Fleet();
    for (const [id, sockets] of [["a", 3], ["b", 7]]) one.hear(overview(id, { sharesProcess: true, figures: figures(1_000, sockets) }), 0);
    assert.deepEqual(one.rows(0).map(({ socketBytes }) => socketBytes), [100, 100]);
  });

  test("rooms are put together from those who are in them, the hottest first", () => {
    const room = (id, connections, perSecond, tail) => ({ id, connections, perSecond, tail });
    const fleet = new Fleet();
    fleet.hear(overview("a", { hotRooms: [room("lobby", 3, 1, 40), room("quay", 1, 9.5, 7)] }), 0);
    fleet.hear(overview("b", { hotRooms: [room("lobby", 4, 1.5, 41), room("idle", 9, 0, 900)] }), 0);
    assert.deepEqual(fleet.hotRooms(), [room("quay", 1, 9.5, 7), room("lobby", 7, 1.5, 41), room("idle", 9, 0, 900)]);
  });

  test("sockets opened are shown by the time at which they were, also over a restart", () => {
    const opened = (count, uptimeSeconds) => overview("a", { uptimeSeconds, figures: { chat_connects_total: count } });
    const fleet = new Fleet();
    fleet.hear(opened(1_000, 60), 1_000_000);
    fleet.hear(opened(1_010, 62), 1_002_000);
    fleet.hear(opened(1_030, 66), 1_006_000);
    fleet.hear(opened(5, 1), 1_011_000);
    const bars = fleet.connects(1_014_000);
    assert.equal(bars.length, 60);
    assert.deepEqual(bars.slice(-4), [0, 2, 4, 1], "what was before this page was opened is nobody's news");
    assert.deepEqual(fleet.connects(1_400_000).slice(0, 3), [0, 0, 0]);
  });

  test("counts per second between two words, and not across a restart", () => {
    const fleet = new Fleet();
    const stored = (count, uptimeSeconds) => overview("a", { uptimeSeconds, figures: { chat_messages_total: { stored: count, refused: 9 } } });
    fleet.hear(stored(10, 10), 0);
    assert.equal(fleet.rows(0)[0].storedPerSecond, null);
    fleet.hear(stored(30, 12), 2_000);
    assert.equal(fleet.rows(0)[0].storedPerSecond, 10);
    fleet.hear(stored(3, 1), 4_000);
    assert.equal(fleet.rows(0)[0].storedPerSecond, null);
  });

  test("sums what should stand still, and says where nobody counts", () => {
    const fleet = new Fleet();
    for (const id of ["a", "b"]) fleet.hear(overview(id, { figures: { chat_refusals_total: { MUTED: 2, BANNED: 1 } } }), 0);
    const counts = Object.fromEntries(fleet.delivery().map(({ name, count }) => [name, count]));
    assert.equal(counts.Refused, 6);
    assert.equal(counts["Gaps repaired"], null);
    assert.deepEqual(fleet.dependencies(), [{ name: "redis", kind: "redis", downFor: [] }]);
  });

  test("shows one that drains on, though a proxy asks it nothing any more, so that it can be taken back", () => {
    const fleet = new Fleet();
    fleet.hear(overview("a"), 0);
    fleet.tell("a", true, 1_000);
    fleet.tell("nobody", true, 1_000);
    fleet.forget(500_000);
    assert.deepEqual(fleet.rows(500_000).map(({ id, state, ageMs }) => [id, state, ageMs]), [["a", "draining", 500_000]]);
    fleet.tell("a", false, 500_000);
    assert.equal(fleet.rows(500_000)[0].state, "up");
    fleet.forget(500_000);
    assert.deepEqual(texts(fleet), ["a is there", "a is draining", "a is up", "a is no longer heard of"]);
  });

  test("knows the webhooks as whoever could say it last", () => {
    const fleet = new Fleet();
    assert.deepEqual(fleet.webhooks(), { webhooks: null, roomsWaiting: 0 });
    const hooks = (...ids) => ids.map((id) => ({ id }));
    fleet.hear({ ...overview("a", { figures: { chat_webhook_rooms_waiting: 2 } }), webhooks: hooks("old") }, 0);
    fleet.hear({ ...overview("b", { figures: { chat_webhook_rooms_waiting: 1 } }), webhooks: hooks("one", "two") }, 1_000);
    fleet.hear({ ...overview("c"), webhooks: null }, 2_000);
    assert.deepEqual(fleet.webhooks(), { webhooks: hooks("one", "two"), roomsWaiting: 3 });
  });

  test("keeps a bounded memory of events", () => {
    const fleet = new Fleet();
    for (let number = 0; number < 300; number += 1) fleet.hear(overview(`i${number}`), 0);
    assert.equal(fleet.events.length, 100);
  });
});

describe("figures", () => {
  const histogram = (...counts) => ({ count: counts.at(-1), sum: 0, buckets: [0.001, 0.01, 0.1].map((bound, index) => [bound, counts[index]]) });

  test("a quantile is the bound of its bucket, of what is new", () => {
    assert.equal(quantile({ now: histogram(50, 99, 100, 100) }, 0.5), 0.001);
    assert.equal(quantile({ now: histogram(50, 99, 100, 100) }, 0.99), 0.01);
    assert.equal(quantile({ now: histogram(50, 99, 110, 110), before: histogram(50, 99, 100, 100) }, 0.5), 0.1);
    assert.equal(quantile({ now: histogram(0, 0, 0, 5) }, 0.5), Infinity);
    assert.equal(quantile({ now: histogram(0, 0, 0, 0) }, 0.5), null);
    assert.equal(quantile({}, 0.5), null);
  });

  test("a total is a number, a sum, or nothing", () => {
    assert.deepEqual([total(3), total({ a: 1, b: 2 }), total(undefined), total(null)], [3, 3, null, null]);
  });
});
