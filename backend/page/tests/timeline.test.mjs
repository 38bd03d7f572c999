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

describe("timeline", () => {
  test("keeps each message once, in the order of the room, whatever the order of arrival", () => {
    const timeline = opened();
    assert.deepEqual(timeline.add(say(6, 4, 4)).map(({ seq }) => seq), [4, 6]);
    assert.deepEqual(timeline.add(say(4, 5, 2)).map(({ seq }) => seq), [5]);
    assert.deepEqual(seqs(timeline), range(1, 6));
  });

  test("any order of arrival ends the same", () => {
    let state = 7;
    const dice = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 200; round += 1) {
      const timeline = opened({ lastSeq: 0, messages: [] });
      const arrivals = [...range(1, 20), ...range(1, 20)].map((seq) => [dice(), seq]).sort((a, b) => a[0] - b[0]);
      for (const [, seq] of arrivals) timeline.add(say(seq));
      assert.deepEqual(seqs(timeline), range(1, 20));
      assert.equal(timeline.cursor, 20);
      assert.equal(timeline.isBehind, false);
    }
  });

  test("knows that something is missing, and that it no longer is", () => {
    const timeline = opened();
    timeline.add(say(5));
    assert.equal(timeline.isBehind, true);
    assert.equal(timeline.cursor, 3, "recovery starts before the hole, not after what came last");
    timeline.add(say(4));
    assert.equal(timeline.isBehind, false);
    assert.equal(timeline.cursor, 5);
  });

  test("what came while the room was being opened is not lost", () => {
    const timeline = new Timeline();
    timeline.add(say(4, 3));
    timeline.open({ epoch: "a", lastSeq: 3, messages: say(2, 3), hasMore: true });
    assert.deepEqual(seqs(timeline), [2, 3, 4]);
    assert.equal(timeline.cursor, 4);
    assert.equal(timeline.hasEarlier, true);
  });

  test("a reconnect continues, and is behind until the last place is reached", () => {
    const timeline = opened();
    const fresh = timeline.open({ epoch: "a", lastSeq: 7, messages: say(3, 4, 5), hasMore: true }, 3);
    assert.deepEqual(fresh.map(({ seq }) => seq), [4, 5]);
    assert.equal(timeline.hasEarlier, false, "more to come is not more before");
    assert.equal(timeline.isBehind, true);
    timeline.add(say(6, 7));
    assert.equal(timeline.isBehind, false);
  });

  test("another epoch, or a log that ends too early, is another log: nothing of the old one stays", () => {
    for (const epoch of ["a", "b"]) {
      const timeline = opened();
      timeline.open({ epoch, lastSeq: 2, messages: say(1, 2) }, 3);
      assert.deepEqual(seqs(timeline), [1, 2], epoch);
      assert.equal(timeline.cursor, 2);
      assert.equal(timeline.isBehind, false);
    }
  });

  test("a message that overtakes the answer to a reconnect does not make it another log", () => {
    const timeline = opened();
    timeline.add(say(4));
    timeline.open({ epoch: "a", lastSeq: 3, messages: [] }, 3);
    assert.deepEqual(seqs(timeline), [1, 2, 3, 4]);
    assert.equal(timeline.cursor, 4);
  });

  test("history that is gone is a gap, and the room goes on after it", () => {
    const timeline = opened();
    timeline.add(say(9));
    timeline.skipGap();
    assert.deepEqual([...timeline.gaps], [3]);
    assert.equal(timeline.cursor, 9);
    assert.equal(timeline.isBehind, false);
    const empty = opened();
    empty.open({ epoch: "a", lastSeq: 8, messages: [] }, 3);
    empty.skipGap();
    assert.equal(empty.cursor, 8);
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
    timeline.add(say(...range(1, 1_200)));
    assert.equal(timeline.messages.length, 1_000);
    assert.equal(timeline.oldest, 201);
    assert.equal(timeline.cursor, 1_200);
    assert.equal(timeline.hasEarlier, true);
    timeline.prepend({ messages: say(...range(151, 200)), hasMore: true });
    assert.equal(timeline.oldest, 151);
  });

  test("places that are none are ignored", () => {
    const timeline = opened();
    assert.deepEqual(timeline.add([{ seq: 0 }, { seq: -1 }, { seq: 1.5 }, { seq: "4" }, {}]), []);
  });
});
