import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

// Text is readable on everything it stands on: at least 4.5 to 1, in both schemes (WCAG 2.2, 1.4.3).
const tokens = (block) => Object.fromEntries([...block.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name, value]));
function schemes(file) {
  const css = readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
  const [light, dark] = [...css.matchAll(/:root \{([^}]*)\}/g)].slice(0, 2).map(([, block]) => tokens(block));
  return Object.entries({ light, dark: { ...light, ...dark } });
}

function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const PAIRS = {
  "chat.css": [
    ...["ink", "slate", "accent", "lost"].flatMap((text) => ["fog", "paper", "raised"].map((ground) => [text, ground])),
    ...[["ink", "accent-wash"], ["slate", "accent-wash"], ["on-accent", "accent"], ["on-accent", "accent-strong"]],
  ],
  "admin.css": [
    ...["ink", "slate", "accent", "lost"].map((text) => [text, "paper"]),
    ...[["ink", "wash"], ["lost", "lost-wash"], ["on-accent", "accent"]],
  ],
};

for (const [file, pairs] of Object.entries(PAIRS)) {
  describe(`contrast in ${file}`, () => {
    for (const [scheme, colours] of schemes(file)) {
      for (const [text, ground] of pairs) {
        test(`${text} on ${ground} in the ${scheme} scheme`, () => {
          assert.match(`${colours[text]} ${colours[ground]}`, /^#\S{6} #\S{6}$/);
          const ratio = contrast(colours[text], colours[ground]);
          assert.ok(ratio >= 4.5, `${ratio.toFixed(2)}: ${colours[text]} on ${colours[ground]}`);
        });
      }
    }
  });
}
