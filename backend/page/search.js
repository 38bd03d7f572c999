// The dialog that finds what was said: in the room that is open, or in all of one's rooms. What is found leads there.

import { element, find } from "./element.js";
import { findMessages } from "./finder.js";
import { snippet } from "./text.js";

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export class Search {
  #dialog = find("search");
  #room;
  #nameOf;
  #show;
  // Only the answer to the last question counts.
  #asked = 0;
  #before = null;

  // `room()` is the room that is shown, `nameOf(roomId)` names one, `show(roomId, seq)` goes to a message.
  constructor({ room, nameOf, show }) {
    this.#room = room;
    this.#nameOf = nameOf;
    this.#show = show;
    find("search-open").addEventListener("click", () => this.#open());
    find("search-close").addEventListener("click", () => this.#dialog.close());
    find("search-more").addEventListener("click", () => this.#ask(this.#before));
    find("found").addEventListener("click", (event) => this.#chose(event.target.closest("button")));
    find("search-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask(null);
    });
  }

  #open() {
    find("found").replaceChildren();
    find("search-more").hidden = true;
    find("search-said").textContent = "";
    this.#dialog.showModal();
    find("search-words").select();
  }

  async #ask(before) {
    const words = find("search-words").value.trim();
    if (words === "") return;
    const asked = ++this.#asked;
    find("search-said").textContent = "Looking…";
    const roomId = find("search-everywhere").checked ? null : this.#room().id;
    const { messages = [], before: next = null, problem } = await findMessages({ words, roomId, before });
    if (asked !== this.#asked) return;
    this.#before = next;
    if (before === null) find("found").replaceChildren();
    find("found").append(...messages.map((message) => this.#row(message, roomId === null)));
    find("search-more").hidden = next === null;
    const count = find("found").childElementCount;
    find("search-said").textContent = problem ?? (count === 0 ? "Nothing found." : `${count}${next === null ? "" : " or more"} found`);
  }

  #row({ roomId, seq, senderName, timestamp, ...message }, namesRoom) {
    const where = namesRoom ? [" in ", element("b", { dir: "auto" }, this.#nameOf(roomId))] : [];
    const head = element("span", { className: "of" }, element("b", { dir: "auto" }, senderName), ...where, ` · ${moment.format(new Date(timestamp))}`);
    return element("li", {}, element("button", { type: "button", dataset: { room: roomId, seq } }, head, element("span", { className: "text", dir: "auto" }, snippet(message))));
  }

  #chose(button) {
    if (!button) return;
    this.#dialog.close();
    this.#show(button.dataset.room, Number(button.dataset.seq));
  }
}
