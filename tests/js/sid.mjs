// Official clients without cookies before a fleet behind several proxies, which every request reaches in turn.
import http from "node:http";
import net from "node:net";
import { Server } from "socket.io";
import { check, connect, onWord, options, rememberWelcomes, say, scenario, until } from "./lib.mjs";

/** A Node server that greets like a backend, and answers `joinRoom`. */
async function nodeServer(port, index) {
  const server = http.createServer();
  const sockets = new Set();
  server.on("connection", (socket) => sockets.add(socket));
  const io = new Server(server);
  io.on("connection", (socket) => {
    socket.emit("welcome", { instanceId: `node-${index + 1}` });
    socket.on("joinRoom", (room, answer) => answer({ ok: true }));
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
}

/** Gives each request, also those of one connection, to the next proxy. */
async function alternator(proxies) {
  let turn = 0;
  const next = () => new URL(proxies[turn++ % proxies.length]);
  const server = http.createServer((request, response) => {
    const { hostname: host, port } = next();
    const { method, url: path, headers } = request;
    const passed = http.request({ host, port, method, path, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    passed.on("error", () => response.destroy());
    response.on("close", () => passed.destroy());
    request.pipe(passed);
  });
  server.on("upgrade", ({ url, rawHeaders }, socket, rest) => {
    const { hostname, port } = next();
    const passed = net.connect(port, hostname, () => {
      const fields = rawHeaders.map((word, index) => (index % 2 ? `${word}\r\n` : `${word}: `)).join("");
      passed.write(`GET ${url} HTTP/1.1\r\n${fields}\r\n`);
      passed.write(rest);
      socket.pipe(passed).pipe(socket);
    });
    for (const [one, other] of [[socket, passed], [passed, socket]]) one.on("error", () => other.destroy()).on("close", () => other.destroy());
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

function client(url, index) {
  // One third polls only, one third upgrades as clients do by default, one third begins as a WebSocket.
  const transports = [["polling"], undefined, ["websocket"]][index % 3];
  const socket = connect({ url, transports, reconnectionDelay: 10, reconnectionDelayMax: 20 });
  const attempts = [];
  const refusals = [];
  socket.io.on("reconnect_attempt", (number) => attempts.push(number));
  socket.on("connect_error", (error) => refusals.push(error.message));
  return { socket, transports, attempts, refusals, welcomes: rememberWelcomes(socket) };
}

const home = ({ welcomes }) => welcomes.at(-1)?.instanceId;
const transport = ({ socket }) => socket.io.engine.transport.name;

async function talk({ socket }, index) {
  for (let round = 0; round < 10; round += 1) {
    const joined = await socket.timeout(10_000).emitWithAck("joinRoom", `room-${index}-${round}`);
    check(joined.ok, JSON.stringify(joined));
  }
}

await scenario(async () => {
  const nodes = await Promise.all((options.nodePorts ?? []).map(nodeServer));
  const url = await alternator(options.proxies);
  const clients = Array.from({ length: options.clients }, (_, index) => client(url, index));
  await until("everybody is welcomed", () => clients.every(({ welcomes }) => welcomes.length > 0));
  await until("upgrades", () => clients.every((one) => transport(one) === (one.transports?.[0] ?? "websocket")));
  await Promise.all(clients.map(talk));
  for (const { welcomes, attempts, refusals } of clients) {
    check(welcomes.length === 1 && attempts.length === 0 && refusals.length === 0, `moved: ${JSON.stringify({ welcomes, attempts, refusals })}`);
  }
  const homes = new Set(clients.map(home));
  check(homes.size === 3, `all on ${[...homes].join(", ")}`);

  const bereft = clients.filter((one) => home(one) === options.dies);
  check(bereft.some(({ transports }) => transports?.[0] === "polling"), "nobody polls the one that dies");
  say("settled", { bereft: bereft.length });
  if (nodes.length > 0) nodes[1]();
  else await new Promise((resolve) => onWord(resolve));
  await until("the bereft have a new home", () => bereft.every((one) => one.welcomes.length === 2 && one.socket.connected));
  for (const { attempts, refusals, welcomes } of bereft) {
    check(attempts.length === 1 && refusals.length === 0, `came back by ${JSON.stringify({ attempts, refusals, welcomes })}`);
  }
  await Promise.all(clients.map(talk));
  check(clients.every((one) => home(one) !== options.dies), "still on the dead one");
  check(clients.every((one) => one.welcomes.length === (bereft.includes(one) ? 2 : 1)), "clients of the living were disturbed");
});
