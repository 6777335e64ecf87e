/** Retry: tries again what failed before it could have any effect, waiting longer each time. */
import { setTimeout as sleep } from "node:timers/promises";
import { type AmiError, asAmiError } from "./errors.ts";

export interface RetryOptions {
  /** How often it is tried again after the first failure. */
  readonly retries: number;
  readonly signal?: AbortSignal | undefined;
  /** Called before each wait, with its length in milliseconds. */
  readonly onRetry?: ((error: AmiError, attempt: number, wait: number) => void) | undefined;
  /** 0 up to 1; spreads the retries of many targets. Default Math.random. */
  readonly random?: (() => number) | undefined;
}

/** Repeats `work` as long as it fails with an error that `mayRetry`. Rejects with the last error. */
export async function withRetries<T>(options: RetryOptions, work: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (thrown) {
      const error = asAmiError(thrown);
      if (attempt > options.retries || !mayRetry(error) || options.signal?.aborted === true) throw error;
      const wait = waitBefore(attempt, (options.random ?? Math.random)());
      options.onRetry?.(error, attempt, wait);
      await sleep(wait, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}

/** Only a connection that did not come about. `unknown` means that something may have run: never again. */
export function mayRetry(error: AmiError): boolean {
  return error.retry === "yes" && error.code.startsWith("ssh.");
}

/** 0.5 s doubling up to 15 s; half of it by chance, so that many targets do not come back as one. */
export function waitBefore(attempt: number, random: number): number {
  const full = Math.min(15_000, 500 * 2 ** (attempt - 1));
  return Math.round(full / 2 + (full / 2) * random);
}
