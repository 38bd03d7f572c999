// The chat page without a pointer, and for who cannot see it: everything is reached, what is focused shows it, what is
// new is said.
import { check, options, scenario, until } from "./lib.mjs";
import { Person, withBrowser } from "./person.mjs";

const focused = (page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.dataset.testid || document.activeElement?.tagName);

async function tabTo(person, id, key = "Tab") {
  const passed = [];
  for (let step = 0; step < 30; step += 1) {
    await person.page.keyboard.press(key);
    passed.push(await focused(person.page));
    if (passed.at(-1) === id) return passed;
  }
  throw new Error(`${key} does not lead to ${id}, only to ${passed}`);
}

/** Whatever has the focus is drawn differently for it: itself, or the frame it stands in. */
async function showsFocus(person) {
  const shows = await person.page.evaluate(() => {
    const marks = (node) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(node);
      return (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none";
    };
    const node = document.activeElement;
    return marks(node) || marks(node.parentElement) || marks(node.closest("form") ?? node);
  });
  check(shows, `focus on ${await focused(person.page)} cannot be seen`);
}

async function enters(person) {
  check((await focused(person.page)) === "name-input", `focus begins on ${await focused(person.page)}`);
  await showsFocus(person);
  await person.page.keyboard.type(person.name);
  await person.page.keyboard.press("Enter");
  await person.isConnected();
  check((await focused(person.page)) === "message-input", "the message field is ready");
}

async function writes(person) {
  const { keyboard } = person.page;
  await keyboard.type("two");
  await keyboard.press("Shift+Enter");
  await keyboard.type("lines");
  await showsFocus(person);
  await keyboard.press("Enter");
  await until("it is sent as one", async () => (await person.all()).includes("two\nlines"));
  // Enter that ends a composition chooses a word; it does not send.
  await keyboard.type("かな");
  await person.page.evaluate(() => {
    const event = new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true });
    document.getElementById("message-input").dispatchEvent(event);
  });
  check((await person.byId("message-input").inputValue()) === "かな", "a composition was sent");
  await keyboard.press("Enter");
  await person.reads("かな");
}

async function reaches(person) {
  const { keyboard } = person.page;
  await tabTo(person, "scroller", "Shift+Tab");
  await showsFocus(person);
  await keyboard.press("ArrowUp");
  check((await focused(person.page)) === "message", "arrows go into the log");
  await showsFocus(person);
  await keyboard.press("Escape");
  check((await focused(person.page)) === "message-input", "Escape leads back");
  await tabTo(person, "mooring", "Shift+Tab");
  await showsFocus(person);
  await keyboard.press("Enter");
  await until("the details open", () => person.page.locator("#details").isVisible());
  await keyboard.press("Escape");
  await until("and close", async () => !(await person.page.locator("#details").isVisible()));
  await tabTo(person, "room-input", "Shift+Tab");
  await showsFocus(person);
  await keyboard.type("quay");
  await keyboard.press("Enter");
  await until("the room opens", async () => (await person.byId("room-name").innerText()) === "quay");
  check((await focused(person.page)) === "message-input", "and one can write there");
}

async function isSpoken(person, other) {
  const log = person.byId("messages");
  check((await log.getAttribute("role")) === "log", "the log is one");
  await other.writes("said aloud");
  await person.reads("said aloud");
  const announced = person.page.locator("#announce");
  await until("it is announced", async () => (await announced.textContent()).includes("said aloud"));
  check((await announced.getAttribute("aria-live")) === "polite", "politely");
  await person.writes("my own words");
  await other.reads("my own words");
  check(!(await announced.textContent()).includes("my own"), "one's own words are not read back");
  const nameless = await person.page.evaluate(() =>
    [...document.querySelectorAll("button, input, textarea, a[href]")]
      .filter((node) => node.checkVisibility({ visibilityProperty: true }))
      .filter((node) => !(node.ariaLabel || node.textContent.trim() || node.labels?.length))
      .map((node) => node.outerHTML),
  );
  check(nameless.length === 0, `without a name: ${nameless}`);
}

/** A server that is there to be tried out offers faults, and the page gets over them. */
async function getsOverFaults(person, other) {
  const { page } = person;
  await page.locator("#mooring").click();
  await until("faults are offered", () => person.byId("chaos").isVisible());
  await page.locator("[data-chaos=lossy]").click();
  for (let number = 1; number <= 7; number += 1) await other.writes(`lossy ${number}`);
  for (let number = 1; number <= 7; number += 1) await person.reads(`lossy ${number}`);
  await page.locator("[data-chaos=lossy]").click();
  await page.locator("[data-chaos=drop]").click();
  await other.writes("while it was dropped");
  await person.reads("while it was dropped");
  await person.isConnected();
  const heard = (await person.all()).filter((text) => text.startsWith("lossy"));
  check(heard.join() === [1, 2, 3, 4, 5, 6, 7].map((number) => `lossy ${number}`).join(), `out of order: ${heard}`);
  await page.keyboard.press("Escape");
}

/** At the size and zoom of small screens nothing sticks out sideways. */
async function fits(browser) {
  for (const [what, viewport] of [["phone", { width: 360, height: 640 }], ["zoomed", { width: 590, height: 380 }]]) {
    const person = await Person.at(browser, options.url, { name: "Edith Clarke", viewport, colorScheme: "dark", reducedMotion: "reduce" });
    await person.enters();
    await person.writes("w".repeat(300));
    await until("it is there", async () => (await person.all()).includes("w".repeat(300)));
    const surplus = await person.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(surplus <= 0, `${what}: ${surplus} px too wide`);
    await person.picture(what);
    await person.page.locator("#menu").click();
    await until("the rooms show", () => person.byId("room-input").isVisible());
    await person.picture(`${what}-rooms`);
    await person.page.keyboard.press("Escape");
    await until("and go", async () => !(await person.byId("room-input").isVisible()));
    await person.isClean();
  }
}

await scenario(() =>
  withBrowser(async (browser) => {
    const ada = await Person.at(browser, options.url, { name: "Ada" });
    await enters(ada);
    await writes(ada);
    await reaches(ada);
    const grace = await Person.at(browser, `${options.url}#quay`, { name: "Grace" });
    await grace.enters();
    await isSpoken(ada, grace);
    await getsOverFaults(ada, grace);
    for (const person of [ada, grace]) await person.isClean();
    await fits(browser);
    return {};
  }),
);
