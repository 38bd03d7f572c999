// The official client in headless Chromium over TLS: several polling clients share one HTTP/2 connection, each on a server
// of its own; those that upgrade open WebSockets beside it.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { check, options, scenario, until } from "./lib.mjs";

const client = path.join(path.dirname(fileURLToPath(import.meta.url)), "node_modules/socket.io-client/dist/socket.io.min.js");
const CLIENTS = 3;

function open({ count, transports }) {
  window.people = Array.from({ length: count }, () => {
    const story = { welcomes: [], troubles: [] };
    const socket = io({ forceNew: true, ...(transports ? { transports } : {}) });
    socket.on("welcome", ({ instanceId }) => story.welcomes.push(instanceId));
    socket.on("connect_error", (error) => story.troubles.push(error.message));
    socket.on("disconnect", (reason) => story.troubles.push(reason));
    return { socket, story };
  });
}

/** All at once, so that their requests are. */
async function talk() {
  const talking = window.people.map(async ({ socket }) => {
    for (let round = 0; round < 10; round += 1) {
      await socket.timeout(10_000).emitWithAck("joinRoom", `room-${round}`);
    }
    return socket.io.engine.transport.name;
  });
  return Promise.all(talking);
}

const protocols = () => {
  const entries = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/socket.io/"));
  return [...new Set(entries.map(({ nextHopProtocol }) => nextHopProtocol).filter(Boolean))];
};

await scenario(async () => {
  const browser = await chromium.launch({ executablePath: options.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const instances = new Set();
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, bypassCSP: true });
    for (const transports of [["polling"], undefined]) {
      const page = await context.newPage();
      const answer = await page.goto(options.url + "/api/instance");
      check(answer.status() === 200, `${options.url} answers ${answer.status()}`);
      await page.addScriptTag({ path: client });
      await page.evaluate(open, { count: CLIENTS, transports });
      const stories = () => page.evaluate(() => window.people.map(({ story }) => story));
      await until("everybody is welcome", async () => (await stories()).every(({ welcomes }) => welcomes.length > 0));
      if (!transports) {
        const all = () => page.evaluate(() => window.people.every(({ socket }) => socket.io.engine.transport.name === "websocket"));
        await until("everybody has a WebSocket", all);
      }
      const used = await page.evaluate(talk);
      const expected = transports ? "polling" : "websocket";
      check(used.every((transport) => transport === expected), `by ${used}`);
      for (const { welcomes, troubles } of await stories()) {
        check(welcomes.length === 1 && troubles.length === 0, JSON.stringify({ welcomes, troubles }));
        instances.add(welcomes[0]);
      }
      const spoken = await page.evaluate(protocols);
      check(spoken.length === 1 && spoken[0] === "h2", `spoken: ${spoken}`);
      await page.close();
    }
  } finally {
    await browser.close();
  }
  return { instances: instances.size };
});
