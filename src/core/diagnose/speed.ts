/** Speed: round trips, a sample of throughput, and whether bulk data gets through in both directions. */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { Link } from "../ssh/link.ts";
import type { Session } from "../ssh/session.ts";
import { about, type Finding, here, likely, there } from "./finding.ts";

const { ok, warn, fail, skipped } = about("speed");

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

/** Through `cat` and back: each byte travels both ways. */
export async function observeSpeed({ link, sample, stall, signal }: SpeedWish): Promise<SpeedSeen> {
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
    await until(pings + sampleSize, Math.max(0, sample - (performance.now() - from)));
    return { state: "measured", rtts, bytes: got - pings, ms: performance.now() - from };
  } finally {
    session.abandon();
  }
}

const pings = 5;
const sampleSize = 2 * 2 ** 20;

function feed(session: Session): void {
  session.stdin.on("error", () => undefined);
  // Random: compression must not make the way look faster than it is.
  const piece = randomBytes(64 * 1024);
  for (let sent = 0; sent < sampleSize; sent += piece.length) session.stdin.write(Buffer.from(piece));
}

export function judgeSpeed(seen: SpeedSeen): Finding[] {
  if (seen.state === "no-echo") return [skipped("speed", "there is no cat there to send bytes through")];
  const { rtts, bytes, ms } = seen;
  const sorted = [...rtts].sort((a, b) => a - b);
  const least = sorted[0] ?? 0;
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const rate = (bytes / 2 ** 20 / (ms / 1000)) * 2;
  const evidence = [
    `round trips: ${rtts.map((rtt) => rtt.toFixed(1)).join(", ")} ms`,
    `${(bytes / 1024).toFixed(0)} KiB there and back in ${ms.toFixed(0)} ms`,
  ];
  if (bytes === 0) {
    return [
      fail("speed.bulk-lost", "single bytes come back, bulk data does not", {
        evidence,
        cause: likely("large packets are lost: a smaller MTU on the way and filtered ICMP, in one direction at least"),
        fix: here("sudo sysctl -w net.ipv4.tcp_mtu_probing=1"),
      }),
    ];
  }
  const figures = `round trip ${median.toFixed(1)} ms, ${rate.toFixed(1)} MiB/s both ways together`;
  if (least > farAway) {
    return [
      warn("speed.latency", `${figures}: every step takes long`, {
        evidence,
        cause: likely("the machine is far away, or a link on the way is full"),
        fix: here("mtr --report HOST"),
      }),
    ];
  }
  if (rate < slow) {
    return [
      warn("speed.throughput", `${figures}: large files will take long`, {
        evidence,
        cause: likely("packets are lost on the way, or the link is narrow"),
        fix: there("ss -ti | grep -A1 :22"),
      }),
    ];
  }
  return [ok("speed", figures, { evidence })];
}

/** Milliseconds: the other side of the earth is 300 away. */
const farAway = 400;
/** MiB/s. */
const slow = 0.1;
