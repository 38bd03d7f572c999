// Draws numbers as bars in an SVG element: what was is on the left, what is on the right.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, GAP] = [600, 80, 2];

export function drawBars(svg, values) {
  const highest = Math.max(1, ...values);
  const step = WIDTH / values.length;
  while (svg.childElementCount < values.length) svg.append(document.createElementNS(SVG, "rect"));
  for (const [at, value] of values.entries()) {
    const height = (value / highest) * HEIGHT;
    const place = { x: at * step, y: HEIGHT - height, width: step - GAP, height };
    for (const [name, number] of Object.entries(place)) svg.children[at].setAttribute(name, number.toFixed(1));
  }
}
