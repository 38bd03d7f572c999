// The menu of what one may do to a person: opened from the list of people or from one of their messages, one at a time.
// It asks the server; who may do what is `moderation`'s, and in the end the server's.

import { element, find } from "./element.js";
import { deedsFor } from "./moderation.js";
import { isSure } from "./sure.js";

const GAP_PX = 4;

export class PersonMenu {
  #menu = find("person-menu");
  #chat;
  #room;
  #act;
  #person = null;
  #anchor = null;
  #deeds = [];

  // `room()` is the room that is shown. `act`: `direct(userId)`, `said(text)`, `problem(text)`.
  constructor({ chat, room, act }) {
    this.#chat = chat;
    this.#room = room;
    this.#act = act;
    this.#menu.addEventListener("click", (event) => this.#clicked(event));
    this.#menu.addEventListener("keydown", (event) => this.#pressed(event));
    this.#menu.addEventListener("toggle", ({ newState }) => newState === "closed" && this.#menu.contains(document.activeElement) && this.#anchor?.focus());
  }

  // What could be done to this person now; nothing means no menu.
  deeds(userId) {
    const { info } = this.#room();
    return deedsFor({ info, isSelf: this.#chat.isMine({ senderId: userId }), can: (event) => this.#chat.can(event) });
  }

  open(anchor, person) {
    [this.#person, this.#anchor, this.#deeds] = [person, anchor, this.deeds(person.id)];
    if (this.#deeds.length === 0) return;
    const items = this.#deeds.map(({ key, label }) => element("button", { type: "button", role: "menuitem", tabIndex: -1, dataset: { deed: key } }, label));
    this.#menu.replaceChildren(element("p", { className: "kicker", dir: "auto", role: "presentation" }, person.name), ...items);
    this.#menu.ariaLabel = person.name;
    this.#menu.showPopover();
    this.#place();
    items[0].focus();
  }

  // Under its button, or above it where there is no space.
  #place() {
    const { left, top, bottom } = this.#anchor.getBoundingClientRect();
    const { offsetWidth, offsetHeight, style } = this.#menu;
    const below = bottom + GAP_PX;
    const isTooLow = below + offsetHeight > innerHeight;
    style.left = `${Math.max(GAP_PX, Math.min(left, innerWidth - offsetWidth - GAP_PX))}px`;
    style.top = `${isTooLow ? Math.max(GAP_PX, top - offsetHeight - GAP_PX) : below}px`;
  }

  #pressed(event) {
    const items = [...this.#menu.querySelectorAll("[role=menuitem]")];
    const at = items.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Tab") this.#menu.hidePopover();
    if (next === undefined) return;
    event.preventDefault();
    items.at(next % items.length)?.focus();
  }

  async #clicked(event) {
    const button = event.target.closest("[data-deed]");
    const deed = this.#deeds.find(({ key }) => key === button?.dataset.deed);
    if (!deed || (deed.needsSure && !isSure(button, `${deed.label}?`))) return;
    const { id, name } = this.#person;
    this.#menu.hidePopover();
    if (deed.event === "openDirect") {
      this.#act.direct(id);
      return;
    }
    try {
      await this.#chat.ask(deed.event, { roomId: this.#room().id, userId: id, name, ...deed.more });
      this.#act.said(`Done: ${deed.label.toLowerCase()}, ${name}`);
    } catch (error) {
      this.#act.problem(`${deed.label}: ${error.message}`);
    }
  }
}
