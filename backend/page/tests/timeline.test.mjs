import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Timeline } from "../timeline.js";

const say = (...seqs) => seqs.map((seq) => ({ seq, id: `m${seq}` }));
const seqs = (timeline) => timeline.messages.map(({ seq }) => seq);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

function opened({ lastSeq = 3, messages = say(1, 2, 3), ...rest } = {}) {
  const timeline = new Timeline();
  timeline.open({ epoch: "a", lastSeq, messages, ...rest });
  return timeline;
}

const page = (from, to, more = {}) => ({ messages: say(...range(from, to)), lastSeq: to, firstSeq: 1, hasMore: false, ...more });
const added = (timeline, ...seqs) => seqs.flatMap((seq) => timeline.add(...say(seq)).map((entry) => entry.seq));

describe("timeline", () => {
  test("gives each message once, in the order of the room, whatever the order of arrival", () => {
    const timeline = opened();
    assert.deepEqual(added(timeline, 6, 4, 4), [4]);
    assert.deepEqual(added(timeline, 4, 5, 2), [5, 6]);
    assert.deepEqual(seqs(timeline), range(1, 6));
  });

  test("any order of arrival ends the same", () => {
    let state = 7;
    const dice = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 200; round += 1) {
      const timeline = opened({ lastSeq: 0, messages: [] });
      const arrivals = [...range(1, 20), ...range(1, 20)].map((seq) => [dice(), seq]).sort((a, b) => a[0] - b[0]);
      assert.deepEqual(added(timeline, ...arrivals.map(([, seq]) => seq)), range(1, 20));
      assert.equal(timeline.cursor, 20);
      assert.equal(timeline.isBehind || timeline.isHolding, false);
    }
  });

  test("a hole holds back what comes after it, until it is filled or given up", () => {
    const timeline = opened();
    assert.deepEqual(added(timeline, 5, 6), []);
    assert.equal(timeline.isBehind, true);
    assert.equal(timeline.cursor, 3, "recovery starts before the hole, not after what came last");
    assert.deepEqual(timeline.addAfter(3, page(4, 5)).map(({ seq }) => seq), [4, 5, 6]);
    assert.equal(timeline.isBehind, false);
  });

  test("what is released is shown, and the hole before it is still known", () => {
    const timeline = opened();
    added(timeline, 5, 7);
    assert.deepEqual(timeline.release().map(({ seq }) => seq), [5, 7]);
    assert.deepEqual(added(timeline, 5, 7), [], "shown is known");
    assert.equal(timeline.cursor, 3);
    assert.deepEqual(timeline.addAfter(3, page(4, 7)).map(({ seq }) => seq), [4, 6]);
    assert.deepEqual(seqs(timeline), range(1, 7));
    assert.equal(timeline.isBehind, false);
  });

  test("what came while the room was being opened is not lost", () => {
    const timeline = new Timeline();
    assert.deepEqual(added(timeline, 4, 3), []);
    const fresh = timeline.open({ epoch: "a", lastSeq: 3, messages: say(2, 3), hasMore: true });
    assert.deepEqual(fresh.map(({ seq }) => seq), [2, 3, 4]);
    assert.equal(timeline.cursor, 4);
    assert.equal(timeline.hasEarlier, true);
  });

  test("a reconnect continues, and is behind until the last place is reached", () => {
    const timeline = opened();
    const fresh = timeline.open({ epoch: "a", firstSeq: 1, lastSeq: 7, messages: say(4, 5), hasMore: true }, 3);
    assert.deepEqual(fresh.map(({ seq }) => seq), [4, 5]);
    assert.equal(timeline.hasEarlier, false, "more to come is not more before");
    assert.equal(timeline.isBehind, true);
    timeline.addAfter(5, page(6, 7));
    assert.equal(timeline.isBehind, false);
  });

  test("another epoch, or a log that ends too early, is another log: nothing of the old one stays", () => {
    for (const epoch of ["a", "b"]) {
      const timeline = opened();
      added(timeline, 9);
      timeline.open({ epoch, lastSeq: 2, messages: say(1, 2) }, 3);
      assert.deepEqual(seqs(timeline), [1, 2], epoch);
      assert.equal(timeline.cursor, 2);
      assert.equal(timeline.isBehind, false);
    }
  });

  test("a message that overtakes the answer to a reconnect does not make it another log", () => {
    const timeline = opened();
    added(timeline, 4);
    timeline.open({ epoch: "a", firstSeq: 1, lastSeq: 3, messages: [] }, 3);
    assert.deepEqual(seqs(timeline), [1, 2, 3, 4]);
    assert.equal(timeline.cursor, 4);
  });

  test("history that is gone is a gap for good, and the room goes on after it", () => {
    const timeline = opened();
    timeline.addAfter(3, page(8, 9, { firstSeq: 8 }));
    assert.deepEqual(timeline.gaps, [{ after: 3, before: 8, isLost: true }]);
    assert.equal(timeline.cursor, 9);
    const unanswered = opened();
    added(unanswered, 9);
    assert.deepEqual(unanswered.giveUpGap().map(({ seq }) => seq), [9]);
    assert.deepEqual(unanswered.gaps, [{ after: 3, before: 9, isLost: true }]);
    assert.equal(unanswered.isBehind, false);
  });

  test("places without an entry in a page are no holes", () => {
    const timeline = opened();
    timeline.addAfter(3, { messages: say(5, 8), firstSeq: 1, lastSeq: 9, hasMore: false });
    assert.equal(timeline.cursor, 9);
    assert.deepEqual(timeline.gaps, []);
  });

  test("a gap that was skipped is filled page by page", () => {
    const timeline = opened();
    timeline.skipTo({ messages: say(...range(20, 25)), lastSeq: 25 });
    const [gap] = timeline.gaps;
    assert.deepEqual(gap, { after: 3, before: 20, isLost: false });
    assert.equal(timeline.cursor, 25);
    timeline.fillGap(gap, { ...page(4, 10), hasMore: true });
    assert.deepEqual(timeline.gaps, [{ after: 10, before: 20, isLost: false }]);
    timeline.fillGap(timeline.gaps[0], { ...page(11, 21), hasMore: true });
    assert.deepEqual(timeline.gaps, []);
    assert.deepEqual(seqs(timeline), range(1, 25));
    timeline.fillGap(gap, page(4, 10));
    assert.equal(timeline.messages.length, 25, "a gap that is no longer there");
  });

  test("a gap whose history was removed meanwhile says so", () => {
    const timeline = opened();
    timeline.skipTo({ messages: say(20), lastSeq: 20 });
    timeline.fillGap(timeline.gaps[0], { ...page(12, 19), firstSeq: 12 });
    assert.deepEqual(timeline.gaps, [{ after: 3, before: 12, isLost: true }]);
    assert.deepEqual(seqs(timeline), [1, 2, 3, ...range(12, 20)]);
  });

  test("earlier pages go to the front", () => {
    const timeline = opened({ lastSeq: 9, messages: say(8, 9), hasMore: true });
    timeline.prepend({ messages: say(6, 7), hasMore: true });
    assert.equal(timeline.oldest, 6);
    timeline.prepend({ messages: [], hasMore: true });
    assert.equal(timeline.hasEarlier, false, "an empty page is the beginning");
  });

  test("a long talk drops its oldest, which can be loaded again", () => {
    const timeline = opened({ lastSeq: 0, messages: [] });
    added(timeline, ...range(1, 1_200));
    assert.equal(timeline.messages.length, 1_000);
    assert.equal(timeline.oldest, 201);
    assert.equal(timeline.cursor, 1_200);
    assert.equal(timeline.hasEarlier, true);
    timeline.prepend({ messages: say(...range(151, 200)), hasMore: true });
    assert.equal(timeline.oldest, 151);
  });

  test("places that are none are ignored", () => {
    const timeline = opened();
    for (const seq of [0, -1, 1.5, "4", undefined]) assert.deepEqual(timeline.add({ seq }), []);
  });
});

