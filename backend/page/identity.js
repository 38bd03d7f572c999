// Who speaks in this window: a display name that is asked once, and a guest session that keeps the same person across
// reloads and backends, so that sending something again is recognised as the same message.

import { byteLength } from "./text.js";

const NAME_KEY = "berth.name";
// The server's limit on a name, in bytes.
const NAME_BYTES_MAX = 64;

export function cleanName(text) {
  const characters = [...text.replace(/\p{Cc}/gu, " ").replace(/\s+/gu, " ").trim()];
  while (byteLength(characters.join("")) > NAME_BYTES_MAX) characters.pop();
  return characters.join("").trim();
}

// The browser's storage, or null where it is switched off: reading the property may already throw.
export function storageOf(name) {
  try {
    return window[name];
  } catch {
    return null;
  }
}

export function storedName(storage) {
  return cleanName(storage?.getItem(NAME_KEY) ?? "");
}

export function storeName(storage, name) {
  try {
    storage?.setItem(NAME_KEY, name);
  } catch {
    // Asked again next time.
  }
}

// Makes sure that a session says who we are. Without one the socket still connects, as a guest of that connection only;
// so trouble here is reported (false) and never stops anybody from talking.
// `isKnown`: whether this browser was here before, so that asking who we are is worth it.
export async function ensureSession(name, { isKnown = true, request = fetch, timeoutMs = 4_000 } = {}) {
  const ask = (path, options) =>
    request(path, { credentials: "same-origin", signal: AbortSignal.timeout(timeoutMs), ...options });
  try {
    if (isKnown) {
      const me = await ask("/api/auth/me");
      if (me.ok && (await userOf(me))?.name === name) return true;
    }
    const made = await ask("/api/auth/guest", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ displayName: name }),
    });
    return made.ok;
  } catch {
    return false;
  }
}

// What this server offers: `{ login, register, guests, trial }`, as far as it says.
export async function offersOf({ request = fetch, timeoutMs = 4_000 } = {}) {
  try {
    const answer = await request("/api/instance", { signal: AbortSignal.timeout(timeoutMs) });
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

// `path` is login, register or logout. Resolves with `{ user }` or `{ problem }`, a sentence.
export async function account(path, credentials = {}, { request = fetch, timeoutMs = 15_000 } = {}) {
  try {
    const answer = await request(`/api/auth/${path}`, {
      method: "POST",
      credentials: "same-origin",
      signal: AbortSignal.timeout(timeoutMs),
      headers: { "content-type": "application/json" },
      body: JSON.stringify(credentials),
    });
    const body = await answer.json();
    return answer.ok ? { user: body.user ?? null } : { problem: body.error?.message ?? "The server refused it." };
  } catch {
    return { problem: "The server could not be reached." };
  }
}

async function userOf(response) {
  const body = await response.json();
  return body?.user ?? body;
}
