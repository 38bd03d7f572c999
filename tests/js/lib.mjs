// What every scenario shares: its options, JSON lines out, words in, and waiting with a deadline.
import readline from "node:readline";
import { io } from "socket.io-client";

/** The one argument of a scenario. */
export const options = JSON.parse(process.argv[2] ?? "{}");

/** Tells the test something, as one JSON line. */
export function say(event, body = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...body })}\n`);
}

/** Calls `act` for every word the test says. */
export function onWord(act) {
  readline.createInterface({ input: process.stdin }).on("line", (line) => act(line.trim()));
}

/** Waits until `condition` answers something truthy, and answers that. */
export async function until(what, condition, deadlineMs = 20_000) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function check(condition, why) {
  if (!condition) throw new Error(why);
}

/** Runs a scenario; the exit code says how it went. */
export async function scenario(body) {
  try {
    const result = await body();
    say("done", result ?? {});
    process.exitCode = 0;
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
  // Sockets that are still open must not keep a finished scenario alive.
  setTimeout(() => process.exit(), 100);
}

/**
 * The official client, as the guide opens it: `io(url)` and nothing else, unless the options say so.
 * `withCredentials` gives Node's client a cookie jar of its own.
 */
export function connect({ url, transports, cookies, forwardedFor, cookie, auth, ...more }) {
  const headers = {};
  if (forwardedFor) headers["X-Forwarded-For"] = forwardedFor;
  if (cookie) headers.Cookie = cookie;
  return io(url, {
    forceNew: true,
    ...(transports ? { transports } : {}),
    ...(cookies ? { withCredentials: true } : {}),
    ...(Object.keys(headers).length > 0 ? { extraHeaders: headers } : {}),
    ...(auth ? { auth } : {}),
    ...more,
  });
}

/** Remembers the `welcome` of every connection this socket makes. */
export function rememberWelcomes(socket) {
  const welcomes = [];
  socket.on("welcome", (welcome) => welcomes.push(welcome));
  return welcomes;
}
