// What the chat page does when its connection, its tab or its backend does not do well. Two people; Ada's network is a
// line that can be cut. The test is asked to kill a backend (`kill`), and says `killed`.
import { check, onWord, options, say, scenario, until } from "./lib.mjs";
import { Line } from "./line.mjs";
import { Person, withBrowser } from "./person.mjs";

const words = new Set();
onWord((word) => words.add(word));

async function talks(ada, grace) {
  await ada.writes("first");
  await grace.reads("first");
  await grace.writes("second");
  await ada.reads("second");
}

async function offlineAndBack(ada, grace, line) {
  line.cut();
  await until("Ada notices", async () => (await ada.state()) === "waiting");
  await ada.writes("said offline, one");
  await ada.writes("said offline, two");
  await ada.isState("said offline, one", "pending");
  await until("the banner shows", () => ada.page.locator("#banner").isVisible());
  await ada.picture("offline");
  for (const number of [1, 2, 3]) await grace.writes(`missed ${number}`);
  await grace.reads("missed 3");
  line.restore();
  // By keyboard and pointer alike it is a button; it may also have been quicker by itself.
  await ada.page.locator("#try-now").click({ timeout: 3_000 }).catch(() => {});
  for (const number of [1, 2, 3]) await ada.reads(`missed ${number}`);
  for (const text of ["said offline, one", "said offline, two"]) {
    await ada.isState(text, "sent");
    await grace.reads(text);
  }
  await until("the divider tells", async () => (await ada.byId("mark-caughtUp").innerText()).includes("3 messages"));
  await until("the banner goes", async () => !(await ada.page.locator("#banner").isVisible()));
}

async function reloadMidSend(ada, grace, line) {
  // Stored, but the answer never comes.
  line.mute();
  await ada.writes("stored and not answered");
  await grace.reads("stored and not answered");
  await ada.isState("stored and not answered", "pending");
  line.restore();
  await ada.page.reload();
  await ada.isConnected();
  await ada.isState("stored and not answered", "sent");
  // Never left the browser.
  line.cut();
  await ada.writes("not even sent");
  await ada.isState("not even sent", "pending");
  line.restore();
  await ada.page.reload();
  await ada.isState("not even sent", "sent");
  for (const person of [ada, grace]) for (const text of ["stored and not answered", "not even sent"]) await person.reads(text);
}

async function twoTabs(ada, grace, url) {
  const tab = await ada.tab(url);
  await tab.isConnected();
  await tab.writes("from the other tab");
  for (const person of [ada, tab, grace]) await person.reads("from the other tab");
  await ada.isState("from the other tab", "sent");
  await Promise.all([ada.writes("both at once, one"), tab.writes("both at once, two")]);
  for (const text of ["both at once, one", "both at once, two"]) for (const person of [ada, tab, grace]) await person.reads(text);
  await tab.isClean();
  await tab.page.close();
}

async function otherRoom(ada, grace) {
  await ada.byId("room-input").fill("dock 7");
  await ada.page.keyboard.press("Enter");
  await until("the address tells", () => ada.page.url().endsWith("#dock%207"));
  await grace.writes("while you were elsewhere");
  const lobby = ada.page.locator("[data-testid=rooms] li[data-room=lobby]");
  await until("the badge counts", async () => (await lobby.locator(".badge").textContent()).startsWith("1"));
  check((await ada.page.title()).startsWith("(1) "), await ada.page.title());
  await ada.picture("rooms");
  await lobby.locator("a").click();
  await ada.reads("while you were elsewhere");
  await until("the divider stands", () => ada.byId("unread-line").isVisible());
  await until("it is read", async () => !(await ada.page.title()).startsWith("("));
}

async function backendDies(ada, grace) {
  const before = await ada.instance();
  say("kill", { instance: before });
  await until("it is dead", () => words.has("killed"));
  await ada.writes("said while it died");
  await until("Ada moved", async () => (await ada.instance()) !== before, 60_000);
  await ada.isState("said while it died", "sent");
  await grace.isConnected();
  await grace.writes("still here?");
  for (const person of [ada, grace]) for (const text of ["said while it died", "still here?"]) await person.reads(text);
  await until("the remark tells", async () => (await ada.byId("mark-moved").last().innerText()).includes(before));
  await ada.picture("moved");
}

await scenario(() =>
  withBrowser(async (browser) => {
    const line = new Line(options.url);
    const url = await line.open();
    try {
      const ada = await Person.at(browser, url, { name: "Ada", forgivesNetwork: true });
      const grace = await Person.at(browser, options.url, { name: "Grace", forgivesNetwork: true });
      for (const person of [ada, grace]) await person.enters();
      await talks(ada, grace);
      await offlineAndBack(ada, grace, line);
      await reloadMidSend(ada, grace, line);
      await twoTabs(ada, grace, url);
      await otherRoom(ada, grace);
      await backendDies(ada, grace);
      const [hers, theirs] = [await ada.all(), await grace.all()];
      check(new Set(theirs).size === theirs.length, `something came twice: ${theirs}`);
      check(JSON.stringify(hers) === JSON.stringify(theirs), `they do not agree:\n${hers.join(" | ")}\n${theirs.join(" | ")}`);
      for (const person of [ada, grace]) await person.isClean();
      return { messages: theirs.length };
    } finally {
      line.close();
    }
  }),
);
