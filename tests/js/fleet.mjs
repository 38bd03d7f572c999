// Node servers that know nothing of each other, as an operator runs them behind a proxy. They live until they are killed.
import http from "node:http";
import { Server } from "socket.io";
import { onWord, options, say } from "./lib.mjs";

/** What an app heard of anybody: must stay empty while somebody only examines. */
const heard = [];

for (const [index, port] of options.ports.entries()) {
  const server = http.createServer((_request, response) => response.writeHead(404).end());
  const io = new Server(server, options.server ?? {});
  io.on("connection", (socket) => {
    heard.push(`connection at ${index}`);
    socket.onAny((event) => heard.push(event));
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
}
say("ready");
onWord(() => say("heard", { heard }));
