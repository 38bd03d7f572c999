// Draws the conversation: rows are kept and moved, never drawn anew, so focus, selection and scroll position survive.
// It owns scrolling and what can be done to a message; what the rows are is `rows`, how a message looks is `message`.

import { arrange, element, find } from "./element.js";
import { makeMessage, updateMessage } from "./message.js";
import { listed, namesIn } from "./people.js";
import { planRows } from "./rows.js";
import { isModerator } from "./speech.js";
import { isSure } from "./sure.js";

const AT_BOTTOM_PX = 48;
const EMOJIS = ["👍", "❤️", "😂", "🎉", "👀"];
// Pages fetched to get to a message that somebody answered.
const JUMP_PAGES_MAX = 20;
const FOUND_MS = 2_000;

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

  // `view()` is `{ room, marks, unreadAfter }` of what is shown. `act`: `edit(message)`, `answer(message)`, `menu(button, person)`,
  // `hasMenu(userId)`, `rejoin()`, `problem(text)`, `toComposer()`.
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
        if (row.kind === "message") updateMessage(node, row, { names, selfId: self.userId, canReact, find: (seq) => room.timeline.find(seq) });
        else if (row.kind === "seen") node.textContent = `Seen by ${listed(row.seenBy.map(names))}`;
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
      else if (action === "jump") await this.jumpTo(Number(button.dataset.to));
      else if (action === "rejoin") this.#act.rejoin();
      else if (action === "answer" && message) this.#act.answer(message);
      else if (action === "more" && message) this.#act.menu(button, { id: message.senderId, name: message.senderName });
      else if (action === "edit" && message) this.#act.edit(message);
      else if (action === "delete" && message && isSure(button, "Really delete?")) {
        this.#tools.remove();
        await this.#chat.remove(room.id, seq);
      }
    } catch (error) {
      this.#act.problem(error.message);
    }
  }

  // Shows a message of the open room. Earlier pages are fetched until it is there, within reason.
  async jumpTo(seq) {
    const { room } = this.#view();
    for (let page = 0; page < JUMP_PAGES_MAX && room.timeline.oldest > seq && room.timeline.hasEarlier; page += 1) await room.loadEarlier();
    if (room !== this.#view().room) return;
    this.draw();
    const node = this.#list.querySelector(`.message[data-seq="${seq}"]`);
    if (!node) {
      this.#act.problem("That message is too far back to be shown, or gone.");
      return;
    }
    this.#isStuck = false;
    node.scrollIntoView({ block: "center" });
    node.focus({ preventScroll: true });
    node.classList.add("found");
    setTimeout(() => node.classList.remove("found"), FOUND_MS);
  }

  #react(room, message, emoji) {
    const known = message.reactions?.find((one) => one.emoji === emoji);
    const isOn = known?.users.includes(this.#chat.welcome?.userId) ?? false;
    return this.#chat.react(room.id, message.seq, emoji, !isOn);
  }

  // What can be done to the message under the pointer or the focus.
  #showTools(target) {
    const node = target.closest?.(".message");
    if (!node || node.contains(this.#tools) || this.#tools?.contains(document.activeElement)) return;
    const { room } = this.#view();
    const message = room.timeline.find(Number(node.dataset.seq));
    const isMine = message && this.#chat.isMine(message);
    const tools = [];
    if (message && !message.deletedAt) {
      if (this.#chat.can("addReaction")) tools.push(...EMOJIS.map((emoji) => tool("react", emoji, { emoji }, `React with ${emoji}`)));
      tools.push(tool("answer", "Reply"));
      if (isMine && this.#chat.can("editMessage")) tools.push(tool("edit", "Edit"));
      if ((isMine || isModerator(room.info)) && this.#chat.can("deleteMessage")) tools.push(tool("delete", "Delete"));
      if (this.#act.hasMenu(message.senderId)) tools.push(tool("more", "⋯", {}, `What to do about ${message.senderName}`));
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

const makers = {
  earlier: () => remark("earlier", button("earlier", "Load earlier messages")),
  gap: ({ gap }) =>
    gap.isLost
      ? remark("gap", element("span", {}, "Messages in between are no longer kept"))
      : remark("gap", element("span", {}, `${gap.before - gap.after - 1} messages are not shown `, button("gap", "Load", { after: gap.after }))),
  unread: () => element("div", { className: "unread-line", role: "separator", dataset: { testid: "unread-line" } }, element("span", {}, "New")),
  empty: () => element("div", { className: "empty" }, element("p", {}, "Nothing said here yet."), element("p", {}, "Share this page’s address to bring others in.")),
  refused: () => element("div", { className: "empty", dataset: { testid: "refused" } }, element("p", {}, "You are not in this room."), element("p", {}, button("rejoin", "Try again"))),
  seen: () => element("div", { className: "seen", dataset: { testid: "seen" } }),
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
