// Draws the conversation: one row per message in the order of the room, then what is on its way. Rows are kept and
// moved, never drawn anew, so focus, selection and scroll position survive. Text only ever enters as text nodes.

import { dayKey, segments } from "./text.js";

// Messages of one sender that follow each other within this time share a heading.
const GROUP_MS = 5 * 60_000;
const AT_BOTTOM_PX = 48;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export function element(tag, properties = {}, ...children) {
  const { dataset = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

export class Log {
  #list;
  #scroller;
  #jump;
  #conversation;
  #rows = new Map();
  #unseen = 0;
  #isStuck = true;

  constructor({ list, scroller, jump, conversation }) {
    this.#list = list;
    this.#scroller = scroller;
    this.#jump = jump;
    this.#conversation = conversation;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#isStuck && this.toBottom()).observe(scroller);
    jump.addEventListener("click", () => this.toBottom());
    list.addEventListener("click", (event) => this.#clicked(event));
  }

  // Messages of others that came while somebody reads further up.
  addUnseen(count) {
    if (!this.#isStuck) this.#unseen += count;
  }

  toBottom() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#isStuck = true;
    this.#unseen = 0;
    this.#drawJump();
  }

  draw() {
    const { scrollHeight, scrollTop } = this.#scroller;
    const firstBefore = this.#list.querySelector(".message")?.dataset.seq;
    const rows = this.#plan();
    const kept = new Set(rows.map(({ key }) => key));
    for (const [key, node] of this.#rows) {
      if (kept.has(key)) continue;
      node.remove();
      this.#rows.delete(key);
    }
    let at = this.#list.firstChild;
    for (const row of rows) {
      const node = this.#rows.get(row.key) ?? this.#make(row);
      this.#update(node, row);
      if (node === at) at = at.nextSibling;
      else this.#list.insertBefore(node, at);
    }
    const firstNow = this.#list.querySelector(".message")?.dataset.seq;
    if (this.#isStuck) this.toBottom();
    else if (Number(firstNow) < Number(firstBefore)) {
      // An earlier page came in above: what was being read stays where it was.
      this.#scroller.scrollTop = scrollTop + this.#scroller.scrollHeight - scrollHeight;
    }
    this.#drawJump();
  }

  #plan() {
    const { timeline, marks, unsent, joined, joinError } = this.#conversation;
    const rows = [];
    if (timeline.hasEarlier) rows.push({ key: "earlier", kind: "earlier" });
    const marksAt = groupBy(marks, (mark) => mark.afterSeq);
    const used = new Set();
    const pushMarks = (seq) => {
      for (const mark of marksAt.get(seq) ?? []) rows.push({ key: `mark ${mark.id}`, kind: "mark", mark });
      marksAt.delete(seq);
      if (timeline.gaps.has(seq)) rows.push({ key: `gap ${seq}`, kind: "gap" });
    };
    let before = null;
    const pushMessage = (message, state) => {
      const date = new Date(message.timestamp);
      if (before === null || dayKey(before.date) !== dayKey(date)) {
        rows.push({ key: `day ${dayKey(date)}`, kind: "day", date });
        before = null;
      }
      const follows =
        before !== null && rows.at(-1).kind === "message" && before.senderId === message.senderId && date - before.date < GROUP_MS;
      const ownKey = `own ${message.clientMsgId}`;
      // One's own keeps its row when the server gives it a place. Nobody else's id is trusted to be unique.
      const key = state === "received" || used.has(ownKey) ? `message ${message.seq}` : ownKey;
      used.add(key);
      rows.push({ key, kind: "message", message, state, date, follows });
      before = { date, senderId: message.senderId };
    };
    pushMarks(0);
    for (const message of timeline.messages) {
      pushMessage(message, this.#conversation.isMine(message) ? "sent" : "received");
      pushMarks(message.seq);
    }
    for (const rest of [...marksAt.keys()]) pushMarks(rest);
    for (const entry of unsent) {
      const { userId, name } = this.#conversation.welcome ?? {};
      const message = { ...entry, senderId: userId, senderName: name, timestamp: entry.at };
      pushMessage(message, entry.state);
    }
    if (joined && timeline.messages.length === 0 && unsent.length === 0) rows.push({ key: "empty", kind: "empty" });
    if (joinError) rows.push({ key: `refused ${joinError.message}`, kind: "refused", why: joinError.message });
    return rows;
  }

  #make(row) {
    const node = makers[row.kind](row);
    this.#rows.set(row.key, node);
    return node;
  }

  #update(node, row) {
    if (row.kind === "earlier") {
      node.firstChild.disabled = this.#conversation.loadingEarlier;
      return;
    }
    if (row.kind !== "message") return;
    const { message, state, follows } = row;
    node.classList.toggle("follows", follows);
    node.classList.toggle("mine", state !== "received");
    if (message.seq !== undefined) node.dataset.seq = message.seq;
    if (node.dataset.state === state) return;
    node.dataset.state = state;
    node.querySelector(".status").replaceChildren(...statusOf(message, state));
  }

  #clicked(event) {
    const { action } = event.target.closest("button")?.dataset ?? {};
    const id = event.target.closest(".message")?.dataset.id;
    if (action === "earlier") this.#conversation.loadEarlier();
    if (action === "retry") this.#conversation.retry(id);
    if (action === "discard") this.#conversation.discard(id);
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#isStuck = scrollHeight - scrollTop - clientHeight <= AT_BOTTOM_PX;
    if (this.#isStuck) this.#unseen = 0;
    this.#drawJump();
  }

  #drawJump() {
    this.#jump.hidden = this.#isStuck;
    this.#jump.textContent = this.#unseen > 0 ? `${this.#unseen} new ↓` : "Latest ↓";
  }
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

const makers = {
  earlier: () =>
    element("div", { className: "remark" }, element("button", { type: "button", className: "quiet", dataset: { action: "earlier" } }, "Load earlier messages")),
  gap: () => element("div", { className: "remark" }, element("span", {}, "Messages in between are no longer kept")),
  empty: () =>
    element("div", { className: "empty" }, element("p", {}, "Nothing said here yet."), element("p", {}, "Share this page’s address to bring others in.")),
  refused: ({ why }) => element("div", { className: "empty" }, element("p", {}, "This room cannot be joined."), element("p", { className: "why" }, why)),
  day: ({ date }) => element("div", { className: "day" }, element("span", {}, day.format(date))),
  mark: ({ mark }) => element("div", { className: `remark ${mark.kind}`, dataset: { testid: `mark-${mark.kind}` } }, ...wordsOf(mark)),
  message: makeMessage,
};

function wordsOf(mark) {
  if (mark.kind === "moved") {
    return [element("span", {}, "Moved from ", element("b", {}, mark.from), " to ", element("b", {}, mark.to))];
  }
  const count = mark.count === 1 ? "1 message" : `${mark.count} messages`;
  return [element("span", {}, `Caught up: ${count} while you were away`)];
}

function makeMessage({ message, date }) {
  const time = element("time", { dateTime: date.toISOString(), title: moment.format(date) }, clock.format(date));
  const name = element("span", { className: "name", dir: "auto" }, message.senderName ?? "You");
  const content = element("p", { className: "content", dir: "auto" }, ...contentOf(message));
  return element(
    "article",
    { className: "message", dataset: { testid: "message", id: message.clientMsgId ?? message.id } },
    time,
    element("div", { className: "body" }, name, content),
    element("span", { className: "status" }),
  );
}

function contentOf({ content }) {
  const text = typeof content === "string" ? content : JSON.stringify(content) ?? "";
  return segments(text).map(({ text: words, href }) =>
    href ? element("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, words) : document.createTextNode(words),
  );
}

function statusOf(message, state) {
  if (state === "sent") return [element("span", { className: "tick", title: `Stored as number ${message.seq}` }, "✓"), hidden("Sent")];
  if (state === "pending") return [element("span", { className: "clock", title: "On its way" }), hidden("Sending")];
  if (state === "failed") {
    return [
      element("span", { className: "why" }, message.problem ?? "Not sent"),
      element("button", { type: "button", className: "quiet", dataset: { action: "retry" } }, "Retry"),
      element("button", { type: "button", className: "quiet", dataset: { action: "discard" } }, "Delete"),
    ];
  }
  return [];
}

function hidden(text) {
  return element("span", { className: "hidden" }, text);
}
