// Faults on purpose, where the server was started to be tried out: the connection is dropped, the network goes away, frames
// are lost. What the page does about it is what it does about the real thing; nothing here knows how it recovers.

import { find } from "./element.js";
import { openConnection } from "./socket.js";

const OFFLINE_MS = 10_000;
const LOST_EVERY = 3;

// The browser as the socket sees it, with faults to switch on.
export class FaultySocket {
  isOffline = false;
  isLossy = false;
  hasNoWebSocket = false;
  #count = 0;

  world = {
    open: (url) => this.#open(url),
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    now: () => performance.now(),
    random: () => Math.random(),
  };

  #open(url) {
    if (this.isOffline) throw new Error("offline on purpose");
    if (this.hasNoWebSocket && url.startsWith("ws")) throw new Error("no WebSocket on purpose");
    return new FaultyConnection(openConnection(url), (frame) => this.#isLost(frame));
  }

  // Only what somebody said is lost: a transport that loses its own packets is none.
  #isLost(frame) {
    const isEntry = typeof frame === "string" && frame.startsWith('42["message"');
    return this.isLossy && isEntry && ++this.#count % LOST_EVERY === 0;
  }
}

class FaultyConnection {
  onmessage = null;
  onclose = null;
  #inner;

  constructor(inner, isLost) {
    this.#inner = inner;
    inner.onmessage = (event) => isLost(event.data) || this.onmessage?.(event);
    inner.onclose = (event) => this.onclose?.(event);
  }

  get readyState() {
    return this.#inner.readyState;
  }

  send(frame) {
    this.#inner.send(frame);
  }

  close() {
    this.#inner.close();
  }
}

export class Chaos {
  #socket;
  #faults;
  #chat;
  #timer = null;

  constructor({ socket, faults, chat }) {
    this.#socket = socket;
    this.#faults = faults;
    this.#chat = chat;
    find("chaos").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.#deeds[button.dataset.chaos](button);
    });
  }

  // `trial`: what the server says of itself, `{ server }`; nothing where it is not to be tried out. Shown only where the server says that it is there to be tried out.
  offer(trial) {
    find("chaos").hidden = !trial;
    for (const name of ["restart", "bus"]) find("chaos").querySelector(`[data-chaos=${name}]`).hidden = !trial?.server;
  }

  #deeds = {
    drop: () => {
      this.#socket.renew("dropped on purpose");
      this.#say("The connection was cut.");
    },
    offline: () => {
      this.#faults.isOffline = true;
      this.#socket.renew("offline on purpose");
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        this.#faults.isOffline = false;
        this.#chat.wake();
        this.#say("Online again.");
      }, OFFLINE_MS);
      this.#say("Offline for ten seconds. Write something.");
    },
    lossy: (button) => {
      this.#faults.isLossy = !this.#faults.isLossy;
      button.setAttribute("aria-pressed", String(this.#faults.isLossy));
      this.#say(this.#faults.isLossy ? "Every third message is lost on its way here." : "Nothing is lost any more.");
    },
    requests: (button) => {
      this.#faults.hasNoWebSocket = !this.#faults.hasNoWebSocket;
      button.setAttribute("aria-pressed", String(this.#faults.hasNoWebSocket));
      this.#socket.renew("another way on purpose");
      this.#say(this.#faults.hasNoWebSocket ? "WebSockets are shut off; plain requests carry the same." : "WebSockets get through again.");
    },
    restart: () => this.#wish("restart", { instanceId: this.#chat.welcome?.instanceId }, "Your backend restarts."),
    bus: async (button) => {
      const isCut = button.getAttribute("aria-pressed") !== "true";
      const said = isCut ? "The bus carries nothing. Backends find each other’s messages in the store." : "The bus carries again.";
      if (await this.#wish("bus", { on: !isCut }, said)) button.setAttribute("aria-pressed", String(isCut));
    },
  };

  // What is broken on the server's side.
  async #wish(what, body, said) {
    try {
      const answer = await fetch(`/api/trial/${what}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
      this.#say(answer.ok ? said : "It refused.");
      return answer.ok;
    } catch {
      this.#say("The request was lost; perhaps with the backend.");
      return false;
    }
  }

  #say(text) {
    find("chaos-said").textContent = text;
  }
}
