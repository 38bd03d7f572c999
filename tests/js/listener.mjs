// Listens in the room of the guide's load test, once on every server, and counts: each message must come to each exactly once.
// usage: listener.mjs URL…   Prints `listening`; on SIGTERM waits until all have heard the same, then prints the count and judges.
import { io } from "socket.io-client";

const room = "test-room";
const listeners = process.argv.slice(2).map((url) => {
  const socket = io(url, { transports: ["websocket"], forceNew: true });
  const listener = { url, socket, heard: new Map(), twice: 0, disconnects: 0 };
  socket.on("message", ({ id }) => {
    if (listener.heard.has(id)) listener.twice += 1;
    listener.heard.set(id, true);
  });
  socket.on("disconnect", () => {
    listener.disconnects += 1;
  });
  return listener;
});

async function history(listener, after) {
  const page = await listener.socket.timeout(10_000).emitWithAck("getHistory", { roomId: room, after, limit: 200 });
  if (!page.ok) throw new Error(JSON.stringify(page));
  return page;
}

const first = new Map();
for (const listener of listeners) {
  const answer = await listener.socket.timeout(10_000).emitWithAck("joinRoom", room);
  if (!answer.ok) throw new Error(JSON.stringify(answer));
  first.set(listener, answer.lastSeq);
}
console.log("listening");

process.on("SIGTERM", async () => {
  const [one] = listeners;
  const stored = [];
  for (let after = Math.max(...first.values()); ; after = stored.at(-1).seq) {
    const page = await history(one, after);
    stored.push(...page.messages);
    if (!page.hasMore || page.messages.length === 0) break;
  }
  const end = Date.now() + 10_000;
  while (Date.now() < end && listeners.some(({ heard }) => heard.size < stored.length)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  let failed = stored.length === 0;
  for (const { url, heard, twice, disconnects } of listeners) {
    const missing = stored.filter(({ id }) => !heard.has(id)).length;
    failed ||= missing > 0 || twice > 0 || disconnects > 0;
    console.log(`${url}: stored ${stored.length}, heard ${heard.size}, missing ${missing}, twice ${twice}, disconnects ${disconnects}`);
  }
  process.exit(failed ? 1 : 0);
});
