// The chat page in headless Chromium, as two people see it. Phase `chat`: they talk through different backends.
// Phase `return`: after a restart of everything, what they said is still there.
import { check, options, scenario } from "./lib.mjs";
import { Person, withBrowser } from "./person.mjs";

async function chat(browser) {
  const ada = await Person.at(browser, options.url, { name: "Ada" });
  const grace = await Person.at(browser, options.url, { name: "Grace", viewport: { width: 390, height: 760 } });
  for (const person of [ada, grace]) await person.enters();
  const places = [await ada.instance(), await grace.instance()];
  check(places.every((place) => /\w/.test(place)), `no backend shown: ${places}`);
  check(places[0] !== places[1], `both on ${places[0]}`);
  await ada.writes("Hello from the first berth");
  for (const person of [ada, grace]) await person.reads("Hello from the first berth");
  await grace.writes("Hello back from the second");
  for (const person of [ada, grace]) await person.reads("Hello back from the second");
  // Text is text, whatever it looks like.
  await ada.writes("<img src=x onerror=alert(1)>");
  await grace.reads("<img src=x onerror=alert(1)>");
  for (const person of [ada, grace]) {
    await person.picture(`chat-${person.name.toLowerCase()}`);
    await person.isClean();
  }
  return { places };
}

async function comeBack(browser) {
  const edith = await Person.at(browser, options.url, { name: "Edith", colorScheme: "dark" });
  await edith.enters();
  for (const text of ["Hello from the first berth", "Hello back from the second"]) await edith.reads(text);
  await edith.picture("return-edith");
  await edith.isClean();
  return {};
}

await scenario(() => withBrowser(options.phase === "return" ? comeBack : chat));
