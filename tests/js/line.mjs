// The network between one browser and the server: a TCP relay that can be cut, or lose what the server answers.
import net from "node:net";

export class Line {
  #target;
  #server;
  #pairs = new Set();
  #isCut = false;
  #isMute = false;

  constructor(url) {
    this.#target = new URL(url);
    this.#server = net.createServer((client) => this.#carry(client));
  }

  /** The address to use instead of the server's. */
  async open() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  /** Nothing passes, and what was open breaks. */
  cut() {
    this.#isCut = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** What the client says still arrives; no answer comes back. */
  mute() {
    this.#isMute = true;
  }

  restore() {
    if (this.#isMute) this.cut();
    this.#isMute = false;
    this.#isCut = false;
  }

  close() {
    this.cut();
    this.#server.close();
  }

  #carry(client) {
    if (this.#isCut) {
      client.destroy();
      return;
    }
    const server = net.connect(Number(this.#target.port || 80), this.#target.hostname);
    const pair = [client, server];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    client.on("data", (bytes) => server.write(bytes));
    server.on("data", (bytes) => this.#isMute || client.write(bytes));
    for (const socket of pair) socket.on("close", end).on("error", end);
  }
}
