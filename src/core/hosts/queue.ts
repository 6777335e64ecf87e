/** Queue: lets so many in at once; the rest wait in order. */
import { cancelled } from "./cancel.ts";

export interface Queue {
  /** Resolves when it is your turn; rejects with `run.cancelled`. Every success needs one `leave`. */
  enter(signal?: AbortSignal): Promise<void>;
  leave(): void;
}

export function createQueue(places: number): Queue {
  let free = places;
  const line: (() => void)[] = [];
  return {
    enter(signal) {
      if (signal?.aborted === true) return Promise.reject(cancelled(signal));
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
        line.splice(line.indexOf(turn), 1);
        reject(cancelled(signal));
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      line.push(turn);
      return promise;
    },
    leave() {
      const next = line.shift();
      if (next === undefined) free++;
      else next();
    },
  };
}
