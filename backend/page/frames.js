// The frames of Engine.IO 4 and Socket.IO 5: what this client writes and understands. Pure.
//
// An Engine.IO digit (0 open, 1 close, 2 ping, 3 pong, 4 message); a message continues with a Socket.IO digit (0 connect,
// 1 disconnect, 2 event, 3 ack, 4 connect error, 5/6 binary), an optional "/namespace,", an optional ack id and JSON.

export class ProtocolError extends Error {}

// Returns `{ kind, ... }`, or null for what this client may ignore. Throws ProtocolError for what no server sends.
export function parseFrame(frame) {
  if (typeof frame !== "string") return null;
  switch (frame[0]) {
    case "0":
      return { kind: "open", ...parseObject(frame.slice(1)) };
    case "1":
      return { kind: "close" };
    case "2":
      return { kind: "ping", payload: frame.slice(1) };
    case "3":
    case "6":
      return null;
    case "4":
      return parsePacket(frame);
    default:
      throw new ProtocolError(`unknown frame ${JSON.stringify(frame.slice(0, 20))}`);
  }
}

function parsePacket(frame) {
  const type = frame[1];
  if (type === "5" || type === "6") return null;
  let rest = frame.slice(2);
  if (rest[0] === "/") {
    const comma = rest.indexOf(",");
    const namespace = comma < 0 ? rest : rest.slice(0, comma);
    if (namespace.split("?")[0] !== "/") return null;
    rest = comma < 0 ? "" : rest.slice(comma + 1);
  }
  const digits = /^\d*/.exec(rest)[0];
  const id = digits === "" ? null : Number(digits);
  const json = rest.slice(digits.length);
  switch (type) {
    case "0":
      return { kind: "connected", ...parseObject(json) };
    case "1":
      return { kind: "disconnected" };
    case "2": {
      const [event, ...args] = parseArray(json);
      if (typeof event !== "string") throw new ProtocolError("event without a name");
      return { kind: "event", event, args, id };
    }
    case "3":
      if (id === null) throw new ProtocolError("ack without an id");
      return { kind: "ack", id, args: parseArray(json) };
    case "4":
      return { kind: "refused", ...parseObject(json) };
    default:
      throw new ProtocolError(`unknown packet type ${type}`);
  }
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new ProtocolError("payload is not JSON");
  }
}

function parseArray(text) {
  const value = parseJson(text);
  if (!Array.isArray(value)) throw new ProtocolError("payload is not an array");
  return value;
}

function parseObject(text) {
  const value = text === "" ? {} : parseJson(text);
  if (typeof value !== "object" || value === null) throw new ProtocolError("payload is not an object");
  return value;
}

export function encodeEvent(event, args, id) {
  return `42${id ?? ""}${JSON.stringify([event, ...args])}`;
}
