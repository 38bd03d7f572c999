// An Engine.IO connection over plain requests, with the face of a WebSocket: for networks that let no WebSocket through.
//
// One request at a time waits for the server's frames, and one at a time carries ours. Bodies hold several frames, with
// a record separator between them.

const SEPARATOR = "\x1e";
// Until the server says how much it takes.
const PAYLOAD_MAX = 100_000;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

export class PollingConnection {
  readyState = 0;
  onmessage = null;
  onclose = null;
  #url;
  #request;
  #isSending = false;
  #queue = [];
  #payloadMax = PAYLOAD_MAX;
  #polls = new AbortController();

  constructor(url, request = (...args) => fetch(...args)) {
    this.#url = url;
    this.#request = request;
    this.#receive();
  }

  send(frame) {
    this.#queue.push(frame);
    this.#carry();
  }

  // What was said before still goes out; the server is told, as nothing else shows that nobody asks any more.
  close() {
    if (this.readyState >= CLOSING) return;
    const wasOpen = this.readyState === OPEN;
    this.readyState = CLOSING;
    this.#polls.abort();
    if (wasOpen) this.send("1");
  }

  async #receive() {
    try {
      while (this.readyState < CLOSING) {
        const body = await this.#ask({ signal: this.#polls.signal });
        for (const frame of body.split(SEPARATOR)) this.#hear(frame);
      }
    } catch {
      if (this.readyState < CLOSING) this.#end();
    }
  }

  #hear(frame) {
    if (this.readyState >= CLOSING) return;
    if (this.readyState < OPEN) this.#opened(frame);
    // Binary, which nobody here speaks.
    if (!frame.startsWith("b")) this.onmessage?.({ data: frame });
  }

  #opened(frame) {
    const { sid, maxPayload = PAYLOAD_MAX } = JSON.parse(frame.slice(1));
    this.#url += `&sid=${encodeURIComponent(sid)}`;
    this.#payloadMax = maxPayload;
    this.readyState = OPEN;
  }

  async #carry() {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      while (this.#queue.length > 0) {
        const body = this.#batch().join(SEPARATOR);
        await this.#ask({ method: "POST", headers: { "content-type": "text/plain;charset=UTF-8" }, body, keepalive: this.readyState === CLOSING });
      }
    } catch {
      this.#end();
    } finally {
      this.#isSending = false;
    }
  }

  // As many frames as the server takes at once; a character has at most three bytes here (four for a pair of two).
  #batch() {
    let [count, size] = [0, 0];
    for (; count < this.#queue.length; count += 1) {
      size += this.#queue[count].length * 3 + 1;
      if (count > 0 && size > this.#payloadMax) break;
    }
    return this.#queue.splice(0, count);
  }

  async #ask(options) {
    const answer = await this.#request(this.#url, { cache: "no-store", ...options });
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    return answer.text();
  }

  #end() {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.#queue = [];
    this.#polls.abort();
    this.onclose?.({});
  }
}
