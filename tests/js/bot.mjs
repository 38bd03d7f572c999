// A bot with a key: what it posts by REST the official clients hear on every server, and it may be one of them, until its key is taken back.
import { check, connect, onWord, options, say, scenario, until } from "./lib.mjs";

const [proxy, ...servers] = options.urls;
const headers = { "X-Api-Key": options.botKey, "Content-Type": "application/json" };
const takenBack = new Promise((resolve) => onWord(resolve));

function post(url, content) {
  return fetch(`${url}/api/rooms/deploys/messages`, { method: "POST", headers, body: JSON.stringify({ content }) });
}

async function listener(url, more = {}) {
  const socket = connect({ url, ...more });
  const heard = [];
  socket.on("message", (message) => heard.push(message));
  const answer = await socket.timeout(10_000).emitWithAck("joinRoom", "deploys");
  check(answer.ok, `joined: ${JSON.stringify(answer)}`);
  return { socket, heard };
}

await scenario(async () => {
  const people = await Promise.all(servers.map((url) => listener(url)));
  const bot = await listener(proxy, { transports: ["websocket"], auth: { apiKey: options.botKey } });
  const posted = await post(proxy, "version 7 is out");
  check(posted.status === 201, `posted: ${posted.status} ${await posted.text()}`);
  await bot.socket.timeout(10_000).emitWithAck("sendMessage", "deploys", { content: "and well" });
  for (const { heard } of [...people, bot]) {
    await until("both are heard", () => heard.length === 2);
    check(heard.every(({ senderId, senderName }) => senderId === "bot:deploy" && senderName === "deploy"), JSON.stringify(heard));
    check(heard.map(({ content }) => content).join() === "version 7 is out,and well", JSON.stringify(heard));
  }
  const refusals = [];
  bot.socket.on("connect_error", ({ message }) => refusals.push(message));
  say("heard");
  await takenBack;
  for (const url of options.urls) {
    const refused = await post(url, "version 8 is out");
    const { error } = await refused.json();
    check(refused.status === 401 && error.code === "UNAUTHORIZED", `answered ${refused.status} ${JSON.stringify(error)}`);
  }
  await until("its socket is not let in again", () => refusals.includes("UNAUTHORIZED"));
});
