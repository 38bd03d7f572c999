// Clients that chat without pause, recover by themselves, and keep books: what was acknowledged, what was heard, in which order.
// Each is a guest known by its device, and so the same person after a reconnect: what it sends again is stored once.
// Words: `mark` (everyone gets one more message acknowledged), `meet` (everyone hears a new message of everyone), `stop`.
import { randomUUID } from "node:crypto";
import { connect, onWord, options, rememberWelcomes, say, scenario, until } from "./lib.mjs";

const room = options.room ?? "chatter";
const pauseMs = options.pauseMs ?? 20;
let stopping = false;

class Chatter {
  constructor(number) {
    this.number = number;
    this.sent = 0;
    this.acked = [];
    this.refusals = [];
    this.heard = new Map(); // seq → message
    this.live = new Set(); // seqs heard as an event
    this.twice = 0; // the same seq as an event again
    this.backwards = 0; // an event of a sender after a later one of the same sender
    this.newest = new Map(); // whose → the number of its message heard last, as an event
    this.disconnects = [];
    this.joined = false;
    const url = options.urls[number % options.urls.length];
    this.socket = connect({
      url,
      transports: options.transports,
      cookies: options.cookies,
      auth: { device: randomUUID(), displayName: `Chatter ${number}` },
      forwardedFor: options.addresses ? `10.0.${number + 1}.1` : undefined,
      reconnectionDelay: 50,
      reconnectionDelayMax: 500,
    });
    this.welcomes = rememberWelcomes(this.socket);
    this.socket.on("connect", () => this.join());
    this.socket.on("disconnect", (reason) => {
      this.joined = false;
      this.disconnects.push(reason);
      say("disconnected", { client: number, reason });
    });
    this.socket.on("message", (message) => this.hear(message));
  }

  get seqMax() {
    return Math.max(0, ...this.heard.keys());
  }

  hear(message) {
    // From history it may have come before: then the event was still on its way.
    if (this.live.has(message.seq)) this.twice += 1;
    this.live.add(message.seq);
    this.heard.set(message.seq, message);
    const [number, sent] = message.content.split(":").map(Number);
    if (sent < (this.newest.get(number) ?? 0)) this.backwards += 1;
    this.newest.set(number, sent);
  }

  /** Whether a message that `number` sent as its `sent`th or later has come as an event. */
  heardSince(number, sent) {
    return (this.newest.get(number) ?? 0) > sent;
  }

  async join() {
    try {
      const answer = await this.socket.timeout(5000).emitWithAck("joinRoom", room, { lastSeq: this.seqMax, limit: 200 });
      if (!answer.ok) throw new Error(JSON.stringify(answer));
      for (const message of answer.messages) this.heard.set(message.seq, message);
      this.joined = true;
      say("joined", { client: this.number, instance: this.welcomes.at(-1)?.instanceId });
    } catch (error) {
      if (this.socket.connected) {
        this.refusals.push(`join: ${error.message}`);
        setTimeout(() => this.socket.connected && this.join(), 200);
      }
    }
  }

  // Not acknowledged means unknown; sending it again under the same id is always safe.
  async send() {
    const clientMsgId = `c${this.number}-${this.sent}`;
    this.sent += 1;
    const draft = { content: `${this.number}:${this.sent}`, type: "text", clientMsgId };
    for (;;) {
      await until("joined", () => this.joined, 60_000);
      try {
        const answer = await this.socket.timeout(3000).emitWithAck("sendMessage", room, draft);
        if (answer.ok) {
          this.acked.push({ id: answer.id, seq: answer.seq, clientMsgId, duplicate: answer.duplicate });
          return;
        }
        this.refusals.push(answer.error?.code ?? JSON.stringify(answer));
        await new Promise((resolve) => setTimeout(resolve, answer.error?.retryAfterMs ?? 100));
      } catch {
        this.refusals.push("timeout");
      }
    }
  }

  async chat() {
    while (!stopping) {
      await this.send();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  /** Everything of the room that it has not heard, from the store. */
  async catchUp() {
    await until("joined", () => this.joined, 60_000);
    const before = this.heard.size;
    for (let after = 0; ; ) {
      const page = await this.socket.timeout(5000).emitWithAck("getHistory", { roomId: room, after, limit: 200 });
      if (!page.ok) throw new Error(`getHistory: ${JSON.stringify(page)}`);
      for (const message of page.messages) this.heard.set(message.seq, message);
      if (!page.hasMore) break;
      after = page.messages.at(-1).seq;
    }
    return this.heard.size - before;
  }
}

await scenario(async () => {
  const all = Array.from({ length: options.clients }, (_, number) => new Chatter(number));
  const chats = all.map((chatter) => chatter.chat());
  const stopped = new Promise((resolve, reject) => {
    onWord(async (word) => {
      try {
        if (word === "stop") {
          stopping = true;
          resolve();
        } else if (word === "mark") {
          const before = all.map(({ acked }) => acked.length);
          await until("everyone is acknowledged", () => all.every(({ acked }, n) => acked.length > before[n] + 1), 60_000);
          say("marked", { instances: all.map(({ welcomes }) => welcomes.at(-1).instanceId) });
        } else if (word === "meet") {
          const before = all.map(({ sent }) => sent);
          const met = (listener) => all.every((_, n) => listener.heardSince(n, before[n] + 1));
          await until("everyone hears everyone", () => all.every(met), 60_000);
          say("met", { instances: all.map(({ welcomes }) => welcomes.at(-1).instanceId) });
        }
      } catch (error) {
        reject(error);
      }
    });
  });
  await until("everyone chats", () => all.every(({ acked }) => acked.length > 2), 60_000);
  say("chatting", { instances: all.map(({ welcomes }) => welcomes.at(-1).instanceId) });
  await stopped;
  await Promise.all(chats);
  const seqs = all.flatMap(({ acked }) => acked.map(({ seq }) => seq));
  const last = Math.max(...seqs);
  if (options.live) await until("everything arrives", () => all.every(({ seqMax }) => seqMax >= last));
  const repaired = [];
  for (const chatter of all) repaired.push(await chatter.catchUp());

  const [log] = all;
  const byClientId = new Map([...log.heard.values()].map((message) => [message.clientMsgId, message]));
  const lost = all.flatMap(({ acked }) => acked.filter((ack) => byClientId.get(ack.clientMsgId)?.id !== ack.id));
  const gaps = Array.from({ length: last }, (_, n) => n + 1).filter((seq) => !log.heard.has(seq));
  const outOfOrder = all.filter(({ number }) => {
    const own = [...log.heard.entries()].sort(([a], [b]) => a - b).map(([, message]) => message.content);
    const mine = own.filter((content) => content.startsWith(`${number}:`)).map((content) => Number(content.split(":")[1]));
    return mine.some((value, n) => value !== n + 1);
  });
  const differing = all.filter(({ heard }) => [...log.heard].some(([seq, message]) => heard.get(seq)?.id !== message.id));
  return {
    acked: seqs.length,
    storedTwice: log.heard.size - byClientId.size,
    lost,
    gaps,
    outOfOrder: outOfOrder.map(({ number }) => number),
    differing: differing.map(({ number }) => number),
    repaired,
    twice: all.map(({ twice }) => twice),
    backwards: all.map(({ backwards }) => backwards),
    disconnects: all.map(({ disconnects }) => disconnects),
    refusals: all.map(({ refusals }) => refusals),
    duplicates: all.flatMap(({ acked }) => acked.filter(({ duplicate }) => duplicate)).length,
  };
});
