// What the overviews of several instances say together: rates, percentiles, the state of the whole, what changed. Pure.
//
// Each overview is one instance's own word. Asked through a proxy, another one answers each time, so the picture is put
// together from answers of the last seconds.

// An instance that nobody heard of for so long is no longer counted.
const GONE_MS = 15_000;
// One that drains is asked nothing by a proxy that checks readiness; it is shown on, so that it can be taken back.
const DRAINING_GONE_MS = 10 * 60_000;
const EVENTS_MAX = 100;
const ROOMS_MAX = 12;
// The graph of connects: so many bars of so long.
const BAR_MS = 5_000;
const BARS = 60;

const MODES = ["cluster", "single", "degraded-redis", "degraded-store"];

// Counters that should stand still: what they count was repaired, refused or dropped.
export const DELIVERY = [
  ["Messages stored", (figures) => total(figures.chat_messages_total?.stored)],
  ["Sent again by clients", (figures) => total(figures.chat_duplicates_total)],
  ["Refused", (figures) => total(figures.chat_refusals_total)],
  ["Gaps repaired", (figures) => total(figures.chat_gaps_repaired_total)],
  ["Slow clients cut off", (figures) => total(figures.chat_slow_evictions_total)],
  ["Fetched by clients that came back", (figures) => total(figures.chat_resync_messages_total)],
  ["Packets dropped", (figures) => total(figures.chat_dropped_total)],
  ["Stored after the sender left", (figures) => total(figures.chat_acks_without_reader_total)],
];

export class Fleet {
  // By id: the last two overviews of each, with when they came.
  #instances = new Map();
  events = [];
  // Sockets that were opened, by bar of time.
  #connects = new Map();

  // `now` in milliseconds.
  hear(overview, now) {
    const { id } = overview.instance;
    const before = this.#instances.get(id)?.latest;
    this.#note(before, overview, now);
    this.#countConnects(before, overview, now);
    this.#instances.set(id, { latest: { overview, at: now }, before });
  }

  // An instance was told to drain, or to stop that. It may not be heard of for a while.
  tell(id, draining, now) {
    const known = this.#instances.get(id);
    if (!known) return;
    const { overview, at } = known.latest;
    const state = draining ? "draining" : "up";
    if (state === overview.instance.state) return;
    this.#event(now, `${id} is ${state}`);
    const instance = { ...overview.instance, state };
    this.#instances.set(id, { ...known, latest: { overview: { ...overview, instance }, at } });
  }

  // What an operator did.
  note(now, text) {
    this.#event(now, text);
  }

  // Time passed: who was not heard of is gone.
  forget(now) {
    for (const [id, { latest }] of this.#instances) {
      const isDraining = latest.overview.instance.state === "draining";
      if (now - latest.at < (isDraining ? DRAINING_GONE_MS : GONE_MS)) continue;
      this.#instances.delete(id);
      this.#event(now, `${id} is no longer heard of`);
    }
  }

