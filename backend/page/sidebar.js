// The side of the page: which rooms this person is in, what is unread there, and who is in the room that is open.

import { arrange, element, find, hidden } from "./element.js";
import { nameOf, personOf } from "./people.js";
import { hashOfRoom } from "./text.js";

const PEOPLE_MAX = 50;

export class Sidebar {
  #chat;
  #list;
  #open;
  #leave;
  #act;
  #rows = new Map();
  #people = new Map();

  // `open()` is the id of the room that is shown; `leave(id)` closes one. `act`: `direct(userId)`, `menu(button, person)`, and
  // `hasMenu(userId)`, whether there is one.
  constructor({ chat, list, open, leave, act }) {
    this.#chat = chat;
    this.#list = list;
    this.#open = open;
    this.#leave = leave;
    this.#act = act;
    find("menu").addEventListener("click", () => this.toggle(true));
    find("side-close").addEventListener("click", () => this.toggle(false));
    find("main").addEventListener("click", () => this.toggle(false));
    find("side").addEventListener("keydown", (event) => event.key === "Escape" && this.toggle(false));
    find("side").addEventListener("click", (event) => this.#clicked(event));
  }

  // On small screens the side is a drawer.
  toggle(isOpen) {
    if ((document.body.dataset.drawer === "open") === isOpen) return;
    if (isOpen) document.body.dataset.drawer = "open";
    else delete document.body.dataset.drawer;
    find("menu").setAttribute("aria-expanded", String(isOpen));
    find(isOpen ? "side-close" : "menu").focus();
  }

  draw() {
    const rooms = this.#list.ids.map((id) => ({ id, room: this.#chat.rooms.get(id) }));
    const isDirect = ({ room }) => room?.info.type === "dm";
    this.#drawRooms("rooms", rooms.filter((one) => !isDirect(one)));
    const direct = rooms.filter(isDirect);
    find("direct").hidden = direct.length === 0;
    this.#drawRooms("direct-rooms", direct);
    this.#drawPeople(this.#chat.rooms.get(this.#open()));
    const elsewhere = rooms.filter(({ id }) => id !== this.#open()).reduce((sum, { room }) => sum + (room?.unread ?? 0), 0);
    find("menu-badge").hidden = elsewhere === 0;
    find("menu-badge").textContent = short(elsewhere);
  }

  #drawRooms(listId, rooms) {
    const nodes = this.#rows.get(listId) ?? new Map();
    this.#rows.set(listId, nodes);
    arrange(find(listId), nodes, rooms, { keyOf: ({ id }) => id, make: makeRoom, update: (node, one) => this.#updateRoom(node, one) });
  }

  #updateRoom(node, { id, room }) {
    const isOpen = id === this.#open();
    const unread = room?.unread ?? 0;
    const link = node.querySelector("a");
    if (isOpen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    node.classList.toggle("unread", unread > 0 && !isOpen);
    node.classList.toggle("private", room?.info.type === "private");
    node.classList.toggle("shut", Boolean(room?.refusal));
    node.querySelector(".name").textContent = nameOf(room, id, (userId) => this.#chat.isMine({ senderId: userId }));
    const badge = node.querySelector(".badge");
    badge.hidden = unread === 0 || isOpen;
    badge.replaceChildren(short(unread), hidden(" unread"));
    node.querySelector("button").hidden = isOpen;
  }

  #drawPeople(room) {
    const users = (room?.presence?.users ?? []).map(personOf).slice(0, PEOPLE_MAX);
    find("people").hidden = users.length === 0;
    const canTalk = this.#chat.can("openDirect");
    const selfId = this.#chat.welcome?.userId;
    arrange(find("people-list"), this.#people, users, {
      keyOf: ({ id }) => id,
      make: makePerson,
      update: (node, { id, name }) => {
        const isSelf = id === selfId;
        node.querySelector(".name").textContent = isSelf ? `${name} (you)` : name;
        const [talk, more] = node.querySelectorAll("button");
        talk.disabled = isSelf || !canTalk;
        talk.title = talk.disabled ? "" : `Talk to ${name} alone`;
        more.hidden = !this.#act.hasMenu(id);
        more.dataset.name = name;
        more.ariaLabel = `What to do about ${name}`;
      },
    });
  }

  #clicked(event) {
    const button = event.target.closest("button");
    const { leaves, person, menu, name } = button?.dataset ?? {};
    if (leaves) this.#leave(leaves);
    if (event.target.closest("a")) this.toggle(false);
    if (menu) this.#act.menu(button, { id: menu, name });
    if (person) this.#act.direct(person);
  }
}

function makeRoom({ id }) {
  const link = element("a", { href: hashOfRoom(id) }, element("span", { className: "name", dir: "auto" }), element("span", { className: "badge", hidden: true }));
  const leave = element("button", { type: "button", className: "leave", dataset: { leaves: id }, title: "Leave this room" }, "×", hidden(` Leave ${id}`));
  return element("li", { dataset: { room: id } }, link, leave);
}

function makePerson({ id }) {
  const talk = element("button", { type: "button", className: "person", dataset: { person: id } }, element("span", { className: "dot" }), element("span", { className: "name", dir: "auto" }));
  const more = element("button", { type: "button", className: "more", dataset: { menu: id }, ariaHasPopup: "menu" }, "⋯");
  return element("li", {}, talk, more);
}

function short(count) {
  return count > 99 ? "99+" : String(count);
}
