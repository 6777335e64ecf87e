/** Forecast: what becomes of a host if it goes on like this, in plain words; nothing where that is not clear. Pure. */
import { formatBytes } from "../bytes.ts";
import type { Forecast } from "../health.ts";
import type { HistoryRow } from "../store/history-rows.ts";
import { type Point, median, slopeOf } from "./slope.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** `rows`: what is remembered, oldest first, what was seen just now included. */
export function forecastsOf(rows: readonly HistoryRow[], now: number): Forecast[] {
  const latest = rows.findLast(({ disks }) => disks.length > 0);
  const disks = (latest?.disks ?? []).flatMap(({ mount, size }) => {
    const points = rows.flatMap(({ at, disks: all }) =>
      all.filter((disk) => disk.mount === mount && disk.size === size).map(({ available: value }) => ({ at, value })),
    );
    return some(usedUp(points, size, now), ({ left, perHour }) => ({
      about: "disk" as const,
      mount,
      in: Math.round(left),
      says: `${mount} full in about ${spoken(left)} at this rate (${rateWords(perHour, left)})`,
    }));
  });
  const total = rows.findLast(({ memoryTotal }) => memoryTotal !== undefined)?.memoryTotal ?? 0;
  const memory = some(usedUp(pointsOf(rows, "memory"), total, now), ({ left, perHour }) => ({
    about: "memory" as const,
    in: Math.round(left),
    says: `memory used up in about ${spoken(left)} at this rate (${rateWords(perHour, left)})`,
  }));
  const slower = [
    ["round trip", "latency", pointsOf(rows, "rtt50")],
    ["login", "the time to log in", pointsOf(rows, "connect")],
  ] as const;
  return [
    ...disks,
    ...memory,
    ...slower.flatMap(([about, what, points]) =>
      some(rising(points), ({ percent, per }) => ({ about, says: `${what} rising ${percent} % a ${per}` })),
    ),
  ];
}

function some<T>(value: T | undefined, say: (value: T) => Forecast): Forecast[] {
  return value === undefined ? [] : [say(value)];
}

function pointsOf(rows: readonly HistoryRow[], field: "memory" | "rtt50" | "connect"): Point[] {
  return rows.flatMap(({ at, [field]: value }) => (value === undefined ? [] : [{ at, value }]));
}

/**
 * When what is left of something is gone. Counted from the last time that much of it came back (somebody tidied up, a
 * program ended); never further ahead than twenty times what was watched, nor than ninety days.
 */
export function usedUp(
  all: readonly Point[],
  size: number,
  now: number,
): { readonly left: number; readonly perHour: number } | undefined {
  const start = all.findLastIndex(({ value }, i) => value - (all[i - 1]?.value ?? value) > size / 20);
  const points = all.slice(Math.max(0, start));
  const [from, to] = [points[0], points.at(-1)];
  if (from === undefined || to === undefined || points.length < 10) return undefined;
  if (to.at - from.at < 10 * minute || now - to.at > Math.max(hour, (to.at - from.at) / 4)) return undefined;
  const found = slopeOf(points);
  if (found === undefined || found.slope >= 0 || to.value <= 0) return undefined;
  const left = to.value / -found.slope - (now - to.at);
  if (left <= 0 || left > Math.min(90 * day, 20 * found.span)) return undefined;
  return { left, perHour: -found.slope * hour };
}

/** By how much it grows, against what is usual; days are compared by the hour, as most hosts have quiet nights. */
export function rising(
  points: readonly Point[],
): { readonly percent: number; readonly per: "day" | "week" } | undefined {
  const [from, to] = [points[0], points.at(-1)];
  if (from === undefined || to === undefined || points.length < 12 || to.at - from.at < 2 * day) return undefined;
  const found = slopeOf(points, { period: day });
  const usual = median(points.map(({ value }) => value));
  if (found === undefined || found.slope <= 0 || usual <= 0) return undefined;
  const risen = found.slope * found.span;
  if (risen < 1 || risen < usual / 4) return undefined;
  const daily = (100 * found.slope * day) / usual;
  if (daily >= 5) return { percent: Math.round(daily), per: "day" };
  return daily * 7 >= 10 ? { percent: Math.round(daily * 7), per: "week" } : undefined;
}

/** `40 minutes`, `14 hours`, `3 days`, `6 weeks`. */
export function spoken(ms: number): string {
  const units: readonly [number, string, number][] = [
    [minute, "minute", 2 * hour],
    [hour, "hour", 2 * day],
    [day, "day", 21 * day],
    [7 * day, "week", Number.POSITIVE_INFINITY],
  ];
  const [unit, name] = units.find(([, , below]) => ms < below) ?? [day, "day"];
  const count = Math.max(1, Math.round(ms / unit));
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}

function rateWords(perHour: number, left: number): string {
  return left < 6 * hour ? `${formatBytes(perHour)} an hour` : `${formatBytes(perHour * 24)} a day`;
}