  // The worst that any of them says.
  get mode() {
    const modes = [...this.#instances.values()].map(({ latest }) => latest.overview.mode);
    return modes.reduce((worst, mode) => (MODES.indexOf(mode) > MODES.indexOf(worst) ? mode : worst), modes[0] ?? null);
  }

  rows(now) {
    const rows = [...this.#instances.values()].map((one) => row(one, now)).sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
    // Those of one program say its memory each, so it is that of all their sockets.
    const together = rows.filter(({ sharesProcess }) => sharesProcess).reduce((sum, one) => sum + one.socketCount, 0);
    return rows.map((one) => {
      const count = one.sharesProcess ? together : one.socketCount;
      return { ...one, socketBytes: one.memoryBytes === null || count === 0 ? null : one.memoryBytes / count };
    });
  }

  // Where most happens: every instance sees all entries of a room, and its own connections to it.
  hotRooms() {
    const rooms = new Map();
    for (const { latest } of this.#instances.values()) {
      for (const { id, connections, tail, perSecond } of latest.overview.hotRooms ?? []) {
        const known = rooms.get(id) ?? { id, connections: 0, tail: 0, perSecond: 0 };
        rooms.set(id, { id, connections: known.connections + connections, tail: Math.max(known.tail, tail), perSecond: Math.max(known.perSecond, perSecond) });
      }
    }
    // A room that everybody has left is remembered for a moment.
    return [...rooms.values()].filter(({ connections }) => connections > 0).sort((a, b) => b.perSecond - a.perSecond || b.connections - a.connections || b.tail - a.tail).slice(0, ROOMS_MAX);
  }

  // Sockets opened per second, in bars of five seconds up to now, the oldest first.
  connects(now) {
    const last = Math.floor(now / BAR_MS);
    return Array.from({ length: BARS }, (_, at) => ((this.#connects.get(last - BARS + 1 + at) ?? 0) * 1_000) / BAR_MS);
  }

  // Sums over all instances; null where none of them counts that.
  delivery() {
    return DELIVERY.map(([name, read]) => {
      const counts = [...this.#instances.values()].map(({ latest }) => read(latest.overview.figures)).filter((count) => count !== null);
      return { name, count: counts.length === 0 ? null : counts.reduce((sum, count) => sum + count, 0) };
    });
  }

  // As whoever could say it last says, and of how many rooms they have not been told all. `webhooks` is null where nobody could.
  webhooks() {
    const latest = [...this.#instances.values()].map(({ latest }) => latest).sort((a, b) => b.at - a.at);
    const waiting = latest.map(({ overview }) => total(overview.figures.chat_webhook_rooms_waiting) ?? 0);
    return {
      webhooks: latest.map(({ overview }) => overview.webhooks ?? null).find((list) => list !== null) ?? null,
      roomsWaiting: waiting.reduce((sum, rooms) => sum + rooms, 0),
    };
  }

  // Every dependency once, with who says that it is down.
  dependencies() {
    const found = new Map();
    for (const { latest } of this.#instances.values()) {
      for (const { name, kind, up } of latest.overview.dependencies) {
        const one = found.get(name) ?? { name, kind, downFor: [] };
        if (!up) one.downFor.push(latest.overview.instance.id);
        found.set(name, one);
      }
    }
    return [...found.values()];
  }

  #note(before, { instance, mode, dependencies }, now) {
    if (!before) {
      this.#event(now, `${instance.id} is there`);
      return;
    }
    const old = before.overview;
    if (instance.uptimeSeconds < old.instance.uptimeSeconds) this.#event(now, `${instance.id} was restarted`);
    if (instance.state !== old.instance.state) this.#event(now, `${instance.id} is ${instance.state}`);
    if (mode !== old.mode) this.#event(now, `${instance.id} says ${mode}`);
    for (const { name, up } of dependencies) {
      const was = old.dependencies.find((one) => one.name === name);
      if (was && was.up !== up) this.#event(now, `${name} is ${up ? "back" : "down"} for ${instance.id}`);
    }
  }

  #countConnects(before, { instance, figures }, now) {
    const count = total(figures.chat_connects_total);
    // Of an instance that was not heard of before nobody knows when they came.
    if (!before || count === null) return;
    const isSame = instance.uptimeSeconds >= before.overview.instance.uptimeSeconds;
    const fresh = count - (isSame ? (total(before.overview.figures.chat_connects_total) ?? 0) : 0);
    const bar = Math.floor(now / BAR_MS);
    this.#connects.set(bar, (this.#connects.get(bar) ?? 0) + Math.max(0, fresh));
    for (const old of this.#connects.keys()) if (old <= bar - BARS) this.#connects.delete(old);
  }

  #event(at, text) {
    this.events = [{ at, text }, ...this.events].slice(0, EVENTS_MAX);
  }
}

function row({ latest, before }, now) {
  const { instance, figures } = latest.overview;
  const earlier = before && before.overview.instance.uptimeSeconds <= instance.uptimeSeconds ? before : null;
  const seconds = earlier ? (latest.at - earlier.at) / 1000 : 0;
  const rate = (read) => (seconds > 0 ? Math.max(0, ((read(figures) ?? 0) - (read(earlier.overview.figures) ?? 0)) / seconds) : null);
  const since = (name) => ({ now: figures[name], before: earlier?.overview.figures[name] });
  const acks = since("chat_ack_seconds");
  return {
    id: instance.id,
    state: instance.state,
    version: instance.version,
    uptimeSeconds: instance.uptimeSeconds,
    sharesProcess: instance.sharesProcess === true,
    sockets: figures.chat_connections ?? {},
    socketCount: total(figures.chat_connections) ?? 0,
    memoryBytes: total(figures.process_resident_memory_bytes),
    inPerSecond: rate((of) => total(of.chat_events_total)),
    storedPerSecond: rate((of) => total(of.chat_messages_total?.stored)),
    ackP50Seconds: quantile(acks, 0.5),
    ackP99Seconds: quantile(acks, 0.99),
    lagP99Seconds: quantile(since("chat_loop_lag_seconds"), 0.99),
    pendingBytes: total(figures.chat_pending_bytes),
    ageMs: now - latest.at,
  };
}

// A number, the sum of an object's numbers, or null where there is none.
export function total(figure) {
  if (typeof figure === "number") return figure;
  if (figure === null || typeof figure !== "object") return null;
  return Object.values(figure).reduce((sum, one) => sum + (typeof one === "number" ? one : 0), 0);
}

// The upper bound of the bucket in which the quantile lies, of what came since `before`; of everything where nothing did.
export function quantile({ now, before }, q) {
  if (!now?.count) return null;
  const isNew = before && now.count > before.count;
  const since = (index) => now.buckets[index][1] - (isNew ? (before.buckets[index]?.[1] ?? 0) : 0);
  const rank = q * (isNew ? now.count - before.count : now.count);
  const at = now.buckets.findIndex((_, index) => since(index) >= rank);
  return at < 0 || now.buckets[at][0] === null ? Infinity : now.buckets[at][0];
}
