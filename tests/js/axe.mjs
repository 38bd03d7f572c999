// What axe-core says of a page as it is shown now.
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { check } from "./lib.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** No rule of WCAG 2.2 AA, nor a best practice, is broken on what is shown. */
export async function passes({ page, name }, where) {
  await page.evaluate(axe);
  const { violations, passed } = await page.evaluate(async () => {
    const result = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return { violations: result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any, all }) => `${html} (${[...any, ...all].map(({ message }) => message).join("; ")})`).join(" | ")}`), passed: result.passes.length };
  });
  check(passed > 10, `${where}: axe looked at nothing`);
  check(violations.length === 0, `${name}, ${where}:\n${violations.join("\n")}`);
}
