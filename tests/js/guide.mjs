// The guide's test scenario, word for word, for every pair of clients that is asked for:
// both join `test-room`, Socket 1 says hello, Socket 2 hears it. With official clients, no acks, no ids.
import { check, connect, options, rememberWelcomes, say, scenario, until } from "./lib.mjs";

/** Opens a socket that does what the guide's does on `connect`. */
function guest(place, room) {
  const socket = connect(place);
  const heard = [];
  const errors = [];
  socket.on("connect", () => {
    socket.emit("joinRoom", room);
  });
  socket.on("message", (message) => heard.push(message));
  socket.on("error", (error) => errors.push(error));
  socket.on("connect_error", (error) => errors.push(`connect_error: ${error.message}`));
  return { socket, heard, errors, welcomes: rememberWelcomes(socket), room };
}

async function instance(client) {
  const welcome = await until(`welcome in ${client.room} (${client.errors})`, () => client.welcomes[0]);
  return welcome.instanceId;
}

/** A second client on another server than the first: one address more, or one cookie jar more, until it is. */
async function guestElsewhere(place, room, first) {
  for (let attempt = 1; attempt <= 30; attempt += 1) {
    const forwardedFor = place.forwardedFor ? `10.0.${attempt}.1` : undefined;
    const client = guest({ ...place, forwardedFor }, room);
    if ((await instance(client)) !== (await instance(first))) return client;
    client.socket.disconnect();
  }
  throw new Error(`30 clients of ${place.url} all reached ${await instance(first)}`);
}

function transportOf(client) {
  return client.socket.io.engine.transport.name;
}

async function play({ name, room, first, second, transport }) {
  const one = guest(first, room);
  await instance(one);
  const two = await guestElsewhere(second, room, one);

  // The guide's own timer.
  await new Promise((resolve) => {
    setTimeout(() => {
      one.socket.emit("sendMessage", room, { content: "Hello from Socket 1!", type: "text" });
      resolve();
    }, 2000);
  });
  await until(`${name}: Socket 2 hears (${JSON.stringify(two.errors)})`, () => two.heard.length > 0);
  await until(`${name}: Socket 1 hears itself`, () => one.heard.length > 0);

  // The object form, back. Whatever was delivered twice has arrived before this one.
  two.socket.emit("sendMessage", { roomId: room, content: "Hello back", type: "text" });
  for (const client of [one, two]) {
    await until(`${name}: the answer`, () => client.heard.some(({ content }) => content === "Hello back"));
    const contents = client.heard.map(({ content }) => content);
    check(contents.join("|") === "Hello from Socket 1!|Hello back", `${name}: heard ${contents.join("|")}`);
    check(client.errors.length === 0, `${name}: ${JSON.stringify(client.errors)}`);
    const [message] = client.heard;
    check(message.roomId === room && message.type === "text" && message.kind === "message", JSON.stringify(message));
    check(Number.isInteger(message.seq) && !Number.isNaN(Date.parse(message.timestamp)), JSON.stringify(message));
    check(Boolean(message.id && message.senderId && message.senderName), JSON.stringify(message));
  }
  check(one.heard[0].id === two.heard[0].id, `${name}: one message, two ids`);
  await until(`${name}: ${transport}, not ${transportOf(one)}`, () => [one, two].every((client) => transportOf(client) === transport));
  const instances = [await instance(one), await instance(two)];
  for (const client of [one, two]) {
    check(client.welcomes.length === 1, `${name}: reconnected`);
    client.socket.disconnect();
  }
  say("played", { name, instances });
}

await scenario(async () => {
  await Promise.all(options.pairs.map(play));
  return { played: options.pairs.length };
});
