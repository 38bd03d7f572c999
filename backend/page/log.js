// Draws the conversation: rows are kept and moved, never drawn anew, so focus, selection and scroll position survive.
// It owns scrolling and what can be done to a message; what the rows are is `rows`, how a message looks is `message`.

import { arrange, element, find } from "./element.js";
import { makeMessage, updateMessage } from "./message.js";
import { planRows } from "./rows.js";

const AT_BOTTOM_PX = 48;
const EMOJIS = ["👍", "❤️", "😂", "🎉", "👀"];
// A second click within this time deletes.
const SURE_MS = 4_000;

const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export class Log {
  #list = find("messages");
  #scroller = find("scroller");
  #jump = find("jump");
  #chat;
  #view;
  #act;
  #rows = new Map();
  #unseen = 0;
  #isStuck = true;
  #tools = null;
  #sureTimer = null;

  // `view()` is `{ room, marks, unreadAfter }` of what is shown. `act`: `edit(message)`, `problem(text)`, `toComposer()`.
  constructor({ chat, view, act }) {
    this.#chat = chat;
    this.#view = view;
    this.#act = act;
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#isStuck && this.toBottom()).observe(this.#scroller);
    this.#jump.addEventListener("click", () => this.toBottom());
    this.#list.addEventListener("click", (event) => this.#clicked(event));
    this.#list.addEventListener("focusin", (event) => this.#showTools(event.target));
    this.#list.addEventListener("pointerover", (event) => event.pointerType === "mouse" && this.#showTools(event.target));
    this.#scroller.addEventListener("keydown", (event) => this.#pressed(event));
  }

  get isAtBottom() {
    return this.#isStuck;
  }

  // Another room: nothing of the last one stays.
  clear() {
    this.#tools?.remove();
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#unseen = 0;
    this.#isStuck = true;
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
    const { room, marks, unreadAfter } = this.#view();
    const { scrollHeight, scrollTop } = this.#scroller;
    const firstBefore = this.#firstSeq();
    const self = this.#chat.welcome ?? {};
    const isMine = (message) => this.#chat.isMine(message);
    const rows = planRows({ room, unsent: this.#chat.outbox.inRoom(room.id), marks, unreadAfter, isMine, self });
    const names = namesIn(room);
    const canReact = this.#chat.can("addReaction");
    arrange(this.#list, this.#rows, rows, {
      keyOf: ({ key }) => key,
      make: (row) => makers[row.kind](row),
      update: (node, row) => {
        if (row.kind === "message") updateMessage(node, row, { names, selfId: self.userId, canReact });
        else if (row.kind === "earlier") node.firstChild.disabled = room.loadingEarlier;
      },
    });
    if (this.#isStuck) this.toBottom();
    else if (this.#firstSeq() < firstBefore) {
      // An earlier page came in above: what was being read stays where it was.
      this.#scroller.scrollTop = scrollTop + this.#scroller.scrollHeight - scrollHeight;
    }
    this.#drawJump();
  }

  #firstSeq() {
    return Number(this.#list.querySelector(".message")?.dataset.seq ?? Number.NaN);
  }

  async #clicked(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const { room } = this.#view();
    const { action, emoji } = button.dataset;
    const node = button.closest(".message");
    const seq = Number(node?.dataset.seq);
    const message = room.timeline.find(seq);
    try {
      if (action === "earlier") await room.loadEarlier();
      else if (action === "gap") await room.loadGap(room.timeline.gaps.find(({ after }) => after === Number(button.dataset.after)));
      else if (action === "retry") this.#chat.retry(node.dataset.id);
      else if (action === "discard") this.#chat.discard(node.dataset.id);
      else if (action === "react" && message) await this.#react(room, message, emoji);
      else if (action === "edit" && message) this.#act.edit(message);
      else if (action === "delete" && message && this.#isSure(button)) await this.#chat.remove(room.id, seq);
    } catch (error) {
      this.#act.problem(error.message);
    }
  }

  #react(room, message, emoji) {
    const known = message.reactions?.find((one) => one.emoji === emoji);
    const isOn = known?.users.includes(this.#chat.welcome?.userId) ?? false;
    return this.#chat.react(room.id, message.seq, emoji, !isOn);
  }

  #isSure(button) {
    clearTimeout(this.#sureTimer);
    if (button.dataset.sure) {
      this.#tools.remove();
      return true;
    }
    const calm = button.textContent;
    button.dataset.sure = "asked";
    button.textContent = "Really delete?";
    this.#sureTimer = setTimeout(() => {
      delete button.dataset.sure;
      button.textContent = calm;
    }, SURE_MS);
    return false;
  }

  // What can be done to the message under the pointer or the focus.
  #showTools(target) {
    const node = target.closest?.(".message");
    if (!node || node.contains(this.#tools) || this.#tools?.contains(document.activeElement)) return;
    const message = this.#view().room.timeline.find(Number(node.dataset.seq));
    const isMine = message && this.#chat.isMine(message);
    const tools = [];
    if (message && !message.deletedAt) {
      if (this.#chat.can("addReaction")) tools.push(...EMOJIS.map((emoji) => tool("react", emoji, { emoji }, `React with ${emoji}`)));
      if (isMine && this.#chat.can("editMessage")) tools.push(tool("edit", "Edit"));
      if (isMine && this.#chat.can("deleteMessage")) tools.push(tool("delete", "Delete"));
    }
    this.#tools?.remove();
    if (tools.length === 0) return;
    this.#tools = element("div", { className: "tools", role: "toolbar", ariaLabel: "Message" }, ...tools);
    node.append(this.#tools);
  }

  #pressed(event) {
    if (event.key === "Escape") {
      this.#act.toComposer();
      return;
    }
    const steps = { ArrowUp: -1, ArrowDown: 1 };
    const nodes = [...this.#list.querySelectorAll(".message")];
    const at = nodes.indexOf(document.activeElement?.closest(".message"));
    let next = null;
    if (event.key in steps) next = at < 0 ? nodes.length - 1 : Math.min(Math.max(at + steps[event.key], 0), nodes.length - 1);
    else if (event.key === "Home" && at >= 0) next = 0;
    else if (event.key === "End" && at >= 0) next = nodes.length - 1;
    if (next === null || nodes.length === 0) return;
    event.preventDefault();
    nodes[next].focus();
    nodes[next].scrollIntoView({ block: "nearest" });
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    const wasStuck = this.#isStuck;
    this.#isStuck = scrollHeight - scrollTop - clientHeight <= AT_BOTTOM_PX;
    if (this.#isStuck) this.#unseen = 0;
    this.#drawJump();
    if (this.#isStuck && !wasStuck) this.#act.sawBottom();
  }

  #drawJump() {
    this.#jump.hidden = this.#isStuck;
    this.#jump.textContent = this.#unseen > 0 ? `${this.#unseen} new ↓` : "Latest ↓";
  }
}

function tool(action, text, dataset = {}, label = text) {
  return element("button", { type: "button", dataset: { action, ...dataset }, title: label, ariaLabel: label }, text);
}

// Names of those who said something here or are here.
function namesIn(room) {
  let names = null;
  return (id) => {
    names ??= new Map([
      ...room.timeline.messages.map(({ senderId, senderName }) => [senderId, senderName]),
      ...(room.presence?.users ?? []).map((user) => [user.id ?? user.userId, user.name]),
    ]);
    return names.get(id) ?? "Somebody";
  };
}

const makers = {
  earlier: () => remark("earlier", button("earlier", "Load earlier messages")),
  gap: ({ gap }) =>
    gap.isLost
      ? remark("gap", element("span", {}, "Messages in between are no longer kept"))
      : remark("gap", element("span", {}, `${gap.before - gap.after - 1} messages are not shown `, button("gap", "Load", { after: gap.after }))),
  unread: () => element("div", { className: "unread-line", role: "separator", dataset: { testid: "unread-line" } }, element("span", {}, "New")),
  empty: () => element("div", { className: "empty" }, element("p", {}, "Nothing said here yet."), element("p", {}, "Share this page’s address to bring others in.")),
  refused: ({ why }) => element("div", { className: "empty" }, element("p", {}, "This room cannot be joined."), element("p", { className: "why" }, why)),
  day: ({ date }) => element("div", { className: "day", role: "separator" }, element("span", {}, day.format(date))),
  mark: ({ mark }) => element("div", { className: `remark ${mark.kind}`, dataset: { testid: `mark-${mark.kind}` } }, ...wordsOf(mark)),
  system: ({ message }) => remark("system", element("span", { dir: "auto" }, message.content ?? "")),
  message: makeMessage,
};

function remark(kind, ...children) {
  return element("div", { className: `remark ${kind}` }, ...children);
}

function button(action, text, dataset = {}) {
  return element("button", { type: "button", className: "quiet", dataset: { action, ...dataset } }, text);
}

function wordsOf(mark) {
  if (mark.kind === "moved") return [element("span", {}, "Moved from ", element("b", {}, mark.from), " to ", element("b", {}, mark.to))];
  const count = mark.count === 1 ? "1 message" : `${mark.count} messages`;
  return [element("span", {}, `Caught up: ${count} while you were away`)];
}
