// The chat page in headless Chromium, as two people see it. Phase `chat`: they talk through different backends.
// Phase `return`: after a restart of everything, what they said is still there.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";
import { check, options, say, scenario, until } from "./lib.mjs";

const byId = (page, id) => page.getByTestId(id);

/** A person with a browser profile of their own. */
async function open(browser, name, problems) {
  const context = await browser.newContext({ viewport: { width: 420, height: 640 } });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`${name}: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`${name}: ${error.message}`));
  const answer = await page.goto(options.url);
  check(answer.status() === 200, `${options.url} answers ${answer.status()}`);
  const policy = answer.headers()["content-security-policy"] ?? "";
  check(policy.includes("default-src") && !policy.includes("unsafe"), `Content-Security-Policy: ${policy}`);
  await byId(page, "name-input").fill(name);
  await byId(page, "join-button").click();
  await until(`${name} is connected`, async () => (await byId(page, "connection-state").getAttribute("data-state")) === "connected");
  return { name, page, context };
}

async function instance({ page }) {
  return (await byId(page, "instance").first().innerText()).trim();
}

async function write({ page }, text) {
  await byId(page, "message-input").fill(text);
  await byId(page, "send-button").click();
}

async function reads({ name, page }, text) {
  await until(`${name} reads ${text}`, async () => (await byId(page, "messages").getByText(text, { exact: true }).count()) === 1);
}

async function picture({ name, page }) {
  const file = path.join(options.artifacts, `page-${options.phase}-${name.toLowerCase()}.png`);
  await page.screenshot({ path: file });
  say("pictured", { file });
}

async function chat(browser, problems) {
  const ada = await open(browser, "Ada", problems);
  const grace = await open(browser, "Grace", problems);
  const places = [await instance(ada), await instance(grace)];
  check(places.every((place) => /\w/.test(place)), `no backend shown: ${places}`);
  check(places[0] !== places[1], `both on ${places[0]}`);
  await write(ada, "Hello from the first berth");
  await reads(grace, "Hello from the first berth");
  await reads(ada, "Hello from the first berth");
  await write(grace, "Hello back from the second");
  await reads(ada, "Hello back from the second");
  await reads(grace, "Hello back from the second");
  // Text is text, whatever it looks like.
  await write(ada, "<img src=x onerror=alert(1)>");
  await reads(grace, "<img src=x onerror=alert(1)>");
  for (const person of [ada, grace]) await picture(person);
  return { places };
}

async function comeBack(browser, problems) {
  const edith = await open(browser, "Edith", problems);
  for (const text of ["Hello from the first berth", "Hello back from the second"]) await reads(edith, text);
  await picture(edith);
  return {};
}

await scenario(async () => {
  await mkdir(options.artifacts, { recursive: true });
  const browser = await chromium.launch({ executablePath: options.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  try {
    const problems = [];
    const result = await (options.phase === "return" ? comeBack : chat)(browser, problems);
    check(problems.length === 0, problems.join("\n"));
    return result;
  } finally {
    await browser.close();
  }
});
