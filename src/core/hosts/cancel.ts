/** Cancel: an abort as the error people see. */
import { AmiError } from "../errors.ts";

/** The reason of an abort: an AmiError as it is (a deadline, say), anything else as `run.cancelled`. */
export function cancelled(signal: AbortSignal | undefined, host?: string): AmiError {
  if (signal?.reason instanceof AmiError) return signal.reason;
  return new AmiError("run.cancelled", "interrupted", { host, cause: signal?.reason });
}

/** Resolves with true when the promise settles in time, with false when `ms` pass first. Never rejects. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([
      promise.then(
        () => true,
        () => true,
      ),
      late,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
