// The dialog that makes a room: its name, and for whom it is.

import { find } from "./element.js";

export class NewRoom {
  #dialog = find("new-room");
  #chat;
  #made;

  // `made(room)` is told of the room, which is open.
  constructor({ chat, made }) {
    this.#chat = chat;
    this.#made = made;
    find("make-room").addEventListener("click", () => this.#open());
    find("new-room-cancel").addEventListener("click", () => this.#dialog.close());
    find("new-room-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#make();
    });
  }

  draw() {
    find("make-room").hidden = !this.#chat.can("createRoom");
  }

  #open() {
    find("new-room-form").reset();
    find("new-room-why").textContent = "";
    this.#dialog.showModal();
  }

  async #make() {
    const name = find("new-room-name").value.trim();
    if (name === "") return;
    const type = find("new-room-public").checked ? "public" : "private";
    try {
      const room = await this.#chat.createRoom(name, { type });
      this.#dialog.close();
      this.#made(room);
    } catch (error) {
      find("new-room-why").textContent = error.message;
    }
  }
}
