import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { deedsFor } from "../moderation.js";
import { listed, nameOf, peopleIn, strangersTo } from "../people.js";
import { duration, speechIn } from "../speech.js";

const room = ({ said = [], users = [], info = {}, ...more } = {}) => ({ info, timeline: { messages: said }, presence: { users }, ...more });
const by = (senderId, senderName) => ({ senderId, senderName });

describe("people", () => {
  test("are known from what they said and from being there, which has the newer name", () => {
    const here = room({ said: [by("a", "Ada"), by("b", "Bob")], users: [{ id: "a", name: "Ada L." }, "bare"] });
    assert.deepEqual([...peopleIn(here)], [["a", "Ada L."], ["b", "Bob"], ["bare", "bare"]]);
  });

  test("one might bring in are those of other rooms", () => {
    const here = room({ users: [{ id: "a", name: "Ada" }] });
    const there = room({ users: [{ id: "me", name: "Me" }, { id: "a", name: "Ada" }], said: [by("z", "Zoe"), by("b", "Bob")] });
    assert.deepEqual(strangersTo(here, [here, there], (id) => id === "me"), [{ id: "b", name: "Bob" }, { id: "z", name: "Zoe" }]);
  });

  test("a room of two is called by the other one", () => {
    const isSelf = (id) => id === "me";
    const two = room({ info: { type: "dm" }, users: [{ id: "me", name: "Me" }], said: [by("me", "Me"), by("b", "Bob")] });
    assert.equal(nameOf(two, "dm-1", isSelf), "Bob");
    const members = [{ userId: "me", name: "Me" }, { userId: "c", name: "Cy" }];
    assert.equal(nameOf(room({ info: { type: "dm" }, members }), "dm-1", isSelf), "Cy", "also who is away and silent");
    assert.equal(nameOf(room({ info: { type: "dm" } }), "dm-1", isSelf), "Somebody");
    assert.equal(nameOf(room({ info: { type: "private", name: "Quay" } }), "x"), "Quay");
    assert.equal(nameOf(undefined, "x"), "x");
  });

  for (const [names, text] of [[[], ""], [["a"], "a"], [["a", "b"], "a and b"], [["a", "b", "c"], "a, b and one other"], [["a", "b", "c", "d"], "a, b and 2 others"]]) {
    test(`${names.length} names in a sentence`, () => assert.equal(listed(names), text));
  }
});

describe("speaking", () => {
  const NOW = Date.parse("2026-01-05T10:00:00Z");
  const at = (ms) => new Date(NOW + ms).toISOString();
  const speech = (info, { refusal = null, hold = null } = {}) => {
    const { words, isBlocked, endsAt } = speechIn({ info, refusal, hold }, NOW);
    return [words, isBlocked, endsAt === null ? null : endsAt - NOW];
  };
  const slow = { settings: { slowModeMs: 30_000 }, role: "member" };

  for (const [what, info, more, expected] of [
    ["a plain room", { role: "member" }, {}, ["", false, null]],
    ["somebody muted for a while", { role: "member", mutedUntil: at(90_000) }, {}, ["You are muted in this room for 90 s.", true, 90_000]],
    ["somebody muted for good", { mutedUntil: "forever" }, {}, ["You are muted in this room.", true, null]],
    ["a mute that is over", { mutedUntil: at(-1) }, {}, ["", false, null]],
    ["a mute that only a refusal told of", {}, { hold: { code: "MUTED", until: NOW + 1_000 } }, ["You are muted in this room for 1 s.", true, 1_000]],
    ["a mute without an end", {}, { hold: { code: "MUTED", until: null } }, ["You are muted in this room.", true, null]],
    ["a room to read", { settings: { readOnly: true }, role: "member" }, {}, ["Only moderators write in this room.", true, null]],
    ["its moderator", { settings: { readOnly: true, slowModeMs: 5 }, role: "moderator" }, {}, ["", false, null]],
    ["a slow room", slow, {}, ["Slow mode: one message every 30 s.", false, null]],
    ["a slow room just after a message", slow, { hold: { code: "SLOW_MODE", until: NOW + 12_300 } }, ["Slow mode: one message every 30 s. The next goes out in 13 s.", false, 12_300]],
    ["a slow room after the wait", slow, { hold: { code: "SLOW_MODE", until: NOW } }, ["Slow mode: one message every 30 s.", false, null]],
    ["a private room", {}, { refusal: { code: "NOT_MEMBER", message: "members only" } }, ["This room is for its members. One of them can let you in.", true, null]],
    ["somebody removed", {}, { refusal: { code: "KICKED", message: "You were removed from this room." } }, ["You were removed from this room.", true, null]],
    ["a ban met at the door", {}, { refusal: { code: "BANNED", message: "you are banned from this room" } }, ["You are banned from this room.", true, null]],
  ]) {
    test(what, () => assert.deepEqual(speech(info, more), expected));
  }

  test("a ban that ends says when", () => {
    const [words] = speech({}, { refusal: { code: "BANNED", message: "You were banned from this room.", details: { until: at(86_400_000) } } });
    assert.match(words, /^You were banned from this room\. It ends .*2026/);
  });

  for (const [ms, text] of [[1, "1 s"], [99_000, "99 s"], [100_001, "2 min"], [600_000, "10 min"], [7_200_000, "2 h"], [86_400_000 * 3, "3 days"]]) {
    test(`${ms} ms are ${text}`, () => assert.equal(duration(ms), text));
  }
});

describe("what may be done to somebody", () => {
  const keys = (info, { isSelf = false, can = () => true } = {}) => deedsFor({ info, isSelf, can }).map(({ key }) => key).join(" ");

  test("grows with one's role", () => {
    assert.equal(keys({ type: "private", role: "member" }), "direct");
    assert.equal(keys({ type: "private", role: "moderator" }), "direct mute unmute kick ban-day ban");
    assert.equal(keys({ type: "public", role: "owner" }), "direct mute unmute kick ban-day ban promote demote");
  });

  test("is nothing to oneself, in a room of two, or where the server does not know it", () => {
    assert.equal(keys({ type: "private", role: "owner" }, { isSelf: true }), "");
    assert.equal(keys({ type: "dm", role: "owner" }), "");
    assert.equal(keys({ type: "private", role: "owner" }, { can: (event) => event === "muteUser" }), "mute unmute");
  });
});
