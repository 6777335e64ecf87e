/** Limit: so much at once and no more; the rest waits in line. */
import { cancelled } from "./patience.ts";

/** Runs `work` when it is its turn. Rejects with `run.cancelled` when aborted while waiting. */
export type Limit = <T>(signal: AbortSignal | undefined, work: () => Promise<T>) => Promise<T>;

export function createLimit(places: number): Limit {
  let free = places;
  const line = new Set<() => void>();

  const turn = (signal: AbortSignal | undefined): Promise<void> => {
    if (signal?.aborted === true) return Promise.reject(cancelled("", signal.reason));
    if (free > 0) {
      free--;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal?.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = (): void => {
        line.delete(go);
        reject(cancelled("", signal?.reason));
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      line.add(go);
    });
  };
  const done = (): void => {
    const [next] = line;
    if (next === undefined) {
      free++;
      return;
    }
    line.delete(next);
    next();
  };

  return async (signal, work) => {
    await turn(signal);
    try {
      return await work();
    } finally {
      done();
    }
  };
}
