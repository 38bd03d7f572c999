// The table of instances, and the question before one of them lets its clients go.

import { arrange, element, find } from "./element.js";
import { bytes, count, duration, milliseconds, perSecond } from "./figures.js";

const SPREAD_SECONDS = 20;

export class InstanceTable {
  #rows = new Map();
  #drain;
  // Whom the dialog asks about.
  #asked = null;

  // `drain(id, draining, spreadMs)` carries it out.
  constructor(drain) {
    this.#drain = drain;
    find("drain-form").addEventListener("submit", (event) => {
      event.preventDefault();
      find("drain").close();
      this.#drain(this.#asked, true, Math.round(Number(find("drain-seconds").value) * 1_000));
    });
    find("drain-cancel").addEventListener("click", () => find("drain").close());
  }

  draw(rows) {
    arrange(find("instances"), this.#rows, rows, { keyOf: ({ id }) => id, make: (row) => this.#make(row), update: fill });
  }

  #make({ id }) {
    const button = element("button", { type: "button" });
    button.addEventListener("click", () => (button.dataset.does === "drain" ? this.#ask(id) : this.#drain(id, false)));
    const cells = Array.from({ length: FIGURES.length + 1 }, () => element("td"));
    return element("tr", { dataset: { instance: id } }, element("th", { scope: "row" }, id), ...cells, element("td", { className: "does" }, button));
  }

  #ask(id) {
    this.#asked = id;
    find("drain-title").textContent = `Drain ${id}?`;
    find("drain-seconds").value = SPREAD_SECONDS;
    find("drain").showModal();
  }
}

const FIGURES = [
  (one) => duration(one.uptimeSeconds),
  sockets,
  (one) => perSecond(one.inPerSecond),
  (one) => perSecond(one.storedPerSecond),
  (one) => milliseconds(one.ackP50Seconds),
  (one) => milliseconds(one.ackP99Seconds),
  (one) => milliseconds(one.lagP99Seconds),
  (one) => (one.pendingBytes === null ? "–" : `${count(one.pendingBytes)} B`),
  (one) => bytes(one.memoryBytes) + (one.sharesProcess ? " together" : ""),
  (one) => bytes(one.socketBytes),
  (one) => one.version,
  (one) => (one.ageMs < 1_500 ? "now" : `${Math.round(one.ageMs / 1000)} s ago`),
];

function sockets({ sockets }) {
  const open = Object.entries(sockets).filter(([, number]) => number > 0);
  return open.length === 0 ? "0" : open.map(([transport, number]) => `${count(number)} ${transport}`).join(", ");
}

// In place, so that a button which somebody is about to press stays where it is.
function fill(row, one) {
  const [state, ...cells] = row.querySelectorAll("td");
  state.className = one.state;
  write(state, one.state);
  FIGURES.forEach((read, at) => write(cells[at], read(one)));
  const button = cells.at(-1).firstChild;
  const isDraining = one.state === "draining";
  button.dataset.does = isDraining ? "undo" : "drain";
  write(button, isDraining ? "Take back" : "Drain");
  button.setAttribute("aria-label", isDraining ? `Take back ${one.id}` : `Drain ${one.id}`);
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
