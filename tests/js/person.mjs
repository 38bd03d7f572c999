// A person at the chat page: a browser profile of their own, and what they see and do there.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";
import { check, options, say, until } from "./lib.mjs";

/** Runs `body(browser)` in a headless Chromium. */
export async function withBrowser(body) {
  await mkdir(options.artifacts, { recursive: true });
  const browser = await chromium.launch({ executablePath: options.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  try {
    return await body(browser);
  } finally {
    await browser.close();
  }
}

// What a browser logs about a network that a test cut on purpose.
const NETWORK = /WebSocket connection to|net::ERR_|Failed to load resource/;

export class Person {
  problems = [];
  #forgivesNetwork;

  constructor(name, page, context, forgivesNetwork) {
    Object.assign(this, { name, page, context });
    this.#forgivesNetwork = forgivesNetwork;
  }

  static async at(browser, url, { name, forgivesNetwork = false, ...context }) {
    const made = await browser.newContext({ viewport: { width: 1180, height: 760 }, ...context });
    return Person.#in(made, url, name, forgivesNetwork);
  }

  /** Another tab of the same person. */
  tab(url) {
    return Person.#in(this.context, url, `${this.name}'s other tab`, this.#forgivesNetwork);
  }

  static async #in(context, url, name, forgivesNetwork) {
    const page = await context.newPage();
    const person = new Person(name, page, context, forgivesNetwork);
    page.on("console", (message) => {
      const isForgiven = person.#forgivesNetwork && NETWORK.test(message.text());
      if (message.type() === "error" && !isForgiven) person.problems.push(`${name}: ${message.text()}`);
    });
    page.on("pageerror", (error) => person.problems.push(`${name}: ${error.stack}`));
    await page.addInitScript(() => {
      globalThis.violations = [];
      addEventListener("securitypolicyviolation", (event) => globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    const answer = await page.goto(url);
    check(answer.status() === 200, `${url} answers ${answer.status()}`);
    const policy = answer.headers()["content-security-policy"] ?? "";
    check(policy.includes("default-src 'none'") && !policy.includes("unsafe"), `Content-Security-Policy: ${policy}`);
    return person;
  }

  byId(id) {
    return this.page.getByTestId(id);
  }

  async enters() {
    await this.byId("name-input").fill(this.name);
    await this.byId("join-button").click();
    await this.isConnected();
  }

  isConnected() {
    return until(`${this.name} is connected`, async () => (await this.state()) === "connected", 40_000);
  }

  state() {
    return this.byId("connection-state").getAttribute("data-state");
  }

  async instance() {
    return (await this.byId("instance").first().innerText()).trim();
  }

  async writes(text) {
    await this.byId("message-input").fill(text);
    await this.byId("send-button").click();
  }

  /** It is there, and once. */
  async reads(text) {
    await until(`${this.name} reads ${text}`, async () => (await this.#rows(text).count()) >= 1, 40_000);
    check((await this.#rows(text).count()) === 1, `${this.name} reads ${text} ${await this.#rows(text).count()} times`);
  }

  async isState(text, state) {
    await until(`${text} of ${this.name} is ${state}`, async () => (await this.#rows(text).first().getAttribute("data-state")) === state, 40_000);
  }

  /** The texts of all messages, from top to bottom. */
  all() {
    return this.page.locator("[data-testid=message] .content").allInnerTexts();
  }

  async picture(what) {
    const file = path.join(options.artifacts, `page-${what}.png`);
    await this.page.screenshot({ path: file });
    say("pictured", { file });
  }

  /** Nothing was logged as an error and the policy had nothing to block. */
  async isClean() {
    check(this.problems.length === 0, this.problems.join("\n"));
    const violations = await this.page.evaluate(() => globalThis.violations);
    check(violations.length === 0, `${this.name}: ${violations.join(", ")}`);
  }

  #rows(text) {
    return this.page.locator("[data-testid=message]").filter({ has: this.page.locator(".content").getByText(text, { exact: true }) });
  }
}
