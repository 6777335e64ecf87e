/** Limit: so much at once and no more; the rest waits in line. */
import { cancelled } from "./cancelled.ts";

/** Runs `work` when it is its turn. Rejects with `run.cancelled` when aborted while waiting. */
export type Limit = <T>(signal: AbortSignal | undefined, work: () => Promise<T>) => Promise<T>;

export function createLimit(places: number): Limit {
  const queue = createQueue(places);
  return async (signal, work) => {
    await queue.enter(signal);
    try {
      return await work();
    } finally {
      queue.leave();
    }
  };
}

/** The same for what begins in one place and ends in another. */
export interface Queue {
  /** Resolves when it is your turn; rejects with `run.cancelled`. Every success needs one `leave`. */
  enter(signal?: AbortSignal): Promise<void>;
  leave(): void;
}

export function createQueue(places: number): Queue {
  let free = places;
  const line = new Set<() => void>();
  return {
    enter(signal) {
      if (signal?.aborted === true) return Promise.reject(cancelled(undefined, signal.reason));
      if (free > 0) {
        free--;
        return Promise.resolve();
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const turn = (): void => {
        signal?.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = (): void => {
        line.delete(turn);
        reject(cancelled(undefined, signal?.reason));
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      line.add(turn);
      return promise;
    },
    leave() {
      const [next] = line;
      if (next === undefined) {
        free++;
        return;
      }
      line.delete(next);
      next();
    },
  };
}
