// Rooms on the chat page, as three people in three browsers see them: made, entered by invitation, ruled, left; answers,
// edits, reactions and receipts; and what somebody is told who may not write.
import { check, options, scenario, until } from "./lib.mjs";
import { Person, withBrowser } from "./person.mjs";

const rooms = (person) => person.page.locator("[data-testid=rooms] li .name").allInnerTexts();

async function goes(person, name) {
  await person.page.locator("[data-testid=rooms] li a", { hasText: name }).first().click();
  await until(`${person.name} is in ${name}`, async () => (await person.byId("room-name").innerText()) === name);
}

/** The message with this text, and what can be done to it. */
async function tool(person, text, action) {
  const row = person.page.locator("[data-testid=message]").filter({ has: person.page.locator(".content").getByText(text) }).first();
  await row.focus();
  await row.locator(`[data-action=${action}]`).first().click();
  return row;
}

const says = (person, words) => until(`${person.name} is told ${words}`, async () => (await person.byId("speech").innerText()).includes(words));

async function makesARoom(ada, grace) {
  await ada.byId("make-room").click();
  await ada.byId("new-room-name").fill("Engine room");
  await ada.page.keyboard.press("Enter");
  await until("it opens", async () => (await ada.byId("room-name").innerText()) === "Engine room");
  const address = ada.page.url();
  await ada.writes("only for us");
  await ada.isState("only for us", "sent");
  // Its address alone lets nobody in.
  await grace.page.goto(address);
  await grace.isConnected();
  await until("Grace is kept out", () => grace.byId("refused").isVisible());
  await says(grace, "for its members");
  await grace.byId("message-input").fill("let me in");
  check(await grace.byId("send-button").isDisabled(), "who is not in a room cannot write there");
  await grace.byId("message-input").fill("");
  await grace.page.evaluate(() => (location.hash = "lobby"));
  await until("Grace is back", async () => (await grace.byId("room-name").innerText()) === "lobby");
}

async function bringsIn(ada, person) {
  await ada.byId("about-open").click();
  await ada.byId("strangers").getByRole("button", { name: `Bring in ${person.name}` }).click();
  const isIn = `${person.name} is in.`.toLowerCase();
  await until(`${person.name} is in`, async () => (await ada.byId("about").innerText()).toLowerCase().includes(isIn));
  await ada.picture("about");
  await ada.page.keyboard.press("Escape");
  await until(`the room comes to ${person.name}`, async () => (await rooms(person)).includes("Engine room"));
  await goes(person, "Engine room");
  await person.reads("only for us");
}

async function answer(ada, grace) {
  await tool(grace, "only for us", "answer");
  check(await grace.byId("answering").isVisible(), "it is shown what is answered");
  await grace.writes("and for me");
  await ada.reads("and for me");
  const quote = ada.page.locator(".quote:visible");
  await until("the answer quotes", async () => (await quote.innerText()).includes("only for us"));
  await quote.click();
  await until("and leads there", () => ada.page.locator(".message.found .content").getByText("only for us").isVisible());
  // Her own message is the last one: who has read it?
  await until("Grace sees that Ada has read it", async () => (await grace.byId("seen").innerText()) === "Seen by Ada");
  await grace.picture("answer");
}

async function change(ada, grace) {
  await tool(grace, "and for me", "edit");
  await grace.byId("message-input").fill("and also for me");
  await grace.page.keyboard.press("Enter");
  await until("it reads otherwise", async () => (await ada.all()).some((text) => text === "and also for me (edited)"));
  await tool(ada, "and also for me", "react");
  await until("the reaction shows", async () => (await grace.page.locator(".chip").allInnerTexts()).includes("👍 1"));
  await tool(grace, "and also for me", "react");
  await until("and adds up", async () => (await ada.page.locator(".chip").allInnerTexts()).includes("👍 2"));
  await ada.writes("a slip");
  await grace.reads("a slip");
  await tool(ada, "a slip", "delete");
  await ada.page.locator("[data-action=delete]").click();
  await until("it is gone", async () => (await grace.all()).at(-1) === "This message was deleted");
}

async function deed(ada, person, label) {
  const row = ada.page.locator("[data-testid=people] li", { hasText: person.name });
  await row.locator(".more").click();
  await ada.byId("person-menu").getByRole("menuitem", { name: label, exact: true }).click();
}

