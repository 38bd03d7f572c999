// The rooms of this browser, in the order in which they were first opened, and which of them were put away. Storage only.

const KEY = "berth.rooms";
const AWAY_KEY = "berth.rooms.away";
// A backend allows 100 per connection; nobody looks at more.
const ROOMS_MAX = 40;
const AWAY_MAX = 200;

export class RoomList {
  ids;
  #away;
  #storage;

  // `storage` may be null.
  constructor(storage) {
    this.#storage = storage;
    this.ids = read(storage, KEY).slice(0, ROOMS_MAX);
    this.#away = read(storage, AWAY_KEY);
  }

  // Returns the room that had to make place, if any.
  add(id) {
    if (this.ids.includes(id)) return null;
    this.ids = [...this.ids, id];
    this.#away = this.#away.filter((other) => other !== id);
    const surplus = this.ids.length > ROOMS_MAX ? this.ids.shift() : null;
    this.#keep();
    return surplus;
  }

  remove(id) {
    this.ids = this.ids.filter((other) => other !== id);
    this.#away = [...this.#away.filter((other) => other !== id), id].slice(-AWAY_MAX);
    this.#keep();
  }

  // Rooms that the server has on record, `{ id, unread }`. Returns those that are new here; one that was put away comes
  // back when there is something to read.
  learn(rooms) {
    const fresh = rooms.filter(({ id, unread = 0 }) => !this.ids.includes(id) && (unread > 0 || !this.#away.includes(id)));
    const taken = fresh.slice(0, Math.max(0, ROOMS_MAX - this.ids.length));
    for (const { id } of taken) this.add(id);
    return taken;
  }

  #keep() {
    try {
      this.#storage?.setItem(KEY, JSON.stringify(this.ids));
      this.#storage?.setItem(AWAY_KEY, JSON.stringify(this.#away));
    } catch {
      // Only a convenience.
    }
  }
}

function read(storage, key) {
  try {
    const ids = JSON.parse(storage?.getItem(key) ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    // A broken list is no list.
    return [];
  }
}
