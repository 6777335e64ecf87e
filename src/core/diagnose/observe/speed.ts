/** Speed: round trips, a sample of throughput, and whether bulk data gets through in both directions. */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { Link } from "../../ssh/link.ts";
import type { Session } from "../../ssh/session.ts";

export type SpeedSeen =
  | { readonly state: "no-echo" }
  /** `bytes` came back of those sent within the time; the sample ends early when all are there. */
  | { readonly state: "measured"; readonly rtts: readonly number[]; readonly bytes: number; readonly ms: number };

export interface SpeedWish {
  readonly link: Link;
  /** Milliseconds for the sample of throughput. */
  readonly sample: number;
  /** Milliseconds after which bulk data that does not move is lost. */
  readonly stall: number;
  readonly signal: AbortSignal;
}

/** Through `cat` and back: each byte travels both ways. A poor sample is taken again, as anything may hold up one. */
export async function observeSpeed(wish: SpeedWish): Promise<SpeedSeen> {
  const first = await takeSample(wish);
  if (first.state === "no-echo" || first.bytes === 0 || first.bytes >= leastSample) return first;
  const second = await takeSample(wish);
  return second.state === "measured" && second.bytes / second.ms > first.bytes / first.ms ? second : first;
}

async function takeSample({ link, sample, stall, signal }: SpeedWish): Promise<SpeedSeen> {
  const session = await link.session({ command: "exec cat" }, { signal });
  try {
    session.stderr.resume();
    let got = 0;
    let wake: (() => void) | undefined;
    session.stdout.on("data", (bytes: Buffer) => {
      got += bytes.length;
      wake?.();
    });
    const until = async (bytes: number, ms: number): Promise<boolean> => {
      const deadline = performance.now() + ms;
      while (got < bytes) {
        const left = deadline - performance.now();
        if (left <= 0) return false;
        const woken = Promise.withResolvers<void>();
        wake = woken.resolve;
        const timer = setTimeout(woken.resolve, left);
        await woken.promise;
        clearTimeout(timer);
        signal.throwIfAborted();
      }
      return true;
    };
    const rtts: number[] = [];
    for (let i = 0; i < pings; i++) {
      const from = performance.now();
      session.stdin.write("x");
      if (!(await until(i + 1, stall))) return { state: "no-echo" };
      rtts.push(performance.now() - from);
    }
    const from = performance.now();
    feed(session);
    await until(pings + 1, stall); // nothing at all is not slow, it is lost
    await until(pings + leastSample, 4 * sample); // a machine may be busy with other things for a moment
    await until(pings + sampleSize, Math.max(0, sample - (performance.now() - from)));
    return { state: "measured", rtts, bytes: got - pings, ms: performance.now() - from };
  } finally {
    session.abandon();
  }
}

const pings = 5;
const leastSample = 256 * 1024;
const sampleSize = 2 * 2 ** 20;

function feed(session: Session): void {
  session.stdin.on("error", () => undefined);
  // Random: compression must not make the way look faster than it is.
  const piece = randomBytes(64 * 1024);
  for (let sent = 0; sent < sampleSize; sent += piece.length) session.stdin.write(Buffer.from(piece));
}
