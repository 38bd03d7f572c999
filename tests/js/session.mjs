// Sessions are express-session's and connect-redis' own: who logs in at a Node app is known to Berth, and the other way round.
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { createClient } from "redis";
import { check, connect, options, rememberWelcomes, scenario, until } from "./lib.mjs";

/** A Node app as the guide has it: sessions in Redis under `app:sess:`. */
async function nodeApp() {
  const client = createClient({ url: options.redis });
  await client.connect();
  const app = express();
  app.use(
    session({
      store: new RedisStore({ client, prefix: "app:sess:" }),
      secret: options.secret,
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 3_600_000, httpOnly: true, sameSite: "lax" },
    }),
  );
  app.get("/login", (request, response) => {
    request.session.user = { id: "user-7", name: "Grace", guest: false };
    request.session.cart = ["kept"];
    response.json({ ok: true });
  });
  app.get("/me", (request, response) => response.json(request.session.user ?? null));
  app.get("/cart", (request, response) => response.json(request.session.cart ?? null));
  const server = await new Promise((resolve) => {
    const listening = app.listen(options.nodePort, "127.0.0.1", () => resolve(listening));
  });
  return { url: `http://127.0.0.1:${options.nodePort}`, close: () => Promise.all([server.close(), client.quit()]) };
}

function cookieOf(response) {
  const [cookie] = response.headers.getSetCookie().filter((line) => line.startsWith("connect.sid="));
  check(cookie, `no connect.sid in ${response.status} ${response.headers.getSetCookie()}`);
  return cookie.split(";")[0];
}

async function json(url, cookie) {
  const response = await fetch(url, { headers: { Cookie: cookie } });
  return response.json();
}

async function welcome(cookie) {
  const socket = connect({ url: options.berth, cookie, transports: ["websocket"] });
  const welcomes = rememberWelcomes(socket);
  const first = await until("welcome", () => welcomes[0]);
  socket.disconnect();
  return first;
}

await scenario(async () => {
  const node = await nodeApp();

  const fromNode = cookieOf(await fetch(`${node.url}/login`));
  const me = await json(`${options.berth}/api/auth/me`, fromNode);
  check(JSON.stringify(me).includes("user-7") && JSON.stringify(me).includes("Grace"), `Berth says ${JSON.stringify(me)}`);
  const greeted = await welcome(fromNode);
  check(greeted.userId === "user-7" && greeted.name === "Grace", `welcome: ${JSON.stringify(greeted)}`);
  check((await json(`${node.url}/cart`, fromNode))?.[0] === "kept", "Berth lost the app's own session data");

  const login = await fetch(`${options.berth}/api/auth/guest`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ displayName: "Ada" }),
  });
  check(login.ok, `guest login: ${login.status} ${await login.clone().text()}`);
  const fromBerth = cookieOf(login);
  const user = await json(`${node.url}/me`, fromBerth);
  check(user?.name === "Ada" && user.guest === true, `Node says ${JSON.stringify(user)}`);
  const guest = await welcome(fromBerth);
  check(guest.userId === user.id && guest.name === "Ada", `welcome: ${JSON.stringify(guest)}`);

  const logout = await fetch(`${options.berth}/api/auth/logout`, { method: "POST", headers: { Cookie: fromBerth } });
  check(logout.ok, `logout: ${logout.status}`);
  check((await json(`${node.url}/me`, fromBerth)) === null, "Node still knows who logged out at Berth");

  const forged = `connect.sid=${encodeURIComponent("s:someone.0000000000000000000000000000000000000000000")}`;
  const stranger = await welcome(forged);
  check(stranger.userId !== "user-7", "a forged cookie was believed");
  await node.close();
});
