// What can go wrong with a request, in one shape, and how long to wait before asking again. Pure.

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 30_000;

// `code` is the server's (RATE_LIMITED, NOT_MEMBER, UNAVAILABLE, …) or says how the connection failed:
// NOT_CONNECTED (nothing was sent), DISCONNECTED and ACK_TIMEOUT (sent; whether it was done is unknown),
// UNSUPPORTED (this server does not know the event).
export class ChatError extends Error {
  constructor(code, message, { retryable = false, retryAfterMs, details } = {}) {
    super(message);
    this.name = "ChatError";
    this.code = code;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    this.details = details;
  }

  // From the `error` of a negative ack, or whatever came in its place.
  static from(error) {
    const { code = "INTERNAL", message = "The server refused it.", retryable = false, retryAfterMs, details } = error ?? {};
    return new ChatError(code, message, { retryable, retryAfterMs, details });
  }
}

// How long to wait before try number `attempt` (0 = the first after a failure). `random` is 0..1: the delays of many
// clients spread over the upper half, so a server that comes back is not met by all of them at once.
export function retryDelayMs(attempt, random, { firstMs = RETRY_FIRST_MS, maxMs = RETRY_MAX_MS } = {}) {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling * (0.5 + random / 2));
}

// Before asking again after a refusal: never sooner than the server asks, and not all clients at that very moment.
export function refusedDelayMs(error, attempt, random) {
  const asked = Math.min(Math.max(error.retryAfterMs ?? 0, 0), RETRY_MAX_MS * 10);
  return asked > 0 ? Math.round(asked * (1 + random / 4)) : retryDelayMs(attempt, random);
}
