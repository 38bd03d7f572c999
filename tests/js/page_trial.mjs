// What a visitor of `berth` may break on the server's side, and what they see of it: the bus stops, their backend restarts.
import { check, options, scenario, until } from "./lib.mjs";
import { Person, withBrowser } from "./person.mjs";

async function breaks(person, what, words) {
  // It closes by itself when one writes.
  if (!(await person.byId("chaos").isVisible())) await person.page.locator("#mooring").click();
  await person.page.locator(`[data-chaos=${what}]`).click();
  await until(`${what} is done`, async () => (await person.page.locator("#chaos-said").innerText()).includes(words));
}

async function withoutTheBus(ada, grace) {
  await breaks(ada, "bus", "carries nothing");
  for (const [one, other] of [[ada, grace], [grace, ada]]) {
    await one.writes(`${one.name} without a bus`);
    await other.reads(`${one.name} without a bus`);
  }
  await ada.picture("trial");
  await breaks(ada, "bus", "carries again");
  await grace.writes("with the bus");
  await ada.reads("with the bus");
}

async function restart(ada, grace) {
  const before = await ada.instance();
  await breaks(ada, "restart", "restarts");
  await ada.writes("said while it restarts");
  await until("she is on another one", async () => (await ada.instance()) !== before && (await ada.state()) === "connected", 60_000);
  await ada.isState("said while it restarts", "sent");
  await grace.reads("said while it restarts");
  await until("the remark tells", async () => (await ada.byId("mark-moved").last().innerText()).includes(before));
  // The one that was restarted takes people again.
  const comesBack = async () => {
    const answer = await fetch(new URL("/api/instance", options.url));
    return (await answer.json()).instanceId === before;
  };
  await until(`${before} is back`, comesBack, 30_000);
}

await scenario(() =>
  withBrowser(async (browser) => {
    const ada = await Person.at(browser, options.url, { name: "Ada", forgivesNetwork: true });
    const grace = await Person.at(browser, options.url, { name: "Grace", forgivesNetwork: true });
    for (const person of [ada, grace]) await person.enters();
    check((await ada.instance()) !== (await grace.instance()), "two windows, two backends");
    await withoutTheBus(ada, grace);
    await restart(ada, grace);
    const [hers, theirs] = [await ada.all(), await grace.all()];
    check(JSON.stringify(hers) === JSON.stringify(theirs), `they do not agree:\n${hers.join(" | ")}\n${theirs.join(" | ")}`);
    for (const person of [ada, grace]) await person.isClean();
    return {};
  }),
);
