/** Throughput: a small sample each way, bounded in bytes and in time. */
import { randomBytes } from "node:crypto";
import type { Host, Running } from "../host.ts";

/** Bytes a second; undefined where it was not to be found out. */
export interface Throughput {
  readonly up: number | undefined;
  readonly down: number | undefined;
}

export interface ThroughputWish {
  /** Milliseconds that an answer takes: no part of the rate. */
  readonly rtt: number;
  /** Milliseconds for one way of one size. */
  readonly longest?: number | undefined;
  readonly signal: AbortSignal;
}

/** Rejects as `spawn` does, and when aborted. */
export async function sampleThroughput(host: Host, wish: ThroughputWish): Promise<Throughput> {
  const running = await host.spawn(["sh", "-c", program], { signal: wish.signal });
  const ear = listen(running);
  try {
    let found: Throughput = { up: undefined, down: undefined };
    for (const size of sizes) {
      const next = await one(running, ear, size, wish);
      found = { up: next.up ?? found.up, down: next.down ?? found.down };
      // A larger one takes too long, or tells nothing new.
      if (next.down === undefined || next.ms > enough) break;
    }
    return found;
  } finally {
    // It ends by itself when there is nothing more to read; what hangs is ended, behind what is still under way.
    running.stdin.end();
    running.exit.catch(() => undefined);
    if (!(await ear.ended(grace))) running.kill("KILL").catch(() => undefined);
  }
}

/** The second only where the first took no time. */
const sizes = [64 * 1024, 1024 * 1024] as const;
/** Milliseconds for both ways of one size. */
const enough = 250;
const grace = 500;

/** For each size: takes so many bytes, says so, gives as many. Random ones, so that compression makes nothing look fast. */
const program = `while read -r n; do head -c "$n" >/dev/null || exit; echo; head -c "$n" /dev/urandom || exit; done`;

async function one(
  { stdin }: Running,
  ear: Ear,
  size: number,
  { rtt, longest = 4000, signal }: ThroughputWish,
): Promise<Throughput & { readonly ms: number }> {
  const before = ear.heard();
  const started = performance.now();
  stdin.write(`${size}\n`);
  stdin.write(randomBytes(size));
  if (!(await ear.until(before + 1, longest, signal))) {
    // It has not got through, so this is the most that it can be; or there is no such program.
    return { up: ear.isOver() ? undefined : (1000 * size) / longest, down: undefined, ms: longest };
  }
  const taken = performance.now();
  const up = (1000 * size) / Math.max(least, taken - started - rtt);
  await ear.until(before + 1 + size, longest, signal);
  const ended = performance.now();
  const got = ear.heard() - before - 1;
  return {
    up,
    down: got === 0 ? undefined : (1000 * got) / Math.max(least, ended - taken),
    ms: ended - started,
  };
}

/** Milliseconds: clocks are no finer than that here, and a rate without end is none. */
const least = 0.1;

interface Ear {
  heard(): number;
  isOver(): boolean;
  /** False: there are not so many bytes yet, and time is up or the program has ended. */
  until(bytes: number, ms: number, signal: AbortSignal): Promise<boolean>;
  /** False: not within so many milliseconds. */
  ended(ms: number): Promise<boolean>;
}

function listen({ stdin, stdout, stderr }: Running): Ear {
  let heard = 0;
  let isOver = false;
  const over = Promise.withResolvers<true>();
  const end = (): void => {
    isOver = true;
    over.resolve(true);
    wake?.();
  };
  let wake: (() => void) | undefined;
  stdin.on("error", () => undefined); // told by the end of stdout
  stderr.on("error", () => undefined).resume();
  stdout
    .on("data", (bytes: Buffer) => {
      heard += bytes.length;
      wake?.();
    })
    .on("error", () => undefined)
    .on("close", end)
    .on("end", end);
  return {
    heard: () => heard,
    isOver: () => isOver,
    async until(bytes, ms, signal) {
      const deadline = performance.now() + ms;
      const onAbort = (): void => wake?.();
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        while (heard < bytes) {
          signal.throwIfAborted();
          const left = deadline - performance.now();
          if (isOver || left <= 0) return false;
          const woken = Promise.withResolvers<void>();
          wake = woken.resolve;
          const timer = setTimeout(woken.resolve, left);
          await woken.promise;
          clearTimeout(timer);
        }
        return true;
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
    async ended(ms) {
      const late = Promise.withResolvers<false>();
      const timer = setTimeout(() => late.resolve(false), ms);
      try {
        return await Promise.race([over.promise, late.promise]);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
