// One message of the log as an element: who, when, what, its state, what was done to it.

import { arrange, element, hidden } from "./element.js";
import { segments, snippet } from "./text.js";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export function makeMessage({ date }) {
  return element(
    "article",
    { className: "message", tabIndex: -1, dataset: { testid: "message" } },
    element("time", { dateTime: date.toISOString(), title: moment.format(date) }, clock.format(date)),
    element(
      "div",
      { className: "body" },
      element("span", { className: "name", dir: "auto" }),
      element("button", { type: "button", className: "quote", dir: "auto", dataset: { action: "jump" }, hidden: true }),
      element("p", { className: "content", dir: "auto" }),
      element("div", { className: "reactions", hidden: true }),
    ),
    element("span", { className: "status" }),
  );
}

const drawn = new WeakMap();
const chips = new WeakMap();

// `names` finds a name for a user id, `selfId` is one's own, `find` a message by its place.
export function updateMessage(node, { message, state, follows }, { names, selfId, canReact, find }) {
  node.classList.toggle("follows", follows);
  node.classList.toggle("mine", state !== "received");
  const answered = message.replyTo === undefined || message.replyTo === null ? null : (find(message.replyTo) ?? {});
  const before = drawn.get(node);
  if (before?.message === message && before.state === state && before.canReact === canReact && before.answered === answered) return;
  drawn.set(node, { message, state, canReact, answered });
  drawQuote(node.querySelector(".quote"), message.replyTo, answered);
  node.dataset.id = message.clientMsgId ?? message.id ?? "";
  if (message.seq !== undefined) node.dataset.seq = message.seq;
  node.dataset.state = state;
  node.classList.toggle("unreliable", message.unreliable === true);
  node.querySelector(".name").textContent = message.senderName ?? "You";
  if (before?.message.content !== message.content || before?.message.deletedAt !== message.deletedAt || before?.message.editedAt !== message.editedAt) {
    node.querySelector(".content").replaceChildren(...contentOf(message));
  }
  node.querySelector(".status").replaceChildren(...statusOf(message, state));
  drawReactions(node.querySelector(".reactions"), message.reactions ?? [], { names, selfId, canReact });
}

// What it answers, in a line that leads there.
function drawQuote(button, seq, answered) {
  button.hidden = answered === null;
  if (answered === null) return;
  button.dataset.to = seq;
  const { senderName } = answered;
  button.replaceChildren(hidden("In answer to "), senderName ? element("b", {}, senderName) : "an earlier message", senderName ? ` ${snippet(answered)}` : "");
}

function contentOf({ content, deletedAt, editedAt }) {
  if (deletedAt) return [element("i", { className: "deleted" }, "This message was deleted")];
  const text = typeof content === "string" ? content : (JSON.stringify(content) ?? "");
  const words = segments(text).map(({ text: part, href }) =>
    href ? element("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, part) : document.createTextNode(part),
  );
  const note = editedAt ? [element("span", { className: "edited", title: edited(editedAt) }, " (edited)")] : [];
  return [...words, ...note];
}

function edited(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "" : `Edited ${moment.format(date)}`;
}

function statusOf(message, state) {
  if (state === "sent") return [element("span", { className: "tick", title: `Stored as number ${message.seq}` }, "✓"), hidden("Sent")];
  if (state === "pending") return [element("span", { className: "clock", title: "On its way" }), hidden("Sending")];
  if (state !== "failed") return [];
  return [
    element("span", { className: "why" }, message.problem ?? "Not sent"),
    element("button", { type: "button", className: "quiet", dataset: { action: "retry" } }, "Retry"),
    element("button", { type: "button", className: "quiet", dataset: { action: "discard" } }, "Delete"),
  ];
}

function drawReactions(box, reactions, { names, selfId, canReact }) {
  box.hidden = reactions.length === 0;
  const nodes = chips.get(box) ?? new Map();
  chips.set(box, nodes);
  arrange(box, nodes, reactions, {
    keyOf: ({ emoji }) => emoji,
    make: ({ emoji }) => element("button", { type: "button", className: "chip", dataset: { action: "react", emoji } }),
    update: (node, { emoji, count, users }) => {
      node.textContent = `${emoji} ${count}`;
      node.setAttribute("aria-pressed", String(users.includes(selfId)));
      node.title = users.map((id) => (id === selfId ? "You" : names(id))).join(", ");
      node.disabled = !canReact;
    },
  });
}
