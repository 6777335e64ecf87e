/** Detached: what work that goes on without its connection has in common, be it an apply run or a job. */
import { setTimeout as sleep } from "node:timers/promises";
import { type AmiError, asAmiError } from "./errors.ts";
import { waitBefore } from "./retry.ts";

/** The connection is gone or could not be made; what runs on the far side may well go on. */
export function isLoss(error: unknown): boolean {
  return ["ssh.lost", "ssh.protocol", "ssh.connect", "host.spawn"].includes(asAmiError(error).code);
}

/** Shell words that print the bytes of a file that only grows, from one size of it up to another. */
export function sendPart(file: string, from: string, to: string): string {
  return `tail -c +$((${from}+1)) ${file} | head -c $((${to}-${from}))`;
}

/** A shell function: naps for a part of a second, or for a whole one where `sleep` knows no parts. */
export const napFunction = `ami_nap() { sleep "$1" 2>/dev/null || sleep 1; }`;

export interface Comeback {
  /** It was reached: what is lost from now on is worth waiting for. */
  reached(): void;
  /** Waits before the next attempt, longer each time. Rejects with the error itself when no waiting mends it. */
  after(error: unknown): Promise<void>;
}

/** Milliseconds without a connection after which it is given up. */
const patience = 3_600_000;
/** How often in a row a server may turn us away: it may be starting (nologin), or mean it. */
const mostRefusals = 5;

/** For whoever connects again to what goes on there. What was never reached is not waited for, unless it `isThere`. */
export function createComeback(options: {
  readonly signal: AbortSignal;
  readonly isThere: boolean;
  readonly onLost?: ((error: AmiError, attempt: number, wait: number) => void) | undefined;
}): Comeback {
  const { signal } = options;
  let isThere = options.isThere;
  let attempt = 0;
  let refusals = 0;
  let since: number | undefined;
  return {
    reached() {
      isThere = true;
      attempt = 0;
      refusals = 0;
      since = undefined;
    },
    async after(thrown) {
      const error = asAmiError(thrown);
      refusals = error.code === "ssh.auth" ? refusals + 1 : 0;
      // Not by the time of day: a machine that slept for a night has not tried in vain all night.
      since ??= performance.now();
      const isHopeless = refusals === 0 ? !isLoss(error) : refusals >= mostRefusals;
      if (signal.aborted || !isThere || isHopeless || performance.now() - since > patience) throw error;
      const wait = waitBefore(++attempt, Math.random());
      options.onLost?.(error, attempt, wait);
      await sleep(wait, undefined, { signal });
    },
  };
}
