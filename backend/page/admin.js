// The operator's page: asks for the overview every second, shows what all instances together say, and carries out what is ordered.

import { drawBars } from "./bars.js";
import { element, find } from "./element.js";
import { count, perSecond, time } from "./figures.js";
import { Fleet } from "./fleet.js";
import { InstanceTable } from "./instance_table.js";
import { Operator } from "./operator.js";
import { listenToOrders } from "./orders.js";
import { WebhookTable } from "./webhook_table.js";

const POLL_MS = 1_000;
const KEY = "berth.admin";
const WORDS = {
  cluster: "The instances work together",
  single: "One server alone",
  "degraded-redis": "Redis is away: instances see each other’s messages late or not at all",
  "degraded-store": "The store does not answer: nothing can be sent",
};

let fleet = new Fleet();
let timer = null;
let token = sessionStorage.getItem(KEY);
let operator = new Operator(token);

const instances = new InstanceTable(drain);
const webhooks = new WebhookTable({
  resume: (id) => does(operator.resume(id), `Webhook ${id} is tried now`),
  remove: (id) => does(operator.remove(id), `Webhook ${id} was removed`),
});

async function poll() {
  clearTimeout(timer);
  const asker = operator;
  const body = await asker.overview();
  // Forgotten meanwhile, or another token was given.
  if (token === null || asker !== operator) return;
  if (body.status === 401 || body.status === 403) {
    forget(body.error?.message ?? "The token is not taken.");
    return;
  }
  if (body.ok) {
    sessionStorage.setItem(KEY, token);
    fleet.hear(body, Date.now());
    show(true);
  }
  // Otherwise what is shown grows old and says so.
  fleet.forget(Date.now());
  draw();
  timer = setTimeout(poll, POLL_MS);
}

async function drain(id, draining, spreadMs) {
  const answer = await operator.drain(id, draining, spreadMs);
  if (answer.ok) fleet.tell(id, draining, Date.now());
  report(answer, draining ? `${id} was told to let its clients go` : `${id} was told to take clients again`);
}

async function does(asked, done) {
  report(await asked, done);
}

// What was ordered, or why it was not done, stands among what happened, and is read out.
function report(answer, done) {
  note(answer.ok ? done : `Not done: ${answer.error?.message ?? "no reason given"}`);
  find("said").textContent = answer.ok ? `${done}.` : `Not done: ${answer.error?.message ?? "no reason given"}`;
  find("said").className = answer.ok ? "note" : "problem";
  draw();
}

function note(text) {
  fleet.note(Date.now(), text);
}

function show(isIn) {
  find("token-form").hidden = isIn;
  find("overview").hidden = !isIn;
  find("forget").hidden = !isIn;
}

function forget(problem = "") {
  clearTimeout(timer);
  token = null;
  sessionStorage.removeItem(KEY);
  fleet = new Fleet();
  find("drain").close();
  find("mode").textContent = "";
  delete find("mode").dataset.mode;
  find("problem").textContent = problem;
  show(false);
  find("token").focus();
}

function draw() {
  const rows = fleet.rows(Date.now());
  find("mode").textContent = rows.length === 0 ? "Nobody answers" : (WORDS[fleet.mode] ?? fleet.mode);
  find("mode").dataset.mode = fleet.mode ?? "none";
  instances.draw(rows);
  find("coverage").textContent = coverage(rows);
  const rooms = fleet.hotRooms();
  find("rooms").replaceChildren(...rooms.map(roomRow));
  find("no-rooms").hidden = rooms.length > 0;
  webhooks.draw(fleet.webhooks(), Date.now());
  const connects = fleet.connects(Date.now());
  drawBars(find("connects"), connects);
  find("connects-said").textContent = `Per second, in the last five minutes: now ${perSecond(connects.at(-1))}, at most ${perSecond(Math.max(...connects))}. A storm of reconnects is a wall here.`;
  find("delivery").replaceChildren(...fleet.delivery().map(figure));
  find("dependencies").replaceChildren(...fleet.dependencies().map(dependency));
  find("events").replaceChildren(...fleet.events.map(({ at, text }) => element("li", {}, element("time", {}, time(at)), ` ${text}`)));
}

function coverage(rows) {
  if (rows.some(({ state, ageMs }) => state === "draining" && ageMs > 5_000)) {
    return "A proxy that checks readiness asks nothing of an instance that drains, so its row grows old here. It can be taken back all the same.";
  }
  return rows.length === 1
    ? "Only one instance has answered. If there are more, the proxy sends this address to one of them: ask them by their own addresses."
    : "Each answer is one instance’s own word; Seen tells how old it is.";
}

function roomRow({ id, connections, perSecond: rate, tail }) {
  return element("tr", {}, element("th", { scope: "row", dir: "auto" }, id), ...[count(connections), perSecond(rate), count(tail)].map((text) => element("td", {}, text)));
}

function figure({ name, count: number }) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, count(number)));
}

function dependency({ name, kind, downFor }) {
  const state = downFor.length === 0 ? "up" : `down for ${downFor.join(", ")}`;
  return element("li", { className: downFor.length === 0 ? "up" : "down" }, element("b", {}, name), ` ${kind}: ${state}`);
}

find("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value.trim();
  operator = new Operator(token);
  find("token").value = "";
  find("problem").textContent = "";
  poll();
});
find("forget").addEventListener("click", () => forget());
listenToOrders(() => operator, (text) => {
  note(text);
  draw();
});

if (token === null) find("token").focus();
else poll();
