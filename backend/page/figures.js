// Numbers as an operator reads them. Pure.

const whole = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export const count = (number) => (number === null ? "–" : whole.format(number));

export const time = (at) => clock.format(at);

export function bytes(number) {
  if (number === null) return "–";
  return number < 10 * 1024 ** 2 ? `${whole.format(Math.round(number / 1024))} KiB` : `${whole.format(Math.round(number / 1024 ** 2))} MiB`;
}

export function perSecond(rate) {
  return rate === null ? "–" : rate < 10 ? rate.toFixed(1) : whole.format(Math.round(rate));
}

export function milliseconds(seconds) {
  if (seconds === null) return "–";
  return seconds === Infinity ? "> 5 s" : `≤ ${Number((seconds * 1000).toPrecision(2))} ms`;
}

export function duration(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours >= 48) return `${Math.floor(hours / 24)} d`;
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min` : `${Math.max(0, Math.floor(seconds))} s`;
}

// How long before `now` an ISO date was.
export function ago(date, now) {
  return date === undefined ? "–" : `${duration((now - Date.parse(date)) / 1000)} ago`;
}
