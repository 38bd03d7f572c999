// The operator's page: nothing without the token; every instance with it; orders are carried out; and it notices that one dies.
import { randomUUID } from "node:crypto";
import { passes } from "./axe.mjs";
import { check, connect, options, say, scenario, until } from "./lib.mjs";
import { Person, withBrowser } from "./person.mjs";

/** Rooms in which somebody talks, what a socket costs, and who came. */
async function seesTheChat(browser, operator) {
  const people = [];
  for (const name of ["Ada", "Grace"]) people.push(await Person.at(browser, new URL("/#quay", options.url).href, { name }));
  for (const person of people) await person.enters();
  await people[0].writes("said on the quay");
  await people[1].reads("said on the quay");
  const row = operator.byId("rooms").locator("tr", { hasText: "quay" });
  await until("the room shows with both", async () => (await row.count()) === 1 && /^quay\s+2\s+[\d.]+\s+1$/.test(await row.innerText()), 40_000);
  const cells = () => operator.byId("instances").locator("td").allInnerTexts();
  await until("memory shows", async () => (await cells()).filter((text) => /^\d[\d,]* MiB$/.test(text)).length >= 3, 40_000);
  await until("it is seen that they came", async () => /at most (?!0\.0)\d/.test(await operator.byId("connects").innerText()), 40_000);
  for (const person of people) await person.isClean();
}

/** One instance lets its clients go, and takes them again; not without being asked twice. */
async function drains(operator) {
  const { page } = operator;
  const row = page.locator('tr[data-instance="backend-1"]');
  const state = () => row.locator("td").first().innerText();
  const [dialog, button] = [operator.byId("drain"), row.getByRole("button")];
  await button.click();
  check((await dialog.innerText()).includes("Drain backend-1?"), "it asks about this one");
  await operator.picture("admin-drain");
  await passes(operator, "the question");
  await page.keyboard.press("Escape");
  check(!(await dialog.isVisible()) && (await state()) === "up", "nothing has happened");
  await button.focus();
  await page.keyboard.press("Enter");
  await page.locator("#drain-seconds").fill("0");
  await operator.byId("drain-yes").click();
  await until("it drains", async () => (await state()) === "draining", 20_000);
  const probe = new URL("/health/readiness", options.backend).href;
  await until("probes are told", async () => (await fetch(probe)).status === 503);
  check((await operator.byId("said").innerText()).includes("let its clients go"), "it is said");
  check((await page.evaluate(() => document.activeElement?.textContent)) === "Take back", "the focus is where it was");
  await page.keyboard.press("Enter");
  await until("it is taken back", async () => (await state()) === "up", 20_000);
  await until("probes are told that, too", async () => (await fetch(probe)).status === 200);
}

/** A socket of the official client that remembers what it is told. */
async function listener() {
  const socket = connect({ url: new URL("/", options.url).href, transports: ["websocket"], auth: { device: randomUUID() } });
  const told = [];
  socket.onAny((event, body) => told.push({ event, ...body }));
  const userId = await until("it is welcomed", () => told.find(({ event }) => event === "welcome")?.userId);
  return { socket, userId, hears: (event) => until(`${event} comes`, () => told.find((one) => one.event === event)) };
}

async function givesOrders(operator) {
  const { page } = operator;
  const somebody = await listener();
  await operator.byId("notice").fill("We move at noon");
  await page.locator("#level").selectOption("warning");
  await page.getByRole("button", { name: "Tell everybody" }).click();
  const { message, level } = await somebody.hears("serverNotice");
  check(message === "We move at noon" && level === "warning", `told ${level} ${message}`);
  const said = operator.byId("person-said");
  await page.locator("#kick").click();
  check((await said.innerText()) === "", "nobody is named");
  await operator.byId("person").fill(somebody.userId);
  await page.locator("#kick").click();
  await page.locator("#kick").click();
  check((await somebody.hears("sessionEnded")).reason === "kicked", "they are told why");
  await until("it is said", async () => (await said.innerText()).includes(somebody.userId));
  await page.locator("#ban").click();
  await page.locator("#ban").click();
  await until("they are shut out", async () => (await said.innerText()).includes("shut out"));
  const refused = new Promise((resolve) => somebody.socket.once("connect_error", resolve));
  somebody.socket.connect();
  check((await refused).message === "BANNED", "they are refused");
  await page.locator("#unban").click();
  await until("they may come in", async () => (await said.innerText()).includes("may come in"));
  somebody.socket.close();
}

