// A backend lets its clients go: pinned ones of the official client land on the other, once, however they came, and new ones as well.
import { check, connect, options, rememberWelcomes, scenario, until } from "./lib.mjs";

function visitor(transports) {
  const socket = connect({ url: options.url, transports, reconnectionDelay: 100, reconnectionDelayMax: 500 });
  return { socket, welcomes: rememberWelcomes(socket) };
}

function order(instance, body) {
  const headers = { authorization: `Bearer ${options.token}`, "content-type": "application/json" };
  return fetch(`${options.servers[instance]}/api/admin/drain`, { method: "POST", headers, body: JSON.stringify(body) });
}

await scenario(async () => {
  const kinds = [["websocket"], ["websocket"], ["polling"], ["polling", "websocket"], ["polling", "websocket"]];
  const visitors = kinds.map(visitor);
  await until("all are welcomed", () => visitors.every(({ welcomes }) => welcomes.length === 1));
  const [pinned] = visitors.map(({ welcomes }) => welcomes[0].instanceId);
  check(visitors.every(({ welcomes }) => welcomes[0].instanceId === pinned), "the proxy has them on one server");
  const told = Promise.all(visitors.map(({ socket }) => new Promise((resolve) => socket.once("serverDraining", resolve))));
  const answer = await (await order(pinned, { spreadMs: 1_000 })).json();
  check(answer.state === "draining" && answer.connections === kinds.length, JSON.stringify(answer));
  await told;
  await until("all are elsewhere", () => visitors.every(({ welcomes }) => welcomes.length === 2));
  check(visitors.every(({ welcomes }) => welcomes[1].instanceId !== pinned), "nobody came back to it");
  const late = visitor(["polling", "websocket"]);
  await until("a new one is let in", () => late.welcomes.length === 1);
  check(late.welcomes[0].instanceId !== pinned, "elsewhere, too");
  check((await (await order(pinned, { draining: false })).json()).state === "up", "it is taken back");
  await until("new ones come to it again", async () => {
    const next = visitor(["websocket"]);
    await until("it is welcomed", () => next.welcomes.length === 1);
    next.socket.close();
    return next.welcomes[0].instanceId === pinned;
  });
  check(visitors.every(({ socket, welcomes }) => socket.connected && welcomes.length === 2), "who has moved stays there");
});
