/** Validity: from when to when a certificate counts, as ssh-keygen -V reads it. Pure. */

export interface Validity {
  /** Seconds since 1970. */
  readonly after: number;
  readonly before: number | "forever";
}

/**
 * `+52w`, `-1d:+52w`, `20260101:20261231`, `20260101120000Z:forever`, `always:forever`. Without a colon it begins a
 * minute ago, for clocks that are a little behind. A string says what is wrong.
 */
export function readValidity(text: string, now: number = Math.floor(Date.now() / 1000)): Validity | string {
  if (text === "forever") return { after: 0, before: "forever" };
  const parts = text.split(":");
  const [from, to] = parts.length === 1 ? [undefined, parts[0]] : parts;
  if (parts.length > 2 || to === undefined) return `${JSON.stringify(text)} is not FROM:TO`;
  // ssh-keygen rounds the beginning down to the minute, and takes one more off.
  const after = from === undefined ? now - (now % 60) - 60 : from === "always" ? 0 : momentOf(from, now);
  const before = to === "forever" ? "forever" : momentOf(to, now);
  if (after === undefined) return `${JSON.stringify(from)} is no time (+52w, -1d, 20261231, 20261231235959Z, always)`;
  if (before === undefined) return `${JSON.stringify(to)} is no time (+52w, -1d, 20261231, 20261231235959Z, forever)`;
  if (before !== "forever" && before <= after) return `it would end (${to}) before it begins`;
  return { after, before };
}

function momentOf(text: string, now: number): number | undefined {
  const relative = /^([+-])((?:\d+[smhdw]?)+)$/i.exec(text);
  if (relative?.[2] !== undefined) {
    const seconds = [...relative[2].matchAll(/(\d+)([smhdw]?)/gi)].reduce(
      (sum, [, count, unit]) => sum + Number(count) * (unitSeconds[(unit ?? "").toLowerCase()] ?? 1),
      0,
    );
    return relative[1] === "-" ? now - seconds : now + seconds;
  }
  const [, year, month, day, hour = "0", minute = "0", second = "0", zone] =
    /^(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?(Z|UTC)?$/.exec(text) ?? [];
  if (year === undefined) return undefined;
  const [y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0] = [year, month, day, hour, minute, second].map(Number);
  const date = zone === undefined ? new Date(y, mo - 1, d, h, mi, s) : new Date(Date.UTC(y, mo - 1, d, h, mi, s));
  // What the calendar does not have is another day to Date.
  const isReal = zone === undefined ? date.getDate() === d : date.getUTCDate() === d;
  return isReal && mo >= 1 && mo <= 12 && h < 24 && mi < 60 && s < 60 ? date.getTime() / 1000 : undefined;
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
