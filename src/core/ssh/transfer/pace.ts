/** Pace: --bwlimit, whose allowance all that takes part shares; and how to wait no longer than one should. */
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

/** Settles as `work` does, or rejects with the reason of the abort. */
export async function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    work.catch(() => undefined); // given up
  }
}

/** Tidying up must not hang on a connection that does not answer. Never rejects. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([work.catch(() => undefined), new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}
