// Asks the server for messages by their words. It answers for the rooms that this person may read.

const PAGE = 30;

// Resolves with `{ messages, before }`, the newest first, `before` to go on with, or with `{ problem }`, a sentence.
// `roomId` null: in all rooms.
export async function findMessages({ words, roomId = null, before = null }, { request = fetch, timeoutMs = 10_000 } = {}) {
  const query = new URLSearchParams({ q: words, limit: PAGE });
  if (roomId !== null) query.set("roomId", roomId);
  if (before !== null) query.set("before", before);
  try {
    const answer = await request(`/api/search?${query}`, { credentials: "same-origin", signal: AbortSignal.timeout(timeoutMs) });
    if (answer.status === 404) return { problem: "This server keeps no index to search in." };
    const body = await answer.json();
    if (!answer.ok) return { problem: body.error?.message ?? "The server refused it." };
    return { messages: body.messages ?? [], before: body.before ?? null };
  } catch {
    return { problem: "The server could not be reached." };
  }
}
