// Everybody of a server that restarts comes back at once, through a proxy that limits handshakes.
import http from "node:http";
import { Server } from "socket.io";
import { check, connect, options, say, scenario, until } from "./lib.mjs";

const { url, ports, clients: count, rate, burst } = options;
/** When the servers saw a session begin, in seconds. */
let handshakes = [];
const now = () => performance.now() / 1000;

function notice({ url: target }) {
  if (target.includes("EIO=") && !target.includes("sid=")) handshakes.push(now());
}

async function nodeServer(port) {
  const server = http.createServer();
  const sockets = new Set();
  server.on("connection", (socket) => sockets.add(socket));
  const io = new Server(server);
  for (const event of ["request", "upgrade"]) server.prependListener(event, notice);
  io.on("connection", (socket) => {
    socket.emit("welcome", port);
    socket.on("echo", (word, answer) => answer(word));
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
}

function client(index) {
  const transports = [["polling"], undefined, ["websocket"]][index % 3];
  // Far less patient than the defaults: a storm is made of these.
  const socket = connect({ url, transports, reconnectionDelay: 20, reconnectionDelayMax: 100 });
  const one = { socket, home: undefined, welcomes: 0, losses: 0, refusals: 0 };
  socket.on("welcome", (port) => {
    one.home = port;
    one.welcomes += 1;
  });
  socket.on("disconnect", () => (one.losses += 1));
  socket.on("connect_error", () => (one.refusals += 1));
  return one;
}

/** No more sessions than the rate allows began in any time since `begin`. */
function checkRate(begin) {
  handshakes.forEach((at, index) => {
    const most = burst + rate * (at - begin);
    check(index + 1 <= most, `${index + 1} sessions within ${at - begin} s, at most ${most}`);
  });
}

await scenario(async () => {
  let begin = now();
  const servers = await Promise.all(ports.map(nodeServer));
  const clients = Array.from({ length: count }, (_, index) => client(index));
  const areAllIn = () => clients.every(({ socket, home }) => socket.connected && home);
  await until("everybody is welcomed", areAllIn);
  checkRate(begin);
  check(handshakes.length === count, `${handshakes.length} sessions for ${count} clients`);
  say("welcomed", { refusals: clients.reduce((sum, { refusals }) => sum + refusals, 0) });

  const calm = clients.filter(({ home }) => home === ports[1]);
  const bereft = clients.filter(({ home }) => home === ports[0]);
  check(calm.length > 5 && bereft.length > burst, `${calm.length} stay and ${bereft.length} go`);
  [begin, handshakes] = [now(), []];
  await servers[0]();
  servers[0] = await nodeServer(ports[0]);
  let rounds = 0;
  const talking = async () => {
    while (!clients.every(({ socket, losses, welcomes }) => socket.connected && welcomes > losses) || rounds < 3) {
      for (const { socket } of calm) check((await socket.timeout(5000).emitWithAck("echo", rounds)) === rounds, "another echo");
      rounds += 1;
    }
  };
  await talking();
  checkRate(begin);
  check(bereft.every(({ welcomes }) => welcomes >= 2), "somebody never lost its server");
  check(calm.every(({ losses, welcomes }) => losses === 0 && welcomes === 1), "clients of the other server were disturbed");
  return { bereft: bereft.length, rounds, seconds: now() - begin, sessions: handshakes.length };
});
