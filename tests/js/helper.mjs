// The client helper on the official client, as the README shows it: order, catching up and the outbox through a line that
// is cut, and a server that says goodbye.
import { BerthChat, deviceOf } from "../../backend/page/berth-chat.js";
import { check, connect, options, scenario, until } from "./lib.mjs";
import { Line } from "./line.mjs";

/** What a browser's storage does, for one client. */
class Storage {
  #items = new Map();
  get length() {
    return this.#items.size;
  }
  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }
  getItem(key) {
    return this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    this.#items.set(key, String(value));
  }
  removeItem(key) {
    this.#items.delete(key);
  }
}

function person(url, displayName) {
  const storage = new Storage();
  const socket = connect({ url, transports: ["websocket"], auth: { displayName, device: deviceOf(storage) }, reconnectionDelay: 100, reconnectionDelayMax: 500 });
  const chat = new BerthChat({ socket, storage });
  const heard = [];
  chat.on("message", ({ room, message }) => heard.push([room.id, message.seq, message.content]));
  return { chat, socket, heard };
}

await scenario(async () => {
  const line = new Line(options.url);
  const ann = person(await line.open(), "Ann");
  const ben = person(options.url, "Ben");
  const rooms = ["lobby", "dock"];
  for (const { chat } of [ann, ben]) for (const room of rooms) await chat.join(room);
  check((await ann.chat.send("lobby", "hello")).seq === 1, "the first place");

  line.cut();
  await until("Ann is cut off", () => ann.chat.state === "waiting");
  const waiting = ["one", "two", "three"].map((text) => ann.chat.send("lobby", `offline ${text}`));
  for (let number = 0; number < 250; number += 1) await ben.chat.send("dock", `missed ${number}`);
  line.restore();
  const acks = await Promise.all(waiting);
  check(acks.map(({ seq }) => seq).join() === "2,3,4", `places ${acks.map(({ seq }) => seq)}`);

  // Stored, never answered: sent again on the next connection, and still there once.
  line.mute();
  const unanswered = ann.chat.send("lobby", "answered late");
  await until("it is stored", () => ben.heard.some(([, , content]) => content === "answered late"));
  line.restore();
  check((await unanswered).seq === 5, "it kept its place");

  await ben.chat.send("lobby", "the end");
  for (const { heard } of [ann, ben]) {
    await until("everything is heard", () => heard.filter(([room]) => room === "lobby").length === 6 && heard.filter(([room]) => room === "dock").length === 250);
    for (const room of rooms) {
      const places = heard.filter(([where]) => where === room).map(([, seq]) => seq);
      check(places.every((seq, index) => seq === index + 1), `${room}: ${places}`);
    }
  }
  for (const { socket } of [ann, ben]) socket.disconnect();
  line.close();
  return { sync: ann.chat.can("sync") };
});
