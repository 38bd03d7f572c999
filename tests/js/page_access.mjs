// The chat page as axe-core judges it, in every state that somebody may be in: light and dark, wide and narrow, with each
// dialog, menu and popover; and what axe cannot see: directions of text, movement, targets for fingers.
import { passes } from "./axe.mjs";
import { check, options, scenario, until } from "./lib.mjs";
import { Person, withBrowser } from "./person.mjs";

async function states(ada, grace, what) {
  const { page } = ada;
  await passes(ada, `${what}, in a room`);
  await ada.byId("make-room").click();
  await passes(ada, `${what}, making a room`);
  await ada.byId("new-room-name").fill(`Dock ${what}`);
  await page.keyboard.press("Enter");
  await until("it opens", async () => (await ada.byId("room-name").innerText()) === `Dock ${what}`);
  await ada.byId("about-open").click();
  await passes(ada, `${what}, about a room`);
  await ada.byId("strangers").getByRole("button", { name: /Grace/ }).first().click();
  await page.keyboard.press("Escape");
  await until("Grace is let in", async () => (await grace.page.locator("[data-testid=rooms] .name").allInnerTexts()).includes(`Dock ${what}`));
  await grace.page.locator("[data-testid=rooms] a", { hasText: `Dock ${what}` }).click();
  await grace.writes("what is said");
  await ada.reads("what is said");
  await page.locator(".message").last().focus();
  await page.locator(".tools [data-action=react]").first().click();
  await until("a reaction shows", () => page.locator(".chip").isVisible());
  await page.locator(".tools [data-action=answer]").click();
  await passes(ada, `${what}, answering`);
  await ada.writes("what is answered");
  await ada.isState("what is answered", "sent");
  await page.locator("[data-testid=people] li", { hasText: "Grace" }).locator(".more").click();
  await passes(ada, `${what}, with the menu about somebody`);
  await page.keyboard.press("Escape");
  check(await page.evaluate(() => document.activeElement.classList.contains("more")), "the focus is back where the menu came from");
  await ada.byId("search-open").click();
  await passes(ada, `${what}, searching`);
  await page.keyboard.press("Escape");
  await page.locator("#mooring").click();
  await passes(ada, `${what}, with the connection's details`);
  await page.keyboard.press("Escape");
  await page.evaluate(() => (location.hash = "lobby"));
  await grace.page.evaluate(() => (location.hash = "lobby"));
}

async function narrow(browser) {
  const edith = await Person.at(browser, options.url, { name: "Edith", viewport: { width: 360, height: 640 }, reducedMotion: "reduce", hasTouch: true });
  await passes(edith, "a phone, at the gate");
  await edith.enters();
  await passes(edith, "a phone");
  await edith.page.locator("#menu").click();
  await until("the rooms show", () => edith.byId("room-input").isVisible());
  await passes(edith, "a phone, with the rooms");
  await edith.byId("make-room").click();
  await passes(edith, "a phone, making a room");
  await edith.picture("phone-new-room");
  const surplus = await edith.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(surplus <= 0, `${surplus} px too wide`);
  await edith.page.keyboard.press("Escape");
  await edith.page.keyboard.press("Escape");
  await edith.page.locator("#main").click();
  // Who wants no movement sees none, also while the connection is away.
  await edith.page.evaluate(() => document.body.setAttribute("data-connection", "waiting"));
  const moves = await edith.page.evaluate(() => document.getAnimations().length);
  check(moves === 0, `${moves} things move`);
  await edith.isClean();
}

/** Each text runs in its own direction, whatever the page's is. */
async function directions(ada) {
  for (const [text, direction] of [["שלום לכולם", "rtl"], ["مرحبا", "rtl"], ["hello", "ltr"]]) {
    await ada.writes(text);
    await ada.isState(text, "sent");
    const found = await ada.page.evaluate(() => getComputedStyle([...document.querySelectorAll(".message .content")].at(-1)).direction);
    check(found === direction, `${text} runs ${found}`);
  }
  await ada.byId("message-input").fill("שלום");
  check((await ada.byId("message-input").evaluate((node) => getComputedStyle(node).direction)) === "rtl", "also while it is written");
  await ada.picture("directions");
}

async function operator(browser) {
  const person = await Person.at(browser, new URL("/admin", options.url).href, { name: "Operator" });
  await passes(person, "the operator's way in");
}

await scenario(() =>
  withBrowser(async (browser) => {
    const grace = await Person.at(browser, options.url, { name: "Grace" });
    await grace.enters();
    for (const colorScheme of ["light", "dark"]) {
      const ada = await Person.at(browser, options.url, { name: "Ada", colorScheme });
      await passes(ada, `${colorScheme}, at the gate`);
      await ada.enters();
      await states(ada, grace, colorScheme);
      if (colorScheme === "dark") await directions(ada);
      await ada.isClean();
      await ada.context.close();
    }
    await grace.isClean();
    await narrow(browser);
    await operator(browser);
    return {};
  }),
);