describe("changes to a message", () => {
  const change = (seq, kind, more = {}) => ({ seq, kind, refSeq: 2, senderId: "u", timestamp: `t${seq}`, ...more });
  const row = (timeline) => timeline.find(2);

  test("take their place in the log and no row", () => {
    const timeline = opened();
    timeline.add(change(4, "edit", { content: "new" }));
    assert.equal(timeline.cursor, 4);
    assert.deepEqual([row(timeline).content, row(timeline).editedAt, timeline.messages.length], ["new", "t4", 3]);
  });

  test("come in the order of the log, also when they arrive otherwise", () => {
    const timeline = opened();
    timeline.add(change(5, "edit", { content: "last" }));
    timeline.add(change(4, "edit", { content: "first" }));
    assert.equal(row(timeline).content, "last");
  });

  test("end with the deletion", () => {
    const timeline = opened();
    for (const entry of [change(4, "delete"), change(5, "edit", { content: "zombie" }), change(6, "reaction", { emoji: "x", added: true })]) timeline.add(entry);
    assert.deepEqual([row(timeline).content, row(timeline).deletedAt, row(timeline).reactions], ["", "t4", []]);
  });

  test("of messages that are not here are no trouble", () => {
    const timeline = opened();
    timeline.add(change(4, "edit", { refSeq: 99, content: "x" }));
    assert.equal(timeline.cursor, 4);
  });

  test("a row that changes is another one, so that drawing notices", () => {
    const timeline = opened();
    const before = row(timeline);
    timeline.add(change(4, "reaction", { emoji: "x", added: true }));
    assert.notEqual(row(timeline), before);
    assert.deepEqual(row(timeline).reactions, [{ emoji: "x", count: 1, users: ["u"] }]);
    timeline.add(change(5, "reaction", { emoji: "x", added: false }));
    assert.deepEqual(row(timeline).reactions, []);
  });

  test("a count that names only some of its users is counted on", () => {
    const timeline = opened({ messages: [...say(1), { seq: 2, kind: "message", reactions: [{ emoji: "x", count: 60, users: ["a"] }] }, ...say(3)] });
    timeline.add(change(4, "reaction", { emoji: "x", added: false }));
    assert.equal(row(timeline).reactions[0].count, 59);
  });
});
