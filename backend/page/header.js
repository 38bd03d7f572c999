// The top of the page: which room, which backend, how the connection is; and the banner when it has been gone a while.

import { element } from "./log.js";

// Shorter losses heal by themselves before anybody needs to know.
const BANNER_AFTER_MS = 2_000;
const PROBE_EVERY_MS = 2_000;
const RECENT_MAX = 12;
const RECENT_KEY = "berth.rooms";

const WORDS = { stopped: "Not connected", connecting: "Connecting…", connected: "Connected", waiting: "Reconnecting…" };

export class Header {
  #find = (id) => document.getElementById(id);
  #state = document.querySelector("[data-testid=connection-state]");
  #instance = document.querySelector("[data-testid=instance]");
  #socket;
  #conversation;
  #storage;
  #ownName;
  #lostAt = null;
  #ticker = null;
  #probing = null;
  // The backend's own words when it refuses connections.
  #why = null;

  constructor({ socket, conversation, storage, ownName }) {
    this.#socket = socket;
    this.#conversation = conversation;
    this.#storage = storage;
    this.#ownName = ownName;
    this.#find("try-now").addEventListener("click", () => socket.wake());
    this.#find("details").addEventListener("toggle", (event) => this.#toggled(event.newState === "open"));
    socket.on("connect_error", ({ message }) => (this.#why = message));
    socket.on("state", (state) => this.#changed(state));
  }

  draw() {
    const { room, welcome } = this.#conversation;
    const state = this.#shownState();
    this.#state.textContent = WORDS[state];
    this.#state.dataset.state = state;
    document.body.dataset.connection = state;
    this.#instance.textContent = welcome?.instanceId ?? "–";
    this.#instance.title = welcome?.instanceId ?? "";
    const input = this.#find("room-input");
    if (document.activeElement !== input) input.value = room;
    this.#drawDetails(state);
    this.#drawBanner();
  }

  // Offered when somebody types a room's name.
  remember(room) {
    const rooms = [room, ...this.#recent().filter((other) => other !== room)].slice(0, RECENT_MAX);
    try {
      this.#storage?.setItem(RECENT_KEY, JSON.stringify(rooms));
    } catch {
      // Only a convenience.
    }
    this.#find("recent-rooms").replaceChildren(...rooms.map((value) => element("option", { value })));
  }

  #recent() {
    try {
      const rooms = JSON.parse(this.#storage?.getItem(RECENT_KEY) ?? "[]");
      return Array.isArray(rooms) ? rooms.filter((room) => typeof room === "string") : [];
    } catch {
      return [];
    }
  }

  // Connected is what knows its backend. Connecting again is still reconnecting to somebody who was here before.
  #shownState() {
    const { state } = this.#socket;
    const isUnderWay = state === "connecting" || (state === "connected" && !this.#conversation.isWelcome);
    if (!isUnderWay) return state;
    return this.#lostAt === null && this.#conversation.welcome === null ? "connecting" : "waiting";
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
    this.#find("banner").hidden = !isLong;
    if (!isLong) return;
    const { retryAt } = this.#socket;
    const leftS = retryAt === null ? 0 : Math.ceil((retryAt - performance.now()) / 1000);
    const next = leftS > 0 ? `Next try in ${leftS} s` : "Trying now…";
    this.#find("banner-count").textContent = this.#why === null ? next : `${next} (${this.#why})`;
  }

  #drawDetails(state) {
    const { room, timeline, rttMs, welcome } = this.#conversation;
    const values = {
      instance: welcome?.instanceId ?? "–",
      state: WORDS[state],
      rtt: rttMs === null ? "–" : `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`,
      seq: timeline.cursor === null ? "–" : `number ${timeline.cursor} in #${room}`,
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
    this.#conversation.probe();
    this.#probing = setInterval(() => this.#conversation.probe(), PROBE_EVERY_MS);
  }
}
