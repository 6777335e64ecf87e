/**
 * Fanout: one piece of work for many targets, a bounded number at a time. A failing target is a result, not an
 * exception. Emits nothing itself.
 */
import { cancelled } from "./cancelled.ts";
import { AmiError, asAmiError } from "./errors.ts";

export interface FanoutOptions {
  /** Most targets worked on at once; at least 1. */
  readonly parallel: number;
  /** Abort cancels what has not started, and aborts the signal given to what runs. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for each target, counted from its own start; then its signal is aborted and it fails with `run.timeout`. */
  readonly timeout?: number | undefined;
  /** Milliseconds that aborted work gets to end its processes before it is given up. Default 5000. */
  readonly grace?: number | undefined;
}

/** `onEnd` is told each result as soon as it is known, in no particular order; those never started included. */
export type FanoutWatch<T, R> = { readonly onEnd?: ((fan: Fan<T, R>) => void) | undefined };

/** What came of one target. `ms` counts from its own start. */
export type Fan<T, R> =
  | { readonly target: T; readonly state: "done"; readonly value: R; readonly ms: number }
  | { readonly target: T; readonly state: "failed"; readonly error: AmiError; readonly ms: number }
  | {
      readonly target: T;
      readonly state: "cancelled";
      readonly started: boolean;
      readonly error: AmiError;
      readonly ms: number;
    };

/** Runs `work` for each target; resolves with one result each, in the order of the targets. Never rejects. */
export async function fanout<T extends { readonly name: string }, R>(
  targets: readonly T[],
  options: FanoutOptions & FanoutWatch<T, R>,
  work: (target: T, signal: AbortSignal, index: number) => Promise<R>,
): Promise<Fan<T, R>[]> {
  const results: Fan<T, R>[] = [];
  const queue = targets.entries();
  const worker = async (): Promise<void> => {
    // Workers share one iterator, so each target is taken once, in order.
    for (const [index, target] of queue) {
      const fan: Fan<T, R> =
        options.signal?.aborted === true
          ? { target, state: "cancelled", started: false, error: cancelled(target.name, options.signal.reason), ms: 0 }
          : await one(target, index, options, work);
      results[index] = fan;
      options.onEnd?.(fan);
    }
  };
  const workers = Math.max(1, Math.min(Math.floor(options.parallel), targets.length));
  await Promise.all(Array.from({ length: workers }, worker));
  return results;
}

async function one<T extends { readonly name: string }, R>(
  target: T,
  index: number,
  options: FanoutOptions,
  work: (target: T, signal: AbortSignal, index: number) => Promise<R>,
): Promise<Fan<T, R>> {
  const { signal, timeout, grace = 5000 } = options;
  const started = performance.now();
  const ms = (): number => Math.round(performance.now() - started);
  const own = new AbortController();
  const cancel = (): void => own.abort(cancelled(target.name, signal?.reason));
  const deadline = timeout === undefined ? undefined : setTimeout(() => own.abort(late(target.name, timeout)), timeout);
  signal?.addEventListener("abort", cancel, { once: true });
  const givenUp = whenGivenUp(own.signal, grace);
  try {
    const value = await Promise.race([work(target, own.signal, index), givenUp.promise]);
    return { target, state: "done", value, ms: ms() };
  } catch (thrown) {
    // What aborted work throws says less than why it was aborted; a failure of its own that came first is kept.
    const error = own.signal.aborted && isAbort(thrown) ? asAmiError(own.signal.reason) : asAmiError(thrown);
    if (error.code === "run.cancelled") return { target, state: "cancelled", started: true, error, ms: ms() };
    return { target, state: "failed", error, ms: ms() };
  } finally {
    clearTimeout(deadline);
    givenUp.stop();
    signal?.removeEventListener("abort", cancel);
  }
}

/** Rejects when the signal has been aborted for `grace` milliseconds: the work did not listen. */
function whenGivenUp(signal: AbortSignal, grace: number): { promise: Promise<never>; stop(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => reject(signal.reason), grace);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  return {
    promise,
    stop() {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    },
  };
}

function isAbort(thrown: unknown): boolean {
  const { code } = asAmiError(thrown);
  return code === "run.cancelled" || code === "run.timeout";
}

function late(host: string, timeout: number): AmiError {
  return new AmiError("run.timeout", `not done within ${timeout / 1000} s`, {
    host,
    hint: "give it longer with --timeout",
    retry: "unknown",
  });
}
