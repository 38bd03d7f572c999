// Up to which place each room was read in this browser. Several tabs share it; the server, where it counts, knows better.

const PREFIX = "berth.read.";

export class ReadMarks {
  #storage;

  constructor(storage) {
    this.#storage = storage;
  }

  // null: never read here.
  get(roomId) {
    try {
      return place(this.#storage?.getItem(PREFIX + roomId));
    } catch {
      return null;
    }
  }

  // Only forward: another tab may have read further.
  set(roomId, seq) {
    try {
      if (seq > (this.get(roomId) ?? 0)) this.#storage?.setItem(PREFIX + roomId, String(seq));
    } catch {
      // The count is then a little too high after a reload.
    }
  }

  // A `storage` event of another tab, as `{ roomId, seq }`.
  heard({ key, newValue }) {
    const seq = place(newValue);
    return key?.startsWith(PREFIX) && seq !== null ? { roomId: key.slice(PREFIX.length), seq } : null;
  }
}

function place(text) {
  const seq = Number.parseInt(text ?? "", 10);
  return Number.isSafeInteger(seq) && seq >= 0 ? seq : null;
}
