// The operator's page: nothing without the token; every instance with it; and it notices that one dies.
import { passes } from "./axe.mjs";
import { check, options, say, scenario, until } from "./lib.mjs";
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
