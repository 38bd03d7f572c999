// What an operator may ask of the servers, with the admin token. Knows no page; what it is answered is a value, never an error.

const TIMEOUT_MS = 5_000;

// Without a bus only the instance itself takes an order for it, and the proxy asks another one each time.
const TRIES_MAX = 24;

export class Operator {
  #token;
  #fetch;

  constructor(token, fetch = (...asked) => globalThis.fetch(...asked)) {
    this.#token = token;
    this.#fetch = fetch;
  }

  // `{ok, status, …}`: the answer's own fields, or `error` with a `message`.
  async ask(method, path, body) {
    try {
      const answer = await this.#fetch(path, {
        method,
        // Without cookies: a sticky one would lead to the same instance each time.
        credentials: "omit",
        cache: "no-store",
        headers: { authorization: `Bearer ${this.#token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const said = await answer.json();
      return { ...said, ok: answer.ok, status: answer.status };
    } catch {
      return { ok: false, status: 0, error: { message: "Nobody answers." } };
    }
  }

  overview() {
    return this.ask("GET", "/api/admin/overview");
  }

  tellEverybody(message, level) {
    return this.ask("POST", "/api/admin/broadcast", { message, level });
  }

  kick(userId) {
    return this.ask("POST", "/api/admin/kick", { userId });
  }

  ban(userId, banned) {
    return this.ask("POST", "/api/admin/ban", { userId, banned });
  }

  // Of one instance, whichever answers.
  async drain(instanceId, draining, spreadMs) {
    let answer;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      answer = await this.ask("POST", "/api/admin/drain", { instanceId, draining, ...(draining ? { spreadMs } : {}) });
      if (answer.status !== 409) break;
    }
    return answer;
  }

  resume(webhookId) {
    return this.ask("POST", `/api/webhooks/${encodeURIComponent(webhookId)}/resume`);
  }

  remove(webhookId) {
    return this.ask("DELETE", `/api/webhooks/${encodeURIComponent(webhookId)}`);
  }
}
