// The top of the page: which room, which backend, how the connection is; and the banner when it has been gone a while.

import { find } from "./element.js";
import { nameOf } from "./people.js";

// Shorter losses heal by themselves before anybody needs to know.
const BANNER_AFTER_MS = 2_000;
const PROBE_EVERY_MS = 2_000;

const WORDS = { stopped: "Not connected", connecting: "Connecting…", connected: "Connected", waiting: "Reconnecting…", refused: "Not let in" };

export class Header {
  #state = document.querySelector("[data-testid=connection-state]");
  #instance = document.querySelector("[data-testid=instance]");
  #socket;
  #chat;
  #room;
  #ownName;
  #lostAt = null;
  #ticker = null;
  #probing = null;
  // The backend's own words when it refuses connections.
  #why = null;

  // `room()` is the room that is shown.
  constructor({ socket, chat, room, ownName }) {
    this.#socket = socket;
    this.#chat = chat;
    this.#room = room;
    this.#ownName = ownName;
    find("try-now").addEventListener("click", () => chat.wake());
    find("details").addEventListener("toggle", (event) => this.#toggled(event.newState === "open"));
    socket.on("connect_error", ({ message }) => (this.#why = message));
    socket.on("state", (state) => this.#changed(state));
  }

  draw() {
    const { welcome } = this.#chat;
    const room = this.#room();
    const state = this.#shownState();
    this.#state.textContent = WORDS[state];
    this.#state.dataset.state = state;
    document.body.dataset.connection = state;
    this.#instance.textContent = welcome?.instanceId ?? "–";
    this.#instance.title = welcome?.instanceId ?? "";
    find("room-hash").hidden = room.info.type === "dm";
    find("room-hash").className = room.info.type === "private" ? "hash private" : "hash";
    find("room-name").textContent = nameOf(room, room.id, (userId) => this.#chat.isMine({ senderId: userId }));
    const { count, approximate } = room.presence ?? {};
    find("room-count").hidden = count === undefined;
    find("room-count").textContent = count === undefined ? "" : `${approximate ? "about " : ""}${count} here`;
    this.#drawDetails(state);
    this.#drawBanner();
  }

  // Connected is what knows its backend. Connecting again is still reconnecting to somebody who was here before.
  #shownState() {
    if (this.#chat.state === "refused") return "refused";
    const { state } = this.#socket;
    const isUnderWay = state === "connecting" || (state === "connected" && this.#chat.state !== "connected");
    if (!isUnderWay) return state;
    return this.#lostAt === null && this.#chat.welcome === null ? "connecting" : "waiting";
  }

  #changed(state) {
    if (state === "connected") {
      this.#lostAt = null;
      this.#why = null;
      clearInterval(this.#ticker);
      this.#ticker = null;
    } else if (state === "waiting" && this.#lostAt === null) {
      this.#lostAt = performance.now();
      this.#ticker = setInterval(() => this.#drawBanner(), 500);
    }
    this.draw();
  }

  #drawBanner() {
    const isLong = this.#lostAt !== null && performance.now() - this.#lostAt >= BANNER_AFTER_MS;
    find("banner").hidden = !isLong;
    if (!isLong) return;
    const { retryAt } = this.#socket;
    const leftS = retryAt === null ? 0 : Math.ceil((retryAt - performance.now()) / 1000);
    const next = leftS > 0 ? `Next try in ${leftS} s` : "Trying now…";
    find("banner-count").textContent = this.#why === null ? next : `${next} (${this.#why})`;
  }

  #drawDetails(state) {
    const { rttMs, welcome, outbox } = this.#chat;
    const { id, timeline } = this.#room();
    const unsent = outbox.inRoom(id).filter((entry) => entry.state === "pending").length;
    const values = {
      instance: welcome?.instanceId ?? "–",
      state: WORDS[state],
      transport: this.#socket.transport === "polling" ? "HTTP requests" : "WebSocket",
      rtt: rttMs === null ? "–" : `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`,
      seq: timeline.cursor === null ? "–" : `number ${timeline.cursor}`,
      unsent: unsent === 0 ? "nothing" : `${unsent} ${unsent === 1 ? "message" : "messages"}`,
      name: welcome?.name ?? this.#ownName(),
    };
    for (const [name, value] of Object.entries(values)) {
      document.querySelector(`[data-detail=${name}]`).textContent = value;
    }
  }

  // The round trip is measured while somebody looks at it.
  #toggled(isOpen) {
    clearInterval(this.#probing);
    if (!isOpen) return;
    this.#chat.probe();
    this.#probing = setInterval(() => this.#chat.probe(), PROBE_EVERY_MS);
  }
}
