// The dialog about the room that is open: its address, whom to bring in, its rules for those who make them, and the way out.

import { arrange, element, find } from "./element.js";
import { nameOf, strangersTo } from "./people.js";
import { duration, isOwner } from "./speech.js";
import { isSure } from "./sure.js";

const SLOW_MS = [0, 5_000, 30_000, 60_000, 300_000];
const KINDS = { public: "Anybody who has the address comes in.", private: "For its members. Each of them can bring others in.", dm: "Only the two of you are here." };
const ROLES = { owner: "You are its owner.", moderator: "You are one of its moderators." };

export class AboutRoom {
  #dialog = find("about");
  #chat;
  #room;
  #onQuit;
  #strangers = new Map();

  // `room()` is the room that is shown. `quit(roomId)` is told to leave it for good.
  constructor({ chat, room, quit }) {
    this.#chat = chat;
    this.#room = room;
    this.#onQuit = quit;
    find("about-open").addEventListener("click", () => this.#open());
    find("about-close").addEventListener("click", () => this.#dialog.close());
    find("copy-address").addEventListener("click", () => this.#copy());
    find("strangers").addEventListener("click", (event) => this.#invite(event.target.closest("button")));
    find("quit").addEventListener("click", () => this.#quit());
    find("rules").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#rule();
    });
    find("slow-mode").append(...SLOW_MS.map((ms) => element("option", { value: String(ms) }, ms === 0 ? "Off" : `One message every ${duration(ms)}`)));
  }

  draw() {
    if (this.#dialog.open) this.#drawStrangers();
  }

  #open() {
    const room = this.#room();
    const { info } = room;
    const isSelf = (userId) => this.#chat.isMine({ senderId: userId });
    find("about-title").textContent = nameOf(room, room.id, isSelf);
    find("about-what").textContent = [KINDS[info.type] ?? KINDS.public, ROLES[info.role]].filter(Boolean).join(" ");
    find("bring-in").hidden = info.type !== "private" || !this.#chat.can("inviteUser") || !room.joined;
    find("rules").hidden = !isOwner(info) || !this.#chat.can("updateRoom");
    find("rules-name").value = info.name ?? "";
    find("read-only").checked = info.settings?.readOnly === true;
    const slowMs = info.settings?.slowModeMs ?? 0;
    find("slow-mode").value = String(SLOW_MS.findLast((ms) => ms <= slowMs));
    this.#say("");
    this.#dialog.showModal();
    this.#drawStrangers();
  }

  #drawStrangers() {
    const isSelf = (userId) => this.#chat.isMine({ senderId: userId });
    const people = strangersTo(this.#room(), this.#chat.rooms.values(), isSelf);
    find("nobody-to-bring").hidden = people.length > 0;
    arrange(find("strangers"), this.#strangers, people, {
      keyOf: ({ id }) => id,
      make: ({ id, name }) => element("li", {}, element("span", { className: "name", dir: "auto" }, name), element("button", { type: "button", className: "quiet", dataset: { invites: id, name }, ariaLabel: `Bring in ${name}` }, "Bring in")),
    });
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(location.href);
      this.#say("Copied.");
    } catch {
      this.#say(location.href);
    }
  }

  async #invite(button) {
    const { invites, name } = button?.dataset ?? {};
    if (!invites) return;
    try {
      await this.#chat.ask("inviteUser", { roomId: this.#room().id, userId: invites, name });
      button.disabled = true;
      this.#say(`${name} is in.`);
    } catch (error) {
      this.#say(error.message);
    }
  }

  async #rule() {
    const settings = { readOnly: find("read-only").checked, slowModeMs: Number(find("slow-mode").value) };
    try {
      await this.#chat.ask("updateRoom", { roomId: this.#room().id, name: find("rules-name").value.trim(), settings });
      this.#say("Saved.");
    } catch (error) {
      this.#say(error.message);
    }
  }

  async #quit() {
    if (!isSure(find("quit"), "Leave for good?")) return;
    const { id } = this.#room();
    this.#dialog.close();
    this.#onQuit(id);
  }

  #say(text) {
    find("about-said").textContent = text;
  }
}
