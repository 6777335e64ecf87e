/** Judge: is a host well? What was seen against fixed limits, with the reason for each that is passed. Pure. */
import { formatBytes } from "../bytes.ts";
import { type Forecast, type HealthSample, type HealthSeen, type HealthStatus, percent, shortMs } from "../health.ts";

type Reason = HealthSample["reasons"][number];

export interface Judged {
  readonly seen: HealthSeen;
  /** Why nothing is known of the machine behind the connection. */
  readonly silent?: string | undefined;
  readonly errors?: HealthSample["errors"];
  readonly forecasts?: readonly Forecast[] | undefined;
}

export function judge({ seen, silent, errors, forecasts = [] }: Judged): {
  status: HealthStatus;
  reasons: Reason[];
} {
  const reasons = [
    ...(silent === undefined ? [] : [warn(`load, memory and disks are unknown: ${silent}`)]),
    ...(seen.disks ?? []).flatMap(disk),
    ...memory(seen),
    ...load(seen),
    ...slowness(seen),
    ...failing(errors),
    ...forecasts.filter(({ in: left }) => left !== undefined && left < soon).map(({ says }) => warn(says)),
  ];
  return { status: worst(reasons), reasons };
}

export function worst(reasons: readonly Reason[]): HealthStatus {
  if (reasons.some(({ status }) => status === "bad")) return "bad";
  return reasons.length > 0 ? "warn" : "ok";
}

/** Milliseconds: what fills up within three days wants somebody to look. */
const soon = 3 * 86_400_000;
const gib = 2 ** 30;

/** Shares alone mislead: 3 % of 20 TB is plenty. */
function disk({ mount, size, available, inodesUsed = 0 }: NonNullable<HealthSeen["disks"]>[number]): Reason[] {
  const free = `${formatBytes(available)} of ${formatBytes(size)} free on ${mount}`;
  const share = available / size;
  if (share < 0.02 && available < gib) return [bad(`${mount} is full: ${free}`)];
  if (inodesUsed > 0.99) return [bad(`${mount} has no inodes left`)];
  if (share < 0.1 && available < 10 * gib) return [warn(`${mount} is nearly full: ${free}`)];
  return inodesUsed > 0.95 ? [warn(`${percent(inodesUsed)} of the inodes of ${mount} are used`)] : [];
}

function memory({ memory: seen }: HealthSeen): Reason[] {
  if (seen?.available === undefined) return [];
  const says = `${formatBytes(seen.available)} of ${formatBytes(seen.total)} memory available`;
  const share = seen.available / seen.total;
  return share < 0.03 ? [bad(says)] : share < 0.1 ? [warn(says)] : [];
}

function load({ load: seen }: HealthSeen): Reason[] {
  if (seen === undefined) return [];
  const { five, processors = 1 } = seen;
  const says = `load ${five.toFixed(1)} over five minutes on ${processors} processor${processors === 1 ? "" : "s"}`;
  return five > 10 * processors ? [bad(says)] : five > 2 * processors ? [warn(says)] : [];
}

function slowness({ rtt, connect, throughput }: HealthSeen): Reason[] {
  const slow = (value: number | undefined, [some, much]: readonly [number, number], says: (text: string) => string) =>
    value === undefined || value < some ? [] : [value < much ? warn(says(shortMs(value))) : bad(says(shortMs(value)))];
  const narrow = Math.min(throughput?.up ?? Infinity, throughput?.down ?? Infinity);
  return [
    ...slow(rtt?.p95, [400, 2000], (text) => `a round trip takes ${text} (p95)`),
    ...slow(connect?.total, [5000, 15_000], (text) => `logging in takes ${text}`),
    ...(narrow < 100 * 1024 ? [warn(`only ${formatBytes(narrow)}/s get through`)] : []),
  ];
}

function failing(errors: HealthSample["errors"]): Reason[] {
  if (errors === undefined || errors.tries < leastTries) return [];
  const says = `${errors.failures} of ${errors.tries} looks in 24 hours failed`;
  return errors.ratio >= 0.25 ? [bad(says)] : errors.ratio >= 0.05 ? [warn(says)] : [];
}

/** One failure of two says nothing yet. */
const leastTries = 10;

function warn(says: string): Reason {
  return { status: "warn", says };
}

function bad(says: string): Reason {
  return { status: "bad", says };
}
