// The Node server that berth-backend is measured beside: socket.io with @socket.io/redis-adapter, as its documents set it up,
// and the chat's events with the same answers. It stores nothing, and counts `seq` for itself: with two servers a room has two counts.
//
//   PORT, HOST, REDIS_URL (none: this server is alone), SESSION_SECRET
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import http from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const { PORT = "3000", HOST = "127.0.0.1", REDIS_URL, SESSION_SECRET = "bench" } = process.env;
const CONTENT_BYTES_MAX = 16 * 1024;

/** Who a session is, by its id. */
const sessions = new Map();
/** The last message's number, by room. */
const numbers = new Map();

function sign(sid) {
  return createHmac("sha256", SESSION_SECRET).update(sid).digest("base64").replace(/=+$/, "");
}

/** As express-session: `connect.sid=s:SID.SIGNATURE`, percent-encoded. */
function newSession() {
  const sid = randomBytes(24).toString("base64url");
  const user = { id: `guest:${randomUUID()}`, name: "Guest" };
  sessions.set(sid, user);
  return `connect.sid=${encodeURIComponent(`s:${sid}.${sign(sid)}`)}; Path=/; HttpOnly; SameSite=Lax`;
}

function userOf(cookie = "") {
  const value = /(?:^|;\s*)connect\.sid=([^;]*)/.exec(cookie)?.[1];
  if (!value) return undefined;
  const [sid, signature = ""] = decodeURIComponent(value).replace(/^s:/, "").split(".");
  const [given, right] = [Buffer.from(signature), Buffer.from(sign(sid))];
  return given.length === right.length && timingSafeEqual(given, right) ? sessions.get(sid) : undefined;
}

const server = http.createServer((request, response) => {
  const isLogin = request.method === "POST" && request.url === "/api/auth/guest";
  response.writeHead(200, { "Content-Type": "application/json", ...(isLogin ? { "Set-Cookie": newSession() } : {}) });
  response.end('{"ok":true}');
});
const io = new Server(server, { pingInterval: 25_000, pingTimeout: 60_000, cors: { origin: true, credentials: true } });
if (REDIS_URL) {
  const publisher = createClient({ url: REDIS_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
}

io.use((socket, next) => {
  socket.data.user = userOf(socket.handshake.headers.cookie) ?? { id: `guest:${randomUUID()}`, name: "Guest" };
  next();
});

function refuse(answer, code) {
  if (typeof answer === "function") answer({ ok: false, error: { code, message: code, retryable: false } });
}

io.on("connection", (socket) => {
  const { user } = socket.data;
  socket.on("joinRoom", (roomId, answer) => {
    if (typeof roomId !== "string" || roomId.length === 0 || roomId.length > 128) return refuse(answer, "BAD_REQUEST");
    socket.join(roomId);
    const room = { id: roomId, name: roomId, type: "public", role: "member" };
    if (typeof answer === "function") answer({ ok: true, room, messages: [], hasMore: false, recovered: false });
  });
  socket.on("sendMessage", (roomId, message, answer) => {
    const { content, type = "text", clientMsgId = randomUUID() } = message ?? {};
    if (typeof content !== "string" || typeof type !== "string") return refuse(answer, "BAD_REQUEST");
    if (Buffer.byteLength(content) > CONTENT_BYTES_MAX) return refuse(answer, "PAYLOAD_TOO_LARGE");
    if (!socket.rooms.has(roomId)) return refuse(answer, "NOT_MEMBER");
    const seq = (numbers.get(roomId) ?? 0) + 1;
    numbers.set(roomId, seq);
    const [id, timestamp] = [randomUUID(), new Date().toISOString()];
    io.to(roomId).emit("message", {
      id,
      roomId,
      seq,
      kind: "message",
      type,
      content,
      senderId: user.id,
      senderName: user.name,
      timestamp,
      clientMsgId,
    });
    if (typeof answer === "function") answer({ ok: true, id, roomId, seq, timestamp, clientMsgId, duplicate: false });
  });
  socket.emit("welcome", { userId: user.id, name: user.name, instanceId: `node-${PORT}`, serverTime: new Date().toISOString() });
});

server.listen(Number(PORT), HOST, 4096);
process.on("SIGTERM", () => process.exit(0));
