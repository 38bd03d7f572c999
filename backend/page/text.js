// Text that people type: links in messages, room names in addresses, times. Pure.

import { listed } from "./people.js";

export const ROOM_DEFAULT = "lobby";
// The server's limit on a room's name.
const ROOM_BYTES_MAX = 128;

const LINK = /\bhttps?:\/\/[^\s<>"'`{}|\\^]+/giu;
const CLOSERS = { ")": "(", "]": "[" };

// Splits into `{ text }` and `{ text, href }`. Only http and https become links; everything else stays text.
export function segments(content) {
  const parts = [];
  let end = 0;
  for (const match of content.matchAll(LINK)) {
    const text = withoutTail(match[0]);
    const href = safeHref(text);
    if (href === null) continue;
    if (match.index > end) parts.push({ text: content.slice(end, match.index) });
    parts.push({ text, href });
    end = match.index + text.length;
  }
  if (end < content.length) parts.push({ text: content.slice(end) });
  return parts;
}

// A full stop or an unopened bracket after an address belongs to the sentence.
function withoutTail(link) {
  const surplus = {};
  for (const [closer, opener] of Object.entries(CLOSERS)) {
    surplus[closer] = link.split(closer).length - link.split(opener).length;
  }
  let end = link.length;
  for (; end > 0; end -= 1) {
    const last = link[end - 1];
    if (surplus[last] > 0) surplus[last] -= 1;
    else if (!".,;:!?*_~…".includes(last)) break;
  }
  return link.slice(0, end);
}

export function safeHref(text) {
  try {
    const url = new URL(text);
    const isWeb = url.protocol === "https:" || url.protocol === "http:";
    // user:password@host is how a link pretends to lead somewhere else.
    return isWeb && url.username === "" && url.password === "" ? url.href : null;
  } catch {
    return null;
  }
}

export function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

// A room's name out of what somebody typed, or null.
export function roomName(text) {
  const name = text.replace(/\p{Cc}/gu, "").trim().replace(/^#+\s*/, "");
  return name !== "" && byteLength(name) <= ROOM_BYTES_MAX ? name : null;
}

export function roomFromHash(hash) {
  let text = hash.replace(/^#/, "");
  try {
    text = decodeURIComponent(text);
  } catch {
    // A stray % is just a character.
  }
  return roomName(text) ?? ROOM_DEFAULT;
}

export function hashOfRoom(room) {
  return `#${encodeURIComponent(room)}`;
}

const SNIPPET_CHARACTERS = 90;

// One line of what a message says, to recognise it by.
export function snippet({ content, deletedAt }) {
  if (deletedAt) return "a deleted message";
  const text = typeof content === "string" ? content : JSON.stringify(content ?? "");
  const characters = [...text.replace(/\s+/gu, " ").trim()];
  return characters.length > SNIPPET_CHARACTERS ? `${characters.slice(0, SNIPPET_CHARACTERS).join("").trimEnd()}…` : characters.join("");
}

export function dayKey(date) {
  return `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;
}

// "Ada is typing…", without oneself.
export function typingLine(users, selfId) {
  const names = users.filter(({ id }) => id !== selfId).map(({ id, name }) => name ?? id);
  if (names.length === 0) return "";
  return `${listed(names)} ${names.length === 1 ? "is" : "are"} typing…`;
}
