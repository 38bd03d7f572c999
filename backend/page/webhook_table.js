// The table of webhooks: how each is, why it fails, and what can be done about it.

import { arrange, element, find } from "./element.js";
import { ago, count } from "./figures.js";
import { isSure } from "./sure.js";

const STATES = { ok: "told of everything in time", failing: "failing", paused: "paused: tried once an hour" };

export class WebhookTable {
  #rows = new Map();
  #resume;
  #remove;

  // `resume(id)` and `remove(id)` carry it out.
  constructor({ resume, remove }) {
    this.#resume = resume;
    this.#remove = remove;
  }

  // `webhooks` is null where nobody could say.
  draw({ webhooks, roomsWaiting }, now) {
    const note = find("no-webhooks");
    note.hidden = webhooks !== null && webhooks.length > 0;
    note.textContent = webhooks === null ? "Nobody can say now." : "There is none. The settings name them, or POST /api/webhooks makes one.";
    find("webhook-table").hidden = !note.hidden;
    find("webhooks-waiting").textContent = roomsWaiting > 0 ? `Rooms of which a webhook has not been told all: ${count(roomsWaiting)}.` : "";
    arrange(find("webhooks"), this.#rows, webhooks ?? [], { keyOf: ({ id }) => id, make: (one) => this.#make(one), update: (row, one) => fill(row, one, now) });
  }

  #make({ id, origin }) {
    const resume = element("button", { type: "button", ariaLabel: `Try now: ${id}` }, "Try now");
    resume.addEventListener("click", () => this.#resume(id));
    const remove = element("button", { type: "button", hidden: origin !== "api" }, "Remove");
    remove.addEventListener("click", () => {
      if (isSure(remove, `Remove ${id}?`)) this.#remove(id);
    });
    const cells = FIGURES.map(({ name }) => element("td", { className: name }));
    return element("tr", { dataset: { webhook: id } }, element("th", { scope: "row" }, id), ...cells, element("td", { className: "does" }, resume, " ", remove));
  }
}

const FIGURES = [
  { name: "state", read: ({ state }) => STATES[state] ?? state },
  { name: "receiver", read: ({ url }) => url.replace(/[?#].*$/s, "") },
  { name: "wants", read: ({ kinds, rooms }) => [kinds.join(", "), rooms.join(", ")].filter(Boolean).join(" of ") || "everything" },
  { name: "delivered", read: ({ deliveredAt }, now) => ago(deliveredAt, now) },
  { name: "since", read: ({ failingSince, failures }, now) => (failingSince === undefined ? "–" : `${ago(failingSince, now)}, ${failures === 1 ? "once" : `${count(failures)} times`}`) },
  { name: "error", read: ({ error }) => error ?? "–" },
  { name: "instance", read: ({ instanceId }) => instanceId ?? "–" },
];

function fill(row, one, now) {
  const cells = row.querySelectorAll("td");
  FIGURES.forEach(({ read }, at) => {
    const text = read(one, now);
    if (cells[at].textContent !== text) cells[at].textContent = text;
  });
  cells[0].dataset.state = one.state;
  const [resume] = cells[FIGURES.length].children;
  resume.hidden = one.state === "ok";
}
