// What the log shows, from top to bottom, as plain rows with stable keys. Pure.

import { dayKey } from "./text.js";

// Messages of one sender that follow each other within this time share a heading.
const GROUP_MS = 5 * 60_000;

// `marks`: remarks of this window, `{ id, afterSeq, kind: "moved" | "caughtUp", … }`. `unreadAfter`: the place after
// which the divider stands, or null.
export function planRows({ room, unsent = [], marks = [], unreadAfter = null, isMine, self = {} }) {
  const { timeline, joined, refusal, readers } = room;
  const plan = new Plan();
  if (timeline.hasEarlier) plan.push({ key: "earlier", kind: "earlier" });
  const marksAt = groupBy(marks, (mark) => mark.afterSeq);
  const gapsAt = groupBy(timeline.gaps, (gap) => gap.after);
  const between = (seq) => {
    for (const mark of marksAt.get(seq) ?? []) plan.push({ key: `mark ${mark.id}`, kind: "mark", mark });
    for (const gap of gapsAt.get(seq) ?? []) plan.push({ key: `gap ${gap.after} ${gap.isLost}`, kind: "gap", gap });
    marksAt.delete(seq);
    gapsAt.delete(seq);
  };
  let isDivided = unreadAfter === null;
  for (const message of timeline.messages) {
    // What stands after a place that has no row of its own, such as an edit's, comes before the next row.
    for (const seq of [...marksAt.keys(), ...gapsAt.keys()].sort((a, b) => a - b)) if (seq < message.seq) between(seq);
    if (!isDivided && message.seq > unreadAfter && !isMine(message)) {
      plan.push({ key: "unread", kind: "unread" });
      isDivided = true;
    }
    plan.message(message, isMine(message) ? "sent" : "received");
  }
  for (const seq of [...marksAt.keys(), ...gapsAt.keys()]) between(seq);
  for (const entry of unsent) {
    const sender = { senderId: self.userId, senderName: self.name };
    plan.message({ ...entry, ...sender, kind: "message", timestamp: entry.at }, entry.state === "stored" ? "sent" : entry.state);
  }
  const last = unsent.length === 0 ? timeline.messages.at(-1) : undefined;
  const seenBy = last && isMine(last) ? [...(readers ?? [])].filter(([, seq]) => seq >= last.seq).map(([userId]) => userId) : [];
  if (seenBy.length > 0) plan.push({ key: "seen", kind: "seen", seenBy });
  if (joined && timeline.messages.length === 0 && unsent.length === 0) plan.push({ key: "empty", kind: "empty" });
  if (refusal) plan.push({ key: `refused ${refusal.message}`, kind: "refused" });
  return plan.rows;
}

class Plan {
  rows = [];
  #used = new Set();
  #before = null;
  #day = null;

  push(row) {
    this.rows.push(row);
    this.#before = null;
  }

  message(message, state) {
    const date = new Date(message.timestamp);
    if (this.#day !== dayKey(date)) {
      this.#day = dayKey(date);
      this.push({ key: `day ${this.#day}`, kind: "day", date });
    }
    const before = this.#before;
    const follows = before !== null && before.senderId === message.senderId && message.kind !== "system" && date - before.date < GROUP_MS;
    const kind = message.kind === "system" ? "system" : "message";
    this.rows.push({ key: this.#keyOf(message, state), kind, message, state, date, follows });
    this.#before = kind === "system" ? null : { senderId: message.senderId, date };
  }

  // One's own keeps its row when the server gives it a place. Nobody else's id is trusted to be unique.
  #keyOf(message, state) {
    const own = `own ${message.clientMsgId}`;
    const isOwn = state !== "received" && message.clientMsgId && !this.#used.has(own);
    this.#used.add(own);
    return isOwn ? own : `message ${message.seq ?? message.clientMsgId ?? message.id}`;
  }
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