async function rules(ada, grace) {
  const rule = async (set) => {
    await ada.byId("about-open").click();
    await set();
    await ada.byId("rules-save").click();
    await until("it is saved", async () => (await ada.byId("about").innerText()).includes("Saved."));
    await ada.page.keyboard.press("Escape");
  };
  await rule(() => ada.byId("read-only").check());
  await says(grace, "Only moderators write");
  await rule(async () => {
    await ada.byId("read-only").uncheck();
    await ada.byId("slow-mode").selectOption("5000");
  });
  await says(grace, "Slow mode: one message every 5 s");
  await grace.writes("slowly, one");
  await ada.reads("slowly, one");
  await grace.writes("slowly, two");
  await says(grace, "goes out in");
  await grace.isState("slowly, two", "pending");
  await grace.isState("slowly, two", "sent");
  await ada.reads("slowly, two");
  await deed(ada, grace, "Mute for 10 minutes");
  await says(grace, "You are muted in this room for 10 min");
  await grace.picture("muted");
  await deed(ada, grace, "Let speak again");
  await until("she may speak", async () => !(await grace.byId("speech").innerText()).includes("muted"));
}

async function removes(ada, grace) {
  await deed(ada, grace, "Remove from this room");
  await ada.byId("person-menu").getByRole("menuitem", { name: "Remove from this room?" }).click();
  await says(grace, "You were removed from this room");
  await until("it is on record", async () => (await ada.page.locator(".remark.system").allInnerTexts()).some((text) => text.includes("Ada removed Grace")));
  await ada.picture("moderated");
  await grace.picture("removed");
}

async function alone(ada, grace) {
  for (const person of [ada, grace]) await goes(person, "lobby");
  await grace.page.locator("[data-testid=people] .person", { hasText: "Ada" }).click();
  await until("a room of two opens", async () => (await grace.byId("room-name").innerText()) === "Ada");
  await grace.writes("between us");
  const direct = ada.page.locator("[data-testid=direct-rooms] li", { hasText: "Grace" });
  await until("its badge counts", async () => (await direct.locator(".badge").textContent()).startsWith("1"));
  await ada.picture("direct");
  await direct.locator("a").click();
  await ada.reads("between us");
  await until("it is read", async () => !(await ada.page.title()).startsWith("("));
  await until("and Grace sees it", async () => (await grace.byId("seen").innerText()) === "Seen by Ada");
}

async function logsIn(person, how) {
  await person.page.locator("#to-login").click();
  await person.byId("username-input").fill(person.name.toLowerCase());
  await person.byId("password-input").fill("a long enough secret");
  await person.page.locator(how === "register" ? "#register" : "[data-testid=login-button]").click();
  await person.isConnected();
}

/** What was read in one browser is read in another of the same person; what was not counts there. */
async function readsElsewhere(browser, ada) {
  const edith = await Person.at(browser, options.url, { name: "Edith" });
  await logsIn(edith, "register");
  await goes(ada, "Engine room");
  await bringsIn(ada, edith);
  await ada.writes("read in the first browser");
  await edith.reads("read in the first browser");
  await until("that is known", async () => (await ada.byId("seen").innerText()).includes("edith"));
  await goes(edith, "lobby");
  for (const text of ["for the second browser, one", "for the second browser, two"]) await ada.writes(text);
  await ada.isState("for the second browser, two", "sent");
  const second = await Person.at(browser, options.url, { name: "Edith" });
  await logsIn(second, "login");
  const badge = second.page.locator("[data-testid=rooms] li", { hasText: "Engine room" }).locator(".badge");
  await until("her room is there, with what is new", async () => (await badge.count()) === 1 && (await badge.textContent()).startsWith("2"));
  await goes(second, "Engine room");
  await second.reads("for the second browser, two");
  await until("and the first browser learns that it was read", async () => !(await edith.page.title()).startsWith("("));
  for (const person of [edith, second]) await person.isClean();
}

async function quits(ada) {
  await goes(ada, "Engine room");
  await ada.byId("about-open").click();
  await ada.byId("quit").click();
  await ada.byId("quit").click();
  await until("the room is gone", async () => !(await rooms(ada)).includes("Engine room"));
}

await scenario(() =>
  withBrowser(async (browser) => {
    const ada = await Person.at(browser, options.url, { name: "Ada" });
    const grace = await Person.at(browser, options.url, { name: "Grace", colorScheme: "dark" });
    for (const person of [ada, grace]) await person.enters();
    await makesARoom(ada, grace);
    await bringsIn(ada, grace);
    await answer(ada, grace);
    await change(ada, grace);
    await rules(ada, grace);
    await removes(ada, grace);
    await alone(ada, grace);
    await readsElsewhere(browser, ada);
    await quits(ada);
    for (const person of [ada, grace]) await person.isClean();
    return {};
  }),
);
