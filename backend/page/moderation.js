// What one may do to somebody in a room, as a list of words and the events that do it. Pure.

import { isModerator, isOwner } from "./speech.js";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

// `needsSure`: asked for twice. The server has the last word, for example about those above oneself.
const ORDER = [
  { key: "mute", label: "Mute for 10 minutes", event: "muteUser", more: { durationMs: 10 * MINUTE_MS } },
  { key: "unmute", label: "Let speak again", event: "muteUser", more: { durationMs: 0 } },
  { key: "kick", label: "Remove from this room", event: "kickUser", needsSure: true },
  { key: "ban-day", label: "Ban for a day", event: "banUser", more: { durationMs: DAY_MS }, needsSure: true },
  { key: "ban", label: "Ban for good", event: "banUser", needsSure: true },
];
const RANKS = [
  { key: "promote", label: "Make a moderator", event: "inviteUser", more: { role: "moderator" } },
  { key: "demote", label: "Make a plain member", event: "inviteUser", more: { role: "member" } },
];

// `can(event)` says whether the server knows it, `isSelf` whether it is about oneself.
export function deedsFor({ info, isSelf, can }) {
  if (isSelf) return [];
  const direct = can("openDirect") && info.type !== "dm" ? [{ key: "direct", label: "Talk alone", event: "openDirect" }] : [];
  const order = isModerator(info) ? ORDER : [];
  const ranks = isOwner(info) ? RANKS : [];
  return [...direct, ...[...order, ...ranks].filter(({ event }) => can(event))];
}
