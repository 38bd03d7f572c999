// A Node server with @socket.io/redis-adapter on the same Redis: Berth's clients and Node's share rooms.
import http from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { check, connect, options, scenario, until } from "./lib.mjs";

const room = "shared";

async function nodeServer() {
  const publisher = createClient({ url: options.redis });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const server = http.createServer();
  const io = new Server(server, { adapter: createAdapter(publisher, subscriber) });
  io.on("connection", (socket) => socket.on("joinRoom", (name, answer) => answer(socket.join(name))));
  await new Promise((resolve) => server.listen(options.nodePort, "127.0.0.1", resolve));
  return { io, close: () => Promise.all([io.close(), publisher.quit(), subscriber.quit()]) };
}

function guest(url) {
  const socket = connect({ url, transports: ["websocket"] });
  const heard = [];
  socket.on("message", (...words) => heard.push(words));
  return { socket, heard };
}

await scenario(async () => {
  const node = await nodeServer();
  const atNode = guest(`http://127.0.0.1:${options.nodePort}`);
  await atNode.socket.emitWithAck("joinRoom", room);
  const atBerth = guest(options.berth);
  const joined = await atBerth.socket.emitWithAck("joinRoom", room);
  check(joined.ok, JSON.stringify(joined));

  const sent = await atBerth.socket.emitWithAck("sendMessage", room, { content: "from Berth, with ü and 🚢", type: "text" });
  check(sent.ok, JSON.stringify(sent));
  await until("Node's client hears Berth's message", () => atNode.heard.length > 0);
  const [message] = atNode.heard[0];
  check(message.id === sent.id && message.content === "from Berth, with ü and 🚢" && message.seq === sent.seq, JSON.stringify(message));
  await until("the sender hears itself once", () => atBerth.heard.length > 0);

  node.io.to(room).emit("message", { content: "from Node, with ü and 🚢", nested: [1, 2.5, null, true, { deep: "er" }] }, "second argument");
  await until("Berth's client hears Node's message", () => atBerth.heard.length > 1);
  const [body, second] = atBerth.heard[1];
  check(body.content === "from Node, with ü and 🚢" && second === "second argument", JSON.stringify(atBerth.heard[1]));
  check(JSON.stringify(body.nested) === '[1,2.5,null,true,{"deep":"er"}]', JSON.stringify(body));
  node.io.emit("message", { content: "to all" });
  await until("a broadcast to everyone arrives", () => atBerth.heard.some(([{ content }]) => content === "to all"));
  node.io.to("elsewhere").emit("message", { content: "not for you" });
  node.io.to(room).emit("message", { content: "last" });
  await until("the last message arrives", () => atBerth.heard.some(([{ content }]) => content === "last"));
  check(!atBerth.heard.some(([{ content }]) => content === "not for you"), "heard another room");
  check(atBerth.heard.length === 4 && atNode.heard.length === 4, `heard ${atBerth.heard.length} and ${atNode.heard.length}`);
  await node.close();
});
