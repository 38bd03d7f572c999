// The official client in headless Chromium, on a page of another origin, before Node servers behind a proxy.
// Each case says where it connects, with what, and whether it stays on its server.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { Server } from "socket.io";
import { check, options, say, scenario, until } from "./lib.mjs";

const client = path.join(path.dirname(fileURLToPath(import.meta.url)), "node_modules/socket.io-client/dist/socket.io.min.js");

/** An empty page, and its origin. */
async function emptyPage() {
  const server = http.createServer((request, response) => response.setHeader("Content-Type", "text/html").end("<!doctype html><title>page</title>"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

/** A Node server that lets pages of this origin in, with credentials, and remembers what it was asked. */
async function nodeServer(port, index, origin, requests) {
  const server = http.createServer();
  const io = new Server(server, { cors: { origin, credentials: true } });
  server.prependListener("request", ({ method, url, headers }) => {
    const sid = new URL(url, "http://node").searchParams.get("sid");
    requests.push({ method, sid, knows: sid in io.engine.clients, cookie: headers.cookie });
  });
  io.on("connection", (socket) => {
    socket.emit("welcome", { instanceId: `node-${index + 1}` });
    socket.on("joinRoom", (room, answer) => answer({ ok: true }));
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
}

/** Opens a client on the page as a site of another origin would. A field of its own makes browsers ask first. */
function open({ url, transports, withCredentials }) {
  const story = { welcomes: [], troubles: [] };
  const socket = io(url, {
    forceNew: true,
    extraHeaders: { "X-App": "1" },
    reconnectionDelay: 50,
    reconnectionDelayMax: 50,
    ...(transports ? { transports } : {}),
    ...(withCredentials ? { withCredentials } : {}),
  });
  socket.on("welcome", ({ instanceId }) => story.welcomes.push(instanceId));
  socket.on("connect_error", (error) => story.troubles.push(error.message));
  socket.on("disconnect", (reason) => story.troubles.push(reason));
  Object.assign(window, { socket, story });
}

async function talk() {
  for (let round = 0; round < 10; round += 1) {
    await window.socket.timeout(10_000).emitWithAck("joinRoom", `room-${round}`);
  }
  return window.socket.io.engine.transport.name;
}

/** A browser whose owner has decided about third-party cookies: what it does by itself differs by version. */
async function start(blocksThirdPartyCookies) {
  const profile = await mkdtemp(path.join(tmpdir(), "profile-"));
  const preferences = { profile: { block_third_party_cookies: blocksThirdPartyCookies, cookie_controls_mode: blocksThirdPartyCookies ? 1 : 0 } };
  await mkdir(path.join(profile, "Default"));
  await writeFile(path.join(profile, "Default/Preferences"), JSON.stringify(preferences));
  const browser = await chromium.launchPersistentContext(profile, { executablePath: options.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  return { browser, forget: () => rm(profile, { recursive: true, force: true, maxRetries: 5 }) };
}

/** Everything that Node servers were asked for one case, after checking what became of it. */
async function run(browser, page, one, requests) {
  requests.length = 0;
  // Cookies know no ports: those of the case before would be sent to this one's proxy.
  await browser.clearCookies();
  const tab = await browser.newPage();
  await tab.goto(page);
  await tab.addScriptTag({ path: client });
  await tab.evaluate(open, one);
  const story = () => tab.evaluate(() => window.story);
  if (one.stays) {
    await until(`${one.name}: a welcome`, async () => (await story()).welcomes.length > 0);
    const transport = await tab.evaluate(talk);
    check(!one.transports || transport === one.transports[0], `${one.name}: by ${transport}`);
    const { welcomes, troubles } = await story();
    check(welcomes.length === 1 && troubles.length === 0, `${one.name}: ${JSON.stringify({ welcomes, troubles })}`);
  } else {
    await until(`${one.name}: it is lost`, async () => (await story()).troubles.length > 0);
  }
  await tab.close();
  return requests.slice();
}

await scenario(async () => {
  const page = await emptyPage();
  const requests = [];
  await Promise.all(options.nodePorts.map((port, index) => nodeServer(port, index, page, requests)));
  for (const { blocksThirdPartyCookies, cases } of options.browsers) {
    const { browser, forget } = await start(blocksThirdPartyCookies);
    try {
      for (const one of cases) {
        const asked = await run(browser, page, one, requests);
        const preflights = asked.filter(({ method }) => method === "OPTIONS");
        check(preflights.length > 0, `${one.name}: nobody asked first`);
        check(preflights.every(({ cookie }) => cookie === undefined), `${one.name}: a preflight with cookies`);
        const cookies = asked.filter(({ cookie }) => cookie?.includes("srv_id=")).length;
        check(cookies > 0 === one.sendsCookies, `${one.name}: ${cookies} requests with the cookie`);
        if (one.sid) {
          const bound = preflights.filter(({ sid }) => sid !== null);
          check(bound.length > 0 && bound.every(({ sid, knows }) => knows && !sid.includes("~")), `${one.name}: ${JSON.stringify(bound)}`);
        }
        say("held", { name: one.name, preflights: preflights.length });
      }
    } finally {
      await browser.close();
      await forget();
    }
  }
});
