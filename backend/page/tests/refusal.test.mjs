import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { ChatError, refusedDelayMs, retryDelayMs } from "../refusal.js";

describe("asking again", () => {
  test("delays double up to their most and keep their jitter in the upper half", () => {
    const delays = (random) => [0, 1, 2, 3, 4, 5, 50].map((attempt) => retryDelayMs(attempt, random, { maxMs: 8_000 }));
    assert.deepEqual(delays(1), [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    assert.deepEqual(delays(0), [250, 500, 1000, 2000, 4000, 4000, 4000]);
    assert.equal(retryDelayMs(50, 1), 30_000);
  });

  test("never comes sooner than the server asks, nor all at once", () => {
    const refusal = new ChatError("OVERLOADED", "", { retryAfterMs: 2_000 });
    assert.deepEqual([0, 1].map((random) => refusedDelayMs(refusal, 0, random)), [2_000, 2_500]);
    assert.equal(refusedDelayMs(new ChatError("OVERLOADED", ""), 1, 1), 1_000);
    assert.ok(refusedDelayMs(new ChatError("X", "", { retryAfterMs: 1e12 }), 0, 0) <= 300_000, "a wrong number is no sentence");
  });
});

describe("errors", () => {
  test("whatever stands in place of an error becomes one", () => {
    const known = ChatError.from({ code: "MUTED", message: "no", retryable: true, retryAfterMs: 5, details: { a: 1 } });
    assert.deepEqual({ ...known, message: known.message }, { name: "ChatError", code: "MUTED", message: "no", retryable: true, retryAfterMs: 5, details: { a: 1 } });
    for (const odd of [undefined, null, {}]) assert.deepEqual([ChatError.from(odd).code, ChatError.from(odd).retryable], ["INTERNAL", false]);
  });
});
