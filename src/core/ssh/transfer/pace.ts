/** Pace: --bwlimit. All that takes part shares one allowance. */
import { setTimeout as sleep } from "node:timers/promises";

/** Resolves when so many bytes may go; undefined: no limit. */
export type Pace = ((bytes: number, signal: AbortSignal) => Promise<void>) | undefined;

/** Up to a tenth of a second's worth may go at once. */
export function createPace(perSecond: number | undefined, now: () => number = performance.now.bind(performance)): Pace {
  if (perSecond === undefined) return undefined;
  /** When what was let through so far will have been paid for. */
  let paid = now();
  return async (bytes, signal) => {
    paid = Math.max(paid, now() - 100) + (bytes / perSecond) * 1000;
    const wait = paid - now();
    if (wait > 0) await sleep(wait, undefined, { signal });
  };
}

/** `500K`, `10M`, `1.5G` bytes a second, in powers of 1024 as rsync and curl count; undefined: cannot be read. */
export function parseRate(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?(?:\/s)?$/i.exec(text.trim());
  if (found === null) return undefined;
  const rate = Number(found[1]) * 1024 ** ["", "k", "m", "g"].indexOf((found[2] ?? "").toLowerCase());
  return rate >= 1 ? rate : undefined;
}
