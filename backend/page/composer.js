// Where one writes: sends, edits what one wrote, and lets others know that one is typing.

import { find } from "./element.js";
import { speechIn } from "./speech.js";
import { byteLength, snippet } from "./text.js";

// Until the server says otherwise.
const CONTENT_BYTES_MAX = 4_096;
// Others see "is typing" for 6 s, so they are told again before that.
const TYPING_EVERY_MS = 3_000;
const TYPING_ENDS_MS = 5_000;
const ROWS_MAX = 8;
const TICK_MS = 1_000;

export class Composer {
  #chat;
  #room;
  #onSent;
  #onProblem;
  #input = find("message-input");
  #button = document.querySelector("[data-testid=send-button]");
  // The message that is being edited, and what was half written before.
  #edited = null;
  #kept = "";
  // The message that is being answered.
  #answered = null;
  #ticker = null;
  #drafts = new Map();
  #typedAt = -Infinity;
  #typingTimer = null;

  // `room()` is the id of the room that is shown.
  constructor({ chat, room, onSent, onProblem }) {
    this.#chat = chat;
    this.#room = room;
    this.#onSent = onSent;
    this.#onProblem = onProblem;
    find("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    find("stop-editing").addEventListener("click", () => this.stopEditing());
    find("stop-answering").addEventListener("click", () => this.answer(null));
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("keydown", (event) => this.#pressed(event));
  }

  // What is half written stays with its room.
  switchRoom(from, to) {
    this.stopEditing();
    this.#answered = null;
    this.#stopTyping(from);
    this.#drafts.set(from, this.#input.value);
    this.#input.value = this.#drafts.get(to) ?? "";
    this.#drafts.delete(to);
    this.draw();
  }

  focus() {
    this.#input.focus();
  }

  // The next message is an answer to this one; null: to none.
  answer(message) {
    this.stopEditing();
    this.#answered = message;
    this.draw();
    this.focus();
  }

  edit(message) {
    this.#answered = null;
    if (this.#edited === null) this.#kept = this.#input.value;
    this.#edited = message;
    this.#input.value = message.content;
    this.draw();
    this.focus();
  }

  stopEditing() {
    if (this.#edited === null) return;
    this.#edited = null;
    this.#input.value = this.#kept;
    this.draw();
  }

  draw() {
    const limit = this.#chat.welcome?.limits?.maxContent ?? CONTENT_BYTES_MAX;
    const surplus = byteLength(this.#input.value) - limit;
    const speech = this.#drawSpeech();
    find("too-long").hidden = surplus <= 0;
    find("keys").hidden = surplus > 0 || speech.words !== "";
    find("too-long").textContent = surplus > 0 ? `Too long by ${surplus} ${surplus === 1 ? "byte" : "bytes"}` : "";
    find("editing").hidden = this.#edited === null;
    find("answering").hidden = this.#answered === null;
    if (this.#answered !== null) find("answered").textContent = `${this.#answered.senderName}: ${snippet(this.#answered)}`;
    find("message-label").textContent = this.#edited !== null ? "Edit your message" : this.#answered !== null ? "Your answer" : "Message";
    this.#input.setAttribute("aria-invalid", String(surplus > 0));
    this.#button.disabled = this.#input.value.trim() === "" || surplus > 0 || speech.isBlocked || this.#chat.outbox.isFull;
    this.#input.rows = 1;
    while (this.#input.rows < ROWS_MAX && this.#input.scrollHeight > this.#input.clientHeight) this.#input.rows += 1;
  }

  // Why one cannot write, or not yet; counted down while that makes sense.
  #drawSpeech() {
    clearTimeout(this.#ticker);
    const speech = speechIn(this.#chat.rooms.get(this.#room()), Date.now());
    const field = find("speech");
    field.hidden = speech.words === "";
    if (field.textContent !== speech.words) field.textContent = speech.words;
    // What counts down is not read aloud every second.
    field.ariaLive = speech.endsAt === null ? "polite" : "off";
    if (speech.endsAt !== null) this.#ticker = setTimeout(() => this.draw(), TICK_MS);
    return speech;
  }

  #submit() {
    if (this.#button.disabled) return;
    const text = this.#input.value.trim();
    this.#stopTyping(this.#room());
    if (this.#edited !== null) {
      this.#finishEdit(text);
      return;
    }
    this.#chat.send(this.#room(), text, { replyTo: this.#answered?.seq ?? null });
    this.#answered = null;
    this.#input.value = "";
    this.draw();
    this.#onSent();
  }

  async #finishEdit(text) {
    const { roomId, seq, content } = this.#edited;
    this.stopEditing();
    if (text === content) return;
    try {
      await this.#chat.edit(roomId, seq, text);
    } catch (error) {
      this.#onProblem(`The message was not changed: ${error.message}`);
    }
  }

  #typed() {
    this.draw();
    if (this.#edited !== null) return;
    if (this.#input.value === "") {
      this.#stopTyping(this.#room());
      return;
    }
    clearTimeout(this.#typingTimer);
    const room = this.#room();
    this.#typingTimer = setTimeout(() => this.#stopTyping(room), TYPING_ENDS_MS);
    if (performance.now() - this.#typedAt < TYPING_EVERY_MS) return;
    this.#typedAt = performance.now();
    this.#chat.typing(room, true);
  }

  #stopTyping(room) {
    clearTimeout(this.#typingTimer);
    if (this.#typedAt === -Infinity) return;
    this.#typedAt = -Infinity;
    this.#chat.typing(room, false);
  }

  #pressed(event) {
    // While an input method composes, keys choose words; 229 is how Safari says so.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape") this.answer(null);
    else if (event.key === "ArrowUp" && this.#input.value === "") this.#editLast(event);
  }

  #editLast(event) {
    const rows = this.#chat.rooms.get(this.#room())?.timeline.messages ?? [];
    const last = rows.findLast((row) => row.kind === "message" && this.#chat.isMine(row) && !row.deletedAt);
    if (!last || !this.#chat.can("editMessage")) return;
    event.preventDefault();
    this.edit(last);
  }
}
