import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { planRows } from "../rows.js";
import { Timeline } from "../timeline.js";

const at = (minute) => new Date(2026, 0, 5, 10, minute).toISOString();
const said = (seq, senderId = "u-a", more = {}) => ({ seq, kind: "message", senderId, senderName: senderId, content: `m${seq}`, timestamp: at(seq), ...more });

function plan(messages, { lastSeq = messages.length, hasMore = false, change = () => {}, joined = true, refusal = null, readers = new Map(), ...more } = {}) {
  const timeline = new Timeline();
  timeline.open({ epoch: "a", firstSeq: 1, lastSeq, messages, hasMore });
  change(timeline);
  const isMine = ({ senderId }) => senderId === "u-me";
  return planRows({ room: { timeline, joined, refusal, readers }, isMine, self: { userId: "u-me", name: "Me" }, ...more });
}

// One word per row: its kind, its place, whether it follows.
const words = (rows) => rows.map(({ kind, message, follows }) => (message ? `${message.seq ?? message.clientMsgId}${follows ? "+" : ""}` : kind)).join(" ");

describe("rows of the log", () => {
  test("messages of one sender within five minutes share a heading", () => {
    assert.equal(words(plan([said(1), said(2), said(3, "u-b"), said(9, "u-b")], { lastSeq: 9 })), "day 1 2+ 3 9");
  });

  test("each day begins with its name, once", () => {
    const next = said(3, "u-a", { timestamp: new Date(2026, 0, 6, 9).toISOString() });
    assert.equal(words(plan([said(1), said(2), next])), "day 1 2+ day 3");
  });

  test("a remark stands after its message, also when that place has no row", () => {
    const marks = [{ id: 1, afterSeq: 1, kind: "caughtUp", count: 1 }, { id: 2, afterSeq: 3, kind: "moved" }];
    const edit = { seq: 3, kind: "edit", refSeq: 1, content: "x" };
    assert.equal(words(plan([said(1), said(2), edit, said(4)], { marks })), "day 1 mark 2 mark 4");
    assert.equal(words(plan([], { marks: [{ id: 1, afterSeq: 0, kind: "moved" }] })), "mark empty");
  });

  test("gaps stand where something is missing", () => {
    const rows = plan([said(1)], { change: (timeline) => timeline.skipTo({ messages: [said(9)], lastSeq: 9 }) });
    assert.equal(words(rows), "day 1 gap 9");
    assert.equal(rows[2].gap.isLost, false);
  });

  test("the divider stands before the first unread message of somebody else, once", () => {
    assert.equal(words(plan([said(1), said(2, "u-me"), said(3), said(4)], { unreadAfter: 1 })), "day 1 2 unread 3 4+");
    assert.equal(words(plan([said(1), said(2, "u-me")], { unreadAfter: 1 })), "day 1 2");
  });

  test("one's own keeps its row from pending to stored", () => {
    const entry = { clientMsgId: "x", roomId: "r", content: "m2", at: Date.parse(at(2)), state: "pending" };
    const before = plan([said(1)], { unsent: [entry] });
    assert.equal(words(before), "day 1 x");
    assert.deepEqual([before[2].state, before[2].message.senderName], ["pending", "Me"]);
    const after = plan([said(1), said(2, "u-me", { clientMsgId: "x" })]);
    assert.equal(before[2].key, after[2].key);
    assert.equal(after[2].state, "sent");
  });

  test("somebody else's id is not taken for one's own, and no key comes twice", () => {
    const rows = plan([said(1, "u-b", { clientMsgId: "x" }), said(2, "u-me", { clientMsgId: "x" }), said(3, "u-me", { clientMsgId: "x" })]);
    const keys = rows.map(({ key }) => key);
    assert.equal(new Set(keys).size, keys.length);
    assert.equal(rows.find(({ message }) => message?.seq === 1).state, "received");
  });

  test("what nobody said has its own kind and groups with nothing", () => {
    const rows = plan([said(1), { seq: 2, kind: "system", content: "Ada came", timestamp: at(2), senderId: "u-a" }, said(3)]);
    assert.deepEqual(rows.map(({ kind }) => kind), ["day", "message", "system", "message"]);
    assert.equal(rows[3].follows, false);
  });

  test("who has read one's last message is told while it is the last", () => {
    const readers = new Map([["u-a", 2], ["u-b", 1], ["u-c", 9]]);
    const mine = [said(1), said(2, "u-me")];
    assert.deepEqual(plan(mine, { readers }).at(-1), { key: "seen", kind: "seen", seenBy: ["u-a", "u-c"] });
    assert.equal(words(plan(mine, { readers: new Map([["u-b", 1]]) })), "day 1 2");
    assert.equal(words(plan([...mine, said(3, "u-a")], { readers })), "day 1 2 3", "who answers has read it");
    const unsent = [{ clientMsgId: "c", content: "more", at: at(3), state: "pending" }];
    assert.equal(words(plan(mine, { readers, unsent })), "day 1 2 c+");
  });

  test("an empty room and one that is refused say so", () => {
    assert.equal(words(plan([])), "empty");
    assert.deepEqual(plan([], { joined: false, refusal: { message: "banned" } }).map(({ kind }) => kind), ["refused"]);
    assert.equal(words(plan([said(1)], { hasMore: true })), "earlier day 1");
  });
});
