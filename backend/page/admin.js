// The operator's page: asks for the overview every second, shows what all instances together say.

import { drawBars } from "./bars.js";
import { element, find } from "./element.js";
import { Fleet } from "./fleet.js";

const POLL_MS = 1_000;
const KEY = "berth.admin";
const WORDS = {
  cluster: "The instances work together",
  single: "One server alone",
  "degraded-redis": "Redis is away: instances see each other’s messages late or not at all",
  "degraded-store": "The store does not answer: nothing can be sent",
};

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const whole = new Intl.NumberFormat();

let fleet = new Fleet();
let timer = null;
let token = sessionStorage.getItem(KEY);

async function poll() {
  clearTimeout(timer);
  try {
    // Without cookies: a sticky one would lead to the same instance each time.
    const answer = await fetch("/api/admin/overview", { credentials: "omit", cache: "no-store", headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(5_000) });
    const body = await answer.json();
    if (token === null) return;
    if (answer.status === 401 || answer.status === 403) {
      forget(body.error?.message ?? "The token is not taken.");
      return;
    }
    if (answer.ok) {
      sessionStorage.setItem(KEY, token);
      fleet.hear(body, Date.now());
      show(true);
    }
  } catch {
    // What is shown grows old and says so.
  }
  fleet.forget(Date.now());
  draw();
  timer = setTimeout(poll, POLL_MS);
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
  find("instances").replaceChildren(...rows.map(instanceRow));
  find("coverage").textContent =
    rows.length === 1 ? "Only one instance has answered. If there are more, the proxy sends this address to one of them: ask them by their own addresses." : "Each answer is one instance’s own word; Seen tells how old it is.";
  const rooms = fleet.hotRooms();
  find("rooms").replaceChildren(...rooms.map(roomRow));
  find("no-rooms").hidden = rooms.length > 0;
  const connects = fleet.connects(Date.now());
  drawBars(find("connects"), connects);
  find("connects-said").textContent = `Per second, in the last five minutes: now ${perSecond(connects.at(-1))}, at most ${perSecond(Math.max(...connects))}. A storm of reconnects is a wall here.`;
  find("delivery").replaceChildren(...fleet.delivery().map(figure));
  find("dependencies").replaceChildren(...fleet.dependencies().map(dependency));
  find("events").replaceChildren(...fleet.events.map(({ at, text }) => element("li", {}, element("time", {}, clock.format(at)), ` ${text}`)));
}

function instanceRow(one) {
  const sockets = Object.entries(one.sockets).filter(([, count]) => count > 0);
  const cells = [
    [one.state, { className: one.state }],
    [duration(one.uptimeSeconds)],
    [sockets.length === 0 ? "0" : sockets.map(([transport, count]) => `${whole.format(count)} ${transport}`).join(", ")],
    [perSecond(one.inPerSecond)],
    [perSecond(one.storedPerSecond)],
    [milliseconds(one.ackP50Seconds)],
    [milliseconds(one.ackP99Seconds)],
    [milliseconds(one.lagP99Seconds)],
    [one.pendingBytes === null ? "–" : `${whole.format(one.pendingBytes)} B`],
    [bytes(one.memoryBytes) + (one.sharesProcess ? " together" : "")],
    [bytes(one.socketBytes)],
    [one.version],
    [one.ageMs < 1_500 ? "now" : `${Math.round(one.ageMs / 1000)} s ago`],
  ];
  return element("tr", {}, element("th", { scope: "row" }, one.id), ...cells.map(([text, properties]) => element("td", properties, text)));
}

function roomRow({ id, connections, perSecond: rate, tail }) {
  return element("tr", {}, element("th", { scope: "row", dir: "auto" }, id), ...[whole.format(connections), perSecond(rate), whole.format(tail)].map((text) => element("td", {}, text)));
}

function figure({ name, count }) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, count === null ? "–" : whole.format(count)));
}

function dependency({ name, kind, downFor }) {
  const state = downFor.length === 0 ? "up" : `down for ${downFor.join(", ")}`;
  return element("li", { className: downFor.length === 0 ? "up" : "down" }, element("b", {}, name), ` ${kind}: ${state}`);
}

function bytes(count) {
  if (count === null) return "–";
  return count < 10 * 1024 ** 2 ? `${whole.format(Math.round(count / 1024))} KiB` : `${whole.format(Math.round(count / 1024 ** 2))} MiB`;
}

function perSecond(rate) {
  return rate === null ? "–" : rate < 10 ? rate.toFixed(1) : whole.format(Math.round(rate));
}

function milliseconds(seconds) {
  if (seconds === null) return "–";
  return seconds === Infinity ? "> 5 s" : `≤ ${Number((seconds * 1000).toPrecision(2))} ms`;
}

function duration(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours >= 48) return `${Math.floor(hours / 24)} d`;
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min` : `${seconds} s`;
}

find("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value.trim();
  find("token").value = "";
  find("problem").textContent = "";
  poll();
});
find("forget").addEventListener("click", () => forget());

if (token === null) find("token").focus();
else poll();