/** One webhook of the settings that nobody answers, and one that was made by a call. */
async function seesWebhooks(operator) {
  const { page } = operator;
  const rows = operator.byId("webhooks").locator("tr");
  const failing = rows.filter({ hasText: "env" });
  await until("it is seen that one fails", async () => /failing.*\/hook.*everything.*(once|times)/s.test(await failing.innerText()), 40_000);
  check(!(await failing.innerText()).includes("secret"), "what may be a secret is not shown");
  await failing.getByRole("button", { name: "Try now: env" }).click();
  await until("it is tried", async () => (await operator.byId("said").innerText()).includes("env is tried now"));
  check(!(await failing.getByText("Remove").isVisible()), "one of the settings is removed there");
  const headers = { authorization: `Bearer ${options.token}`, "content-type": "application/json" };
  const made = await fetch(new URL("/api/webhooks", options.url), { method: "POST", headers, body: JSON.stringify({ url: "http://127.0.0.1:9/made", rooms: ["team-*"], kinds: ["message"] }) });
  const { webhook } = await made.json();
  const other = page.locator(`tr[data-webhook="${webhook.id}"]`);
  await until("the other one shows", async () => (await other.count()) === 1 && (await other.innerText()).includes("message of team-*"), 20_000);
  await operator.picture("admin-webhooks");
  await other.getByText("Remove").click();
  await other.getByText(`Remove ${webhook.id}?`).click();
  await until("it is gone", async () => (await other.count()) === 0, 20_000);
}

/** On a telephone and in the dark nothing is lost. */
async function fitsEverywhere(operator) {
  const { page } = operator;
  await page.setViewportSize({ width: 360, height: 740 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  check(width <= 360, `the page is ${width} wide`);
  await operator.picture("admin-narrow");
  await page.emulateMedia({ colorScheme: "dark" });
  await passes(operator, "the dark overview, narrow");
  await page.setViewportSize({ width: 1180, height: 760 });
  await operator.picture("admin-dark");
  await page.locator('tr[data-instance="backend-1"]').getByRole("button").click();
  await passes(operator, "the question in the dark");
  await operator.picture("admin-drain-dark");
  await page.locator("#drain-cancel").click();
  await page.emulateMedia({ colorScheme: "light" });
}

await scenario(() =>
  withBrowser(async (browser) => {
    const operator = await Person.at(browser, options.url, { name: "Operator", forgivesNetwork: true });
    const { page } = operator;
    const enters = async (token) => {
      await operator.byId("token").fill(token);
      await page.keyboard.press("Enter");
    };
    await enters("a wrong one");
    await until("it is refused", async () => (await page.locator("#problem").innerText()).includes("wrong"));
    check(!(await page.locator("#overview").isVisible()), "nothing is shown");
    await enters(options.token);
    const names = () => operator.byId("instances").locator("th").allInnerTexts();
    await until("all three show", async () => (await names()).join() === "backend-1,backend-2,backend-3", 40_000);
    check((await operator.byId("mode").innerText()).length > 5, "the mode is said");
    check((await operator.byId("dependencies").innerText()).includes("store"), "dependencies are listed");
    await seesTheChat(browser, operator);
    await operator.picture("admin");
    await passes(operator, "the overview");
    await seesWebhooks(operator);
    await givesOrders(operator);
    await drains(operator);
    await fitsEverywhere(operator);
    say("kill");
    await until("two are left", async () => (await names()).length === 2, 60_000);
    check((await operator.byId("events").innerText()).includes("no longer heard of"), "and it is told");
    await page.reload();
    await until("a reload keeps the token", async () => (await names()).length > 0, 40_000);
    await page.locator("#forget").click();
    check(await operator.byId("token").isVisible(), "until it is forgotten");
    await operator.isClean();
    return {};
  }),
);
