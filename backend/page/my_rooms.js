// What the server has on record of rooms, by REST: this person's rooms for a browser that was never in them, and who is
// in one. A server that does not say is no trouble; then the browser's own list and who is there are all there is to know.

const PAGE = 100;
// Nobody looks at more.
const PAGES_MAX = 3;

// `[{ id, name, type, role, lastReadSeq, unread, partner }]`.
export function myRooms(options) {
  return pages("/api/rooms", "rooms", ({ id }) => id, options);
}

// `[{ userId, name, role, lastReadSeq }]`.
export function membersOf(roomId, options) {
  return pages(`/api/rooms/${encodeURIComponent(roomId)}/members`, "members", ({ userId }) => userId, options);
}

async function pages(path, list, keyOf, { request = fetch, timeoutMs = 4_000 } = {}) {
  const found = new Map();
  let after = null;
  try {
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const query = new URLSearchParams({ limit: PAGE, ...(after === null ? {} : { after }) });
      const answer = await request(`${path}?${query}`, { credentials: "same-origin", signal: AbortSignal.timeout(timeoutMs) });
      const body = answer.ok ? await answer.json() : {};
      for (const one of Array.isArray(body[list]) ? body[list] : []) found.set(keyOf(one), one);
      after = body.next ?? null;
      if (after === null) break;
    }
  } catch {
    // What came so far is better than nothing.
  }
  return [...found.values()];
}
