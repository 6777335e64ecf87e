/** Gate: where clients wait for a connection that is being made again, for as long as clients are patient. */
import { AmiError } from "../errors.ts";
import type { Way } from "../host.ts";

export interface Gate {
  open(way: Way): void;
  shut(): void;
  /** Rejects with `ssh.lost` when none comes in time, with the reason of the signal when aborted. */
  way(signal: AbortSignal): Promise<Way>;
}

/** Milliseconds. */
const patience = 15_000;

export function createGate(first: Way, name: string): Gate {
  let current: Way | undefined = first;
  const line = new Set<(way: Way) => void>();
  const gate: Gate = {
    open(way) {
      current = way;
      for (const go of line) go(way);
      line.clear();
      // Whoever comes between the break and its being noticed waits too.
      void way.lost.then(() => current === way && gate.shut());
    },
    shut: () => void (current = undefined),
    async way(signal) {
      if (current !== undefined) return current;
      const { promise, resolve, reject } = Promise.withResolvers<Way>();
      const late = setTimeout(() => reject(noConnection(name)), patience);
      const giveUp = (): void => reject(signal.reason);
      signal.addEventListener("abort", giveUp, { once: true });
      line.add(resolve);
      try {
        return await promise;
      } finally {
        clearTimeout(late);
        signal.removeEventListener("abort", giveUp);
        line.delete(resolve);
      }
    },
  };
  gate.open(first);
  return gate;
}

function noConnection(name: string): AmiError {
  return new AmiError("ssh.lost", `there is no connection to ${name} at the moment`, { host: name, retry: "yes" });
}
