// Whether one can write in a room now, and what to tell somebody who cannot. Pure.

const RANKS = ["member", "moderator", "owner"];

export function isModerator({ type, role }) {
  return type !== "dm" && RANKS.indexOf(role) >= RANKS.indexOf("moderator");
}

export function isOwner({ type, role }) {
  return type !== "dm" && role === "owner";
}

// `{ words, isBlocked, endsAt }`: a sentence or "", whether sending makes no sense, and when that is over (null: not known).
// `now` in milliseconds since the Unix epoch.
export function speechIn({ info, refusal, hold }, now) {
  if (refusal) return { words: wordsOf(refusal), isBlocked: true, endsAt: null };
  const mute = muteOf(info, hold, now);
  if (mute) {
    const words = mute.until === null ? "You are muted in this room." : `You are muted in this room for ${duration(mute.until - now)}.`;
    return { words, isBlocked: true, endsAt: mute.until };
  }
  if (isModerator(info)) return { words: "", isBlocked: false, endsAt: null };
  if (info.settings?.readOnly) return { words: "Only moderators write in this room.", isBlocked: true, endsAt: null };
  return { ...slow(info, hold, now), isBlocked: false };
}

// What is written too early is kept and sent when it is time.
function slow(info, hold, now) {
  const slowMs = info.settings?.slowModeMs ?? 0;
  if (slowMs === 0) return { words: "", endsAt: null };
  const rule = `Slow mode: one message every ${duration(slowMs)}.`;
  if (hold?.code !== "SLOW_MODE" || !(hold.until > now)) return { words: rule, endsAt: null };
  return { words: `${rule} The next goes out in ${duration(hold.until - now)}.`, endsAt: hold.until };
}

// The server says so in the room's card, or when it refuses a message.
function muteOf({ mutedUntil }, hold, now) {
  if (mutedUntil === "forever") return { until: null };
  const ends = [Date.parse(mutedUntil ?? ""), hold?.code === "MUTED" ? hold.until : Number.NaN];
  if (ends[1] === null) return { until: null };
  const until = Math.max(...ends.filter((end) => end > now));
  return until > now ? { until } : null;
}

function wordsOf({ code, message, details }) {
  if (code === "NOT_MEMBER") return "This room is for its members. One of them can let you in.";
  if (code === "BANNED" && !message.startsWith("You")) return "You are banned from this room.";
  const until = Date.parse(details?.until ?? "");
  return Number.isNaN(until) ? message : `${message} It ends ${new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(until)}.`;
}

// "12 s", "5 min", "2 h": rounded up, as nobody is let in early.
export function duration(ms) {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.ceil(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.ceil(hours / 24)} days`;
}
